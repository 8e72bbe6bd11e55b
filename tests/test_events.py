"""Every change leaves its event; here on SQLite, in tests/real/test_postgres_events.py on PostgreSQL."""

import asyncio
from pathlib import Path

import pytest

from models.event import Action, Event
from models.identifiers import new_id
from models.workspace import ApiKey, Installation, Workspace
from tests.api import quick_settings, served_house
from tests.commands import output
from tests.event_cases import ALL, EVENTS, NODE, Case, trunk_of
from trunkline import database, events


@pytest.mark.parametrize("case", ALL)
async def test_on_sqlite(tmp_path: Path, case: Case) -> None:
    await case(quick_settings(tmp_path))


async def test_another_workspaces_events_look_like_none(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        await trunk_of(house)
        other = await Workspace.create(id=new_id("ws"), name="other", created_at=await database.now())
        theirs = await events.record(events.by_itself(other.id), Action.KEYRING_ROTATED, other.id)
        seen = (await house.api.ask(EVENTS))["events"]["nodes"]
        assert [each["action"] for each in seen] == [Action.TRUNK_CREATED, "api_key.created"]
        for unknown in (theirs.id, "evt_x", "evt_\x00"):
            assert await house.api.ask(NODE, {"id": unknown}) == {"node": None}


async def test_the_commands_of_the_key_ring_leave_events(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings):
        await asyncio.to_thread(output, tmp_path, "keyring", "rotate")
        event = await Event.get(action="keyring.rotated")
        assert (event.actor, event.subject_id) == ("keyring", (await Installation.get()).id)


@pytest.mark.parametrize("change", [{}, {"bootstrap_key": None}])
async def test_the_key_of_the_first_start_leaves_its_event_once(tmp_path: Path, change: dict[str, None]) -> None:
    settings = quick_settings(tmp_path, **change)
    for _ in range(2):
        async with served_house(settings):
            event, key = await Event.get(), await ApiKey.get()
            assert (event.action, event.actor, event.subject_id) == ("api_key.created", "start", key.id)
            assert (event.workspace_id, event.changed_fields) == (key.workspace_id, ["name", "scopes"])
