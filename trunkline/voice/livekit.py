"""The LiveKit backend and the only import of livekit. Refuses to send partial updates and rules for every trunk.

The SDK has no working timeout (trunkline.voice.bounded gives one); its retries are off: a create is not idempotent.
"""

from collections.abc import Iterable, Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from livekit import api
from livekit.protocol.models import Pagination

from models.secret import Secret
from models.sip_trunk import SipTransport
from models.trunk_leg import LegKind
from trunkline.settings import LiveKit
from trunkline.voice import (
    DispatchRule,
    EdgeRoute,
    Encryption,
    Held,
    InboundTrunk,
    Leg,
    OutboundTrunk,
    VoiceCause,
    VoiceError,
    VoiceKind,
)
from trunkline.voice.verdicts import missing, no_edge, refuse_unsafe, unknown_outcome
from trunkline.voice.wire import asked, open_session, told

BEHIND_ALL_IDS = "~"  # sorts after every id: a page behind it proves URL, key and Redis, and loads nothing
NO_ID = "LiveKit answered without an id."
TRANSPORTS = {
    SipTransport.UDP: api.SIPTransport.SIP_TRANSPORT_UDP,
    SipTransport.TCP: api.SIPTransport.SIP_TRANSPORT_TCP,
    SipTransport.TLS: api.SIPTransport.SIP_TRANSPORT_TLS,
}
ENCRYPTIONS = {
    Encryption.DISABLE: api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_DISABLE,
    Encryption.ALLOW: api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW,
    Encryption.REQUIRE: api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE,
}
TRANSPORTS_BACK = {value: transport for transport, value in TRANSPORTS.items()}
ENCRYPTIONS_BACK = {value: encryption for encryption, value in ENCRYPTIONS.items()}
EDGE_KEY_HEADER = "X-Trunk-Key"
NEVER_WRITTEN = frozenset({  # fields that change how calls are treated and that no leg says
    "allowed_numbers", "auth_realm", "headers_to_attributes", "attributes_to_headers", "include_headers",
    "ringing_timeout_status", "max_call_duration", "from_host", "krisp_enabled",
})  # fmt: skip
MEDIA_NEVER_WRITTEN = frozenset({"only_listed_codecs", "codecs", "media_timeout"})
RULE_NEVER_WRITTEN = frozenset({
    "hide_phone_number", "inbound_numbers", "numbers", "attributes", "room_preset", "krisp_enabled", "media_encryption",
})  # fmt: skip

TrunkInfo = api.SIPInboundTrunkInfo | api.SIPOutboundTrunkInfo
Info = TrunkInfo | api.SIPDispatchRuleInfo


def inbound_info(leg: InboundTrunk) -> api.SIPInboundTrunkInfo:
    """Write an inbound trunk as LiveKit wants it; servers before 1.12 know only the older `media_encryption`."""
    encryption = ENCRYPTIONS[leg.encryption]
    return api.SIPInboundTrunkInfo(
        name=leg.name,
        metadata=leg.metadata,
        numbers=leg.numbers,
        allowed_addresses=leg.allowed_addresses,
        auth_username=leg.auth_username,
        auth_password=leg.auth_password.reveal(),
        ringing_timeout=Duration(seconds=leg.ringing_timeout),
        media_encryption=encryption,
        media=api.SIPMediaConfig(encryption=encryption),
    )


def outbound_info(leg: OutboundTrunk) -> api.SIPOutboundTrunkInfo:
    """Write an outbound trunk as LiveKit wants it; the transport is never AUTO."""
    encryption = ENCRYPTIONS[leg.encryption]
    return api.SIPOutboundTrunkInfo(
        name=leg.name,
        metadata=leg.metadata,
        numbers=leg.numbers,
        address=leg.address,
        transport=TRANSPORTS[leg.transport],
        destination_country=leg.destination_country,
        auth_username=leg.auth_username,
        auth_password=leg.auth_password.reveal(),
        media_encryption=encryption,
        media=api.SIPMediaConfig(encryption=encryption),
        headers={EDGE_KEY_HEADER: leg.edge_key.reveal()} if leg.edge_key else {},
    )


def rule_info(rule: DispatchRule) -> api.SIPDispatchRuleInfo:
    """Write a dispatch rule as LiveKit wants it; the caller's participant in the room inherits its metadata."""
    individual = api.SIPDispatchRuleIndividual(room_prefix=rule.room_prefix)
    return api.SIPDispatchRuleInfo(
        name=rule.name,
        metadata=rule.metadata,
        trunk_ids=rule.trunk_ids,
        rule=api.SIPDispatchRule(dispatch_rule_individual=individual),
        room_config=api.RoomConfiguration(agents=[api.RoomAgentDispatch(agent_name=rule.agent_name)]),
    )


