"""The crash matrix: every row of tests/crash_rows.py dies at its first instant, then at its second, until it lives.

Afterwards there is exactly one of the worlds that the client may believe in, told alike by the API, the database and
the voice backend (tests/observing.py), and the same requests can be repeated.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.api import KEY
from tests.crash_rows import Row
from tests.crash_successor import successor
from tests.crashing import Environment, Scene, prepare, victim
from tests.steps import Payload, belief_after, codes_of

AT_ONCE = 5  # points: most of their time they wait
PATIENCE_SECONDS = 90.0
BASE = "+4930123450"
FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(["pytest", "tests.crash_preload"])  # pytest: each child imports its parent's main module


@dataclass(slots=True)
class Played:
    """What the parent heard of a victim."""

    points: list[str] = field(default_factory=list)
    instants: int = 0
    told: list[Payload] = field(default_factory=list)
    lived: bool = False

    def told_of(self, name: str) -> str:
        """A line of the matrix."""
        return f"{name}: {len(self.points)} points, {self.instants} instants, 0 failures"


@dataclass(frozen=True, slots=True)
class Stage:
    """Makes the scene of a point. `fresh`: the victim prepares it itself; `beside`: the successor is there before."""

    scene: Callable[[int], Scene]
    fresh: bool = False
    beside: bool = False


def quick_environment(folder: Path) -> Environment:
    """Settings of short times, with every file in the folder."""
    return {
        "TRUNKLINE_DATABASE_URL": f"sqlite://{folder}/trunkline.db",
        "TRUNKLINE_SANDBOX_FILE": f"{folder}/sandbox.db",
        "TRUNKLINE_BOOTSTRAP_KEY": KEY,
        "TRUNKLINE_PROBE_NEW_TRUNKS": "no",  # the addresses belong to others
        "TRUNKLINE_ALLOWED_HOSTS": "testserver",
        "TRUNKLINE_PHONE_CHECK": "possible",
        "TRUNKLINE_PROVISION_TIMEOUT": "1.5",
        "TRUNKLINE_SETTLE_TIME": "0.1",
        "TRUNKLINE_RECONCILE_INTERVAL": "0.1",
    }


def copies(row: Row, folder: Path) -> Stage:
    """Scenes on SQLite and the sandbox: what is there before is made once and copied for each point."""
    model = folder / "model"
    model.mkdir()
    process = FORKS.Process(target=prepare, args=(Scene(row.name, quick_environment(model), BASE),))
    process.start()
    process.join()
    assert process.exitcode == 0, row.name

    def scene(point: int) -> Scene:
        place = folder / str(point)
        shutil.copytree(model, place)
        return Scene(row.name, quick_environment(place), BASE)

    return Stage(scene)


async def survives_every_point(row: Row, stage: Stage) -> Played:
    """Die at each instant in a fresh place, several at once; the longest run, all of whose points were died at."""
    longest = Played()
    lived = asyncio.Event()
    numbers = iter(range(1, 10_000))

    async def worker() -> None:
        nonlocal longest
        while not lived.is_set():
            number = next(numbers)
            played = await asyncio.to_thread(survives, row, stage, number)
            longest = max(longest, played, key=lambda each: each.instants)
            if played.lived and number > longest.instants:  # runs differ a little in what falls in between
                lived.set()

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return longest


def survives(row: Row, stage: Stage, point: int) -> Played:
    """Play the row until the point, and have what is left checked."""
    scene = stage.scene(point)
    with _process(victim, scene, point, fresh=stage.fresh) as (process, hears):
        _next(hears, "prepared")
        if not stage.beside:
            played = _played(process, hears, point)
            with _process(successor, scene) as (_, heir):
                _next(heir, "ready")
                _checked(heir, row, point, played)
            return played
        with _process(successor, scene) as (_, heir):
            _next(heir, "ready")
            played = _played(process, hears, point)
            _checked(heir, row, point, played)
            return played


def _played(process: BaseProcess, hears: Connection, fatal: int) -> Played:
    played = Played()
    hears.send("go")
    try:
        while not played.lived:
            what, value = hears.recv()
            if what == "point":
                name, played.instants = value
                played.points.append(name)
            elif what == "told":
                played.told.append(value)
            assert what != "wrong", (value, played.told)
            played.lived = what == "done"
    except EOFError:  # it is dead
        assert played.instants == fatal, played
    process.join()  # a pipe closes before the database's lock does
    return played


def _checked(heir: Connection, row: Row, point: int, played: Played) -> None:
    heir.send((belief_after(frozenset({row.world}), row.steps, played.told), played.told))
    assert heir.poll(PATIENCE_SECONDS), (row.name, point, "no word from the successor")
    codes = [codes_of(each)[0] if each and codes_of(each) else "" for each in played.told]
    assert not played.lived or codes == row.codes, played.told
    wrong = heir.recv()
    assert wrong is None, f"{row.name}, point {point} ({played.points[-1:]}): {wrong}\ntold: {played.told}"


def _next(hears: Connection, word: str) -> None:
    assert hears.poll(PATIENCE_SECONDS), word
    said = hears.recv()
    assert word in said, said


@contextmanager
def _process(target: Callable[..., None], *args: Any, **named: Any) -> Iterator[tuple[BaseProcess, Connection]]:
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=target, args=(theirs, *args), kwargs=named)
    process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        ours.close()
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()
