"""Isolation on SQLite, by every operation of the schema; and that the same attempts find what a lost filter shows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api import quick_settings
from tests.isolation import every_operation_looks_as_if_nothing_were_there, our_own_filters_off, told
from tests.whole_schema import operations


async def test_every_operation_looks_as_if_nothing_were_there(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    count = await every_operation_looks_as_if_nothing_were_there(quick_settings(tmp_path))
    assert set(count) == {str(each) for each in operations()}
    record_property("isolation", f"SQLite: {told(count)}")


async def test_the_attempts_find_what_a_lost_filter_shows(tmp_path: Path) -> None:
    with our_own_filters_off(), pytest.raises(AssertionError):
        await every_operation_looks_as_if_nothing_were_there(quick_settings(tmp_path))