def creation_of(rule: DispatchRule) -> api.CreateSIPDispatchRuleRequest:
    """Ask for a new rule, with `trunk_ids` said twice: the older field tells the server which rules to compare.

    Without it two foreign rules that share a trunk would refuse every new one (livekit/pkg/service/sip.go).
    """
    return api.CreateSIPDispatchRuleRequest(dispatch_rule=rule_info(rule), trunk_ids=rule.trunk_ids)


def held_of(info: Info) -> Held:
    """Read what LiveKit holds. What no leg can say and values unknown to us make it inexact; nothing makes it fail."""
    if isinstance(info, api.SIPDispatchRuleInfo):
        return Held(info.sip_dispatch_rule_id, _rule(info), exact=_is_exact_rule(info))
    leg = _inbound_leg(info) if isinstance(info, api.SIPInboundTrunkInfo) else _outbound_leg(info)
    return Held(info.sip_trunk_id, leg, exact=_is_exact(info))


def _inbound_leg(info: api.SIPInboundTrunkInfo) -> InboundTrunk:
    return InboundTrunk(
        name=info.name,
        numbers=tuple(info.numbers),
        allowed_addresses=tuple(info.allowed_addresses),
        auth_username=info.auth_username,
        auth_password=Secret(info.auth_password),
        encryption=ENCRYPTIONS_BACK.get(_encryption_value(info), Encryption.DISABLE),
        metadata=info.metadata,
        ringing_timeout=info.ringing_timeout.seconds,
    )


def _outbound_leg(info: api.SIPOutboundTrunkInfo) -> OutboundTrunk:
    return OutboundTrunk(
        name=info.name,
        numbers=tuple(info.numbers),
        address=info.address,
        transport=TRANSPORTS_BACK.get(info.transport, SipTransport.UDP),
        destination_country=info.destination_country,
        auth_username=info.auth_username,
        auth_password=Secret(info.auth_password),
        encryption=ENCRYPTIONS_BACK.get(_encryption_value(info), Encryption.DISABLE),
        metadata=info.metadata,
        edge_key=Secret(info.headers[EDGE_KEY_HEADER]) if _says_edge_key(info) else None,
    )


def _says_edge_key(info: TrunkInfo) -> bool:
    return isinstance(info, api.SIPOutboundTrunkInfo) and set(info.headers) == {EDGE_KEY_HEADER}


def _rule(info: api.SIPDispatchRuleInfo) -> DispatchRule:
    return DispatchRule(
        name=info.name,
        trunk_ids=tuple(info.trunk_ids),
        agent_name=next((agent.agent_name for agent in info.room_config.agents), ""),
        room_prefix=info.rule.dispatch_rule_individual.room_prefix,
        metadata=info.metadata,
    )


def _encryption_value(info: TrunkInfo) -> api.SIPMediaEncryption:
    return info.media.encryption if info.media.HasField("encryption") else info.media_encryption


def _is_exact(info: TrunkInfo) -> bool:
    known_transport = isinstance(info, api.SIPInboundTrunkInfo) or info.transport in TRANSPORTS_BACK
    known_headers = not info.headers or _says_edge_key(info)
    known = known_transport and known_headers and _encryption_value(info) in ENCRYPTIONS_BACK
    return known and _fields(info).isdisjoint(NEVER_WRITTEN) and _fields(info.media).isdisjoint(MEDIA_NEVER_WRITTEN)


def _is_exact_rule(info: api.SIPDispatchRuleInfo) -> bool:
    """Tell whether it is said by our value; the server adds a `media` without anything in it."""
    said = rule_info(_rule(info))
    same = info.rule == said.rule and info.room_config == said.room_config
    return same and _fields(info).isdisjoint(RULE_NEVER_WRITTEN) and not _fields(info.media)


def _fields(message: Message) -> set[str]:
    return {field.name for field, _ in message.ListFields()}


def _id(info: Info) -> str:
    return info.sip_dispatch_rule_id if isinstance(info, api.SIPDispatchRuleInfo) else info.sip_trunk_id


