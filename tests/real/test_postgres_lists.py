"""Lists of trunks on a PostgreSQL whose locale orders texts in its own way: the order is that of their bytes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import asyncpg
import pytest

from tests import listed_trunks
from tests.api import House, served_house
from tests.listed_trunks import Trunk, everything
from tests.real.servers import Postgres
from tests.real.test_postgres_database import settings_of


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> AsyncIterator[House]:
    url = await database_of_a_language(postgres)
    settings = settings_of(tmp_path_factory.mktemp("lists"), url)
    async with served_house(replace(settings, reconcile_interval=600, provision_timeout=15.0)) as made:
        await listed_trunks.fill(made)
        yield made


async def database_of_a_language(postgres: Postgres) -> str:
    plain = postgres.new_database()
    connection = await asyncpg.connect(plain)
    try:
        await connection.execute("CREATE DATABASE english TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'")
    finally:
        await connection.close()
    return plain.rpartition("/")[0] + "/english"


async def test_the_language_would_order_otherwise(house: House) -> None:
    connection = await asyncpg.connect(house.settings.database_url.reveal())
    try:
        assert await connection.fetchval("SELECT 'a' < 'B' AND 'a_1' < 'a.1'")
    finally:
        await connection.close()


@pytest.mark.parametrize("case", listed_trunks.ALL)
async def test_on_postgres(house: House, case: Callable[[House, list[Trunk]], Awaitable[None]]) -> None:
    await case(house, await everything(house.api))
