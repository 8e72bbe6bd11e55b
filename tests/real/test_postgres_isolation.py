"""Isolation on PostgreSQL: by our own filters, and with them switched off by the database alone."""

from collections.abc import Callable
from pathlib import Path

from tests.isolation import every_operation_looks_as_if_nothing_were_there, our_own_filters_off, told
from tests.real.test_postgres_creates import postgres_settings


async def test_every_operation_looks_as_if_nothing_were_there(
    tmp_path: Path, postgres_url: str, record_property: Callable[[str, object], None]
) -> None:
    count = await every_operation_looks_as_if_nothing_were_there(postgres_settings(tmp_path, postgres_url))
    record_property("isolation", f"PostgreSQL: {told(count)}")


async def test_with_our_own_filters_off_the_database_still_shows_no_foreign_row(
    tmp_path: Path, postgres_url: str, record_property: Callable[[str, object], None]
) -> None:
    with our_own_filters_off():
        count = await every_operation_looks_as_if_nothing_were_there(postgres_settings(tmp_path, postgres_url))
    record_property("isolation", f"PostgreSQL, our own filters off: {told(count)}")
