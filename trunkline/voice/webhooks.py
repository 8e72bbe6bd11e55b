"""LiveKit's webhooks: whether one is LiveKit's, and what it tells of a call. Refuses what is not signed.

A webhook carries a token with the hash of its body, signed with the secret of LIVEKIT_API_KEY (HS256): that proves its
sender. Of livekit-api only the message is used: its receiver compares in variable time and raises a bare Exception.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import jwt
from google.protobuf.json_format import Parse, ParseError
from livekit.protocol.models import ParticipantInfo, TrackType
from livekit.protocol.webhook import WebhookEvent

from models.call import AGENT_MAX, PARTY_MAX, ROOM_MAX, SIP_CALL_ID_MAX, SIP_STATUS_MAX, WEBHOOK_ID_MAX, RoomFact
from trunkline.settings import LiveKit
from trunkline.text_rules import CONTROL
from trunkline.voice.room_events import RoomEvent, SipParty

LEEWAY_SECONDS = 60  # of the clocks, as everywhere in LiveKit
CALLER_IDENTITY = "sip_"  # what LiveKit names SIP participants by; a track tells no more of who published it
CALLER_FACTS = {
    "participant_joined": RoomFact.CALLER_JOINED,
    "participant_left": RoomFact.CALLER_LEFT,
    "participant_connection_aborted": RoomFact.CALLER_LEFT,
}


class MalformedError(ValueError):
    """A signed body that is no webhook."""


def is_signed(server: LiveKit, body: bytes, token: str) -> bool:
    """Whether the server's key signed this very body, and not too long ago."""
    options: jwt.types.Options = {"require": ["exp"]}
    secret = server.api_secret.reveal()
    try:
        claims = jwt.decode(
            token, secret, algorithms=["HS256"], issuer=server.api_key, leeway=LEEWAY_SECONDS, options=options
        )
        told = base64.b64decode(str(claims.get("sha256", "")), validate=True)
    except (jwt.InvalidTokenError, ValueError):  # the second: base64
        return False
    return hmac.compare_digest(told, hashlib.sha256(body).digest())


def event_in(body: bytes, received: datetime) -> RoomEvent | None:
    """Read a signed body; None when it tells nothing of a call. MalformedError when it is no webhook."""
    try:
        event = Parse(body.decode(), WebhookEvent(), ignore_unknown_fields=True)
        at = _at(event.created_at, received)
    except (ParseError, ValueError, OverflowError, OSError, RecursionError) as error:
        raise MalformedError from error
    if not event.event:
        raise MalformedError
    if not event.id or not event.room.name:
        return None
    told = _told(event)
    return RoomEvent(_key(event.id, WEBHOOK_ID_MAX), at, _key(event.room.name, ROOM_MAX), *told) if told else None


def _at(created_at: int, received: datetime) -> datetime:
    """LiveKit tells whole seconds; a webhook that came at once tells the rest."""
    earliest = datetime.fromtimestamp(created_at, UTC)
    return min(max(received, earliest), earliest + timedelta(seconds=1))


def _told(event: WebhookEvent) -> tuple[RoomFact, SipParty | None, str | None] | None:
    participant = event.participant
    match event.event:
        case "room_finished":
            return RoomFact.ROOM_FINISHED, None, None
        case "track_published" if event.track.type == TrackType.AUDIO:
            return None if participant.identity.startswith(CALLER_IDENTITY) else (RoomFact.AUDIO, None, None)
        case "participant_joined" if participant.kind == ParticipantInfo.Kind.AGENT:
            return RoomFact.AGENT_JOINED, None, _shown(participant.attributes["lk.agent_name"], AGENT_MAX)
        case name if name in CALLER_FACTS and participant.kind == ParticipantInfo.Kind.SIP:
            party = _party(participant.attributes)
            return (CALLER_FACTS[name], party, None) if party else None
    return None


def _party(attributes: Mapping[str, str]) -> SipParty | None:
    call_id, trunk_id = attributes.get("sip.callID", ""), attributes.get("sip.trunkID", "")
    if not call_id or not trunk_id:
        return None
    return SipParty(
        call_id=_key(call_id, SIP_CALL_ID_MAX),
        trunk_id=trunk_id,
        status=_shown(attributes.get("sip.callStatus", ""), SIP_STATUS_MAX),
        number=_shown(attributes.get("sip.phoneNumber", ""), PARTY_MAX),
        own=_shown(attributes.get("sip.trunkPhoneNumber", ""), PARTY_MAX),
        forged="/" in attributes.get("sip.hostname", ""),
    )


def _shown(text: str, longest: int) -> str:
    """Anybody on the internet chooses what stands in From."""
    return CONTROL.sub("?", text)[:longest]


def _key(text: str, longest: int) -> str:
    """A text that tells things apart; the room's holds the caller's number, which may be long and odd."""
    if len(text) <= longest and not CONTROL.search(text):
        return text
    return hashlib.sha256(text.encode()).hexdigest()[:longest]
