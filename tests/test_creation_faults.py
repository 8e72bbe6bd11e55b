"""Every way in which the voice backend can fail a creation: the answer, and that nothing is left behind."""

import asyncio
from pathlib import Path

import pytest

from models.trunk_leg import LegKind
from tests.api import House, codes, quick_settings, served_house
from tests.faulty_voice import Fail, Fault, Hang, Late, Plan, at, faultless, first_of
from trunkline.voice import VoiceCause, VoiceError

PATIENCE_SECONDS = 30.0
TRUNKS = (LegKind.INBOUND, LegKind.OUTBOUND)


def failing(cause: VoiceCause, *, after: bool = False, retry_after: int | None = None) -> Fail:
    return Fail(VoiceError(cause, "This is why.", retry_after), after=after)


async def objects(house: House) -> int:
    return sum([len(await house.voice.inner.list(kind)) for kind in LegKind])


async def cleared(house: House, expected: int = 0) -> None:
    """Wait until the voice backend holds this many objects; fail when it takes too long."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await objects(house) != expected:
            await asyncio.sleep(0.05)


DEFINITE = [
    (VoiceCause.CONFLICT, "NUMBER_IN_USE", False),
    (VoiceCause.REFUSED, "VOICE_REFUSED", False),
    (VoiceCause.MISCONFIGURED, "VOICE_MISCONFIGURED", False),
    (VoiceCause.UNAVAILABLE, "VOICE_UNAVAILABLE", True),
    (VoiceCause.RATE_LIMITED, "RATE_LIMITED", True),
]


@pytest.mark.parametrize("kind", TRUNKS)
@pytest.mark.parametrize(("cause", "code", "retryable"), DEFINITE)
async def test_a_refused_leg_is_told_and_leaves_nothing(
    tmp_path: Path, kind: LegKind, cause: VoiceCause, code: str, *, retryable: bool
) -> None:
    plan = at("create", kind, failing(cause, retry_after=7 if cause is VoiceCause.RATE_LIMITED else None))
    async with served_house(quick_settings(tmp_path), plan) as house:
        payload = await house.api.create()
        assert codes(payload) == [code]
        error = payload["userErrors"][0]
        assert error["retryable"] is retryable
        assert error["retryAfter"] == (7 if cause is VoiceCause.RATE_LIMITED else None)
        assert payload["message"] == error["message"]
        if code != "NUMBER_IN_USE":
            assert error["message"] == "Failed to create SIP trunk. This is why."
        assert await objects(house) == 0, "definite failures are undone before the answer"
        assert await house.api.trunks() == []
        house.voice.plan = faultless
        assert codes(await house.api.create()) == []


@pytest.mark.parametrize("kind", TRUNKS)
async def test_a_dropped_reply_is_looked_up_and_the_leg_is_taken(tmp_path: Path, kind: LegKind) -> None:
    plan = at("create", kind, failing(VoiceCause.OUTCOME_UNKNOWN, after=True), nth=1)
    async with served_house(quick_settings(tmp_path), plan) as house:
        assert codes(await house.api.create()) == []
        assert await objects(house) == 2
        assert house.voice.count("create") == 2


UNKNOWN: list[Fault] = [failing(VoiceCause.OUTCOME_UNKNOWN), Hang(), Hang(after=True), Late(0.5)]


@pytest.mark.parametrize("kind", TRUNKS)
@pytest.mark.parametrize("fault", UNKNOWN, ids=str)
async def test_an_unknown_outcome_ends_with_nothing_or_with_the_trunk(
    tmp_path: Path, kind: LegKind, fault: Fault
) -> None:
    """And the very same request may be sent again at once."""
    async with served_house(quick_settings(tmp_path), at("create", kind, fault, nth=1)) as house:
        payload = await house.api.create()
        if fault == Hang(after=True):  # found by its marker and taken
            assert codes(payload) == []
            return
        assert codes(payload) == ["OUTCOME_UNKNOWN"]
        assert payload["userErrors"][0]["retryable"]
        assert await house.api.trunks() == []
        assert codes(await house.api.create()) == []
        await house.voice.landed()
        await cleared(house, expected=2)
        assert len(await house.api.trunks()) == 1


@pytest.mark.parametrize("kind", TRUNKS)
@pytest.mark.parametrize("fault", UNKNOWN, ids=str)
async def test_after_an_unknown_outcome_nothing_stays_when_nobody_asks_again(
    tmp_path: Path, kind: LegKind, fault: Fault
) -> None:
    lost_look = at("list", kind, failing(VoiceCause.UNAVAILABLE), nth=1)  # so that what was made is not found at once
    async with served_house(quick_settings(tmp_path), first_of(at("create", kind, fault), lost_look)) as house:
        assert codes(await house.api.create()) in (["OUTCOME_UNKNOWN"], [])
        await house.voice.landed()
        trunks = await house.api.trunks()
        await cleared(house, expected=2 * len(trunks))


async def test_what_arrives_after_the_claim_was_given_up_is_swept(tmp_path: Path) -> None:
    plan = at("create", LegKind.INBOUND, Late(1.5), nth=1)
    async with served_house(quick_settings(tmp_path), plan) as house:
        assert codes(await house.api.create()) == ["OUTCOME_UNKNOWN"]
        await house.voice.landed()
        assert await objects(house) == 1
        await cleared(house)


async def test_remains_that_arrived_late_do_not_refuse_the_next_creation(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings, at("create", LegKind.INBOUND, Late(1.5), nth=1)) as house:
        assert codes(await house.api.create()) == ["OUTCOME_UNKNOWN"]
        await house.voice.landed()
        payload = await house.api.create(sipUsername="somebody-else")
        assert codes(payload) == []
        await cleared(house, expected=2)


async def test_a_failing_compensation_is_finished_later(tmp_path: Path) -> None:
    refused = at("create", LegKind.OUTBOUND, failing(VoiceCause.REFUSED))
    stuck = at("delete", LegKind.INBOUND, failing(VoiceCause.UNAVAILABLE))
    async with served_house(quick_settings(tmp_path), first_of(refused, stuck)) as house:
        assert codes(await house.api.create()) == ["VOICE_REFUSED"]
        assert await objects(house) == 1
        assert await house.api.trunks() == []
        house.voice.plan = faultless
        await cleared(house)


async def test_the_same_request_takes_its_own_remains_over(tmp_path: Path) -> None:
    refused = at("create", LegKind.OUTBOUND, failing(VoiceCause.REFUSED), nth=1)
    stuck = at("delete", LegKind.INBOUND, Hang())
    async with served_house(quick_settings(tmp_path, reconcile_interval=30), first_of(refused, stuck)) as house:
        await house.api.create()
        house.voice.plan = faultless
        payload = await house.api.create(nickname="second try", sipPassword="another-password")
        assert codes(payload) == []
        held = {each.voice_id: each.leg for kind in LegKind for each in await house.voice.inner.list(kind)}
        assert held.keys() == {payload["sipTrunk"]["inboundTrunkId"], payload["sipTrunk"]["outboundTrunkId"]}
        assert {getattr(leg, "name", "") for leg in held.values()} == {"second try"}


async def test_the_answer_comes_within_the_provision_timeout(tmp_path: Path) -> None:
    hanging: Plan = lambda call: Hang() if call.method != "ping" else None  # noqa: E731  # a plan is a function
    settings = quick_settings(tmp_path)
    async with served_house(settings, hanging) as house, asyncio.timeout(settings.provision_timeout + 5):
        assert codes(await house.api.create()) == ["OUTCOME_UNKNOWN"]


async def test_a_client_that_goes_away_does_not_stop_a_creation(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path), at("create", LegKind.INBOUND, Hang(), nth=1)) as house:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await house.api.create()
        house.voice.plan = faultless
    async with served_house(quick_settings(tmp_path)) as house:
        await cleared(house, expected=2 * len(await house.api.trunks()))


async def test_foreign_objects_are_never_touched(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings) as house:
        trunk = (await house.api.create())["sipTrunk"]
        (own,) = await house.voice.inner.list(LegKind.OUTBOUND)
        assert own.voice_id == trunk["outboundTrunkId"]
        foreign = []
        for metadata in ("", "{}", "not json", '{"app":"trunkline"}', own.leg.metadata.replace("inst_", "inst_x")):
            leg = type(own.leg)(**{name: getattr(own.leg, name) for name in own.leg.__slots__} | {"metadata": metadata})
            foreign.append(await house.voice.inner.create(leg))
        await asyncio.sleep(4 * settings.settle_time)
        held = {each.voice_id for each in await house.voice.inner.list(LegKind.OUTBOUND)}
        assert held == {own.voice_id, *foreign}


async def test_objects_of_trunks_this_database_never_knew_are_left_alone(tmp_path: Path) -> None:
    """So a database restored from an older copy removes nothing that lives."""
    settings = quick_settings(tmp_path)
    async with served_house(settings) as house:
        trunk = (await house.api.create())["sipTrunk"]
        (own,) = await house.voice.inner.list(LegKind.OUTBOUND)
        newer = own.leg.metadata.replace(trunk["id"], "trunk_01zzzzzzzzzzzzzzzzzzzzzzzz")
        leg = type(own.leg)(**{name: getattr(own.leg, name) for name in own.leg.__slots__} | {"metadata": newer})
        stranger = await house.voice.inner.create(leg)
        await asyncio.sleep(4 * settings.settle_time)
        assert stranger in {each.voice_id for each in await house.voice.inner.list(LegKind.OUTBOUND)}


async def test_a_second_object_of_a_leg_is_removed_and_the_first_stays(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        trunk = (await house.api.create())["sipTrunk"]
        (own,) = await house.voice.inner.list(LegKind.OUTBOUND)
        await house.voice.inner.create(own.leg)
        await cleared(house, expected=2)
        (left,) = await house.voice.inner.list(LegKind.OUTBOUND)
        assert left.voice_id == trunk["outboundTrunkId"]


async def test_a_sweep_of_too_much_stops(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path, max_removals=2)
    async with served_house(settings) as house:
        await house.api.create()
        (own,) = await house.voice.inner.list(LegKind.OUTBOUND)
        for _ in range(3):
            await house.voice.inner.create(own.leg)
        await asyncio.sleep(5 * settings.settle_time)
        assert await objects(house) == 5


async def test_a_quiet_house_writes_nothing(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings) as house:
        await house.api.create()
        house.voice.forget()
        await asyncio.sleep(4 * settings.reconcile_interval)
        assert house.voice.writes == []
        passes = house.voice.count("list", LegKind.INBOUND)
        assert passes >= 2
        assert house.voice.count("list") == len(LegKind) * passes, (
            "one list per kind and pass, however many trunks there are"
        )
