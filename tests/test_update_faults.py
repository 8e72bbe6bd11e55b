"""updateSipTrunk when the voice backend fails: refused leaves all as it was, unknown ends in the old or in the new."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from models.secret import Keyring
from models.sip_trunk import CalledText, SipTrunk
from models.trunk_leg import LegKind
from tests.api import House, codes, quick_settings, served_house, until
from tests.faulty_voice import Call, Fail, Fault, Hang, Late, at, faultless, first_of
from trunkline.legs import password_place
from trunkline.snapshots import CHANGEABLE
from trunkline.start import load_keyring
from trunkline.voice import Leg, VoiceCause, VoiceError

TRUNKS = (LegKind.INBOUND, LegKind.OUTBOUND)
CHANGES: dict[str, Any] = {
    "nickname": "Reception",
    "phoneNumber": "+40741926266",
    "sipUsername": "bob",
    "sipPassword": "another-password",
    "sipAddress": "8.8.8.8",
}
COLUMNS = (*CHANGEABLE, "id", "workspace_id", "status", "revision", "previous", "created_at", "updated_at")
OLD_TEXT, NEW_TEXT = "+40741926265", "+40741926266"


def failing(cause: VoiceCause, *, after: bool = False, retry_after: int | None = None) -> Fail:
    return Fail(VoiceError(cause, "This is why.", retry_after), after=after)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path)) as house:
        yield house


async def texts() -> set[str]:
    return {row.text for row in await CalledText.all()}


async def stored(house: House) -> dict[str, Any]:
    """The row as it counts for a client, the password opened."""
    trunk = await SipTrunk.get()
    ring: Keyring = load_keyring(house.settings)
    left_out = {"sip_password", "sip_password_key"}
    columns = {name: getattr(trunk, name) for name in COLUMNS if name not in left_out}
    return columns | {"password": ring.open(bytes(trunk.sip_password), password_place(trunk))}


async def created(house: House) -> tuple[str, dict[str, Any], dict[str, Leg]]:
    """A trunk's id, and what the database and the voice backend hold of it."""
    trunk = (await house.api.create())["sipTrunk"]
    house.voice.forget()
    return trunk["id"], await stored(house), await house.held()


DEFINITE = [
    (VoiceCause.CONFLICT, "NUMBER_IN_USE", False),
    (VoiceCause.REFUSED, "VOICE_REFUSED", False),
    (VoiceCause.MISCONFIGURED, "VOICE_MISCONFIGURED", False),
    (VoiceCause.UNAVAILABLE, "VOICE_UNAVAILABLE", True),
    (VoiceCause.RATE_LIMITED, "RATE_LIMITED", True),
]
COSTS = {LegKind.INBOUND: ["inbound"], LegKind.OUTBOUND: ["inbound", "outbound", "inbound"]}


@pytest.mark.parametrize("kind", TRUNKS)
@pytest.mark.parametrize(("cause", "code", "retryable"), DEFINITE)
async def test_a_refused_change_leaves_all_as_it_was(
    house: House, kind: LegKind, cause: VoiceCause, code: str, *, retryable: bool
) -> None:
    trunk_id, row, held = await created(house)
    before = await house.api.trunk(trunk_id)
    retry_after = 7 if cause is VoiceCause.RATE_LIMITED else None
    house.voice.plan = at("replace", kind, failing(cause, retry_after=retry_after), nth=1)
    payload = await house.api.update(trunk_id, **CHANGES)
    (error,) = payload["userErrors"]
    assert (error["code"], error["retryable"], error["retryAfter"]) == (code, retryable, retry_after)
    assert payload["message"] == error["message"]
    if code != "NUMBER_IN_USE":
        assert error["message"] == "Failed to update SIP trunk. This is why."
    assert await house.held() == held, "byte-equal, the credentials and the markers too"
    assert await stored(house) == row
    assert await texts() == {OLD_TEXT}
    assert [call.kind for call in house.voice.writes] == COSTS[kind]
    after = await house.api.trunk(trunk_id)
    assert after
    assert before
    legs = {"inbound", "outbound"}
    assert {name: after[name] for name in after.keys() - legs} == {name: before[name] for name in before.keys() - legs}
    for leg in legs:
        assert after[leg] | {"checkedAt": None} == before[leg] | {"checkedAt": None}
    assert codes(await house.api.update(trunk_id, **CHANGES)) == []


