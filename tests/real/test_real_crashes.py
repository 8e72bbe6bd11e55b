"""The crash matrix on real servers: a fixed sample on PostgreSQL and LiveKit with two replicas, rows on LiveKit alone.

The whole matrix runs on LiveKit with TRUNKLINE_FULL=1.
"""

import asyncio
import itertools
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from models.secret import Keyring
from tests.crash_matrix import Stage, quick_environment, survives, survives_every_point
from tests.crash_rows import ROWS
from tests.crashing import Scene
from tests.real.servers import LiveKitServer, Postgres

SLOWER = {"TRUNKLINE_PROVISION_TIMEOUT": "3", "TRUNKLINE_SETTLE_TIME": "0.5"}
ON_LIVEKIT = tuple(ROWS) if os.environ.get("TRUNKLINE_FULL") == "1" else ("create", "assign")
SAMPLE = {  # instants of a row
    "create": (2, 3, 6),
    "create with a key": (4, 7),
    "create in the background": (2,),  # the other replica does the rest at once
    "create, taken over after an unknown outcome": (12,),
    "update in place": (5, 8, 11),
    "update of the number": (6,),
    "delete with an assistant": (3, 7),
    "assign": (5, 8),
    "reassign": (7,),
    "repair of everything": (3,),
}
AT_ONCE = 6  # a survivor waits for the lease of the dead one

Note = Callable[[str, object], None]


def new_base() -> str:
    """How the numbers of one point begin: the server is the same one for all."""
    return f"+4930{secrets.randbelow(10**8):08}"


def on_livekit(name: str, folder: Path, livekit: LiveKitServer) -> Stage:
    def scene(point: int) -> Scene:
        place = folder / str(point)
        place.mkdir()
        return Scene(name, quick_environment(place) | livekit.environment | SLOWER, new_base())

    return Stage(scene, fresh=True)


def on_both(name: str, folder: Path, livekit: LiveKitServer, postgres: Postgres) -> Stage:
    """Two replicas: one dies, the other one is there all the time."""
    alone = on_livekit(name, folder, livekit)

    def scene(point: int) -> Scene:
        shared = {
            "TRUNKLINE_DATABASE_URL": postgres.new_database(),
            "TRUNKLINE_SECRET_KEYS": Keyring.generate("k1"),
        }
        made = alone.scene(point)
        return Scene(name, made.environment | shared, made.base)

    return Stage(scene, fresh=True, beside=True)


@pytest.mark.parametrize("name", ON_LIVEKIT)
async def test_a_death_at_any_point_is_survived_on_livekit(
    tmp_path: Path, livekit: LiveKitServer, name: str, record_property: Note
) -> None:
    played = await survives_every_point(ROWS[name], on_livekit(name, tmp_path, livekit))
    assert played.instants >= 4
    record_property("crash matrix", played.told_of(f"LiveKit: {name}"))


async def test_the_other_replica_takes_over_what_a_dead_one_left(
    tmp_path: Path, livekit: LiveKitServer, postgres: Postgres, record_property: Note
) -> None:
    slots = asyncio.Semaphore(AT_ONCE)
    folders = itertools.count()

    async def one(name: str, point: int) -> str:
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        async with slots:
            played = await asyncio.to_thread(survives, ROWS[name], on_both(name, folder, livekit, postgres), point)
        return f"{name} {point} {'lived' if played.lived else played.points[-1]}"

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(name, point)) for name, points in SAMPLE.items() for point in points]
    told = [task.result() for task in tasks]
    assert not [each for each in told if each.endswith("lived")], told
    record_property("crash matrix", f"PostgreSQL, LiveKit, two replicas: {len(told)} points, 0 failures")
