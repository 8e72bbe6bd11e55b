"""What became of a test call, by the carrier's status, and the likeliest causes (docs/test-calls.md has the table)."""

from collections.abc import Iterator
from enum import StrEnum

from models.sip_trunk import SipTransport, SipTrunk
from trunkline.voice.calls import CallEnd


class Outcome(StrEnum):
    """How a test call went."""

    ANSWERED = "ANSWERED"
    RANG = "RANG"
    BUSY = "BUSY"
    REJECTED = "REJECTED"
    NOT_FOUND = "NOT_FOUND"
    CREDENTIALS_REFUSED = "CREDENTIALS_REFUSED"
    UNREACHABLE = "UNREACHABLE"
    NO_REPLY = "NO_REPLY"
    CARRIER_ERROR = "CARRIER_ERROR"
    VOICE_UNAVAILABLE = "VOICE_UNAVAILABLE"


CREDENTIALS = "sipUsername or sipPassword is not what the carrier has; set them anew with updateSipTrunk."
FORMAT = "The carrier wants numbers written otherwise: compare dialled with its manual and change sipCallingFormat."
CALLER = "The carrier does not take the trunk's own number as the caller: it must be one of its numbers."
ENCRYPTION = (
    "The two sides do not agree on media encryption: switch mediaEncryption (AUTO and DISABLED offer plain audio only, "
    "ALLOWED and REQUIRED offer SRTP only)."
)
TOO_LARGE = (
    "The call is larger than livekit-sip sends over UDP (1,300 bytes), as one with SRTP is once it answers the "
    "carrier's challenge: set sipTransport to TLS or TCP, or mediaEncryption to AUTO or DISABLED."
)
PATH = (
    "A firewall drops the packets, or the carrier answers only addresses that it knows: give it livekit-sip's, or the "
    "edge's with outboundProxy."
)
WRONG_PLACE = "sipAddress, sipPort or sipTransport is not what the carrier has; probeSipTrunk tells more."
NO_SIP_SERVICE = "No livekit-sip took the call: it is not running, not connected to LiveKit's Redis, or too busy."
STATUSES = {
    401: Outcome.CREDENTIALS_REFUSED,
    404: Outcome.NOT_FOUND,
    407: Outcome.CREDENTIALS_REFUSED,
    410: Outcome.NOT_FOUND,
    484: Outcome.NOT_FOUND,
    485: Outcome.NOT_FOUND,
    486: Outcome.BUSY,
    600: Outcome.BUSY,
    604: Outcome.NOT_FOUND,
}
UNANSWERED = frozenset({408, 480, 487})
# Parts of LiveKit's own words where there is no status (livekit-sip 1.8.0, pkg/sip/outbound.go, errors.go).
WORDS = {
    "max auth retry": Outcome.CREDENTIALS_REFUSED,
    "server required auth": Outcome.CREDENTIALS_REFUSED,
    "no auth header": Outcome.CREDENTIALS_REFUSED,
    "x509:": Outcome.UNREACHABLE,
    "tls:": Outcome.UNREACHABLE,
    "fail to resolve": Outcome.UNREACHABLE,
    "dial err": Outcome.UNREACHABLE,
    "transport error": Outcome.UNREACHABLE,
    "connection refused": Outcome.UNREACHABLE,
    "no response from servers": Outcome.VOICE_UNAVAILABLE,
    "cpu exhausted": Outcome.VOICE_UNAVAILABLE,
    "unavailable": Outcome.VOICE_UNAVAILABLE,
}
# The edge's own answers (edge/kamailio.cfg).
UNKNOWN_KEY = (403, "Unknown trunk key")
SILENT_CARRIER = (504, "Carrier does not answer")
EDGE_ANSWERS = {
    (403, "Carrier refused the trunk's credentials"): Outcome.CREDENTIALS_REFUSED,
    UNKNOWN_KEY: Outcome.VOICE_UNAVAILABLE,
    (502, "Carrier cannot be reached"): Outcome.UNREACHABLE,
    SILENT_CARRIER: Outcome.NO_REPLY,
}
# Over TCP and TLS a refusal or a challenge ends the transaction at once, and then livekit-sip may see only that end.
LOST = "transaction failed to complete"
CAUSES = {
    Outcome.ANSWERED: (),
    Outcome.RANG: ("Nobody picked up in time; the trunk itself works.",),
    Outcome.BUSY: ("The called party is busy; the trunk itself works.",),
    Outcome.REJECTED: (CREDENTIALS, CALLER, "The carrier does not let this account call this destination."),
    Outcome.NOT_FOUND: ("The number or extension does not exist at the carrier.", FORMAT),
    Outcome.CREDENTIALS_REFUSED: (CREDENTIALS,),
    Outcome.UNREACHABLE: (WRONG_PLACE,),
    Outcome.NO_REPLY: (WRONG_PLACE, PATH),
    Outcome.CARRIER_ERROR: ("The carrier has trouble of its own, or a limit of calls is reached; try again later.",),
    Outcome.VOICE_UNAVAILABLE: (NO_SIP_SERVICE,),
}


def outcome_of(end: CallEnd) -> Outcome:
    """Decide by the carrier's status; without one by LiveKit's words; without those by whether it rang."""
    if end.answered:
        return Outcome.ANSWERED
    if end.sip_status is None:
        found = next((outcome for part, outcome in WORDS.items() if part in end.words), None)
        return found or (Outcome.RANG if end.rang else Outcome.NO_REPLY)
    if outcome := EDGE_ANSWERS.get((end.sip_status, end.words)):
        return outcome
    if end.sip_status in UNANSWERED and end.rang:
        return Outcome.RANG
    by_class = Outcome.CARRIER_ERROR if 500 <= end.sip_status < 600 else Outcome.REJECTED  # noqa: PLR2004  # SIP's
    return STATUSES.get(end.sip_status, by_class)


def likely_causes(end: CallEnd, trunk: SipTrunk) -> list[str]:
    """The most likely causes, each with what to do, the likeliest first."""
    return [*_special(end, trunk)] or [*CAUSES[outcome_of(end)]]


def _special(end: CallEnd, trunk: SipTrunk) -> Iterator[str]:
    if end.sip_status in {415, 488, 606}:
        yield ENCRYPTION
    elif (end.sip_status, end.words) == UNKNOWN_KEY:
        yield "The edge does not know this trunk (yet); reprovisionSipTrunk writes its route again."
    elif end.sip_status in UNANSWERED and not end.rang:
        yield "The called party is not registered or switched off; the trunk itself works."
    elif "x509:" in end.words:
        why = end.words.partition("x509: ")[2] or "unknown reason"
        yield f"livekit-sip does not trust the carrier's certificate: {why}."
        yield "For an authority of your own give livekit-sip its certificate with SSL_CERT_DIR and restart it."
    elif "larger than MTU" in end.words:
        yield TOO_LARGE
    elif "fail to resolve" in end.words:
        yield "livekit-sip finds no IPv4 address for sipAddress: LiveKit needs a name with an A record."
    elif (end.sip_status, end.words) == SILENT_CARRIER and trunk.sip_transport is SipTransport.TLS:
        yield "The edge does not trust the carrier's certificate, or nobody speaks TLS at sipPort; its own log tells."
        yield WRONG_PLACE
    elif LOST in end.words and trunk.sip_transport is not SipTransport.UDP:
        yield "livekit-sip missed what the carrier said, as happens now and then over TCP and TLS: call again."
        yield WRONG_PLACE
    elif not end.in_time and trunk.sip_transport is SipTransport.TLS:
        yield "Something takes the connection but does not speak TLS: is sipPort the port for TLS?"
