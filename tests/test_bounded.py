"""Deadlines and slots around a voice backend, and what a call that met them may have done."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from models.secret import Keyring
from models.trunk_leg import LegKind
from tests.faulty_voice import Call, Fail, FaultyVoice, Hang, Late, at, first_of
from tests.voice_contract import CASES, Case, run
from tests.voice_legs import UNKNOWN_ID, digits, fails, inbound, outbound
from trunkline.voice import VoiceCause, VoiceError, VoiceKind
from trunkline.voice.bounded import Bounded
from trunkline.voice.sandbox import SandboxVoice

INBOUND, OUTBOUND = LegKind.INBOUND, LegKind.OUTBOUND
SOON = 0.05
LIMITED = VoiceError(VoiceCause.RATE_LIMITED, "Slow down.", 3)


@pytest.fixture
async def faulty(tmp_path: Path) -> AsyncIterator[FaultyVoice]:
    faulty = FaultyVoice(SandboxVoice(tmp_path / "sandbox.db", Keyring.parse(Keyring.generate("k1"))))
    yield faulty
    await faulty.aclose()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_bounds_change_nothing_of_the_contract(case: Case, faulty: FaultyVoice) -> None:
    await run(case, Bounded(faulty, 60))


async def test_bounds_say_which_backend_is_inside(faulty: FaultyVoice) -> None:
    assert Bounded(faulty, 60).kind is VoiceKind.SANDBOX


WRITES: list[Callable[[Bounded], Awaitable[object]]] = [
    lambda voice: voice.create(outbound()),
    lambda voice: voice.replace(UNKNOWN_ID, outbound()),
    lambda voice: voice.delete(OUTBOUND, UNKNOWN_ID),
]
READS: list[Callable[[Bounded], Awaitable[object]]] = [
    lambda voice: voice.find(OUTBOUND, UNKNOWN_ID),
    lambda voice: voice.list(OUTBOUND),
    lambda voice: voice.ping(),
]


@pytest.mark.parametrize("write", WRITES)
async def test_write_without_an_answer_has_an_unknown_outcome(
    write: Callable[[Bounded], Awaitable[object]], faulty: FaultyVoice
) -> None:
    faulty.plan = lambda _call: Hang()
    await fails(write(Bounded(faulty, SOON)), VoiceCause.OUTCOME_UNKNOWN)


@pytest.mark.parametrize("read", READS)
async def test_read_without_an_answer_is_unavailable(
    read: Callable[[Bounded], Awaitable[object]], faulty: FaultyVoice
) -> None:
    faulty.plan = lambda _call: Hang()
    await fails(read(Bounded(faulty, SOON)), VoiceCause.UNAVAILABLE)


async def test_call_that_got_no_slot_was_never_sent(faulty: FaultyVoice) -> None:
    faulty.plan = lambda _call: Hang()
    voice = Bounded(faulty, 2 * SOON, slots=1)
    hanging = asyncio.create_task(fails(voice.create(outbound()), VoiceCause.OUTCOME_UNKNOWN))
    await asyncio.sleep(0)
    await fails(voice.create(inbound(digits())), VoiceCause.BUSY)
    await hanging
    assert [call.kind for call in faulty.calls] == [OUTBOUND]


async def test_slot_is_free_again_after_a_call_that_hung(faulty: FaultyVoice) -> None:
    faulty.plan = at("create", OUTBOUND, Hang(), nth=1)
    voice = Bounded(faulty, SOON, slots=1)
    await fails(voice.create(outbound()), VoiceCause.OUTCOME_UNKNOWN)
    await voice.ping()


async def test_only_so_many_calls_run_at_a_time(faulty: FaultyVoice) -> None:
    faulty.plan = lambda _call: Hang()
    voice = Bounded(faulty, SOON, slots=3)
    errors = await asyncio.gather(*(voice.create(outbound()) for _ in range(8)), return_exceptions=True)
    causes = [error.cause for error in errors if isinstance(error, VoiceError)]
    assert faulty.count("create") == causes.count(VoiceCause.OUTCOME_UNKNOWN) == 3
    assert causes.count(VoiceCause.BUSY) == 5


async def test_errors_of_the_backend_pass_as_they_are(faulty: FaultyVoice) -> None:
    faulty.plan = at("create", OUTBOUND, Fail(LIMITED))
    assert await fails(Bounded(faulty, 60).create(outbound()), VoiceCause.RATE_LIMITED) is LIMITED


async def test_cancelled_caller_is_not_told_a_timeout(faulty: FaultyVoice) -> None:
    faulty.plan = lambda _call: Hang()
    task = asyncio.create_task(Bounded(faulty, 60).create(outbound()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_planned_faults_have_the_effect_they_name(faulty: FaultyVoice) -> None:
    faulty.plan = first_of(
        at("create", OUTBOUND, Fail(LIMITED), nth=1),
        at("create", OUTBOUND, Fail(LIMITED, after=True), nth=2),
        at("create", OUTBOUND, Hang(), nth=3),
        at("create", OUTBOUND, Hang(after=True), nth=4),
        at("create", OUTBOUND, Late(), nth=5),
    )
    voice = Bounded(faulty, 8 * SOON)  # time enough for the disk
    held = [0]
    for _ in range(5):
        with pytest.raises(VoiceError):
            await voice.create(outbound())
        held.append(len(await faulty.inner.list(OUTBOUND)))
    await faulty.landed()
    held.append(len(await faulty.inner.list(OUTBOUND)))
    assert held == [0, 0, 1, 1, 2, 2, 3]
    assert faulty.writes == [Call("create", OUTBOUND, nth) for nth in range(1, 6)]
