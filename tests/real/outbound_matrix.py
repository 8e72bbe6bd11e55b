"""Calls to a carrier through trunks of createSipTrunk: every calling format, both transports, both challenges."""

import asyncio
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from livekit import api

from scripts.daemon import free_port
from tests.api import Api
from tests.real.calling import Exchange, Line, new_extension, new_line
from tests.real.sipp import SCENARIOS, Carrier, Message, answers_challenge

CALLS_AT_ONCE = 4
RING_SECONDS = 10
DESTINATIONS = {"EXTENSION": "front.desk_*-9"}  # all that an extension may hold
NUMBER = "+40 741 926 299"
TRIES = 4
# livekit-sip 1.8.0 (pkg/sip/outbound.go: sipResponse) waits for an answer and for the transaction's end at once and
# takes either. Over TCP the two coincide for a refusal and for a challenge: now and then it loses one.
LOST = "transaction failed to complete (0 intermediate responses)"
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
    """A call as the carrier saw it, and what dialPreview had said before. `lost`: how many it took before."""

    preview: dict[str, str]
    messages: tuple[Message, ...]
    statuses: tuple[str, ...]
    followed: bool
    lost: int

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
            async with few:
                line = await _line_to(client, case, **changes)
                challenging = replace(carrier, transport=case.transport)
                scenario = _scenario(carrier.folder, case.challenge)
                return await Placing(client, lk, challenging, scenario).call(line, DESTINATIONS.get(case.kind, NUMBER))

        return dict(zip(CASES, await asyncio.gather(*map(one, CASES)), strict=True))


def _scenario(folder: Path, challenge: str) -> Path:
    """The example asks with 407, as a proxy does."""
    plain = SCENARIOS / "answer.xml"
    if challenge == "407":
        return plain
    asking = folder / f"answer_{challenge}.xml"
    if not asking.exists():  # another SIPp may be reading it
        text = plain.read_text().replace("407 Proxy Authentication Required", "401 Unauthorized")
        asking.write_text(text.replace("Proxy-Authenticate:", "WWW-Authenticate:"))
    return asking


async def _line_to(client: Api, case: Case, **changes: Any) -> Line:
    """A trunk to a carrier at a port where nobody listens yet."""
    kind: dict[str, Any] = {"sipCallingFormat": case.kind}
    if case.kind == "EXTENSION":
        kind = {"sipTrunkType": "EXTENSION", "phoneNumber": new_extension(), "countryCode": "RO"}
    return await new_line(client, None, sipPort=free_port(), sipTransport=case.transport, **kind, **changes)


@dataclass(frozen=True, slots=True)
class Placing:
    """What it takes to call a carrier of SIPp's through a trunk."""

    client: Api
    lk: api.LiveKitAPI
    carrier: Carrier
    scenario: Path = SCENARIOS / "answer.xml"

    async def call(self, line: Line, destination: str) -> Placed:
        """Call with the dialled form, hang up at the answer, and read what the carrier saw."""
        asked = {"id": line.trunk["id"], "destination": destination}
        preview = (await self.client.ask(PREVIEW, asked))["sipTrunk"]["dialPreview"]
        for lost in range(TRIES):
            async with self.carrier.answering(self.scenario, line.trunk["sipPort"]) as call:
                if await self._dial(line, preview["toUser"]):
                    followed = await call.ended() == 0
                    return Placed(preview, tuple(call.messages()), tuple(call.statuses()), followed, lost)
        raise TimeoutError(LOST)

    async def _dial(self, line: Line, called: str) -> bool:
        """Whether the carrier answered; False when livekit-sip lost what it said."""
        room = f"placed-{line.trunk['id']}"
        request = api.CreateSIPParticipantRequest(
            sip_trunk_id=line.trunk["outboundTrunkId"],
            sip_call_to=called,
            room_name=room,
            participant_identity="callee",
            wait_until_answered=True,
        )
        request.ringing_timeout.FromSeconds(RING_SECONDS)
        try:
            await self.lk.sip.create_sip_participant(request, timeout=2 * RING_SECONDS)
        except api.ServerError as error:
            if self.carrier.transport == "UDP" or LOST not in error.message:
                raise
            return False
        finally:
            await self.lk.room.delete_room(api.DeleteRoomRequest(room=room))
        return True
