"""How SQLite answers pages: from an index, in its order, by no more work than a page is long."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import newest_first
from tests.api import House, quick_settings, served_house
from tests.newest_first import LISTS
from tests.page_plans import ALONE, Asked, fill, statements_of

TRUNKS = 3000
STEPS_MAX = 1000  # of SQLite's machine for one statement; reading every trunk takes tens of thousands


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("plans")
    async with served_house(quick_settings(folder, reconcile_interval=600, provision_timeout=15.0)) as made:
        await fill(made, TRUNKS)
        yield made


def plan_of(db: sqlite3.Connection, asked: Asked) -> list[str]:
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {asked.statement}", asked.values)]


def steps_of(db: sqlite3.Connection, asked: Asked) -> int:
    """How many instructions SQLite's machine runs for it."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    db.set_progress_handler(step, 1)
    db.execute(asked.statement, asked.values).fetchall()
    db.set_progress_handler(None, 1)
    return steps


@pytest.mark.parametrize("arguments", ALONE, ids=str)
async def test_every_order_and_every_filter_alone_is_answered_from_an_index(
    house: House, arguments: dict[str, Any]
) -> None:
    with closing(sqlite3.connect(str(house.settings.sqlite_file))) as db:
        for asked in await statements_of(house, arguments):
            (line,) = plan_of(db, asked)  # a second line would be a sort
            assert line.startswith("SEARCH sip_trunk USING INDEX ")
            assert steps_of(db, asked) < STEPS_MAX, asked


async def test_the_newest_first_are_answered_from_an_index(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, reconcile_interval=600, provision_timeout=15.0)) as house:
        trunk_id = await newest_first.fill(house, TRUNKS)
        with closing(sqlite3.connect(str(house.settings.sqlite_file))) as db:
            for newest in LISTS:
                asked = await newest_first.statements_of(house, newest, trunk_id)
                assert len(asked) == 3, "two pages, and whether there is one before the second"
                for each in asked:
                    (line,) = plan_of(db, each)
                    assert line.startswith(f"SEARCH {newest.table} USING ")
                    assert steps_of(db, each) < STEPS_MAX, each


async def test_a_sort_and_a_scan_would_be_noticed(house: House) -> None:
    sorted_by_name = Asked("SELECT * FROM sip_trunk ORDER BY sip_username LIMIT 10", [])
    with closing(sqlite3.connect(str(house.settings.sqlite_file))) as db:
        assert plan_of(db, sorted_by_name) == ["SCAN sip_trunk", "USE TEMP B-TREE FOR ORDER BY"]
        assert steps_of(db, sorted_by_name) > STEPS_MAX
