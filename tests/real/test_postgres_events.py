"""Every change leaves its event on a real PostgreSQL, which tells it when it is committed, and then only."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from tortoise.transactions import in_transaction

from models.event import Event
from tests.api import served_house
from tests.event_cases import ALL, Case, trunk_of
from tests.real.test_postgres_creates import postgres_settings
from trunkline import events


@pytest.mark.parametrize("case", ALL)
async def test_on_postgres(tmp_path: Path, postgres_url: str, case: Case) -> None:
    await case(postgres_settings(tmp_path, postgres_url))


async def test_an_event_is_told_when_it_is_committed(tmp_path: Path, postgres_url: str) -> None:
    async with served_house(postgres_settings(tmp_path, postgres_url)) as house:
        heard: asyncio.Queue[str] = asyncio.Queue()
        listener = await asyncpg.connect(postgres_url)
        await listener.add_listener("trunkline_events", lambda *told: heard.put_nowait(str(told[-1])))
        trunk = await trunk_of(house)
        event = await Event.get(subject_id=trunk["id"])
        line = f"{event.id} {event.workspace_id} sip_trunk.created {trunk['id']}"
        assert await asyncio.wait_for(heard.get(), 5) == line
        by = events.by_itself(event.workspace_id)
        async with in_transaction() as transaction:
            await events.record(by, "sip_trunk.updated", trunk["id"])
            await transaction.rollback()
        committed = await events.record(by, "keyring.rotated", "inst")
        assert await asyncio.wait_for(heard.get(), 5) == f"{committed.id} {event.workspace_id} keyring.rotated -"
        await listener.close()
