"""A process that dies at any point of a creation leaves no orphan and no half trunk: the whole matrix on SQLite."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash_matrix import ROWS, Row, quick_environment, survives_every_point


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_death_at_any_point_is_survived(
    tmp_path: Path, row: Row, record_property: Callable[[str, object], None]
) -> None:
    points = await survives_every_point(row, lambda point: quick_environment(tmp_path / str(point)))
    assert len(points) >= 8
    record_property("crash matrix", f"{row.name}: {len(points)} points, 0 failures")
