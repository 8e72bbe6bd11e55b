"""OPTIONS on the wire, against servers on loopback that are right, wrong, silent, hostile or no SIP servers at all."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sipmessage import Message, Request

from models.sip_trunk import SipTransport
from scripts.daemon import LOOPBACK, free_port
from tests.sip_servers import NAME, Says, SipServer, answering, over_tcp, over_udp, reply_to, saying, target
from trunkline import sip_options
from trunkline.sip_options import (
    DATAGRAMS_MAX,
    HEAD_MAX,
    STREAM_MAX,
    NoReply,
    NotSipError,
    Question,
    Reply,
    _datagram_with_reply,
    ask,
    read_response,
)
from trunkline.sip_text import TEXT_MAX, printable

UDP, TCP, TLS = SipTransport.UDP, SipTransport.TCP, SipTransport.TLS
OVER: dict[SipTransport, Callable[[Says], AbstractAsyncContextManager[SipServer]]] = {UDP: over_udp, TCP: over_tcp}
both = pytest.mark.parametrize("transport", OVER)


async def asked(says: Says, transport: SipTransport) -> Reply | NoReply:
    async with OVER[transport](says) as server:
        return await ask(target(server.port, transport))


async def problem(says: Says, transport: SipTransport) -> str:
    answer = await asked(says, transport)
    assert isinstance(answer, NoReply), answer
    return answer.problem


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip_options, "PATIENCE_SECONDS", 0.4)


@both
@pytest.mark.parametrize("code", [200, 302, 401, 403, 404, 405, 407, 503, 603])
async def test_every_sip_reply_is_one(code: int, transport: SipTransport) -> None:
    answer = await asked(answering(code, "As it is", Server="", User_Agent="PBX 1.2"), transport)
    assert isinstance(answer, Reply)
    assert (answer.status, answer.reason, answer.server) == (code, "As it is", "PBX 1.2")
    assert 0 < answer.milliseconds < 5_000


@both
async def test_the_request_is_a_complete_one(transport: SipTransport) -> None:
    async with OVER[transport](answering()) as server:
        await ask(target(server.port, transport))
        (request,) = server.requests
    assert (request.method, request.body) == ("OPTIONS", b"")
    assert str(request.uri) == f"sip:{NAME}:{server.port};transport={transport.lower()}"
    (via,) = request.via
    assert (via.transport, via.host) == (transport, LOOPBACK)
    assert "rport" in via.parameters
    assert (via.parameters["branch"] or "").startswith("z9hG4bK")
    assert request.from_address.parameters["tag"]
    assert not request.to_address.parameters
    assert (request.max_forwards, request.content_length) == (70, 0)


async def test_a_redirect_is_told_and_not_followed() -> None:
    async with over_tcp(answering()) as elsewhere:
        answer = await asked(answering(302, "Moved", Contact=f"<sip:{LOOPBACK}:{elsewhere.port}>"), TCP)
        assert isinstance(answer, Reply)
        assert answer.status == 302
        assert elsewhere.connections == 0


async def test_a_lost_request_is_sent_again_as_it_was() -> None:
    async with over_udp(answering(), ignored=2) as server:
        began = time.monotonic()
        assert isinstance(await ask(target(server.port, UDP)), Reply)
        assert time.monotonic() - began > 1.4  # 0.5 s, then 1 s
    first, *again = map(bytes, server.requests)
    assert again == [first, first]


async def test_a_provisional_reply_is_waited_out() -> None:
    def says(request: Request) -> list[bytes]:
        return [reply_to(request, 100, "Trying"), reply_to(request, 405, "No OPTIONS here")]

    for transport in OVER:
        answer = await asked(says, transport)
        assert isinstance(answer, Reply)
        assert answer.status == 405


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_only_tries_is_there() -> None:
    answer = await asked(answering(100, "Trying"), UDP)
    assert isinstance(answer, Reply)
    assert answer.status == 100


@both
async def test_a_closed_port_is_told_at_once(transport: SipTransport) -> None:
    port = free_port()
    answer = await ask(target(port, transport))
    assert answer == NoReply(f"Nothing listens at 127.0.0.1:{port} over {transport}: the port is closed.")


WRONG: dict[str, Callable[[Request], dict[str, str]]] = {
    "another call": lambda _: {"Call-ID": "somebody-elses"},
    "another number": lambda _: {"CSeq": "2 OPTIONS"},
    "another method": lambda _: {"CSeq": "1 INVITE"},
    "another branch": lambda _: {"Via": f"SIP/2.0/UDP {LOOPBACK}:5060;branch=z9hG4bKother"},
    "our branch, not on top": lambda request: {
        "Via": f"SIP/2.0/UDP {LOOPBACK};branch=z9hG4bKother",
        "X-Via": request.headers["Via"],
    },
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@both
async def test_a_reply_to_another_request_is_none(
    transport: SipTransport, wrong: Callable[[Request], dict[str, str]]
) -> None:
    def says(request: Request) -> list[bytes]:
        return [reply_to(request, 200, "OK", **wrong(request))]

    assert await problem(says, transport)

    def then_right(request: Request) -> list[bytes]:
        return [*says(request), reply_to(request)]

    assert isinstance(await asked(then_right, transport), Reply)


@pytest.mark.usefixtures("impatient")
async def test_a_reply_from_another_address_is_none() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOOPBACK, 0))

        def says(request: Request) -> list[bytes]:
            other.sendto(reply_to(request), (LOOPBACK, request.via[0].port or 0))
            return []

        assert "No reply" in await problem(says, UDP)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("says", "told"),
    [
        (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "does not speak SIP over TCP"),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "does not speak SIP over TCP"),
        (saying(), "closed the connection without a reply"),
        (saying(b"\r\n\r\n"), "closed the connection without a reply"),
        (saying(b"SIP/2.0 200 OK\r\n" + b"X" * HEAD_MAX + b": y\r\n\r\n"), "does not speak SIP"),
        (saying(b"SIP/2.0 200 OK\r\n" + b"a:b\r\n" * 200 + b"\r\n"), "does not speak SIP"),
        (saying(b"x" * (4 * STREAM_MAX)), "does not speak SIP"),
        (answering(Content_Length="999999999999999999999"), "does not speak SIP"),
        (answering(Content_Length="0" * 10 + "9" * 9), "does not speak SIP"),
        (answering(Content_Length="0" * 4_500), "does not speak SIP"),
        (answering(Content_Length="-1"), "does not speak SIP"),
        (answering(Content_Length="12"), "closed the connection"),
        (saying(b"OPTIONS sip:" + b"1" * 8000 + b" SIP/2.0\r\n\r\n"), "does not speak SIP"),
    ],
)
async def test_what_is_no_sip_reply_is_told(says: Says, told: str) -> None:
    assert told in await problem(says, TCP)


@pytest.mark.usefixtures("impatient")
async def test_an_endless_stream_of_replies_ends() -> None:
    def says(request: Request) -> list[bytes]:
        return [reply_to(request, CSeq="9 OPTIONS", X_Fill="x" * 4000)] * 100

    assert "does not speak SIP" in await problem(says, TCP)


@pytest.mark.usefixtures("impatient")
async def test_a_flood_of_datagrams_ends() -> None:
    assert "does not speak SIP" in await problem(saying(*[b"garbage"] * 2 * DATAGRAMS_MAX), UDP)


async def test_a_flood_of_datagrams_leaves_turns_to_others() -> None:
    """On asyncio's own loop, where a socket that has something to read is read without waiting."""
    turns = [0]

    async def others() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, socket.socket(type=socket.SOCK_DGRAM) as channel:
        channel.bind((LOOPBACK, 0))
        channel.setblocking(False)
        for _ in range(2 * DATAGRAMS_MAX):
            sender.sendto(b"garbage", channel.getsockname())
        other = asyncio.create_task(others())
        with pytest.raises(NotSipError):
            await _datagram_with_reply(Question(target(1, UDP)), channel)
        other.cancel()
    assert turns[0] >= DATAGRAMS_MAX


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("transport", "told"),
    [(UDP, "No reply from"), (TCP, "did not answer OPTIONS"), (TLS, "does not speak TLS: it says nothing")],
)
async def test_silence_ends(transport: SipTransport, told: str) -> None:
    quiet = over_udp(saying()) if transport is UDP else over_tcp(saying(), stays=True)
    async with quiet as server:
        began = time.monotonic()
        answer = await ask(target(server.port, transport))
        assert time.monotonic() - began < 4.5
    assert isinstance(answer, NoReply)
    assert told in answer.problem


