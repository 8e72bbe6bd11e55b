"""A TCP proxy between trunkline and a real HTTP server that fails on purpose, one request at a time.

    async with fault_proxy(livekit.url) as proxy:
        proxy.faults.append(DropReply())     # the next request gets it; without a fault a request passes

Every connection carries one request, as HTTP/1.1 with `Connection: close` allows.
"""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)


@dataclass(frozen=True)
class DropRequest:
    """Close the connection without forwarding."""


@dataclass(frozen=True)
class DropReply:
    """Forward, wait for the whole reply, and close after its first `keep` bytes."""

    keep: int = 0


@dataclass(frozen=True)
class Delay:
    """Forward after `before` seconds, hand the reply on after `after` seconds."""

    before: float = 0
    after: float = 0


@dataclass(frozen=True)
class Hold:
    """Forward only when the client has left and `release()` was called."""


@dataclass(frozen=True)
class Answer:
    """Answer without forwarding. An empty `content_type` sends none."""

    status: int
    body: bytes = b""
    content_type: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)


Fault = DropRequest | DropReply | Delay | Hold | Answer


def passing(_method: str) -> Fault:
    """Let every request pass."""
    return Delay()


@dataclass
class FaultProxy:
    """`requests` and `forwarded` hold the RPC methods' names, in order. `plan` decides when `faults` is empty."""

    upstream: str
    url: str = ""
    faults: deque[Fault] = field(default_factory=deque)
    plan: Callable[[str], Fault] = passing
    requests: list[str] = field(default_factory=list)
    forwarded: list[str] = field(default_factory=list)
    connections: set[asyncio.Task[None]] = field(default_factory=set)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def release(self) -> None:
        """Forward what was held, and wait until every request has come to its end."""
        self.released.set()
        await asyncio.gather(*self.connections)

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self.connections.add(task)
        task.add_done_callback(self.connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read_request(reader)
            self.requests.append(_method_of(request))
            writer.write(await self._reply_to(request, reader))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the other side is gone
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _reply_to(self, request: bytes, reader: asyncio.StreamReader) -> bytes:
        match self.faults.popleft() if self.faults else self.plan(_method_of(request)):
            case DropRequest():
                return b""
            case DropReply(keep):
                return (await self._forward(request))[:keep]
            case Answer() as answer:
                return _written(answer)
            case Hold():
                await reader.read()  # until the client leaves
                await self.released.wait()
                await self._forward(request)
                return b""
            case Delay(before, after):
                await asyncio.sleep(before)
                reply = await self._forward(request)
                await asyncio.sleep(after)
                return reply

    async def _forward(self, request: bytes) -> bytes:
        self.forwarded.append(_method_of(request))
        parts = urlsplit(self.upstream)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head, blank, body = request.partition(b"\r\n\r\n")
        writer.write(CONNECTION.sub(b"", head) + b"\r\nConnection: close" + blank + body)
        try:
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def fault_proxy(upstream: str) -> AsyncIterator[FaultProxy]:
    """Listen on a free port of this machine; leaving refuses connections and ends what is still held."""
    proxy = FaultProxy(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in set(proxy.connections):
            task.cancel()
        await asyncio.gather(*proxy.connections, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


def _method_of(request: bytes) -> str:
    return request.split(b" ", 2)[1].decode().rpartition("/")[2]


def _written(answer: Answer) -> bytes:
    headers = {"Content-Length": str(len(answer.body)), "Connection": "close", **answer.headers}
    if answer.content_type:
        headers["Content-Type"] = answer.content_type
    lines = [f"HTTP/1.1 {answer.status} Told", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + answer.body
