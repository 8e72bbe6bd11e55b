"""Placing calls with LiveKit. Refuses to leave a call behind: a client that gives up ends none, closing its room does.

A room is made before the call, so that it is gone soon by itself when this process dies. How a call went is told by the
carrier's status; Twirp's own status maps it and misleads.
"""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog
from google.protobuf.duration_pb2 import Duration
from livekit import api
from livekit.protocol.sip import SIPOutboundConfig

from trunkline.settings import LiveKit
from trunkline.sip_text import printable
from trunkline.voice import VoiceCause, VoiceError
from trunkline.voice.calls import Arrival, CallEnd, Dial, Route
from trunkline.voice.livekit import ENCRYPTIONS, TRANSPORTS
from trunkline.voice.verdicts import unavailable
from trunkline.voice.watch import Watch, unwatched
from trunkline.voice.wire import AnsweredError, asked, open_session, told

CALLEE = "callee"  # the identity of the called party in the room
MARGIN_SECONDS = 3.0  # beyond the ringing: a TLS port that says nothing would hold LiveKit for 80 s
LOOK_SECONDS = 0.25
QUESTION_SECONDS = 3.0
EMPTY_SECONDS, DEPARTED_SECONDS = 10, 1  # when a room without anybody ends by itself
TRIES = 3
AGENT = api.ParticipantInfo.Kind.AGENT
RINGING = frozenset({"ringing", "automation", "active"})
STATUS, AGENT_NAME = "sip.callStatus", "lk.agent_name"  # attributes of participants
NO_CALL = frozenset({VoiceCause.MISCONFIGURED, VoiceCause.MISSING, VoiceCause.RATE_LIMITED})

T = TypeVar("T")

log = structlog.get_logger(__name__)


def call_request(dial: Dial) -> api.CreateSIPParticipantRequest:
    """Write a call as LiveKit wants it."""
    request = api.CreateSIPParticipantRequest(
        room_name=dial.room,
        participant_identity=CALLEE,
        sip_call_to=dial.callee,
        ringing_timeout=Duration(seconds=dial.ring_seconds),
        max_call_duration=Duration(seconds=dial.ring_seconds + EMPTY_SECONDS),
        wait_until_answered=True,
    )
    if isinstance(dial.by, Route):
        request.trunk.CopyFrom(_config(dial.by))
        request.sip_number = dial.by.caller
        request.media.encryption = ENCRYPTIONS[dial.by.encryption]
    else:
        request.sip_trunk_id = dial.by
    return request


def _config(route: Route) -> SIPOutboundConfig:
    return SIPOutboundConfig(
        hostname=route.address,
        transport=TRANSPORTS[route.transport],
        auth_username=route.username,
        auth_password=route.password.reveal(),
    )


def end_of(answer: AnsweredError, *, rang: bool) -> CallEnd:
    """How a call went that was not answered; raises what says that LiveKit never tried."""
    status = answer.meta.get("sip_status_code", "")
    if not (status.isascii() and status.isdigit()):
        if answer.cause in NO_CALL:
            raise answer
        return CallEnd(rang=rang, words=printable(answer.message.removeprefix("twirp error unknown: ")))
    return CallEnd(rang=rang, sip_status=int(status[:3]), words=printable(answer.meta.get("sip_status", "")))


class LiveKitCalls:
    """Fulfils VoiceCalls. Made inside the running loop. `watch` sees each of its methods."""

    def __init__(self, server: LiveKit, watch: Watch = unwatched) -> None:
        self._watched = watch
        self._session = open_session()
        secret = server.api_secret.reveal()
        self._api = api.LiveKitAPI(server.url, server.api_key, secret, session=self._session, failover=False)

    async def place(self, dial: Dial) -> CallEnd:
        """Place a call; see VoiceCalls."""
        room = api.CreateRoomRequest(
            name=dial.room, empty_timeout=EMPTY_SECONDS, departure_timeout=DEPARTED_SECONDS, max_participants=4
        )
        with self._watched("place_call"):
            try:
                await _in_time(asked(self._api.room.create_room(room)))
                return await self._rung(dial)
            finally:
                await _surely(self._closed(dial.room))

    async def arrivals(self, prefix: str) -> list[Arrival]:
        """The rooms whose name begins so, with their agents."""
        with self._watched("list_rooms"):
            rooms = [room.name for room in await self._rooms() if room.name.startswith(prefix)]
            return [Arrival(room, await self._agents(room)) for room in rooms]

    async def close(self, prefix: str, older_than: float = 0.0) -> int:
        """Close rooms by the beginning of their names."""
        born = time.time() - older_than
        with self._watched("close_rooms"):
            old = [room for room in await self._rooms() if room.name.startswith(prefix) and room.creation_time <= born]
            for room in old:
                await self._delete(room.name)
            return len(old)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _rung(self, dial: Dial) -> CallEnd:
        rings = asyncio.Event()
        watching = asyncio.create_task(self._watch(dial.room, rings))
        seconds = dial.ring_seconds + MARGIN_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await told(self._api.sip.create_sip_participant(call_request(dial), timeout=2 * seconds))
        except TimeoutError:
            return CallEnd(rang=rings.is_set(), in_time=False)
        except AnsweredError as answer:
            return end_of(answer, rang=rings.is_set())
        finally:
            watching.cancel()
        return CallEnd(answered=True, rang=True)

    async def _watch(self, room: str, rings: asyncio.Event) -> None:
        """Note the ringing: when nobody answers, LiveKit does not tell it from silence."""
        while not rings.is_set():
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(VoiceError):
                if any(person.attributes.get(STATUS) in RINGING for person in await self._people(room)):
                    rings.set()

    async def _agents(self, room: str) -> tuple[tuple[str, bool], ...]:
        agents = [person for person in await self._people(room) if person.kind == AGENT]
        return tuple((agent.attributes.get(AGENT_NAME, ""), bool(agent.tracks)) for agent in agents)

    async def _people(self, room: str) -> list[api.ParticipantInfo]:
        question = self._api.room.list_participants(api.ListParticipantsRequest(room=room))
        return [*(await _in_time(asked(question))).participants]

    async def _rooms(self) -> list[api.Room]:
        return [*(await _in_time(asked(self._api.room.list_rooms(api.ListRoomsRequest())))).rooms]

    async def _closed(self, room: str) -> None:
        """Hang up. When LiveKit cannot be told, the call ends with its ringing, at 30 seconds."""
        for _ in range(TRIES):
            with contextlib.suppress(VoiceError):
                return await self._delete(room)
            await asyncio.sleep(LOOK_SECONDS)
        log.warning("room_left", room=room)
        return None

    async def _delete(self, room: str) -> None:
        try:
            await _in_time(told(self._api.room.delete_room(api.DeleteRoomRequest(room=room))))
        except VoiceError as error:
            if error.cause is not VoiceCause.MISSING:
                raise


async def _in_time(answer: Coroutine[Any, Any, T]) -> T:
    """Wait for an answer, but not for ever: LiveKit may take the connection and say nothing."""
    try:
        async with asyncio.timeout(QUESTION_SECONDS):
            return await answer
    except TimeoutError:
        raise unavailable("LiveKit did not answer in time.") from None


async def _surely(work: Coroutine[Any, Any, None]) -> None:
    """Do it to its end, also while being cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
