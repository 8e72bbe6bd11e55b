"""A process that dies at any point of any operation leaves everything true: the whole matrix on SQLite."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash_matrix import copies, survives_every_point
from tests.crash_rows import ROWS


@pytest.mark.parametrize("name", ROWS)
async def test_a_death_at_any_point_is_survived(
    tmp_path: Path, name: str, record_property: Callable[[str, object], None]
) -> None:
    played = await survives_every_point(ROWS[name], copies(ROWS[name], tmp_path))
    assert played.instants >= 4
    record_property("crash matrix", played.told_of(name))
