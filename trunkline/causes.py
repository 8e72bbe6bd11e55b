"""What a failed voice call means for a trunk and for a client: one table."""

from trunkline.problems import Code, Problem
from trunkline.voice import VoiceCause, VoiceError

CODES = {
    VoiceCause.CONFLICT: Code.NUMBER_IN_USE,
    VoiceCause.REFUSED: Code.VOICE_REFUSED,
    VoiceCause.MISSING: Code.OUTCOME_UNKNOWN,
    VoiceCause.MISCONFIGURED: Code.VOICE_MISCONFIGURED,
    VoiceCause.UNAVAILABLE: Code.VOICE_UNAVAILABLE,
    VoiceCause.BUSY: Code.VOICE_UNAVAILABLE,
    VoiceCause.RATE_LIMITED: Code.RATE_LIMITED,
    VoiceCause.OUTCOME_UNKNOWN: Code.OUTCOME_UNKNOWN,
    VoiceCause.EDGE_MISCONFIGURED: Code.VOICE_MISCONFIGURED,
    VoiceCause.EDGE_UNAVAILABLE: Code.VOICE_UNAVAILABLE,
}
DEFINITE = frozenset({VoiceCause.CONFLICT, VoiceCause.REFUSED})  # refused for good: asking again changes nothing
CERTAIN = frozenset(VoiceCause) - {VoiceCause.OUTCOME_UNKNOWN, VoiceCause.MISSING}  # nothing was done
WIDE = frozenset({VoiceCause.MISCONFIGURED, VoiceCause.UNAVAILABLE, VoiceCause.RATE_LIMITED})  # concern all trunks
AT_THE_EDGE = frozenset({VoiceCause.EDGE_MISCONFIGURED, VoiceCause.EDGE_UNAVAILABLE})  # the others go on
RETRYABLE = frozenset({Code.VOICE_UNAVAILABLE, Code.RATE_LIMITED, Code.OUTCOME_UNKNOWN})
TAKEN = VoiceError(
    VoiceCause.REFUSED,
    "Another installation has put its marker on this object, so it is left alone; reprovisioning takes it back.",
)
NUMBER_IN_USE = Problem(
    Code.NUMBER_IN_USE,
    "This number already rings at another SIP trunk of this voice backend.",
    ("input", "phoneNumber"),
)


def is_retryable(error: VoiceError) -> bool:
    """Whether the very same request may succeed later."""
    return CODES[error.cause] in RETRYABLE


def problem_of(error: VoiceError, failed_to: str) -> Problem:
    """The problem that a client is told; `failed_to` is the beginning: "Failed to create SIP trunk."."""
    if error.cause is VoiceCause.CONFLICT:
        return NUMBER_IN_USE
    return Problem(CODES[error.cause], f"{failed_to} {error.detail}", None, is_retryable(error), error.retry_after)
