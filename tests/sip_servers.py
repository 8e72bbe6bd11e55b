"""SIP servers on loopback that say what a test wants, right or wrong, over UDP, TCP and TLS."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import cast

from sipmessage import URI, Message, Request, Response

from models.sip_trunk import SipTransport
from scripts.daemon import LOOPBACK
from trunkline.sip_options import Target

NAME = "sip.example.com"
Says = Callable[[Request], Sequence[bytes]]
COPIED = ("Via", "From", "To", "Call-ID", "CSeq")


def target(port: int, transport: SipTransport, host: str = NAME) -> Target:
    """What is asked when a server listens at `port`, whatever name it has."""
    return Target(host, IPv4Address(LOOPBACK), port, transport)


def reply_to(request: Request, code: int = 200, reason: str = "OK", **headers: str) -> bytes:
    """A correct reply; headers are added or, by the same name, put in place of the right ones."""
    response = Response(code, reason)
    for name in COPIED:
        response.headers.setlist(name, request.headers.getlist(name))
    for name, value in ({"Server": "Kamailio", "Content-Length": "0"} | headers).items():
        response.headers.set(name.replace("_", "-"), value)
    return bytes(response)


def answering(code: int = 200, reason: str = "OK", **headers: str) -> Says:
    return lambda request: [reply_to(request, code, reason, **headers)]


def saying(*data: bytes) -> Says:
    return lambda _: data


@dataclass(slots=True)
class SipServer:
    """What came in, and where."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: SipServer, says: Says, ignored: int) -> None:
        self.server, self.says, self.ignored = server, says, ignored

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        request = Message.parse(data)
        assert isinstance(request, Request)
        self.server.requests.append(request)
        if len(self.server.requests) > self.ignored:
            for each in self.says(request):
                self.transport.sendto(each, sender)


@contextlib.asynccontextmanager
async def over_udp(says: Says, *, ignored: int = 0) -> AsyncIterator[SipServer]:
    """Leaves the first few requests unanswered."""
    server = SipServer()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Datagrams(server, says, ignored), local_addr=(LOOPBACK, 0)
    )
    server.port = transport.get_extra_info("sockname")[1]
    try:
        yield server
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def over_tcp(
    says: Says, *, tls: ssl.SSLContext | None = None, stays: bool = False, blind: bool = False
) -> AsyncIterator[SipServer]:
    """`stays`: the connection is kept open after what is said. `blind`: it speaks before it has understood."""
    server = SipServer()
    conversations: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            request = await _read(reader, blind=blind)
            server.requests.append(request)
            for each in says(request):
                writer.write(each)
                await writer.drain()
            if stays:
                await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has left
        finally:
            writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.add(asyncio.create_task(converse(reader, writer)))
        writers.append(writer)

    running = await asyncio.start_server(begin, LOOPBACK, 0, ssl=tls)
    server.port = running.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        running.close()
        for conversation in conversations:  # the other side may keep the connection for ever
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        for writer in writers:  # with TLS `close` waits for the other side's word
            writer.transport.abort()
        await asyncio.sleep(0)  # for the sockets to be closed


async def _read(reader: asyncio.StreamReader, *, blind: bool) -> Request:
    if blind:
        await reader.read(100)
        return Request("OPTIONS", URI("sip", LOOPBACK))
    request = Message.parse(await reader.readuntil(b"\r\n\r\n"))
    assert isinstance(request, Request)
    return request
