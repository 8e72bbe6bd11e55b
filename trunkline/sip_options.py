"""One SIP OPTIONS request to one address, and what came of it. Refuses to follow, to wait long, to read without end.

sipmessage reads and writes the messages; the sockets are our own, because what is connected to must be the very address
that was checked (docs/adr/0016-options-over-sockets-of-our-own.md).
"""

import asyncio
import contextlib
import functools
import re
import socket
import ssl
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from sipmessage import URI, Address, CSeq, Message, Parameters, Request, Response, Via

from models.sip_trunk import SipTransport
from trunkline.certificates import why_tls_failed
from trunkline.sip_text import printable

PATIENCE_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0  # RFC 3261 section 17.1.2.2: T1, T2
HEAD_MAX = 8 * 1024  # bytes of a reply's status line and headers
HEAD_LINES_MAX = 100
STREAM_MAX = 64 * 1024  # bytes that are read of a connection in all
DATAGRAMS_MAX = 100  # that are read between two requests
LENGTH_DIGITS = 5  # of a Content-Length: int() refuses thousands of them
HEAD_END = b"\r\n\r\n"
FOLD = re.compile(rb"\r\n[ \t]+")  # RFC 3261 section 7.3.1: a header's value may go on in the next line
FINAL = 200


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked. `host` is what the certificate must name and the request names; `address` is connected to."""

    host: str
    address: IPv4Address
    port: int
    transport: SipTransport

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Reply:
    """A SIP reply, whatever its status. `milliseconds`: from sending the request."""

    status: int
    reason: str
    server: str | None
    milliseconds: float


@dataclass(frozen=True, slots=True)
class NoReply:
    """Why there was no SIP reply: a sentence for a person."""

    problem: str


class NotSipError(Exception):
    """What came over a connection is not SIP."""


@dataclass(slots=True)
class Question:
    """One request, and how far it got."""

    target: Target
    branch: str = field(default_factory=lambda: f"z9hG4bK{uuid.uuid4().hex}")  # RFC 3261 section 8.1.1.7
    call_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    connected: bool = False
    asked_at: float | None = None
    provisional: Reply | None = None  # 1xx: somebody is there, but it is not the answer yet

    def request(self, own: tuple[str, int]) -> bytes:
        """Write the request as it leaves from our address and port, and start the clock."""
        target, name = self.target, self.target.transport
        uri = URI("sip", target.host, port=target.port, parameters=Parameters(transport=name.lower()))
        request = Request("OPTIONS", uri)
        request.via = [Via(name, own[0], own[1], Parameters(rport=None, branch=self.branch))]
        request.max_forwards = 70
        sender = URI("sip", own[0], user="trunkline")
        request.from_address = Address(sender, parameters=Parameters(tag=self.call_id[:10]))
        request.to_address = Address(URI("sip", target.host))
        request.call_id = self.call_id
        request.cseq = CSeq(1, request.method)
        request.user_agent = "trunkline"
        request.headers.set("Accept", "application/sdp")
        request.content_length = 0
        self.asked_at = self.asked_at or time.perf_counter()
        return bytes(request)

    def reply_in(self, data: bytes) -> Reply | None:
        """The final reply to this very request, when that is what the bytes are; a provisional one is noted."""
        response = read_response(data)
        if response is None or not self._is_answered_by(response):
            return None
        says = response.server or response.user_agent
        took = (time.perf_counter() - (self.asked_at or 0.0)) * 1000
        reply = Reply(response.code, printable(response.phrase), printable(says or "") or None, round(took, 1))
        if response.code >= FINAL:
            return reply
        self.provisional = reply
        return None

    def _is_answered_by(self, response: Response) -> bool:
        via = response.headers.getlist("Via")[:1]
        cseq = response.headers.get("CSeq", "") or ""
        same_call = response.headers.get("Call-ID") == self.call_id and cseq.split() == ["1", "OPTIONS"]
        return same_call and any(f"branch={self.branch}" in each for each in via)


def read_response(data: bytes) -> Response | None:
    """Read a SIP response; None for whatever else the bytes are. Long heads are not read at all."""
    head, end, _ = data.partition(HEAD_END)
    if not (end and head.startswith(b"SIP/2.0 ") and len(head) <= HEAD_MAX and head.count(b"\r\n") <= HEAD_LINES_MAX):
        return None
    text = FOLD.sub(b" ", head).decode(errors="replace")
    try:
        message = Message.parse(text.encode() + end)
    except ValueError:
        return None
    return message if isinstance(message, Response) and 100 <= message.code < 700 else None  # noqa: PLR2004  # SIP's


async def ask(target: Target) -> Reply | NoReply:
    """Send OPTIONS and wait for the reply, at most PATIENCE_SECONDS."""
    question = Question(target)
    exchange = _over_udp if target.transport is SipTransport.UDP else _over_a_connection
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await exchange(question)
    except TimeoutError:
        return question.provisional or NoReply(_why_silent(question))
    except NotSipError:
        return NoReply(f"What answers at {target} does not speak SIP over {target.transport}.")
    except ssl.SSLError as error:
        return NoReply(why_tls_failed(error, target.host))
    except (OSError, EOFError) as error:
        return question.provisional or NoReply(_why_broken(question, error))


async def _over_udp(question: Question) -> Reply:
    """Ask again with growing pauses. The socket is connected, so that only the target's own datagrams come in."""
    loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.connect((str(question.target.address), question.target.port))
        while True:
            await loop.sock_sendall(channel, question.request(channel.getsockname()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    return await _datagram_with_reply(question, channel)
            pause = min(2 * pause, LONGEST_PAUSE)


async def _datagram_with_reply(question: Question, channel: socket.socket) -> Reply:
    loop = asyncio.get_running_loop()
    for _ in range(DATAGRAMS_MAX):
        await asyncio.sleep(0)  # while datagrams are waiting, sock_recv alone lets nobody else have a turn
        if reply := question.reply_in(await loop.sock_recv(channel, STREAM_MAX)):
            return reply
    raise NotSipError


async def _over_a_connection(question: Question) -> Reply:
    async with _connection(question) as (reader, writer):
        own = writer.get_extra_info("sockname")
        writer.write(question.request((own[0], own[1])))
        left = STREAM_MAX
        while left > 0:
            data = await _message(reader)
            if reply := question.reply_in(data.lstrip(b"\r\n")):  # empty lines before it: RFC 3261 section 7.5
                return reply
            left -= len(data)
    raise NotSipError


async def _message(reader: asyncio.StreamReader) -> bytes:
    """The next message with its body; NotSipError when it is none, or has no end within the limits."""
    try:
        head = await reader.readuntil(HEAD_END)
    except asyncio.LimitOverrunError:
        raise NotSipError from None
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise NotSipError from None
        raise
    if not head.strip():
        return head
    response = read_response(head.lstrip(b"\r\n"))
    length = (response.headers.get("Content-Length") or "0") if response else ""
    if not (length.isascii() and length.isdigit() and len(length) <= LENGTH_DIGITS and int(length) <= STREAM_MAX):
        raise NotSipError
    return head + await reader.readexactly(int(length))


@contextlib.asynccontextmanager
async def _connection(question: Question) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the very address, with TLS where the transport is TLS; cut at the end, without a farewell."""
    target = question.target
    reader, writer = await asyncio.open_connection(str(target.address), target.port, limit=HEAD_MAX)
    try:
        question.connected = True
        if target.transport is SipTransport.TLS:
            await writer.start_tls(trusted(), server_hostname=target.host)
        yield reader, writer
    finally:
        writer.transport.abort()


@functools.cache
def trusted() -> ssl.SSLContext:
    """Trust what this machine trusts: the system's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR."""
    return ssl.create_default_context()


def _why_silent(question: Question) -> str:
    target = question.target
    if target.transport is SipTransport.UDP:
        return (
            f"No reply from {target} over UDP within {PATIENCE_SECONDS:g} seconds: nothing is there, a firewall drops "
            "the packets, or the server does not answer OPTIONS from addresses that it does not know."
        )
    if not question.connected:
        return f"No connection to {target} within {PATIENCE_SECONDS:g} seconds: nothing is there, or a firewall."
    if question.asked_at is None:
        return f"{target} takes the connection but does not speak TLS: it says nothing. Is this the port for TLS?"
    return f"{target} takes the connection but did not answer OPTIONS within {PATIENCE_SECONDS:g} seconds."


def _why_broken(question: Question, error: OSError | EOFError) -> str:
    target = question.target
    if isinstance(error, ConnectionRefusedError):
        return f"Nothing listens at {target} over {target.transport}: the port is closed."
    if isinstance(error, EOFError | ConnectionError):
        during = "" if question.asked_at else " during the TLS handshake; is this the port for TLS?"
        return f"{target} closed the connection{during or ' without a reply.'}"
    return f"There is no way from here to {target} over {target.transport}."
