"""The limits of a workspace: requests in a minute, trunks, creations under way. What is over one is told so."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from limits.aio.storage import memory

from models.sip_trunk import SipTrunk
from models.trunk_leg import LegKind
from tests.api import Api, House, codes, quick_settings, served_house
from tests.faulty_voice import Hang, at, faultless
from tests.test_workspaces import make_workspace, viewer
from trunkline import limits
from trunkline.limits import RequestLimit

PING = "{ __typename }"


@asynccontextmanager
async def limited(folder: Path, plan: Any = faultless, **changes: int) -> AsyncIterator[House]:
    async with served_house(quick_settings(folder, **changes), plan) as house:
        yield house


async def extension(api: Api, number: int, **changes: Any) -> dict[str, Any]:
    given = {"sipTrunkType": "EXTENSION", "phoneNumber": str(1000 + number), "countryCode": "RO"}
    return await api.create(**given | changes)


async def test_requests_over_the_limit_are_refused_before_anything_runs(tmp_path: Path) -> None:
    async with limited(tmp_path, limit_requests_per_minute=3) as house:
        other = house.holding((await make_workspace(house.api))["secret"])
        answers = [await house.api.raw(PING) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        seconds = int(answers[-1].headers["retry-after"])
        assert 1 <= seconds <= 60
        assert answers[-1].json() == {
            "errors": [
                {
                    "message": f"Too many requests of this workspace; go on in {seconds} s.",
                    "extensions": {"code": "RATE_LIMITED", "retryAfter": seconds},
                }
            ]
        }
        assert (await house.api.raw("mutation { nonsense")).status_code == 429  # whatever it says
        assert (await other.raw(PING)).status_code == 200
        assert (await house.holding("tl_unknown-key-of-nobody-at-all").raw(PING)).status_code == 401


async def test_after_the_time_that_was_told_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1_000_000.0
    moving = SimpleNamespace(time=lambda: clock)
    for module in (memory, limits):
        monkeypatch.setattr(module, "time", moving)
    monkeypatch.setattr("limits.storage.base.time", moving, raising=False)
    monkeypatch.setattr(
        "limits.aio.storage.memory.Entry", lambda expiry: SimpleNamespace(atime=clock, expiry=clock + expiry)
    )
    limit = RequestLimit(2)
    assert [await limit.seconds_to_wait("ws"), await limit.seconds_to_wait("ws")] == [0, 0]
    clock += 20
    assert await limit.seconds_to_wait("ws") == 40
    clock += 39
    assert await limit.seconds_to_wait("ws") == 1
    clock += 1.5
    assert [await limit.seconds_to_wait("ws") for _ in range(3)] == [0, 0, 60]


async def test_without_a_limit_nothing_is_counted(tmp_path: Path) -> None:
    async with limited(tmp_path, limit_requests_per_minute=0, limit_trunks=0, limit_provisions=0) as house:
        assert {(await house.api.raw(PING)).status_code for _ in range(20)} == {200}
        assert codes(await extension(house.api, 1)) == []
        told = (await viewer(house.api))["limits"]
        assert told == {"sipTrunks": 0, "requestsPerMinute": 0, "provisionsInFlight": 0}


async def test_a_workspace_has_no_more_trunks_than_it_may(tmp_path: Path) -> None:
    async with limited(tmp_path, limit_trunks=2) as house:
        other = house.holding((await make_workspace(house.api))["secret"])
        payloads = await asyncio.gather(*(extension(house.api, number) for number in range(8)))
        assert Counter(map(tuple, map(codes, payloads))) == {(): 2, ("LIMIT_REACHED",): 6}
        refused = next(payload for payload in payloads if codes(payload))
        assert refused["message"] == "A workspace has at most 2 SIP trunks; delete one first."
        assert refused["userErrors"][0]["retryable"] is False
        assert house.voice.count("create") == 4
        assert codes(await extension(other, 100)) == []
        made = next(payload for payload in payloads if not codes(payload))["sipTrunk"]
        assert codes(await extension(house.api, 0, phoneNumber=made["phoneNumber"])) == ["ALREADY_EXISTS"]
        await house.api.delete(made["id"])
        assert codes(await extension(house.api, 50)) == []


async def test_no_more_creations_are_under_way_than_may_be(tmp_path: Path) -> None:
    """An identical one is answered before this limit is looked at: with its key it waits, without it it is told."""
    async with limited(tmp_path, at("create", LegKind.INBOUND, Hang(), nth=1), limit_provisions=1) as house:
        first = asyncio.create_task(extension(house.api, 1, idempotencyKey="one"))
        while not await SipTrunk.exists():
            await asyncio.sleep(0.01)
        other = await extension(house.api, 2)
        assert codes(other) == ["RATE_LIMITED"]
        (error,) = other["userErrors"]
        assert (error["retryable"], error["retryAfter"], error["field"]) == (True, 1, None)
        assert codes(await extension(house.api, 1)) == ["NUMBER_IN_USE"]
        again = await extension(house.api, 1, idempotencyKey="one")
        assert again == await first
        assert codes(again) == ["OUTCOME_UNKNOWN"]
        assert codes(await extension(house.api, 1)) == []  # takes over what the first one left
        assert codes(await extension(house.api, 2)) == []


async def test_background_creations_count_until_they_are_decided(tmp_path: Path) -> None:
    async with limited(tmp_path, at("create", LegKind.INBOUND, Hang(), nth=1), limit_provisions=1) as house:
        made = await extension(house.api, 1, provisioning="BACKGROUND")
        assert codes(await extension(house.api, 2, provisioning="BACKGROUND")) == ["RATE_LIMITED"]
        await house.api.trunk_in(made["sipTrunk"]["id"], "ACTIVE")
        assert codes(await extension(house.api, 2, provisioning="BACKGROUND")) == []
