"""idempotencyKey of createSipTrunk: a retry gets the trunk of the first request, and no failure is frozen."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.idempotency_key import IdempotencyKey
from models.trunk_leg import LegKind
from models.workspace import Workspace
from tests.api import PASSWORD, House, codes, quick_settings, served_house, until
from tests.faulty_voice import Fail, Hang, at, faultless, first_of
from trunkline import database
from trunkline.keys import create_key
from trunkline.start import load_keyring
from trunkline.voice import VoiceCause, VoiceError

KEY = "order-4711"
MODES = ("WAIT", "BACKGROUND")


def failing(cause: VoiceCause, *, after: bool = False) -> Fail:
    return Fail(VoiceError(cause, "This is why."), after=after)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path)) as house:
        yield house


async def create(house: House, **changes: Any) -> dict[str, Any]:
    return await house.api.create(**({"idempotencyKey": KEY} | changes))


@pytest.mark.parametrize("mode", MODES)
async def test_a_retry_returns_the_trunk_of_the_first(house: House, mode: str) -> None:
    first = await create(house, provisioning=mode)
    await house.api.trunk_in(first["sipTrunk"]["id"], "ACTIVE")
    calls = len(house.voice.writes)
    again = await create(house, provisioning=mode)
    assert again["message"] == "SIP trunk created successfully."
    assert again["userErrors"] == []
    assert again["sipTrunk"]["id"] == first["sipTrunk"]["id"]
    assert again["sipTrunk"]["status"] == "ACTIVE", "as it stands now"
    assert len(house.voice.writes) == calls == 2


async def test_inputs_that_are_equal_after_normalisation_are_equal(house: House) -> None:
    first = await create(house)
    again = await create(
        house,
        idempotencyKey=f" {KEY} ",
        phoneNumber=" +40 (741) 926-265",
        nickname=" Front desk",
        sipTransport="UDP",
        mediaEncryption="AUTO",
        countryCode="ro",
    )
    assert again["sipTrunk"] == first["sipTrunk"]


OTHERS: list[dict[str, Any]] = [
    {"nickname": "another"},
    {"sipPassword": f"{PASSWORD} "},
    {"phoneNumber": "+40741926266"},
    {"sipPort": 5060},
    {"provisioning": "BACKGROUND"},
]


@pytest.mark.parametrize("changes", OTHERS, ids=str)
async def test_another_input_is_refused(house: House, changes: dict[str, Any]) -> None:
    await create(house)
    payload = await create(house, **changes)
    (error,) = payload["userErrors"]
    assert (error["code"], error["field"]) == ("IDEMPOTENCY_KEY_REUSED", ["input", "idempotencyKey"])
    assert not error["retryable"]
    assert payload["message"] == error["message"]
    assert payload["sipTrunk"] is None
    assert len(await house.api.trunks()) == 1


async def test_a_retry_returns_the_trunk_although_it_was_changed_since(house: House) -> None:
    first = await create(house)
    await house.api.update(first["sipTrunk"]["id"], phoneNumber="+40741926266", sipPassword="another-password")
    again = await create(house)
    assert again["sipTrunk"]["id"] == first["sipTrunk"]["id"]
    assert again["sipTrunk"]["phoneNumber"] == "+40741926266"


async def test_a_trunk_that_was_deleted_is_not_made_again_by_a_late_retry(house: House) -> None:
    first = await create(house)
    await house.api.delete(first["sipTrunk"]["id"])
    payload = await create(house)
    (error,) = payload["userErrors"]
    assert (error["code"], error["field"]) == ("NOT_FOUND", ["input", "idempotencyKey"])
    assert payload["sipTrunk"] is None
    assert await house.held() == {}
    assert codes(await create(house, nickname="another")) == ["IDEMPOTENCY_KEY_REUSED"]
    assert codes(await create(house, idempotencyKey="another")) == []


@pytest.mark.parametrize(
    ("key", "code"),
    [("", "INVALID_FORMAT"), ("  ", "INVALID_FORMAT"), ("a\x00b", "INVALID_FORMAT"), ("k" * 256, "TOO_LONG")],
)
async def test_a_malformed_key_is_told_with_all_other_problems(house: House, key: str, code: str) -> None:
    for payload in (
        await create(house, idempotencyKey=key, phoneNumber="1"),
        await house.api.validate(idempotencyKey=key),
    ):
        error = payload["userErrors"][-1]
        assert (error["code"], error["field"]) == (code, ["input", "idempotencyKey"])
        assert payload["message"] == "The given data was invalid."
    assert len(payload["userErrors"]) == 1
    assert await house.api.trunks() == []


async def test_the_longest_key_is_taken(house: House) -> None:
    assert codes(await create(house, idempotencyKey="k" * 255)) == []
    assert codes(await house.api.validate(idempotencyKey="k" * 255)) == ["ALREADY_EXISTS"]


async def test_errors_bind_nothing(house: House) -> None:
    assert codes(await create(house, phoneNumber="1")) == ["INVALID_FORMAT"]
    house.voice.plan = at("create", LegKind.OUTBOUND, failing(VoiceCause.REFUSED))
    assert codes(await create(house)) == ["VOICE_REFUSED"]
    assert codes(await create(house)) == ["VOICE_REFUSED"], "asked again, not remembered"
    assert house.voice.count("create", LegKind.OUTBOUND) == 2
    house.voice.plan = faultless
    assert codes(await create(house, nickname="corrected")) == []
    assert codes(await create(house)) == ["IDEMPOTENCY_KEY_REUSED"]


async def test_what_exists_already_binds_nothing(house: House) -> None:
    await house.api.create()
    assert codes(await create(house)) == ["ALREADY_EXISTS"]
    assert codes(await create(house, phoneNumber="+40741926266")) == []


async def under_way(house: House, **changes: Any) -> asyncio.Task[dict[str, Any]]:
    """A creation that has reached the voice backend."""
    task = asyncio.create_task(create(house, **changes))

    async def has_begun() -> bool:
        return house.voice.count("create") > 0

    await until(has_begun)
    return task


async def test_while_the_first_runs_the_same_input_waits_and_another_is_refused(tmp_path: Path) -> None:
    slow = at("create", LegKind.INBOUND, Hang(after=True), nth=1)
    async with served_house(quick_settings(tmp_path), slow) as house:
        first = await under_way(house)
        others = [asyncio.create_task(create(house)) for _ in range(5)]
        assert codes(await create(house, nickname="another")) == ["IDEMPOTENCY_KEY_REUSED"]
        assert not first.done()
        answers = await asyncio.gather(first, *others)
        assert answers == [answers[0]] * 6
        assert codes(answers[0]) == []
        assert house.voice.count("create") == 2


async def test_those_who_wait_get_the_error_of_the_first(tmp_path: Path) -> None:
    slow = at("create", LegKind.INBOUND, Hang(after=True), nth=1)
    refused = at("create", LegKind.OUTBOUND, failing(VoiceCause.REFUSED))
    async with served_house(quick_settings(tmp_path), first_of(slow, refused)) as house:
        first = await under_way(house)
        others = [asyncio.create_task(create(house)) for _ in range(5)]
        answers = await asyncio.gather(first, *others)
        assert [codes(answer) for answer in answers] == [["VOICE_REFUSED"]] * 6
        assert house.voice.count("create", LegKind.OUTBOUND) == 1
        house.voice.plan = faultless
        assert codes(await create(house, nickname="corrected")) == []


async def test_concurrent_requests_with_one_key_make_one_trunk(house: House) -> None:
    payloads = await asyncio.gather(*(create(house) for _ in range(10)))
    assert len({payload["sipTrunk"]["id"] for payload in payloads}) == 1
    assert house.voice.count("create") == 2


@pytest.mark.parametrize("kind", [LegKind.INBOUND, LegKind.OUTBOUND])
async def test_after_an_unknown_outcome_the_same_request_continues(tmp_path: Path, kind: LegKind) -> None:
    lost = at("create", kind, failing(VoiceCause.OUTCOME_UNKNOWN, after=True), nth=1)
    unseen = at("list", kind, failing(VoiceCause.UNAVAILABLE))
    async with served_house(quick_settings(tmp_path), first_of(lost, unseen)) as house:
        assert codes(await create(house)) == ["OUTCOME_UNKNOWN"]
        house.voice.plan = faultless
        payload = await create(house)
        assert codes(payload) == []
        assert (await house.held()).keys() == {payload["sipTrunk"][f"{leg}TrunkId"] for leg in ("inbound", "outbound")}


async def test_a_key_is_forgotten_after_a_day(house: House) -> None:
    first = await create(house)
    (row,) = await IdempotencyKey.all()
    left = row.expires_at - await database.now()
    assert timedelta(hours=24) - left < timedelta(minutes=1)
    await house.api.delete(first["sipTrunk"]["id"])
    await IdempotencyKey.all().update(expires_at=await database.now())
    assert codes(await create(house, nickname="another")) == []


async def test_a_key_belongs_to_its_workspace(house: House) -> None:
    await create(house)
    other = await Workspace.create(id="ws_01zzzzzzzzzzzzzzzzzzzzzzzz", name="other", created_at=await database.now())
    _key, secret = await create_key(load_keyring(house.settings), other.id, "theirs")
    house.api.client.headers["authorization"] = f"Bearer {secret.reveal()}"
    theirs = await create(house, phoneNumber="+40741926266")
    assert codes(theirs) == []
    assert await house.api.trunks() == [theirs["sipTrunk"]]
    assert codes(await create(house)) == ["IDEMPOTENCY_KEY_REUSED"]


async def test_a_run_whose_process_died_is_continued_after_the_start(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings, at("create", LegKind.INBOUND, Hang(), nth=1)) as house:
        payload = await create(house)
        assert codes(payload) == ["OUTCOME_UNKNOWN"]
        (row,) = await IdempotencyKey.all()
        await IdempotencyKey.all().update(problem=None, expires_at=await database.now() + timedelta(hours=1))
        assert row.trunk_id is None
    async with served_house(settings) as house:
        assert codes(await create(house)) == []


async def test_no_secret_is_stored_with_a_key(house: House) -> None:
    await create(house)
    (row,) = await IdempotencyKey.all().values()
    assert PASSWORD not in repr(row)
    assert "alice" not in repr(row)
    assert row["digest_key"] == "k1"