async def test_a_refused_number_is_free_for_others_and_the_old_one_is_not(house: House) -> None:
    trunk_id, _row, _held = await created(house)
    house.voice.plan = at("replace", LegKind.OUTBOUND, failing(VoiceCause.REFUSED))
    await house.api.update(trunk_id, **CHANGES)
    house.voice.plan = faultless
    assert codes(await house.api.create(sipUsername="carol")) == ["NUMBER_IN_USE"]
    assert codes(await house.api.create(phoneNumber=NEW_TEXT, sipUsername="carol")) == []


async def test_what_cannot_be_restored_at_once_is_restored_later(house: House) -> None:
    trunk_id, row, held = await created(house)
    refused = at("replace", LegKind.OUTBOUND, failing(VoiceCause.REFUSED))
    stuck = at("replace", LegKind.INBOUND, failing(VoiceCause.UNAVAILABLE), nth=2)
    house.voice.plan = first_of(refused, stuck)
    assert codes(await house.api.update(trunk_id, **CHANGES)) == ["VOICE_REFUSED"]
    assert await texts() == {OLD_TEXT, NEW_TEXT}, "the inbound leg still answers to the new one"
    await house.api.trunk_in(trunk_id, "ACTIVE")
    assert await house.held() == held
    assert await stored(house) == row
    assert await texts() == {OLD_TEXT}


UNKNOWN: list[Fault] = [
    failing(VoiceCause.OUTCOME_UNKNOWN),
    failing(VoiceCause.OUTCOME_UNKNOWN, after=True),
    Hang(),
    Hang(after=True),
    Late(0.3),
]


def is_old_or_new(row: dict[str, Any], now: dict[str, Any]) -> bool:
    changed = {"nickname": "Reception", "phone_number": NEW_TEXT, "sip_username": "bob", "sip_address": "8.8.8.8"}
    told = {name: now[name] for name in changed}
    return told in (changed, {name: row[name] for name in changed})


@pytest.mark.parametrize("kind", TRUNKS)
@pytest.mark.parametrize("fault", UNKNOWN, ids=str)
async def test_an_unknown_outcome_ends_in_the_old_or_in_the_new(house: House, kind: LegKind, fault: Fault) -> None:
    trunk_id, row, _held = await created(house)
    house.voice.plan = at("replace", kind, fault, nth=1)
    payload = await house.api.update(trunk_id, **CHANGES)
    (error,) = payload["userErrors"]
    assert (error["code"], error["retryable"]) == ("OUTCOME_UNKNOWN", True)
    assert payload["message"].startswith("Failed to update SIP trunk. ")
    assert payload["sipTrunk"]["status"] in {"DEGRADED", "ACTIVE"}
    trunk = await house.api.trunk_in(trunk_id, "ACTIVE")
    await house.voice.landed()
    assert is_old_or_new(row, await stored(house))
    assert await texts() == {trunk["phoneNumber"]}
    await until(partial(all_legs_are, house, trunk))


async def all_legs_are(house: House, trunk: dict[str, Any]) -> bool:
    """Both legs hold the trunk's name and the stored password: never one of the old and one of the new."""
    row = await stored(house)
    held = (await house.held()).values()
    names = {getattr(leg, "name", "") for leg in held}
    passwords = {getattr(leg, "auth_password", None) for leg in held}
    return names == {trunk["nickname"]} and passwords == {row["password"]}


async def test_after_an_unknown_outcome_the_same_request_joins_the_change(house: House) -> None:
    trunk_id, _row, _held = await created(house)
    house.voice.plan = at("replace", LegKind.OUTBOUND, failing(VoiceCause.OUTCOME_UNKNOWN), nth=1)
    assert codes(await house.api.update(trunk_id, **CHANGES)) == ["OUTCOME_UNKNOWN"]
    payload = await house.api.update(trunk_id, **CHANGES)
    assert codes(payload) == []
    assert (payload["sipTrunk"]["status"], payload["sipTrunk"]["revision"]) == ("ACTIVE", 2)
    assert await all_legs_are(house, payload["sipTrunk"])


