"""A sample of the crash matrix on a real livekit-server, and on PostgreSQL with it."""

from pathlib import Path

import pytest

from tests.crash_matrix import ROWS, Row, quick_environment, survives_every_point
from tests.real.servers import LiveKitServer

ON_LIVEKIT = {"TRUNKLINE_PROVISION_TIMEOUT": "3", "TRUNKLINE_SETTLE_TIME": "1"}


def real_environment(folder: Path, livekit: LiveKitServer) -> dict[str, str]:
    server = {
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": livekit.api_key,
        "LIVEKIT_API_SECRET": livekit.api_secret,
    }
    return quick_environment(folder) | server | ON_LIVEKIT


@pytest.mark.parametrize("row", ROWS[:2], ids=lambda row: row.name)
async def test_a_death_at_any_point_is_survived_on_livekit(tmp_path: Path, livekit: LiveKitServer, row: Row) -> None:
    points = await survives_every_point(row, lambda point: real_environment(tmp_path / str(point), livekit))
    assert len(points) >= 8
