"""dialPreview against the wire where a trunk has no port: livekit-sip goes to 5060 and writes none."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from livekit import api

from tests.real.calling import Exchange, new_line
from tests.real.outbound_matrix import PREVIEW
from tests.real.sipp import Message

HOST, PORT = "127.51.60.5", 5060  # an address of this machine's own at which nobody else listens
PATIENCE_SECONDS = 30.0
Heard = Callable[[], Awaitable[bytes]]


@contextmanager
def listening(kind: socket.SocketKind) -> Iterator[Heard]:
    """A carrier that hears the first message and says nothing."""
    loop = asyncio.get_running_loop()
    with ExitStack() as stack, socket.socket(socket.AF_INET, kind) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.setblocking(False)
        own.bind((HOST, PORT))
        if kind is socket.SOCK_STREAM:
            own.listen()

        async def heard() -> bytes:
            is_stream = kind is socket.SOCK_STREAM
            peer = stack.enter_context((await loop.sock_accept(own))[0]) if is_stream else own
            return await loop.sock_recv(peer, 65_536)

        yield heard


@pytest.mark.parametrize(
    ("transport", "kind"), [("UDP", socket.SOCK_DGRAM), ("TCP", socket.SOCK_STREAM)], ids=["UDP", "TCP"]
)
async def test_what_is_sent_is_what_was_shown(exchange: Exchange, transport: str, kind: socket.SocketKind) -> None:
    async with exchange.client() as client, exchange.livekit() as lk:
        line = await new_line(client, None, sipAddress=HOST, sipTransport=transport, sipCallingFormat="NATIONAL")
        asked = {"id": line.trunk["id"], "destination": "+40741926299"}
        preview = (await client.ask(PREVIEW, asked))["sipTrunk"]["dialPreview"]
        with listening(kind) as heard:
            async with asyncio.timeout(PATIENCE_SECONDS), calling(lk, line.trunk, preview["toUser"]):
                invite = Message(datetime.now(UTC), sent=False, text=(await heard()).decode())
    assert invite.method == "INVITE"
    assert invite.request_uri == preview["requestUri"] == f"sip:0741926299@{HOST};transport={transport.lower()}"
    assert (invite.user("To"), invite.user("From")) == (preview["toUser"], preview["fromUser"])


@asynccontextmanager
async def calling(lk: api.LiveKitAPI, trunk: dict[str, Any], called: str) -> AsyncIterator[None]:
    """Call without waiting for an answer, and give up in the end."""
    room = f"without-port-{trunk['id']}"
    await lk.sip.create_sip_participant(
        api.CreateSIPParticipantRequest(
            sip_trunk_id=trunk["outboundTrunkId"], sip_call_to=called, room_name=room, participant_identity="callee"
        )
    )
    try:
        yield
    finally:
        with suppress(api.TwirpError):  # the room may be gone with its only call
            await lk.room.delete_room(api.DeleteRoomRequest(room=room))