async def test_an_unknown_outcome_that_is_refused_later_ends_in_the_old(house: House) -> None:
    trunk_id, row, held = await created(house)

    def plan(call: Call) -> Fault | None:
        if (call.method, call.kind) != ("replace", LegKind.INBOUND):
            return None
        return {1: failing(VoiceCause.OUTCOME_UNKNOWN, after=True), 2: failing(VoiceCause.REFUSED)}.get(call.nth)

    house.voice.plan = plan
    assert codes(await house.api.update(trunk_id, **CHANGES)) == ["OUTCOME_UNKNOWN"]
    await house.api.trunk_in(trunk_id, "ACTIVE")
    assert await stored(house) == row
    assert await house.held() == held
    assert await texts() == {OLD_TEXT}


async def test_both_numbers_are_ours_while_the_outcome_is_unknown(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, reconcile_interval=30)) as house:
        trunk_id, _row, _held = await created(house)
        house.voice.plan = at("replace", LegKind.INBOUND, failing(VoiceCause.OUTCOME_UNKNOWN))
        assert codes(await house.api.update(trunk_id, **CHANGES)) == ["OUTCOME_UNKNOWN"]
        assert await texts() == {OLD_TEXT, NEW_TEXT}
        for number in (OLD_TEXT, NEW_TEXT):
            assert codes(await house.api.create(phoneNumber=number, sipUsername="carol")) == ["NUMBER_IN_USE"]


async def test_the_answer_comes_within_the_provision_timeout(house: House) -> None:
    trunk_id, _row, _held = await created(house)
    house.voice.plan = lambda call: Hang() if call.method != "list" else None
    async with asyncio.timeout(house.settings.provision_timeout + 5):
        assert codes(await house.api.update(trunk_id, **CHANGES)) == ["OUTCOME_UNKNOWN"]
    house.voice.plan = faultless
    await house.api.trunk_in(trunk_id, "ACTIVE")


async def test_a_client_that_goes_away_does_not_stop_a_change(house: House) -> None:
    trunk_id, _row, _held = await created(house)
    house.voice.plan = at("replace", LegKind.INBOUND, Hang(), nth=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await house.api.update(trunk_id, **CHANGES)
    trunk = await house.api.trunk_in(trunk_id, "ACTIVE")
    assert trunk["nickname"] == "Reception"
    assert await all_legs_are(house, trunk)


async def test_a_leg_that_livekit_lost_is_made_anew_by_the_change(house: House) -> None:
    trunk_id, _row, held = await created(house)
    lost = next(voice_id for voice_id, leg in held.items() if leg.kind is LegKind.OUTBOUND)
    await house.voice.inner.delete(LegKind.OUTBOUND, lost)
    payload = await house.api.update(trunk_id, **CHANGES)
    assert codes(payload) == []
    trunk = await house.api.trunk_in(trunk_id, "ACTIVE")
    assert {trunk["inboundTrunkId"], trunk["outboundTrunkId"]} == (await house.held()).keys()
    assert trunk["outboundTrunkId"] != lost


async def test_a_failed_trunk_is_corrected_by_a_change(tmp_path: Path) -> None:
    plan = at("create", LegKind.OUTBOUND, failing(VoiceCause.REFUSED))
    async with served_house(quick_settings(tmp_path), plan) as house:
        trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
        await house.api.trunk_in(trunk["id"], "FAILED")
        payload = await house.api.update(trunk["id"], **CHANGES)
        assert codes(payload) == ["VOICE_REFUSED"]
        assert (payload["sipTrunk"]["status"], payload["sipTrunk"]["phoneNumber"]) == ("FAILED", OLD_TEXT)
        assert await texts() == {OLD_TEXT}
        house.voice.plan = faultless
        payload = await house.api.update(trunk["id"], **CHANGES)
        assert codes(payload) == []
        assert (payload["sipTrunk"]["status"], payload["sipTrunk"]["revision"]) == ("ACTIVE", 2)
        assert await all_legs_are(house, payload["sipTrunk"])
        assert await texts() == {NEW_TEXT}


async def test_a_change_while_the_background_makes_the_trunk_is_part_of_it(tmp_path: Path) -> None:
    plan = at("create", LegKind.INBOUND, Hang(), nth=1)
    async with served_house(quick_settings(tmp_path), plan) as house:
        trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
        assert codes(await house.api.update(trunk["id"], **CHANGES)) in ([], ["OUTCOME_UNKNOWN"])
        trunk = await house.api.trunk_in(trunk["id"], "ACTIVE")
        assert (trunk["nickname"], trunk["revision"]) == ("Reception", 2)
        assert await all_legs_are(house, trunk)
        assert len(await house.held()) == 2