async def test_what_the_server_says_of_itself_is_made_harmless() -> None:
    wild = "<b>Asterisk</b>\t\x1b[31m \N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}\N{SNOWMAN}" + "x" * 500
    answer = await asked(answering(404, "Not\x07 Found", Server=wild), UDP)
    assert isinstance(answer, Reply)
    assert answer.reason == "Not Found"
    assert answer.server == f"<b>Asterisk</b>[31m \N{SNOWMAN}{'x' * 500}"[:TEXT_MAX]


async def test_a_header_may_be_folded_short_and_in_another_encoding() -> None:
    def says(request: Request) -> list[bytes]:
        plain = reply_to(request).replace(b"\r\nVia: ", b"\r\nv:\r\n\t").replace(b"\r\nCall-ID: ", b"\r\ni: ")
        return [plain.replace(b"Kamailio", b"B\xfcro\r\n PBX")]

    answer = await asked(says, UDP)
    assert isinstance(answer, Reply)
    assert answer.server == "B\N{REPLACEMENT CHARACTER}ro PBX"


HEADS = st.one_of(
    st.binary(max_size=2_000),
    st.text(max_size=500).map(lambda text: b"SIP/2.0 " + text.encode() + b"\r\n\r\n"),
    st.lists(st.text(st.characters(codec="utf-8"), max_size=60), max_size=20).map(
        lambda lines: b"SIP/2.0 200 OK\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n"
    ),
)


