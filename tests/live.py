"""The API on a real port in this process, and a plain client of graphql-transport-ws: for subscriptions."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from models.secret import Keyring
from tests.api import KEY, Api
from tests.faulty_voice import FaultyVoice, Plan, faultless
from trunkline import serving
from trunkline.asgi import Served, open_voice, served
from trunkline.settings import Settings

PROTOCOL = "graphql-transport-ws"
PATIENCE_SECONDS = 30.0
CHANGED = """subscription Changed($id: ID) { sipTrunkChanged(id: $id) {
  kind id sipTrunk { id status nickname assistants { name } } } }"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is served."""

    api: Api
    running: Served
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql"

    @property
    def subscriptions(self) -> int:
        """How many are told what happens."""
        return sum(map(len, self.running.feed.subscriptions.values()))


class Server(serving.Server):
    """As it is served, but for the signals: those are pytest's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def place_of(settings: Settings, plan: Plan = faultless, buffer: int | None = None) -> AsyncIterator[Place]:
    """Serve on a free port until the block ends. `buffer`: bytes that the kernel keeps for and of a client."""

    def voice(settings: Settings, keyring: Keyring) -> FaultyVoice:
        return FaultyVoice(open_voice(settings, keyring), plan)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        if buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        port = listener.getsockname()[1]
        async with served(replace(settings, allowed_hosts=("127.0.0.1",)), voice) as running:
            server = Server(serving._config(running.app), running.feed)  # noqa: SLF001  # the very one that is served
            serves = asyncio.create_task(server.serve(sockets=[listener]))
            headers = {"authorization": f"Bearer {KEY}"}
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
                yield Place(Api(client), running, port)
            server.should_exit = True
            await serves


def small(place: Place) -> socket.socket:
    """A connection of which the kernel keeps little."""
    made = socket.socket()
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, buffer, 4_096)
    made.connect(("127.0.0.1", place.port))
    return made


class Socket:
    """One connection; `said` is the next message, whatever it is."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def said(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            message: dict[str, Any] = json.loads(await self.connection.recv())
            return message

    async def subscribe(self, name: str = "1", query: str = CHANGED, **variables: Any) -> None:
        await self.say(id=name, type="subscribe", payload={"query": query, "variables": variables})

    async def change(self, name: str = "1") -> dict[str, Any]:
        """The next change that is told."""
        message = await self.said()
        assert (message["type"], message["id"]) == ("next", name), message
        change: dict[str, Any] = message["payload"]["data"]["sipTrunkChanged"]
        return change

    async def is_quiet(self) -> None:
        """Nothing was said before the answer to a ping."""
        await self.say(type="ping")
        assert await self.said() == {"type": "pong"}

    async def closed(self) -> tuple[int, str]:
        """How the server closes it; what it says before does not count."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.connection.recv()
        return self.connection.close_code or 0, self.connection.close_reason or ""


@asynccontextmanager
async def opened(place: Place, protocol: str = PROTOCOL, **options: Any) -> AsyncIterator[Socket]:
    """A socket that has said nothing yet."""
    async with connect(place.url, subprotocols=[protocol], close_timeout=1, **options) as connection:  # type: ignore[list-item]
        yield Socket(connection)


async def watching(socket: Socket, name: str = "1", **variables: Any) -> None:
    """Subscribe, and know that it stands: it is told a change that was made afterwards."""
    await socket.subscribe(name, **variables)
    await socket.is_quiet()


@asynccontextmanager
async def introduced(place: Place, key: str = KEY, **options: Any) -> AsyncIterator[Socket]:
    """A socket whose client has said who it is."""
    async with opened(place, **options) as socket:
        await socket.say(type="connection_init", payload={"authorization": f"Bearer {key}"})
        assert await socket.said() == {"type": "connection_ack"}
        yield socket
