"""How a call through a trunk goes out: what the preview shows and what a test call dials. Calls nobody."""

from dataclasses import dataclass

from models.sip_trunk import SipTrunk
from trunkline.phone import NoForm, caller_id, dialled_form
from trunkline.validation import NormalizedTrunk, Policy, TrunkDraft, examine

TWILIO = "twilio.com"


@dataclass(frozen=True, slots=True)
class DialPreview:
    """The INVITE as the carrier sees it, or in `problem`, a sentence for a person, why there is none.

    request_uri  `sip:USER@HOST[:PORT];transport=udp|tcp|tls`
    to_user      who is called: what goes to LiveKit as `sip_call_to`
    from_user    who calls
    """

    request_uri: str | None = None
    to_user: str | None = None
    from_user: str | None = None
    problem: str | None = None


def preview(trunk: SipTrunk | NormalizedTrunk, destination: str) -> DialPreview:
    """Say how a destination is dialled through a trunk.

    The form is livekit-sip's (pkg/sip/client.go: buildLegacyURI), which writes the user as it gets it, a port only when
    the trunk has one, and always the transport. With outboundProxy the edge writes the same towards the carrier.
    """
    to_user = dialled_form(destination, trunk.sip_calling_format, trunk.country_code)
    if isinstance(to_user, NoForm):
        return DialPreview(problem=to_user.reason)
    port = "" if trunk.sip_port is None else f":{trunk.sip_port}"
    uri = f"sip:{to_user}@{trunk.sip_address}{port};transport={trunk.sip_transport.lower()}"
    return DialPreview(uri, to_user, _from_user(trunk))


def preview_of_draft(draft: TrunkDraft, destination: str, policy: Policy) -> DialPreview:
    """The same for a trunk that is not stored, or the first problem that it has; no name is looked up."""
    found = examine(draft, policy, None)
    return (
        preview(found.normalized, destination) if found.normalized else DialPreview(problem=found.problems[0].message)
    )


def _from_user(trunk: SipTrunk | NormalizedTrunk) -> str:
    """The own number in the calling format; to Twilio LiveKit puts a + before it, unless the address has a port.

    livekit/protocol, rpc/sip.go: NewCreateSIPParticipantRequest looks at the end of the trunk's `address`.
    """
    own = caller_id(trunk.sip_trunk_type, trunk.phone_number, trunk.sip_calling_format)
    to_twilio = trunk.sip_address.endswith(TWILIO) and trunk.sip_port is None and not trunk.outbound_proxy
    return "+" + own.removeprefix("+") if to_twilio else own
