"""What an answer of a LiveKit server means, decided by its HTTP status. Refuses to pass on text with foreign data.

Sources: Twirp's error codes; livekit/pkg/service/sip.go, protocol/livekit/sip.go, protocol/sip/sip.go (server 1.13.5).
"""

import re
from enum import StrEnum
from http import HTTPStatus

from trunkline.voice import DispatchRule, Leg, VoiceCause, VoiceError

CONFLICT_PREFIX = "Conflicting inbound SIP Trunks"  # what follows names other trunks, in either order
RULE_CONFLICT_PREFIX = "Dispatch rule for the same trunk"  # what follows names the other rule
RETRY_AFTER_SECONDS = 5
WHOLE_SECONDS = re.compile(r"[0-9]{1,9}")
RETRY_AFTER_MAX_SECONDS = 3600
REFUSING_CODES = frozenset({"invalid_argument", "malformed", "out_of_range", "failed_precondition"})
REDIS_MISSING = "redis required"


class Refusal(StrEnum):
    """LiveKit's own words for the fields that it refuses; they hold nothing of any trunk."""

    UNPROTECTED = "for security, one of the fields must be set: AuthUsername+AuthPassword, AllowedAddresses or Numbers"
    NO_NUMBERS = "no trunk numbers specified"
    NO_ADDRESS = "no outbound address specified"
    ADDRESS_HAS_TRANSPORT = "trunk address should not contain transport parameter"
    ADDRESS_IS_URI = "trunk address should be a hostname or IP, not SIP URI"


def conflict() -> VoiceError:
    """Tell that another inbound trunk answers to the number, not which."""
    return VoiceError(VoiceCause.CONFLICT, "Another inbound trunk at the voice backend already answers to this number.")


def rule_conflict() -> VoiceError:
    """Tell that another dispatch rule takes the calls of the trunk, not which."""
    return VoiceError(
        VoiceCause.CONFLICT, "Another dispatch rule at the voice backend already takes this trunk's calls."
    )


def refuse_unsafe(leg: Leg) -> None:
    """Raise REFUSED for a rule that is never sent, though LiveKit would take it.

    Without a trunk's id it would take the calls of every trunk (livekit/sip#460); without a name nobody would answer.
    """
    if isinstance(leg, DispatchRule) and not (len(leg.trunk_ids) == 1 and leg.trunk_ids[0].strip()):
        raise VoiceError(VoiceCause.REFUSED, "A dispatch rule needs exactly one trunk. Nothing was sent.")
    if isinstance(leg, DispatchRule) and not leg.agent_name.strip():
        raise VoiceError(VoiceCause.REFUSED, "A dispatch rule needs the name of an agent. Nothing was sent.")


def refused(message: str) -> VoiceError:
    """Tell which field was refused, in LiveKit's words where they are known to be safe."""
    if message in set(Refusal):
        return VoiceError(VoiceCause.REFUSED, f"The voice backend refused the trunk: {message}.")
    return VoiceError(VoiceCause.REFUSED, "The voice backend refused a field of the trunk; its own log tells which.")


def no_edge() -> VoiceError:
    """Tell that a trunk wants the edge where there is none."""
    return VoiceError(VoiceCause.REFUSED, "This installation has no edge; see TRUNKLINE_OUTBOUND_PROXY.")


def missing() -> VoiceError:
    """Tell that no object has the id."""
    return VoiceError(VoiceCause.MISSING, "The voice backend has no such trunk or dispatch rule any more.")


def misconfigured(why: str) -> VoiceError:
    """Tell the operator what to mend; it concerns all trunks."""
    return VoiceError(VoiceCause.MISCONFIGURED, why)


def unavailable(why: str) -> VoiceError:
    """Tell that nothing was done."""
    return VoiceError(VoiceCause.UNAVAILABLE, f"{why} Nothing was changed; try again in a moment.")


def unknown_outcome(why: str) -> VoiceError:
    """Tell that it may have been done or not."""
    return VoiceError(VoiceCause.OUTCOME_UNKNOWN, f"{why} It is not known yet whether it did what was asked.")


def rate_limited(retry_after: str) -> VoiceError:
    """Tell how long to wait. `retry_after` is the header's text; anything but whole seconds counts as not given."""
    given = int(retry_after) if WHOLE_SECONDS.fullmatch(retry_after) else RETRY_AFTER_SECONDS
    seconds = min(max(given, 1), RETRY_AFTER_MAX_SECONDS)
    return VoiceError(
        VoiceCause.RATE_LIMITED, f"LiveKit takes no more requests now; try again in {seconds} seconds.", seconds
    )


def verdict(status: int, code: str = "", message: str = "", retry_after: str = "") -> VoiceError:
    """Tell what an HTTP answer other than a good one means. `code` and `message` are Twirp's, where it was Twirp's."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return rate_limited(retry_after)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return misconfigured("LiveKit did not accept LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or they may not use SIP.")
    if 300 <= status < 400:  # noqa: PLR2004  # redirections
        return misconfigured("LIVEKIT_URL leads elsewhere (a redirect); set it to the final address, https:// for TLS.")
    if status >= 500:  # noqa: PLR2004  # server errors
        return _failure(status, message)
    return _refusal(status, code, message)


def _refusal(status: int, code: str, message: str) -> VoiceError:
    if message.startswith(CONFLICT_PREFIX) or (status, code) == (HTTPStatus.CONFLICT, "already_exists"):
        return conflict()
    if message.startswith(RULE_CONFLICT_PREFIX):
        return rule_conflict()
    if code in REFUSING_CODES or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return refused(message)
    if (status, code) == (HTTPStatus.NOT_FOUND, "not_found"):
        return missing()
    if status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT} or status < 400:  # noqa: PLR2004  # another 2xx
        return unknown_outcome(f"LiveKit answered with HTTP {status}.")
    return misconfigured(f"What answers at LIVEKIT_URL is no LiveKit server with SIP (HTTP {status}); check the URL.")


def _failure(status: int, message: str) -> VoiceError:
    if REDIS_MISSING in message:
        return misconfigured("LiveKit runs without Redis, which its SIP service requires; give it a Redis.")
    if status == HTTPStatus.NOT_IMPLEMENTED:
        return misconfigured("This LiveKit server does not offer what is needed; it may be too old.")
    return unknown_outcome(f"LiveKit, or a proxy before it, failed with HTTP {status}.")
