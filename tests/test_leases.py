"""Leases: one worker at a trunk over all replicas, and the time that is left because LiveKit cannot be fenced."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.sip_trunk import SipTrunk
from tests.bare import CALL_SECONDS, Bare, bare_house
from trunkline import leases

LEASE_SECONDS = leases.CALLS_PER_LEASE * CALL_SECONDS


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bare]:
    async with bare_house(tmp_path, monkeypatch) as house:
        yield house


async def taken(house: Bare, trunk_id: str) -> SipTrunk:
    trunk = await leases.take(house.services, trunk_id)
    assert trunk
    return trunk


async def test_a_trunk_has_one_worker(house: Bare) -> None:
    trunk_id = await house.trunk()
    await house.due(trunk_id)
    first = await taken(house, trunk_id)
    assert await leases.take(house.services, trunk_id) is None
    assert await leases.take_due(house.services) == []
    await leases.give_back(first)
    assert [trunk.id for trunk in await leases.take_due(house.services)] == [trunk_id]


async def test_a_lease_that_ran_out_is_free_one_calls_deadline_later(house: Bare) -> None:
    """Whatever its dead holder sent has ended by then."""
    trunk_id = await house.trunk()
    await house.due(trunk_id)
    await taken(house, trunk_id)
    house.clock.passes(LEASE_SECONDS + CALL_SECONDS - 0.01)
    assert await leases.take(house.services, trunk_id) is None
    assert await leases.take_due(house.services) == []
    house.clock.passes(0.02)
    assert [trunk.id for trunk in await leases.take_due(house.services)] == [trunk_id]


async def test_a_kept_lease_begins_anew(house: Bare) -> None:
    trunk = await taken(house, await house.trunk())
    for _ in range(3):
        house.clock.passes(LEASE_SECONDS - 0.01)
        await leases.keep(house.services, trunk)
    assert await leases.take(house.services, trunk.id) is None


async def test_who_let_the_lease_run_out_stops_although_nobody_took_it(house: Bare) -> None:
    trunk = await taken(house, await house.trunk())
    house.clock.passes(LEASE_SECONDS)
    with pytest.raises(leases.LeaseLostError):
        await leases.keep(house.services, trunk)


async def test_who_lost_the_lease_does_not_end_that_of_the_next(house: Bare) -> None:
    trunk_id = await house.trunk()
    stalled = await taken(house, trunk_id)
    house.clock.passes(LEASE_SECONDS + CALL_SECONDS + 0.01)
    successor = await taken(house, trunk_id)
    await leases.give_back(stalled)
    with pytest.raises(leases.LeaseLostError):
        await leases.keep(house.services, stalled)
    await leases.keep(house.services, successor)


async def test_due_trunks_are_shared_out_the_longest_waiting_first(house: Bare) -> None:
    ids = [await house.trunk(digit) for digit in range(3)]
    for waited, trunk_id in enumerate(ids):
        await house.due(trunk_id, seconds_ago=waited)
    taken = [await leases.take_due(house.services, 1) for _ in range(4)]
    assert [[trunk.id for trunk in each] for each in taken] == [[ids[2]], [ids[1]], [ids[0]], []]


async def test_what_is_not_due_yet_is_left(house: Bare) -> None:
    await house.due(await house.trunk(), seconds_ago=-0.01)
    assert await leases.take_due(house.services) == []


async def test_who_waits_gets_the_lease_when_it_is_given_back(house: Bare) -> None:
    trunk_id = await house.trunk()
    first = await taken(house, trunk_id)
    asyncio.get_running_loop().call_later(0.1, asyncio.ensure_future, leases.give_back(first))
    async with leases.held(house.services, trunk_id, asyncio.get_running_loop().time() + 5) as second:
        assert second
        assert second.lease_owner != first.lease_owner


async def test_who_waits_too_long_is_told(house: Bare) -> None:
    trunk_id = await house.trunk()
    await taken(house, trunk_id)
    with pytest.raises(leases.LeaseLostError):
        async with leases.held(house.services, trunk_id, asyncio.get_running_loop().time() + 0.1):
            pass
