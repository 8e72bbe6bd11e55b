"""An exchange to call: trunkline served over a LiveKit that takes calls. Its lines are made over the API alone."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from livekit import api
from livekit.protocol.models import ParticipantInfo

from scripts.agent_environment import AGENT
from scripts.daemon import LOOPBACK, Daemon, free_port
from tests.api import KEY, PASSWORD, TRUNK, Api, codes
from tests.assistant_api import Assistants
from tests.real.servers import VoiceStack
from tests.server_process import ServerProcess

AGENT_NAME = "echo"
SIP_KIND, AGENT_KIND = 3, 4
CREDENTIALS = (TRUNK["sipUsername"], PASSWORD)
PATIENCE_SECONDS = 30.0
SETTINGS = {
    "TRUNKLINE_ALLOWED_NETWORKS": "127.0.0.0/8",
    "TRUNKLINE_PROVISION_TIMEOUT": "6",
    "TRUNKLINE_TEST_CALL_DESTINATIONS": "+407,2001",
}
counted = itertools.count(1)  # LiveKit gives a called text to one trunk: every line gets its own


def new_number() -> str:
    """A Romanian mobile number that no other line has."""
    return f"+407419{next(counted):05}"


def new_extension() -> str:
    return f"{2_000 + next(counted)}"


def new_caller() -> str:
    """A caller whose room can be told from all others."""
    return f"+407229{next(counted):05}"


@dataclass(frozen=True, slots=True)
class Line:
    """A trunk, and the assistant that answers it."""

    trunk: dict[str, Any]
    assistant: dict[str, Any] | None

    @property
    def number(self) -> str:
        number: str = self.trunk["phoneNumber"]
        return number


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that is up: its room, who is in it by kind, and the dispatch that brought the agent."""

    room: str
    present: dict[int, ParticipantInfo]
    dispatch: api.AgentDispatch

    @property
    def caller(self) -> dict[str, str]:
        """The attributes of the caller's participant."""
        return dict(self.present[SIP_KIND].attributes)


@dataclass(frozen=True, slots=True)
class Exchange:
    """The servers, and a client's ways to them."""

    stack: VoiceStack
    trunkline: ServerProcess

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Api]:
        """A client of trunkline's API."""
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=self.trunkline.url, headers=headers, timeout=30) as client:
            yield Api(client)

    def livekit(self) -> api.LiveKitAPI:
        """LiveKit's own client."""
        server = self.stack.livekit
        return api.LiveKitAPI(server.url, server.api_key, server.api_secret)


@contextmanager
def running_exchange(folder: Path, stack: VoiceStack, settings: dict[str, str] | None = None) -> Iterator[Exchange]:
    """Serve trunkline where the stack's webhooks go, with a carrier on this machine allowed."""
    told = stack.livekit.environment | {"TRUNKLINE_SIP_HOST": stack.sip.address} | SETTINGS | (settings or {})
    with ServerProcess(folder, told, stack.port, KEY) as trunkline:
        yield Exchange(stack, trunkline)


@contextmanager
def running_worker(folder: Path, stack: VoiceStack, python: Path, name: str = AGENT_NAME) -> Iterator[Daemon]:
    """The example agent, registered: one that registers while it rings would not be asked any more."""
    own = {"AGENT_NAME": name, "AGENT_PORT": str(free_port())}
    log = folder / "worker.log"
    worker = Daemon(
        [str(python), str(AGENT), "start"],
        log,
        lambda: "registered worker" in log.read_text(errors="replace"),
        {**os.environ, **stack.livekit.environment, **own},
        folder,
    )
    worker.start(60)
    try:
        yield worker
    finally:
        worker.stop()


async def new_line(client: Api, agent: str | None = AGENT_NAME, **changes: Any) -> Line:
    """Make a trunk at a carrier of this machine, and the assistant that answers it unless `agent` is None."""
    where = {"phoneNumber": new_number(), "sipAddress": LOOPBACK}
    payload = await client.create(**where | changes)
    assert codes(payload) == [], payload
    trunk = payload["sipTrunk"]
    return Line(trunk, await Assistants(client).made(trunk, agentName=agent) if agent else None)


async def room_of(lk: api.LiveKitAPI, caller: str) -> str | None:
    """The room that a call from this caller was sent to; LiveKit keeps it for minutes."""
    rooms = (await lk.room.list_rooms(api.ListRoomsRequest())).rooms
    return next((room.name for room in rooms if caller in room.name), None)


async def answered(lk: api.LiveKitAPI, caller: str) -> Answered:
    """Wait until an agent speaks in the room of the call from this caller; TimeoutError when it takes too long."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            room = await room_of(lk, caller)
            present = await _present(lk, room) if room else {}
            if room and SIP_KIND in present and AGENT_KIND in present and present[AGENT_KIND].tracks:
                (dispatch,) = await lk.agent_dispatch.list_dispatch(room)
                return Answered(room, present, dispatch)
            await asyncio.sleep(0.1)


async def _present(lk: api.LiveKitAPI, room: str) -> dict[int, ParticipantInfo]:
    participants = (await lk.room.list_participants(api.ListParticipantsRequest(room=room))).participants
    return {int(each.kind): each for each in participants}