class LiveKitVoice:
    """Fulfils VoiceBackend with a LiveKit server of one's own or with LiveKit Cloud. Made inside the running loop."""

    kind = VoiceKind.LIVEKIT

    def __init__(self, server: LiveKit) -> None:
        self._session = open_session()
        secret = server.api_secret.reveal()
        self._sip = api.LiveKitAPI(server.url, server.api_key, secret, session=self._session, failover=False).sip

    async def create(self, leg: Leg) -> str:
        """Make an object and return its id. Two creates of one number at the same moment may both succeed."""
        refuse_unsafe(leg)
        voice_id = _id(await told(self._create(leg)))
        if not voice_id:
            raise unknown_outcome(NO_ID)
        return voice_id

    async def replace(self, voice_id: str, leg: Leg) -> None:
        """Set every field. LiveKit lets it take the number, or the trunk, of another; then both fail: check before."""
        refuse_unsafe(leg)
        if not voice_id:
            raise missing()
        await told(self._replace(voice_id, leg))

    async def find(self, kind: LegKind, voice_id: str) -> Held | None:
        """Look one object up; filtered again here, since servers before 1.8.3 ignore the filter."""
        if not voice_id:
            return None
        try:
            items = await asked(self._page(kind, ids=[voice_id]))
        except VoiceError as error:
            if error.cause is VoiceCause.MISSING:
                return None
            raise
        return next((held_of(item) for item in items if _id(item) == voice_id), None)

    async def list(self, kind: LegKind) -> list[Held]:
        """Every object of a kind. An own server's first answer is whole, others page: it asks until nothing is new."""
        found: dict[str, Info] = {}
        page: Iterable[Info] = await asked(self._page(kind))
        while new := {_id(item): item for item in page if _id(item) not in {"", *found}}:
            found |= new
            page = await asked(self._page(kind, page=Pagination(after_id=max(found))))
        return [held_of(item) for item in found.values()]

    async def delete(self, kind: LegKind, voice_id: str) -> None:
        """Remove an object; what is not there LiveKit Cloud tells of everything, an own server of rules only."""
        if not voice_id:
            return
        try:
            await told(self._delete(kind, voice_id))
        except VoiceError as error:
            if error.cause is not VoiceCause.MISSING:
                raise

    async def ping(self) -> None:
        """Prove that URL, key, secret and LiveKit's Redis are right."""
        await asked(self._page(LegKind.OUTBOUND, page=Pagination(after_id=BEHIND_ALL_IDS)))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _create(self, leg: Leg) -> Info:
        match leg:
            case InboundTrunk():
                return await self._sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=inbound_info(leg)))
            case OutboundTrunk():
                return await self._sip.create_outbound_trunk(
                    api.CreateSIPOutboundTrunkRequest(trunk=outbound_info(leg))
                )
            case DispatchRule():
                return await self._sip.create_dispatch_rule(creation_of(leg))
            case EdgeRoute():
                raise no_edge()

    async def _replace(self, voice_id: str, leg: Leg) -> Info:
        match leg:
            case InboundTrunk():
                return await self._sip.update_inbound_trunk(voice_id, inbound_info(leg))
            case OutboundTrunk():
                return await self._sip.update_outbound_trunk(voice_id, outbound_info(leg))
            case DispatchRule():
                return await self._sip.update_dispatch_rule(voice_id, rule_info(leg))
            case EdgeRoute():
                raise no_edge()

    async def _delete(self, kind: LegKind, voice_id: str) -> object:
        match kind:
            case LegKind.INBOUND | LegKind.OUTBOUND:
                return await self._sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=voice_id))
            case LegKind.DISPATCH:
                rule = api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=voice_id)
                return await self._sip.delete_dispatch_rule(rule)
            case LegKind.EDGE:
                return None

    async def _page(self, kind: LegKind, *, ids: Sequence[str] = (), page: Pagination | None = None) -> Sequence[Info]:
        match kind:
            case LegKind.INBOUND:
                inbound = api.ListSIPInboundTrunkRequest(trunk_ids=ids, page=page)
                return (await self._sip.list_inbound_trunk(inbound)).items
            case LegKind.OUTBOUND:
                outbound = api.ListSIPOutboundTrunkRequest(trunk_ids=ids, page=page)
                return (await self._sip.list_outbound_trunk(outbound)).items
            case LegKind.DISPATCH:
                rules = api.ListSIPDispatchRuleRequest(dispatch_rule_ids=ids, page=page)
                return (await self._sip.list_dispatch_rule(rules)).items
            case LegKind.EDGE:
                return ()
