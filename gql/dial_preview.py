"""The preview of a call as a client speaks of it: of a stored trunk, or of a form that is being filled in."""

from typing import Annotated, cast

import strawberry

from gql.context import Info
from gql.sip_trunk_enums import InboundAuthorizationType, SipCallingFormat, SipTransport, SipTrunkType
from models import sip_trunk as model
from models.secret import Secret
from trunkline import dialling
from trunkline.validation import Policy, TrunkDraft

WHOM = "Whom to call: a number such as +12025550123, an extension or a short code."
UNASKED = "none-of-the-preview"  # stands for the credentials, so that the rules of createSipTrunk apply as they are


@strawberry.type(description="A call as the carrier will see it, or why it cannot be placed.")
class DialPreview:
    """Source: trunkline.dialling.DialPreview."""

    request_uri: str | None = strawberry.field(
        description="The INVITE's Request-URI: `sip:USER@HOST[:PORT];transport=udp|tcp|tls`, a port only when sipPort "
        "is given. The To header has the same."
    )
    to_user: str | None = strawberry.field(description="The destination in the trunk's calling format.")
    from_user: str | None = strawberry.field(
        description="The user of the From header: the trunk's own number in its calling format, an extension as it "
        "is. (Before a number for twilio.com without sipPort LiveKit puts a +.)"
    )
    problem: str | None = strawberry.field(
        description="Why there is no such call, a sentence for the person at the form; the other fields are null then."
    )

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Previews are served as they are."""
        return isinstance(source, dialling.DialPreview)


@strawberry.input(description="What a preview without a stored trunk needs; the same rules as in createSipTrunk.")
class DialPreviewInput:
    """The part of a trunk that decides what goes out, and a destination."""

    destination: str = strawberry.field(description=WHOM)
    sip_trunk_type: SipTrunkType = strawberry.field(description="What phoneNumber holds.")
    sip_calling_format: SipCallingFormat = strawberry.field(description="How numbers are written to the carrier.")
    country_code: str = strawberry.field(
        description="ISO 3166-1 alpha-2. Of a NUMBER its own country counts, so that this may be blank."
    )
    phone_number: str = strawberry.field(description="The trunk's own number or extension.")
    sip_address: str = strawberry.field(description="Host name or IPv4 address: no scheme, no port.")
    sip_port: int | None = strawberry.field(default=None, description="Left out: none is written.")
    sip_transport: SipTransport | None = strawberry.field(default=None, description="Left out: UDP.")

    def draft(self) -> TrunkDraft:
        """A trunk as far as it matters here."""
        return TrunkDraft(
            sip_trunk_type=self.sip_trunk_type,
            phone_number=self.phone_number,
            sip_username=UNASKED,
            sip_password=Secret(UNASKED),
            sip_address=self.sip_address,
            sip_port=self.sip_port,
            sip_transport=self.sip_transport,
            sip_calling_format=self.sip_calling_format,
            inbound_authorization_type=InboundAuthorizationType.AUTH,
            country_code=self.country_code,
        )


Input = Annotated[
    DialPreviewInput, strawberry.argument(description="The trunk as far as it matters, and whom to call.")
]
Destination = Annotated[str, strawberry.argument(description=WHOM)]


def resolve_dial_preview(info: Info, input: Input) -> DialPreview:  # noqa: A002  # GraphQL's name
    """Say how a call would go out; nothing is stored, looked up or sent."""
    settings = info.context.services.settings
    policy = Policy(settings.allowed_networks, settings.phone_check)
    return cast("DialPreview", dialling.preview_of_draft(input.draft(), input.destination, policy))


def resolve_of_trunk(root: strawberry.Parent[model.SipTrunk], destination: Destination) -> DialPreview:
    """The same for a stored trunk."""
    return cast("DialPreview", dialling.preview(root, destination))
