"""SIP trunks as a client speaks of them: the type, pages of it, inputs, payloads, resolvers. No rules, no SQL."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, cast

import strawberry
from strawberry.types.field import StrawberryField

from gql.context import Info
from gql.dial_preview import resolve_of_trunk
from gql.event import resolve_trunk_events
from gql.node import Id, Node
from gql.provider import Provider
from gql.recent_call import resolve_recent_calls
from gql.setup_sheet import SetupSheet
from gql.sip_trunk_enums import (
    InboundAuthorizationType,
    MediaEncryption,
    SipCallingFormat,
    SipTransport,
    SipTrunkStatus,
    SipTrunkType,
)
from gql.sip_trunk_leg import SipTrunkLeg, leg_of
from gql.sip_trunk_probe import resolve_last_probe
from models import sip_trunk as model
from models.trunk_leg import LegKind
from trunkline.providers import find
from trunkline.setup_sheets import setup_sheet
from trunkline.trunks import find_trunk

if TYPE_CHECKING:
    from gql.assistant import Assistant
else:
    Assistant = Annotated["Assistant", strawberry.lazy("gql.assistant")]  # the two nouns name each other


def _voice_id(kind: LegKind, description: str) -> StrawberryField:
    def resolver(root: strawberry.Parent[model.SipTrunk]) -> str | None:
        return next((leg.voice_id for leg in root.legs if leg.kind is kind), None)

    return strawberry.field(resolver, description=description)


def _leg(kind: LegKind, description: str) -> StrawberryField:
    def resolver(root: strawberry.Parent[model.SipTrunk], info: Info) -> SipTrunkLeg:
        return leg_of(root, kind, info.context.services.health)

    return strawberry.field(resolver, description=description)


def _edge(root: strawberry.Parent[model.SipTrunk], info: Info) -> SipTrunkLeg | None:
    has_it = any(leg.kind is LegKind.EDGE for leg in root.legs)
    return leg_of(root, LegKind.EDGE, info.context.services.health) if root.outbound_proxy or has_it else None


def _assistants(root: strawberry.Parent[model.SipTrunk]) -> list[Assistant]:
    return cast("list[Assistant]", sorted(root.assistants, key=lambda each: each.id))


def _provider(root: strawberry.Parent[model.SipTrunk]) -> Provider | None:
    return cast("Provider | None", find(root.provider))


def _setup_sheet(root: strawberry.Parent[model.SipTrunk], info: Info) -> SetupSheet:
    settings = info.context.services.settings
    host = str(settings.sip_host) if settings.sip_host else None
    return cast("SetupSheet", setup_sheet(root, host, settings.edge_outer_address))


def _status(root: strawberry.Parent[model.SipTrunk]) -> SipTrunkStatus:
    return SipTrunkStatus(root.status.value)  # only visible trunks are served


@strawberry.type(description="A carrier's or PBX's SIP trunk, in place at the voice backend in both directions.")
class SipTrunk(Node):
    """Source: models.sip_trunk.SipTrunk with its legs fetched."""

    sip_trunk_type: SipTrunkType = strawberry.field(description="What phoneNumber holds.")
    phone_number: str = strawberry.field(description="E.164 with + for NUMBER; as given for EXTENSION.")
    nickname: str | None = strawberry.field(description="A name for people.")
    sip_username: str = strawberry.field(description="The user name of the digest credentials.")
    sip_address: str = strawberry.field(description="The carrier's or PBX's host name (A-label) or IPv4 address.")
    sip_port: int | None = strawberry.field(description="Null: the transport's default, 5060 or for TLS 5061.")
    sip_transport: SipTransport = strawberry.field(description="How SIP messages travel to the carrier.")
    media_encryption: MediaEncryption = strawberry.field(description="Whether the audio is encrypted.")
    sip_calling_format: SipCallingFormat = strawberry.field(description="How numbers are written to the carrier.")
    inbound_authorization_type: InboundAuthorizationType = strawberry.field(
        description="How calls from the carrier prove where they come from."
    )
    allowed_inbound_ips: list[str] | None = strawberry.field(description="Canonical CIDRs; null with AUTH.")
    country_code: str = strawberry.field(description="ISO 3166-1 alpha-2.")
    outbound_proxy: bool = strawberry.field(description="Whether outbound calls leave from a fixed address.")
    status = strawberry.field(_status, description="Where the trunk stands.")
    inbound_trunk_id = _voice_id(LegKind.INBOUND, 'The voice backend\'s id of the inbound leg, "ST_…".')
    outbound_trunk_id = _voice_id(LegKind.OUTBOUND, 'The voice backend\'s id of the outbound leg, "ST_…".')
    inbound = _leg(LegKind.INBOUND, "The inbound leg at the voice backend.")
    outbound = _leg(LegKind.OUTBOUND, "The outbound leg at the voice backend.")
    edge = strawberry.field(_edge, description="Its route at the edge; null unless outbound calls go out there.")
    revision: int = strawberry.field(
        description="One more with every accepted change by a client; refusals, dry runs, assignments and repairs "
        "leave it."
    )
    assistants = strawberry.field(_assistants, description="The assistants that work for this trunk.")
    dial_preview = strawberry.field(
        resolve_of_trunk, description="How a call to a destination goes out to the carrier; nobody is called."
    )
    provider = strawberry.field(_provider, description="The carrier or PBX, named or recognised by sipAddress.")
    provider_as_of: str | None = strawberry.field(
        description="The date of the provider's facts that allowedInboundIps was last filled from or compared with."
    )
    setup_sheet = strawberry.field(_setup_sheet, description="What to enter at the carrier.")
    last_probe = strawberry.field(
        resolve_last_probe,
        description="What the last probe of the trunk's address met, from trunkline's own address. A new trunk is "
        "probed by itself unless TRUNKLINE_PROBE_NEW_TRUNKS is no; null until then.",
    )
    recent_calls = strawberry.field(
        resolve_recent_calls,
        description="The newest calls that reached a room, from LiveKit's webhooks; kept for 30 days, 500 at most. A "
        "call that LiveKit refuses (a bad password, an unknown number or source) makes no webhook and is not here: "
        "explainInboundCall tells about those.",
    )
    events = strawberry.field(resolve_trunk_events, description="What happened to the trunk, newest first.")
    created_at: datetime = strawberry.field(description="When the creation succeeded.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Rows are served as they are."""
        return isinstance(source, model.SipTrunk)


async def resolve_sip_trunk(info: Info, id: Id) -> SipTrunk | None:  # noqa: A002  # GraphQL's name
    """Find a trunk of the caller's workspace; PostgreSQL would refuse some malformed ids, so that none is looked up."""
    return cast("SipTrunk | None", await find_trunk(info.context.caller.workspace_id, id))
