"""Web sockets below the protocol that is spoken on them: what a client does that wants to fill our memory."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from gql import socket as transport
from tests.api import quick_settings
from tests.live import PATIENCE_SECONDS, PROTOCOL, introduced, place_of, small
from trunkline import web_sockets

HANDSHAKE = (
    "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
)
PING, PONG = b"\x89\xfd" + bytes(4 + 125), b"\x8a\x7d" + bytes(125)  # whole frames, as long as they may be
TOO_MANY_PINGS = 20_000  # 2.5 MB of answers


async def ping_in_vain(writer: asyncio.StreamWriter) -> int:
    """How many pings are taken before no more are."""
    for said in range(64, TOO_MANY_PINGS, 64):
        writer.write(PING * 64)
        try:
            async with asyncio.timeout(1):
                await writer.drain()
        except TimeoutError:
            return said
    pytest.fail("It takes whatever it is sent.")


async def test_a_stranger_who_pings_and_reads_nothing_is_not_read_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the answers to it stay few; when it reads again, it gets every one of them."""
    monkeypatch.setattr(transport, "INIT_SECONDS", PATIENCE_SECONDS * 2)
    async with place_of(quick_settings(tmp_path), buffer=4_096) as place:
        reader, writer = await asyncio.open_connection(sock=small(place), limit=4_096)
        with contextlib.closing(writer):
            writer.write(HANDSHAKE.format(place.port).encode())
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
            said = await ping_in_vain(writer)
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await reader.readexactly(len(PONG) * said) == PONG * said


async def test_a_message_may_not_have_any_number_of_fragments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_sockets, "FRAGMENTS_MOST", 3)
    async with place_of(quick_settings(tmp_path)) as place, introduced(place) as socket:
        await socket.connection.send(['{"type":', '"ping"}'])  # and an empty one, which ends it
        assert await socket.said() == {"type": "pong"}
        await socket.connection.send([""] * 3)
        assert await socket.closed() == (1009, "Too many fragments")
