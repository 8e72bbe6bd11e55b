"""When the whole voice backend fails one probe is sent now and then, no trunk pays for it, and the return is gentle."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from models.sip_trunk import SipTrunk
from models.trunk_leg import LegKind, LegState, TrunkLeg
from tests import waiting
from tests.api import House, codes, quick_settings, served_house, until
from tests.behind_our_back import is_settled, passes, whole_trunk
from tests.faulty_voice import Call, Fail, Fault, Plan, faultless
from trunkline.voice import VoiceCause, VoiceError

TRUNKS = 8
BROKEN = [VoiceCause.MISCONFIGURED, VoiceCause.UNAVAILABLE, VoiceCause.RATE_LIMITED]


def down(cause: VoiceCause) -> Plan:
    def plan(_call: Call) -> Fault | None:
        return Fail(VoiceError(cause, "It is away."))

    return plan


def refusing_writes(cause: VoiceCause) -> Plan:
    def plan(call: Call) -> Fault | None:
        return None if call.method in {"list", "find"} else Fail(VoiceError(cause, "It is away."))

    return plan


async def make_all_due(house: House) -> None:
    """As after a drift that concerns everybody."""
    await TrunkLeg.all().update(state=LegState.DRIFTED)
    await SipTrunk.all().update(next_attempt_at="2020-01-01T00:00:00+00:00")
    house.voice.forget()


async def trunks(house: House) -> None:
    for number in range(TRUNKS):
        assert codes(await house.api.create(phoneNumber=f"+4074192600{number}")) == []


@pytest.mark.parametrize("cause", BROKEN)
async def test_an_outage_costs_one_probe_at_a_time_and_no_attempt_of_any_trunk(
    tmp_path: Path, cause: VoiceCause
) -> None:
    async with served_house(quick_settings(tmp_path, reconcile_interval=0.1)) as house:
        await trunks(house)
        house.voice.plan = down(cause)
        with capture_logs() as lines:
            await waiting.until(lambda: any(line["event"] == "reconcile_failed" for line in lines))
            await make_all_due(house)
            await waiting.until(lambda: house.voice.count("list") >= 6)
        failed = [line for line in lines if line["event"] == "reconcile_failed"]
        assert {(call.method, call.kind) for call in house.voice.calls} == {("list", LegKind.INBOUND)}
        assert abs(len(failed) - len(house.voice.calls)) <= 2
        assert await TrunkLeg.exclude(attempts=0).count() == 0
        house.voice.plan = faultless
        await until(is_settled)


async def test_requests_do_not_close_the_circuit_early(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, reconcile_interval=30.0)) as house:
        house.voice.plan = down(VoiceCause.UNAVAILABLE)
        await passes(house, -1)
        for number in range(20):
            payload = await house.api.create(phoneNumber=f"+407419260{number:02}")
            assert codes(payload) == ["VOICE_UNAVAILABLE"]
        assert house.voice.count("list") <= 3


async def test_a_backend_that_returns_is_asked_for_one_trunk_first(tmp_path: Path) -> None:
    """It answers reads and refuses writes, as one that limits rates: 1 write per probe, not one for each trunk."""
    async with served_house(quick_settings(tmp_path, reconcile_interval=0.1)) as house:
        await trunks(house)
        house.voice.plan = down(VoiceCause.RATE_LIMITED)
        with capture_logs() as lines:
            await waiting.until(lambda: len(lines) > 0)
        await make_all_due(house)
        house.voice.plan = refusing_writes(VoiceCause.RATE_LIMITED)
        await waiting.until(lambda: len(house.voice.writes) >= 4)
        probes = house.voice.count("list", LegKind.DISPATCH)
        assert len(house.voice.writes) <= probes + 1
        assert await TrunkLeg.exclude(attempts=0).count() == 0
        house.voice.plan = faultless
        await until(is_settled)


async def test_a_pass_with_nothing_to_do_is_one_list_per_kind_however_many_trunks(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, reconcile_interval=0.1)) as house:
        for number in range(TRUNKS):
            await whole_trunk(house.api, phoneNumber=f"+4074192600{number}")
        await passes(house, 1)
        await passes(house, 4)
        calls = [(call.method, call.kind) for call in house.voice.calls]
        once = [("list", kind) for kind in LegKind]
        assert calls == (once * len(calls))[: len(calls)]
