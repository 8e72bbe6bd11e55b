"""Calling through the edge with LiveKit's own client, and looking into the edge's database past trunkline."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livekit import api

from scripts.daemon import free_port
from scripts.voice_edge import EdgeServer
from tests.api import Api
from tests.real.calling import Line, new_line
from tests.real.outbound_matrix import NUMBER
from tests.real.sipp import SCENARIOS, Carrier, Sipp

KEY_HEADER = "X-Trunk-Key"
RING_SECONDS = 10


def file_of(edge: EdgeServer) -> Path:
    """Its database."""
    return Path(edge.database.removeprefix("sqlite://"))


def past_us(edge: EdgeServer, statement: str, *values: str) -> Sequence[Any]:
    """Do something to the edge's rows, and note no new generation."""
    with closing(sqlite3.connect(file_of(edge))) as db, db:
        return db.execute(statement, values).fetchall()


@dataclass(frozen=True, slots=True)
class Caller:
    """What it takes to call through the edge."""

    client: Api
    lk: api.LiveKitAPI
    carrier: Carrier
    edge: EdgeServer

    async def line(self, **changes: Any) -> Line:
        """A trunk behind the edge, to a carrier at a port where nobody listens yet."""
        return await new_line(self.client, None, **{"sipPort": free_port(), "outboundProxy": True} | changes)

    async def outbound_of(self, line: Line) -> api.SIPOutboundTrunkInfo:
        """What LiveKit holds."""
        asked = api.ListSIPOutboundTrunkRequest(trunk_ids=[line.trunk["outboundTrunkId"]])
        return (await self.lk.sip.list_outbound_trunk(asked)).items[0]

    async def key_of(self, line: Line) -> str:
        return (await self.outbound_of(line)).headers[KEY_HEADER]

    @asynccontextmanager
    async def up(
        self, line: Line, trunk_id: str = "", scenario: Path = SCENARIOS / "answer.xml"
    ) -> AsyncIterator[Sipp]:
        """A call that is answered; hung up at the end of the block. `trunk_id`: another one with the line's key."""
        async with self.carrier.answering(scenario, line.trunk["sipPort"]) as callee:
            async with self.dialled(trunk_id or line.trunk["outboundTrunkId"]):
                yield callee
            assert await callee.ended() == 0  # who was to say BYE has said it

    @asynccontextmanager
    async def dialled(self, trunk_id: str) -> AsyncIterator[str]:
        """A call in a room of its own, by its name; SipCallError when it is refused."""
        room = f"behind-{trunk_id}"
        request = api.CreateSIPParticipantRequest(
            sip_trunk_id=trunk_id, sip_call_to=NUMBER.replace(" ", ""), room_name=room, wait_until_answered=True
        )
        request.ringing_timeout.FromSeconds(RING_SECONDS)
        try:
            await self.lk.sip.create_sip_participant(request, timeout=2 * RING_SECONDS)
            yield room
        finally:
            await self.lk.room.delete_room(api.DeleteRoomRequest(room=room))

    async def refused(self, trunk_id: str) -> tuple[int | None, str | None]:
        """The status and the words with which a call failed."""
        try:
            async with self.dialled(trunk_id):
                return None, None
        except api.SipCallError as error:
            return error.sip_status_code, error.sip_status

    @asynccontextmanager
    async def by_hand(self, headers: dict[str, str]) -> AsyncIterator[str]:
        """The id of an outbound trunk to the edge that trunkline did not make."""
        info = api.SIPOutboundTrunkInfo(name="theirs", numbers=["+40741"], address=self.edge.inner, headers=headers)
        info.transport = api.SIPTransport.SIP_TRANSPORT_UDP
        made = await self.lk.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=info))
        try:
            yield made.sip_trunk_id
        finally:
            await self.lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=made.sip_trunk_id))
