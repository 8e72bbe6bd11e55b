"""Calls to a carrier through trunks of createSipTrunk: every calling format, both transports, both challenges."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from livekit import api

from tests.api import Api
from tests.real.calling import Exchange, Line, new_extension, new_line
from tests.real.sipp import SCENARIOS, Carrier, Message, Sipp, answers_challenge

CALLS_AT_ONCE = 4
RING_SECONDS = 10
DESTINATIONS = {"EXTENSION": "front.desk_*-9"}  # all that an extension may hold
NUMBER = "+40 741 926 299"
PREVIEW = """query($id: ID!, $destination: String!) {
  sipTrunk(id: $id) { dialPreview(destination: $destination) { requestUri toUser fromUser problem } }
}"""


@dataclass(frozen=True, slots=True)
class Case:
    """One call. `kind` is EXTENSION, or a number's calling format; `challenge` is the status that asks for digest."""

    kind: str
    transport: str
    challenge: str

    def __str__(self) -> str:
        return f"{self.kind} {self.transport} {self.challenge}"


@dataclass(frozen=True, slots=True)
class Placed:
    """A call as the carrier saw it, and what dialPreview had said before."""

    preview: dict[str, str]
    messages: tuple[Message, ...]
    statuses: tuple[str, ...]
    followed: bool

    @property
    def invites(self) -> list[Message]:
        return [message for message in self.messages if message.method == "INVITE"]

    def answers_with(self, username: str, password: str) -> bool:
        """Whether the last INVITE answers the carrier's challenge with these."""
        challenge = next(message for message in self.messages if message.status in {"401", "407"})
        return answers_challenge(self.invites[-1], challenge, username, password)


CASES = [
    Case(*each) for each in product(("EXTENSION", "PLUS_E164", "E164", "NATIONAL"), ("UDP", "TCP"), ("407", "401"))
]


async def play(exchange: Exchange, carrier: Carrier, **changes: Any) -> dict[Case, Placed]:
    """Play every case, a few side by side, through trunks with these changes."""
    few = asyncio.Semaphore(CALLS_AT_ONCE)
    async with exchange.client() as client, exchange.livekit() as lk:

        async def one(case: Case) -> Placed:
            async with few, challenging(carrier, case) as call:
                line = await line_to(client, call, case, **changes)
                return await place(client, lk, line, call, DESTINATIONS.get(case.kind, NUMBER))

        return dict(zip(CASES, await asyncio.gather(*map(one, CASES)), strict=True))


@asynccontextmanager
async def challenging(carrier: Carrier, case: Case) -> AsyncIterator[Sipp]:
    """A carrier that asks for digest in one of the two ways."""
    speaking = replace(carrier, transport=case.transport)
    async with speaking.answering(_scenario(carrier.folder, case.challenge)) as call:
        yield call


def _scenario(folder: Path, challenge: str) -> Path:
    """The example asks with 407, as a proxy does."""
    plain = SCENARIOS / "answer.xml"
    if challenge == "407":
        return plain
    asking = folder / f"answer_{challenge}.xml"
    text = plain.read_text().replace("407 Proxy Authentication Required", "401 Unauthorized")
    asking.write_text(text.replace("Proxy-Authenticate:", "WWW-Authenticate:"))
    return asking


async def line_to(client: Api, call: Sipp, case: Case, **changes: Any) -> Line:
    """A trunk to this carrier."""
    kind: dict[str, Any] = {"sipCallingFormat": case.kind}
    if case.kind == "EXTENSION":
        kind = {"sipTrunkType": "EXTENSION", "phoneNumber": new_extension(), "countryCode": "RO"}
    return await new_line(client, None, sipPort=call.port, sipTransport=case.transport, **kind, **changes)


async def place(client: Api, lk: api.LiveKitAPI, line: Line, call: Sipp, destination: str) -> Placed:
    """Call through the trunk with the dialled form, hang up at the answer, and read what the carrier saw."""
    asked = {"id": line.trunk["id"], "destination": destination}
    preview = (await client.ask(PREVIEW, asked))["sipTrunk"]["dialPreview"]
    room = f"placed-{line.trunk['id']}"
    request = api.CreateSIPParticipantRequest(
        sip_trunk_id=line.trunk["outboundTrunkId"],
        sip_call_to=preview["toUser"],
        room_name=room,
        participant_identity="callee",
        wait_until_answered=True,
    )
    request.ringing_timeout.FromSeconds(RING_SECONDS)
    try:
        await lk.sip.create_sip_participant(request, timeout=2 * RING_SECONDS)
    finally:
        await lk.room.delete_room(api.DeleteRoomRequest(room=room))
    followed = await call.ended() == 0
    return Placed(preview, tuple(call.messages()), tuple(call.statuses()), followed)
