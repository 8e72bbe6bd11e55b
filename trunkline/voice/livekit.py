"""The LiveKit backend and the only import of livekit. Refuses to send what would be a partial update.

The SDK has no working timeout (trunkline.voice.bounded gives one); its retries are off: a create is not idempotent.
"""

from collections.abc import Iterable, Sequence

from google.protobuf.duration_pb2 import Duration
from livekit import api
from livekit.protocol.models import Pagination

from models.secret import Secret
from models.sip_trunk import SipTransport
from models.trunk_leg import LegKind
from trunkline.settings import LiveKit
from trunkline.voice import Encryption, Held, InboundTrunk, Leg, OutboundTrunk, VoiceCause, VoiceError, VoiceKind
from trunkline.voice.verdicts import missing, unknown_outcome
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
NEVER_WRITTEN = frozenset({  # fields that change how calls are treated and that no leg says
    "allowed_numbers", "auth_realm", "headers", "headers_to_attributes", "attributes_to_headers", "include_headers",
    "ringing_timeout_status", "max_call_duration", "from_host",
})  # fmt: skip
MEDIA_NEVER_WRITTEN = frozenset({"only_listed_codecs", "codecs", "media_timeout"})

Info = api.SIPInboundTrunkInfo | api.SIPOutboundTrunkInfo


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
    )


def held_of(info: Info) -> Held:
    """Read what LiveKit holds. What no leg can say and values unknown to us make it inexact; nothing makes it fail."""
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
    )


def _encryption_value(info: Info) -> api.SIPMediaEncryption:
    return info.media.encryption if info.media.HasField("encryption") else info.media_encryption


def _is_exact(info: Info) -> bool:
    written = {field.name for field, _ in info.ListFields()}
    media = {field.name for field, _ in info.media.ListFields()}
    known_transport = isinstance(info, api.SIPInboundTrunkInfo) or info.transport in TRANSPORTS_BACK
    known = known_transport and _encryption_value(info) in ENCRYPTIONS_BACK
    return known and written.isdisjoint(NEVER_WRITTEN) and media.isdisjoint(MEDIA_NEVER_WRITTEN)


class LiveKitVoice:
    """Fulfils VoiceBackend with a LiveKit server of one's own or with LiveKit Cloud. Made inside the running loop."""

    kind = VoiceKind.LIVEKIT

    def __init__(self, server: LiveKit) -> None:
        self._session = open_session()
        secret = server.api_secret.reveal()
        self._sip = api.LiveKitAPI(server.url, server.api_key, secret, session=self._session, failover=False).sip

    async def create(self, leg: Leg) -> str:
        """Make an object and return its id. Two creates of one number at the same moment may both succeed."""
        made = await told(self._create(leg))
        if not made.sip_trunk_id:
            raise unknown_outcome(NO_ID)
        return made.sip_trunk_id

    async def replace(self, voice_id: str, leg: Leg) -> None:
        """Set every field. LiveKit lets it take another trunk's number, and then both fail: check before."""
        if not voice_id:
            raise missing()
        await told(self._replace(voice_id, leg))

    async def find(self, kind: LegKind, voice_id: str) -> Held | None:
        """Look one object up; filtered again here, since servers before 1.8.3 ignore the filter."""
        if not voice_id:
            return None
        try:
            items = await asked(self._page(kind, trunk_ids=[voice_id]))
        except VoiceError as error:
            if error.cause is VoiceCause.MISSING:
                return None
            raise
        return next((held_of(item) for item in items if item.sip_trunk_id == voice_id), None)

    async def list(self, kind: LegKind) -> list[Held]:
        """Every object of a kind. An own server's first answer is whole, others page: it asks until nothing is new."""
        found: dict[str, Info] = {}
        page: Iterable[Info] = await asked(self._page(kind))
        while new := {item.sip_trunk_id: item for item in page if item.sip_trunk_id not in {"", *found}}:
            found |= new
            page = await asked(self._page(kind, page=Pagination(after_id=max(found))))
        return [held_of(item) for item in found.values()]

    async def delete(self, kind: LegKind, voice_id: str) -> None:  # noqa: ARG002  # LiveKit's ids need no kind
        """Remove an object; LiveKit Cloud tells what is not there, an own server does not."""
        if not voice_id:
            return
        try:
            await told(self._sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=voice_id)))
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
        if isinstance(leg, InboundTrunk):
            return await self._sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=inbound_info(leg)))
        return await self._sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=outbound_info(leg)))

    async def _replace(self, voice_id: str, leg: Leg) -> Info:
        if isinstance(leg, InboundTrunk):
            return await self._sip.update_inbound_trunk(voice_id, inbound_info(leg))
        return await self._sip.update_outbound_trunk(voice_id, outbound_info(leg))

    async def _page(
        self, kind: LegKind, *, trunk_ids: Sequence[str] = (), page: Pagination | None = None
    ) -> Sequence[Info]:
        if kind is LegKind.INBOUND:
            inbound = api.ListSIPInboundTrunkRequest(trunk_ids=trunk_ids, page=page)
            return (await self._sip.list_inbound_trunk(inbound)).items
        outbound = api.ListSIPOutboundTrunkRequest(trunk_ids=trunk_ids, page=page)
        return (await self._sip.list_outbound_trunk(outbound)).items
