"""How PostgreSQL answers pages: from an index, in its order, reading no more rows than a page is long."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests import newest_first
from tests.api import House, served_house
from tests.newest_first import LISTS
from tests.page_plans import ALONE, SIZE, Asked, fill, statements_of
from tests.real.servers import Postgres
from tests.real.test_postgres_database import settings_of
from trunkline import database
from trunkline.database import default_workspace
from trunkline.row_security import ENTER

TRUNKS = 20_000
ROWS_MAX = 3 * SIZE


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> AsyncIterator[House]:
    url, folder = postgres.new_database(), tmp_path_factory.mktemp("plans")
    async with served_house(replace(settings_of(folder, url), reconcile_interval=600, provision_timeout=15.0)) as made:
        await fill(made, TRUNKS)
        yield made


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes_of(inner)


async def plan_of(url: str, asked: Asked, workspace_id: str | None = None) -> list[dict[str, Any]]:
    """The plan's nodes; for a workspace behind the wall of row level security, where requests stand."""
    connection = await asyncpg.connect(url)
    try:
        if workspace_id:
            await connection.execute(ENTER, workspace_id)
        explained = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {asked.statement}", *asked.values)
    finally:
        await connection.close()
    return list(nodes_of(json.loads(explained)[0]["Plan"]))


def rows_read(nodes: list[dict[str, Any]]) -> int:
    return sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes if not node.get("Plans"))


@pytest.mark.parametrize("arguments", ALONE, ids=str)
async def test_every_order_and_every_filter_alone_is_answered_from_an_index(
    house: House, arguments: dict[str, Any]
) -> None:
    workspace_id = (await default_workspace()).id
    for asked in await statements_of(house, arguments):
        nodes = await plan_of(house.settings.database_url.reveal(), asked, workspace_id)
        assert "Seq Scan" not in {node["Node Type"] for node in nodes}, asked
        assert rows_read(nodes) <= ROWS_MAX, asked


async def test_the_newest_first_are_answered_from_an_index(tmp_path: Path, postgres_url: str) -> None:
    async with served_house(replace(settings_of(tmp_path, postgres_url), reconcile_interval=600)) as house:
        trunk_id = await newest_first.fill(house, 5_000)
        await database.connection().execute_query("VACUUM ANALYZE")
        for newest in LISTS:
            for asked in await newest_first.statements_of(house, newest, trunk_id):
                nodes = await plan_of(postgres_url, asked, (await default_workspace()).id)
                assert "Seq Scan" not in {node["Node Type"] for node in nodes}, asked
                assert rows_read(nodes) <= ROWS_MAX, asked


async def test_a_sort_and_a_scan_would_be_noticed(house: House) -> None:
    asked = Asked("SELECT * FROM sip_trunk ORDER BY sip_username LIMIT 10", [])
    nodes = await plan_of(house.settings.database_url.reveal(), asked)
    assert {"Sort", "Seq Scan"} <= {node["Node Type"] for node in nodes}
    assert rows_read(nodes) == TRUNKS
