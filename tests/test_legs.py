"""SipTrunk.inbound and outbound as a client sees them: state, attempts, the last error, the next attempt."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from models.trunk_leg import LegKind, LegState, TrunkLeg
from tests.api import House, codes, quick_settings, served_house, until
from tests.faulty_voice import Fail, at, faultless
from trunkline.voice import VoiceCause, VoiceError

TRUNKS = (LegKind.INBOUND, LegKind.OUTBOUND)


def failing(cause: VoiceCause) -> Fail:
    return Fail(VoiceError(cause, "This is why."))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path)) as house:
        yield house


async def created(house: House) -> dict[str, Any]:
    trunk: dict[str, Any] = (await house.api.create())["sipTrunk"]
    return trunk


async def leg_of(house: House, trunk_id: str, kind: LegKind) -> dict[str, Any]:
    trunk = await house.api.trunk(trunk_id)
    assert trunk
    leg: dict[str, Any] = trunk[kind.value]
    return leg


async def leg_in(house: House, trunk_id: str, kind: LegKind, state: str) -> dict[str, Any]:
    async def has_it() -> bool:
        return bool((await leg_of(house, trunk_id, kind))["state"] == state)

    await until(has_it)
    return await leg_of(house, trunk_id, kind)


@pytest.mark.parametrize("kind", TRUNKS)
async def test_a_leg_in_place_is_ready(house: House, kind: LegKind) -> None:
    trunk = await created(house)
    leg = await leg_of(house, trunk["id"], kind)
    assert leg["voiceId"] == trunk[f"{kind.value}TrunkId"]
    assert leg | {"voiceId": None, "checkedAt": None} == {
        "voiceId": None,
        "state": "READY",
        "attempts": 0,
        "lastError": None,
        "nextAttemptAt": None,
        "checkedAt": None,
    }


async def test_every_pass_is_a_check_of_every_leg(house: House) -> None:
    trunk = await created(house)
    first = await leg_of(house, trunk["id"], LegKind.INBOUND)
    assert first["checkedAt"]

    async def is_checked_again() -> bool:
        return bool((await leg_of(house, trunk["id"], LegKind.INBOUND))["checkedAt"] > first["checkedAt"])

    await until(is_checked_again)


async def test_a_leg_that_is_only_wanted_is_pending(tmp_path: Path) -> None:
    plan = at("create", LegKind.INBOUND, failing(VoiceCause.UNAVAILABLE))
    async with served_house(quick_settings(tmp_path), plan) as house:
        trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
        leg = await leg_of(house, trunk["id"], LegKind.OUTBOUND)
        assert leg == dict.fromkeys(leg) | {"state": "PENDING", "attempts": 0}


@pytest.mark.parametrize("kind", TRUNKS)
async def test_a_lost_leg_is_missing_until_it_is_made_anew(house: House, kind: LegKind) -> None:
    trunk = await created(house)
    house.voice.plan = at("create", kind, failing(VoiceCause.UNAVAILABLE))
    await house.voice.inner.delete(kind, trunk[f"{kind.value}TrunkId"])
    leg = await leg_in(house, trunk["id"], kind, "MISSING")
    assert leg["voiceId"] == trunk[f"{kind.value}TrunkId"]
    degraded = await house.api.trunk_in(trunk["id"], "DEGRADED")
    assert degraded["revision"] == 1
    house.voice.plan = faultless
    mended = await house.api.trunk_in(trunk["id"], "ACTIVE")
    assert (mended[kind.value]["state"], mended[kind.value]["lastError"]) == ("READY", None)
    assert mended[kind.value]["voiceId"] != leg["voiceId"]
    assert (mended["revision"], mended["updatedAt"]) == (1, trunk["updatedAt"]), "repairs leave both"


@pytest.mark.parametrize("kind", TRUNKS)
async def test_a_changed_leg_is_drifted_until_it_is_written_again(house: House, kind: LegKind) -> None:
    trunk = await created(house)
    wanted = await house.held()
    voice_id = trunk[f"{kind.value}TrunkId"]
    house.voice.plan = at("replace", kind, failing(VoiceCause.UNAVAILABLE))
    leg = wanted[voice_id]
    told = {name: getattr(leg, name) for name in leg.__slots__} | {"name": "tampered"}
    await house.voice.inner.replace(voice_id, type(leg)(**told))
    drifted = await leg_in(house, trunk["id"], kind, "DRIFTED")
    assert drifted["voiceId"] == voice_id
    house.voice.plan = faultless
    await house.api.trunk_in(trunk["id"], "ACTIVE")
    assert await house.held() == wanted


@pytest.mark.parametrize("kind", TRUNKS)
async def test_a_change_of_unknown_outcome_shows_its_error_at_its_leg(tmp_path: Path, kind: LegKind) -> None:
    async with served_house(quick_settings(tmp_path, reconcile_interval=30)) as house:
        trunk = await created(house)
        house.voice.plan = at("replace", kind, failing(VoiceCause.OUTCOME_UNKNOWN))
        assert codes(await house.api.update(trunk["id"], nickname="x")) == ["OUTCOME_UNKNOWN"]
        leg = await leg_of(house, trunk["id"], kind)
        assert (leg["state"], leg["voiceId"]) == ("PENDING", trunk[f"{kind.value}TrunkId"])
        assert leg["attempts"] >= 1
        error = leg["lastError"]
        assert (error["code"], error["message"], error["retryable"]) == ("OUTCOME_UNKNOWN", "This is why.", True)
        assert leg["nextAttemptAt"] > error["occurredAt"]
        house.voice.plan = faultless
        mended = await house.api.trunk_in(trunk["id"], "ACTIVE")
        assert mended[kind.value] | {"voiceId": None, "checkedAt": None} == {
            "voiceId": None,
            "state": "READY",
            "attempts": 0,
            "lastError": None,
            "nextAttemptAt": None,
            "checkedAt": None,
        }


async def test_a_refused_leg_of_an_old_trunk_is_refused_and_left_alone(house: House) -> None:
    trunk = await created(house)
    house.voice.plan = at("create", LegKind.INBOUND, failing(VoiceCause.REFUSED))
    await house.voice.inner.delete(LegKind.INBOUND, trunk["inboundTrunkId"])
    leg = await leg_in(house, trunk["id"], LegKind.INBOUND, "REFUSED")
    assert (leg["lastError"]["code"], leg["nextAttemptAt"]) == ("VOICE_REFUSED", None)
    assert (await house.api.trunk_in(trunk["id"], "DEGRADED"))["outbound"]["state"] == "READY"


async def test_a_leg_that_cannot_be_removed_is_removing(house: House) -> None:
    trunk = await created(house)
    house.voice.plan = at("delete", LegKind.INBOUND, failing(VoiceCause.UNAVAILABLE))
    await house.api.delete(trunk["id"])
    leg = await leg_of(house, trunk["id"], LegKind.INBOUND)
    assert (leg["state"], leg["lastError"]["code"]) == ("REMOVING", "VOICE_UNAVAILABLE")
    assert leg["nextAttemptAt"]
    assert await TrunkLeg.filter(state=LegState.REMOVING).count() == 1
    house.voice.plan = faultless
    await house.api.gone(trunk["id"])
