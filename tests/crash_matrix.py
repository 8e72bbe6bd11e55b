"""The crash matrix: a process that dies at every point of an operation, and what must be true afterwards."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.sip_trunk import HIDDEN, SipTrunk
from models.trunk_leg import LegKind, TrunkLeg
from models.workspace import Installation
from tests.api import KEY, Api, House, codes, served_house
from tests.crashing import Environment, Operation, run_until_point
from tests.faulty_voice import Call, Fail, Fault, Plan, faultless
from trunkline.settings import read_settings
from trunkline.voice import Held, VoiceCause, VoiceError

PATIENCE_SECONDS = 10.0


def quick_environment(folder: Path) -> Environment:
    """Settings of short times, with every file in a folder of its own."""
    folder.mkdir()
    return {
        "TRUNKLINE_DATABASE_URL": f"sqlite://{folder}/trunkline.db",
        "TRUNKLINE_SANDBOX_FILE": f"{folder}/sandbox.db",
        "TRUNKLINE_BOOTSTRAP_KEY": KEY,
        "TRUNKLINE_ALLOWED_HOSTS": "testserver",
        "TRUNKLINE_PROVISION_TIMEOUT": "1.5",
        "TRUNKLINE_SETTLE_TIME": "0.2",
        "TRUNKLINE_RECONCILE_INTERVAL": "0.2",
    }


async def create(api: Api) -> None:
    await api.create()


async def create_twice(api: Api) -> None:
    await api.create()
    await api.create()


def refused_outbound(call: Call) -> Fault | None:
    refusal = Fail(VoiceError(VoiceCause.REFUSED, "No."))
    return refusal if (call.method, call.kind) == ("create", LegKind.OUTBOUND) else None


def lost_replies(call: Call) -> Fault | None:
    lost = Fail(VoiceError(VoiceCause.OUTCOME_UNKNOWN, "Lost."), after=True)
    return lost if call.method == "create" and call.nth == 1 else None


def lost_request_and_look(call: Call) -> Fault | None:
    lost = Fail(VoiceError(VoiceCause.OUTCOME_UNKNOWN, "Lost."), after=True)
    blind = Fail(VoiceError(VoiceCause.UNAVAILABLE, "Away."))
    if (call.method, call.kind, call.nth) == ("create", LegKind.OUTBOUND, 1):
        return lost
    return blind if (call.method, call.kind, call.nth) == ("list", LegKind.OUTBOUND, 2) else None


@dataclass(frozen=True, slots=True)
class Row:
    """An operation under a plan of faults."""

    name: str
    operation: Operation
    plan: Plan


ROWS = (
    Row("create", create, faultless),
    Row("create, outbound refused", create, refused_outbound),
    Row("create, replies lost", create, lost_replies),
    Row("create and again, outcome unknown", create_twice, lost_request_and_look),
)


async def survives_every_point(row: Row, environment_of: Callable[[int], Environment]) -> list[str]:
    """Die at point 1, 2, ... of the row, each time in a fresh place, and check what is left; the points."""
    point = 0
    while True:
        point += 1
        environment = environment_of(point)
        passed = await asyncio.to_thread(run_until_point, environment, row.operation, row.plan, point)
        async with served_house(read_settings(environment)) as house:
            await _converged(house)
            await _is_whole(house)
            await _cleared(house)
        if passed[-1:] == ["done"]:
            return passed[:-1]
        assert len(passed) == point


async def _converged(house: House) -> None:
    """No claim is left, and the voice backend holds exactly the legs of the trunks."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await SipTrunk.filter(status__in=HIDDEN).exists() or await _held(house) != await _wanted():
            await asyncio.sleep(0.05)


async def _is_whole(house: House) -> None:
    trunks = await house.api.trunks()
    assert len(trunks) <= 1
    assert all(trunk["status"] == "ACTIVE" and trunk["inboundTrunkId"] for trunk in trunks)
    again = await house.api.create()
    assert codes(again) == (["ALREADY_EXISTS"] if trunks else [])
    assert len(await _held(house)) == 2


async def _cleared(house: House) -> None:
    """Give the number back: a real server is the same one for every point."""
    for held in await _ours(house):
        await house.voice.inner.delete(held.leg.kind, held.voice_id)


async def _held(house: House) -> set[str]:
    return {held.voice_id for held in await _ours(house)}


async def _ours(house: House) -> list[Held]:
    installation = await Installation.get()
    everything = [held for kind in LegKind for held in await house.voice.inner.list(kind)]
    return [held for held in everything if held.marker and held.marker.installation == installation.id]


async def _wanted() -> set[str]:
    return {leg.voice_id for leg in await TrunkLeg.all()}
