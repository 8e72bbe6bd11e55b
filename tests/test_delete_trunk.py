"""deleteSipTrunk and reprovisionSipTrunk: the voice backend first, DELETING meanwhile, finished whatever happens."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from models.assistant import Assistant
from models.sip_trunk import CalledText, RetiredTrunk, SipTrunk
from models.trunk_leg import LegKind, TrunkLeg
from tests.api import House, codes, quick_settings, served_house, until
from tests.faulty_voice import Fail, Hang, at, faultless
from trunkline.voice import VoiceCause, VoiceError

STAYS = "It stays DELETING and is finished by itself."
EVERY = (LegKind.DISPATCH, LegKind.INBOUND, LegKind.OUTBOUND)


def failing(cause: VoiceCause, *, after: bool = False, retry_after: int | None = None) -> Fail:
    return Fail(VoiceError(cause, "This is why.", retry_after), after=after)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path)) as house:
        yield house


async def created(house: House) -> dict[str, Any]:
    trunk: dict[str, Any] = (await house.api.create())["sipTrunk"]
    return trunk


async def is_empty(house: House) -> bool:
    return await house.held() == {}


async def nothing_is_left(house: House) -> None:
    assert await is_empty(house)
    assert await house.api.trunks() == []
    assert [await model.all().count() for model in (SipTrunk, TrunkLeg, CalledText)] == [0, 0, 0]


async def test_the_voice_backend_is_cleared_before_the_row(house: House) -> None:
    trunk = await created(house)
    await house.api.answered_by(trunk["id"])
    house.voice.forget()
    payload = await house.api.delete(trunk["id"])
    assert payload["message"] == "SIP trunk deleted successfully."
    assert (payload["deletedId"], payload["userErrors"]) == (trunk["id"], [])
    assert [(call.method, call.kind) for call in house.voice.writes] == [("delete", kind) for kind in EVERY]
    await nothing_is_left(house)
    assert await RetiredTrunk.exists(id=trunk["id"])


async def test_a_deleted_trunk_is_not_found_again(house: House) -> None:
    trunk = await created(house)
    await house.api.delete(trunk["id"])
    again = await house.api.delete(trunk["id"])
    assert (again["deletedId"], codes(again), again["message"]) == (None, ["NOT_FOUND"], "SIP trunk not found.")
    assert await house.api.trunk(trunk["id"]) is None
    assert codes(await house.api.update(trunk["id"], nickname="x")) == ["NOT_FOUND"]
    assert codes(await house.api.reprovision(trunk["id"])) == ["NOT_FOUND"]
    assert codes(await house.api.create()) == [], "its number is free"


async def test_assistants_lose_their_number_and_are_named(house: House) -> None:
    trunk = await created(house)
    answering = await house.api.answered_by(trunk["id"])
    calling = await house.api.answered_by(trunk["id"], "Caller", "OUTBOUND")
    payload = await house.api.delete(trunk["id"])
    lost = {"phoneNumber": None, "dispatchRuleId": None}
    assert payload["unassigned"] == [answering | lost, calling | lost]
    assert await Assistant.filter(trunk_id=None, answers_trunk_id=None).count() == 2


async def test_deleting_is_visible_and_nothing_else_is_possible_meanwhile(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        trunk = await created(house)
        house.voice.plan = at("delete", LegKind.INBOUND, Hang(), nth=1)
        removal = asyncio.create_task(house.api.delete(trunk["id"]))
        standing = await house.api.trunk_in(trunk["id"], "DELETING")
        assert standing["assistants"] == []
        assert codes(await house.api.update(trunk["id"], nickname="x")) == ["NOT_FOUND"]
        assert codes(await house.api.reprovision(trunk["id"])) == ["NOT_FOUND"]
        assert codes(await house.api.create(sipUsername="bob")) == ["NUMBER_IN_USE"]
        await removal
        await house.api.gone(trunk["id"])


@pytest.mark.parametrize("at_once", [2, 10])
async def test_concurrent_removals_all_succeed_with_one_call_per_leg(house: House, at_once: int) -> None:
    trunk = await created(house)
    assistant = await house.api.answered_by(trunk["id"])
    house.voice.forget()
    payloads = await asyncio.gather(*(house.api.delete(trunk["id"]) for _ in range(at_once)))
    assert [payload["deletedId"] for payload in payloads] == [trunk["id"]] * at_once
    assert house.voice.count("delete") == len(EVERY)
    named = [each["id"] for payload in payloads for each in payload["unassigned"]]
    assert named == [assistant["id"]]
    await nothing_is_left(house)


CAUSES = [
    (VoiceCause.UNAVAILABLE, "VOICE_UNAVAILABLE"),
    (VoiceCause.OUTCOME_UNKNOWN, "OUTCOME_UNKNOWN"),
    (VoiceCause.RATE_LIMITED, "RATE_LIMITED"),
    (VoiceCause.MISCONFIGURED, "VOICE_MISCONFIGURED"),
]


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize(("cause", "code"), CAUSES)
async def test_a_removal_that_fails_is_finished_by_itself(
    house: House, kind: LegKind, cause: VoiceCause, code: str
) -> None:
    trunk = await created(house)
    assistant = await house.api.answered_by(trunk["id"])
    retry_after = 1 if cause is VoiceCause.RATE_LIMITED else None
    house.voice.plan = at("delete", kind, failing(cause, retry_after=retry_after), nth=1)
    payload = await house.api.delete(trunk["id"])
    (error,) = payload["userErrors"]
    assert (error["code"], error["retryable"], error["field"]) == (code, True, None)
    assert error["retryAfter"] == retry_after
    assert payload["message"] == error["message"] == f"Failed to delete SIP trunk. This is why. {STAYS}"
    assert payload["deletedId"] is None
    assert [each["id"] for each in payload["unassigned"]] == [assistant["id"]]
    await house.api.gone(trunk["id"])
    await nothing_is_left(house)


async def test_a_second_removal_joins_the_first(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        trunk = await created(house)
        house.voice.plan = lambda _call: failing(VoiceCause.UNAVAILABLE)
        for _ in range(2):
            payload = await house.api.delete(trunk["id"])
            assert (payload["deletedId"], codes(payload)) == (None, ["VOICE_UNAVAILABLE"])
            assert ((await house.api.trunk(trunk["id"])) or {})["status"] == "DELETING"
        house.voice.plan = faultless
        payload = await house.api.delete(trunk["id"])
        assert payload["deletedId"] == trunk["id"] or codes(payload) == ["NOT_FOUND"]
        await nothing_is_left(house)


async def test_a_removal_without_an_answer_is_told_in_time(house: House) -> None:
    trunk = await created(house)
    house.voice.plan = lambda _call: Hang()
    async with asyncio.timeout(house.settings.provision_timeout + 5):
        payload = await house.api.delete(trunk["id"])
    assert codes(payload) == ["OUTCOME_UNKNOWN"]
    assert payload["message"].startswith("Failed to delete SIP trunk. The voice backend did not answer in time")
    assert payload["message"].endswith(STAYS)
    house.voice.plan = faultless
    await house.api.gone(trunk["id"])
    await until(partial(is_empty, house))


async def test_a_removal_survives_a_restart(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings) as house:
        trunk = await created(house)
        house.voice.plan = lambda _call: failing(VoiceCause.UNAVAILABLE)
        await house.api.delete(trunk["id"])
    async with served_house(settings) as house:
        await house.api.gone(trunk["id"])
        await nothing_is_left(house)


async def test_a_trunk_that_the_voice_backend_has_lost_is_deleted(house: House) -> None:
    trunk = await created(house)
    for voice_id, leg in (await house.held()).items():
        await house.voice.inner.delete(leg.kind, voice_id)
    assert (await house.api.delete(trunk["id"]))["deletedId"] == trunk["id"]
    await nothing_is_left(house)


@pytest.mark.parametrize("kind", [LegKind.INBOUND, LegKind.OUTBOUND])
@pytest.mark.parametrize("after", [False, True])
async def test_a_removal_while_the_background_makes_the_trunk_leaves_nothing(
    tmp_path: Path, kind: LegKind, *, after: bool
) -> None:
    async with served_house(quick_settings(tmp_path), at("create", kind, Hang(after=after), nth=1)) as house:
        trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
        payload = await house.api.delete(trunk["id"])
        assert payload["deletedId"] == trunk["id"] or payload["message"].endswith(STAYS)
        await house.api.gone(trunk["id"])
        await until(partial(is_empty, house))
        await asyncio.sleep(2 * house.settings.settle_time)
        await nothing_is_left(house)


async def test_a_trunk_that_is_still_being_made_in_wait_is_not_found(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path), at("create", LegKind.OUTBOUND, Hang(after=True), nth=1)) as house:
        creation = asyncio.create_task(house.api.create())

        async def is_claimed() -> bool:
            return await SipTrunk.exists()

        await until(is_claimed)
        claim = await SipTrunk.get()
        assert codes(await house.api.delete(claim.id)) == ["NOT_FOUND"]
        assert codes(await creation) == []


async def test_a_removal_during_a_change_wins(house: House) -> None:
    trunk = await created(house)
    house.voice.plan = at("replace", LegKind.OUTBOUND, Hang(after=True), nth=1)
    change = asyncio.create_task(house.api.update(trunk["id"], phoneNumber="+40741926266"))

    async def is_under_way() -> bool:
        return house.voice.count("replace", LegKind.OUTBOUND) == 1

    await until(is_under_way)
    payload = await house.api.delete(trunk["id"])
    assert payload["deletedId"] == trunk["id"]
    assert codes(await change) == ["NOT_FOUND"]
    await nothing_is_left(house)


async def test_a_failed_trunk_is_deleted(tmp_path: Path) -> None:
    plan = at("create", LegKind.OUTBOUND, failing(VoiceCause.REFUSED))
    async with served_house(quick_settings(tmp_path), plan) as house:
        trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
        await house.api.trunk_in(trunk["id"], "FAILED")
        assert (await house.api.delete(trunk["id"]))["deletedId"] == trunk["id"]
        await nothing_is_left(house)


async def test_provisioning_again_writes_every_leg_of_an_active_trunk(house: House) -> None:
    trunk = await created(house)
    await house.api.answered_by(trunk["id"])
    before, held = await house.api.trunk(trunk["id"]), await house.held()
    house.voice.forget()
    payload = await house.api.reprovision(trunk["id"])
    assert (payload["message"], codes(payload)) == ("SIP trunk provisioned successfully.", [])
    assert payload["sipTrunk"] == trunk, "no new revision"
    assert {(call.method, call.kind) for call in house.voice.writes} == {("replace", kind) for kind in EVERY}
    assert len(house.voice.writes) == len(EVERY)
    assert await house.held() == held
    assert {leg["state"] for leg in ((before or {})["inbound"], (before or {})["outbound"])} == {"READY"}


async def test_provisioning_again_mends_a_degraded_trunk_at_once(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, reconcile_interval=30)) as house:
        trunk = await created(house)
        house.voice.plan = at("replace", LegKind.OUTBOUND, failing(VoiceCause.OUTCOME_UNKNOWN), nth=1)
        await house.api.update(trunk["id"], nickname="Reception")
        payload = await house.api.reprovision(trunk["id"])
        assert codes(payload) == []
        assert (payload["sipTrunk"]["status"], payload["sipTrunk"]["nickname"]) == ("ACTIVE", "Reception")


async def test_provisioning_a_failed_trunk_again_tells_the_cause_or_makes_it(tmp_path: Path) -> None:
    plan = at("create", LegKind.INBOUND, failing(VoiceCause.REFUSED))
    async with served_house(quick_settings(tmp_path), plan) as house:
        trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
        await house.api.trunk_in(trunk["id"], "FAILED")
        payload = await house.api.reprovision(trunk["id"])
        assert codes(payload) == ["VOICE_REFUSED"]
        assert payload["message"] == "Failed to provision SIP trunk. This is why."
        assert payload["sipTrunk"]["status"] == "FAILED"
        house.voice.plan = faultless
        payload = await house.api.reprovision(trunk["id"])
        assert (codes(payload), payload["sipTrunk"]["status"]) == ([], "ACTIVE")
        assert len(await house.held()) == 2


async def test_provisioning_again_while_the_voice_backend_is_away_is_retried(house: House) -> None:
    trunk = await created(house)
    house.voice.plan = lambda _call: failing(VoiceCause.UNAVAILABLE)
    payload = await house.api.reprovision(trunk["id"])
    assert codes(payload) == ["VOICE_UNAVAILABLE"]
    assert payload["sipTrunk"]["status"] == "DEGRADED"
    house.voice.plan = faultless
    await house.api.trunk_in(trunk["id"], "ACTIVE")