@given(HEADS)
@example(b"SIP/2.0 " + b"9" * 5_000 + b" OK\r\n\r\n")
@example(b"SIP/2.0 \xd9\xa2\xd9\xa0\xd9\xa0 OK\r\n\r\n")
@example(b"SIP/2.0 200 OK\r\nno colon\r\n\r\n")
@example(b"SIP/2.0 -200 OK\r\n\r\n")
def test_no_bytes_break_the_reader(data: bytes) -> None:
    response = read_response(data)
    assert response is None or 100 <= response.code < 700
    assert Question(target(1, UDP)).reply_in(data) is None


@given(st.binary(max_size=300), st.integers(0, 2_000), st.integers(0, 300))
def test_a_damaged_reply_is_read_or_ignored(damage: bytes, place: int, cut: int) -> None:
    question = Question(target(1, UDP))
    request = Message.parse(question.request((LOOPBACK, 1)))
    assert isinstance(request, Request)
    whole = reply_to(request)
    answer = question.reply_in(whole[:place] + damage + whole[place + cut :])
    assert answer is None or (200 <= answer.status < 700 and len(answer.reason) <= TEXT_MAX)


@given(st.text())
def test_a_shown_text_is_one_short_printable_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= TEXT_MAX


@given(st.lists(st.binary(max_size=400), max_size=6), st.booleans())
@settings(deadline=None, max_examples=30)  # each may wait for the end of our patience
@pytest.mark.usefixtures("impatient")
def test_a_hostile_server_gets_no_further(said: list[bytes], stays: bool) -> None:
    async def one() -> Reply | NoReply:
        async with over_tcp(saying(*said), stays=stays) as server:
            return await ask(target(server.port, TCP))

    assert isinstance(asyncio.run(one()), NoReply)
