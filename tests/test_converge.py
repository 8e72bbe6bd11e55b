"""One trunk made true: what a death or a stall in between leaves behind, and when it is tried again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from models.assistant import AssistantType
from models.sip_trunk import SipTrunk
from models.trunk_leg import LegKind, LegState, TrunkLeg
from tests.bare import CALL_SECONDS, Bare, bare_house
from tests.faulty_voice import Fail, at
from trunkline import leases, trunks
from trunkline.assistants import create_assistant
from trunkline.converge import converge
from trunkline.settling import BACK_OFF_SECONDS
from trunkline.trunks import delete_trunk
from trunkline.voice import VoiceCause, VoiceError

STALL_SECONDS = (leases.CALLS_PER_LEASE + 1) * CALL_SECONDS + 0.01
AWAY = Fail(VoiceError(VoiceCause.OUTCOME_UNKNOWN, "It is away."))
DESK: dict[str, Any] = {"name": "Desk", "agent_name": "desk", "type": AssistantType.INBOUND}


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bare]:
    async with bare_house(tmp_path, monkeypatch) as house:
        yield house


async def due_again(house: Bare, trunk_id: str) -> float:
    """Fail once; the seconds until the next attempt."""
    async with leases.held(house.services, trunk_id, 0) as trunk:
        assert trunk
        await TrunkLeg.filter(trunk_id=trunk_id).update(state=LegState.PENDING, attempts=0)
        assert await converge(house.services, trunk)
    row = await SipTrunk.get(id=trunk_id)
    assert row.next_attempt_at
    return float((row.next_attempt_at - house.clock.at).total_seconds())


async def test_trunks_that_failed_together_do_not_return_together(house: Bare) -> None:
    trunk_id = await house.trunk()
    house.voice.plan = at("replace", LegKind.INBOUND, AWAY)
    pauses = [await due_again(house, trunk_id) for _ in range(20)]
    assert len({round(pause, 3) for pause in pauses}) > 10
    assert min(pauses) >= BACK_OFF_SECONDS / 4
    assert max(pauses) <= 2 * BACK_OFF_SECONDS


async def test_a_rule_whose_maker_died_before_writing_it_down_goes_with_its_trunk(
    house: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the simulation: the rule outlived its trunk until the sweep."""
    trunk_id = await house.trunk()
    save = TrunkLeg.save

    async def dies(leg: TrunkLeg, **named: Any) -> None:
        if (leg.kind, leg.state) == (LegKind.DISPATCH, LegState.READY):
            raise leases.LeaseLostError
        await save(leg, **named)

    with monkeypatch.context() as patch:
        patch.setattr(TrunkLeg, "save", dies)
        await create_assistant(house.services, house.caller, DESK | {"trunk_id": trunk_id})
    assert len(await house.voice.inner.list(LegKind.DISPATCH)) == 1
    removal = await delete_trunk(house.services, house.caller, trunk_id)
    assert removal.problem is None
    assert not [held for kind in LegKind for held in await house.voice.inner.list(kind)]


async def test_a_stalled_worker_writes_nothing_over_its_successor(house: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk_id = await house.trunk()
    await house.voice.inner.delete(LegKind.INBOUND, (await TrunkLeg.get(kind=LegKind.INBOUND)).voice_id or "")
    await TrunkLeg.filter(kind=LegKind.INBOUND).update(state=LegState.MISSING)
    stalled = await leases.take(house.services, trunk_id)
    assert stalled
    with monkeypatch.context() as patch:

        async def overtaken(_leg: Any) -> str:
            patch.undo()  # only this call is slow
            house.clock.passes(STALL_SECONDS)
            assert await trunks.converged_by(house.services, trunk_id, float("inf")) is None
            return "ST_tooLateForThis"

        patch.setattr(house.voice, "create", overtaken)
        with pytest.raises(leases.LeaseLostError):
            await converge(house.services, stalled)
    (held,) = await house.voice.inner.list(LegKind.INBOUND)
    assert (await TrunkLeg.get(kind=LegKind.INBOUND)).voice_id == held.voice_id


async def test_a_stalled_worker_does_not_bring_a_deleted_trunk_back(house: Bare) -> None:
    trunk_id = await house.trunk()
    await TrunkLeg.filter(trunk_id=trunk_id).update(state=LegState.PENDING)
    stalled = await leases.take(house.services, trunk_id)
    assert stalled
    house.clock.passes(STALL_SECONDS)
    removal = await delete_trunk(house.services, house.caller, trunk_id)
    assert removal.problem is None
    with pytest.raises(leases.LeaseLostError):
        await converge(house.services, stalled)
    assert not await SipTrunk.exists()
    assert not await TrunkLeg.exists()
    assert not [held for kind in LegKind for held in await house.voice.inner.list(kind)]
