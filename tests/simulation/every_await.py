"""One script of requests, killed at the 1st, 2nd, 3rd ... step of its replica: every await is a crash point.

`python -m tests.simulation.every_await [FROM [STRIDE]]` runs the points one after another and tells how many there are.
"""

import asyncio
import os
import sys
import time

from tests.simulation.book import Fate
from tests.simulation.climate import Climate
from tests.simulation.world import World

SEED = 4  # of one in which nothing is refused
CALM = Climate(replicas=1, clients=1, busy=0.0)


class Script(World):
    """Dies once, at `fatal` (None: never). `points`: the steps that were passed."""

    latest, patience, rest = 2.0, 3.0, 6.0

    def __init__(self, fatal: int | None, *, keep_trace: bool = False) -> None:
        super().__init__(SEED, CALM, keep_trace=keep_trace)
        self.fatal = fatal
        self.points = 0

    def before_step(self, process: str) -> None:
        if self.is_quiet or not process.startswith("r"):
            return
        self.points += 1
        if self.points == self.fatal:
            self.kill(process)

    async def plot(self) -> None:
        await asyncio.sleep(0.5)
        client = self.clients[0]
        await client.create()
        await self._with_the_first(client.update)
        await client.hire(self._first())
        await client.create(background=True)
        for assistant_id in self.book.staff(0)[:1]:
            await client.reassign(assistant_id, self._last())
            await client.reassign(assistant_id, None)
        await self._with_the_first(client.delete)
        await asyncio.sleep(0.5)
        self.is_quiet = True

    async def _with_the_first(self, act: object) -> None:
        trunk_id = self._first()
        if trunk_id and callable(act):
            await act(trunk_id)

    def _first(self) -> str | None:
        return next(iter(self.book.living(0)), None)

    def _last(self) -> str | None:
        return next(iter(reversed(self.book.living(0))), None)


def without_a_crash() -> Script:
    """The script as it goes when nothing happens: everything is done."""
    script = Script(None)
    script.run()
    assert script.broken is None, script.broken
    fates = [known.fate for known in script.book.trunks.values()]
    assert fates == [Fate.GONE, Fate.LIVE], fates
    assert len(script.book.assistants) == 1
    return script


def findings(first: int, stride: int, until: float = float("inf")) -> tuple[int, list[str]]:
    """How many points were run, from `first` in steps of `stride`, and what broke where."""
    broken: list[str] = []
    run = 0
    for point in range(first, without_a_crash().points + 1, stride):
        if time.monotonic() > until:
            break
        script = Script(point)
        script.run()
        assert script.crashes, f"point {point} was not reached"
        run += 1
        if script.broken:
            broken.append(f"point {point}: {script.broken}")
    return run, broken


def main() -> None:
    """Run what the command line says."""
    first, stride = (int(text) for text in (*sys.argv[1:3], *("1", "1")[len(sys.argv) - 1 :]))
    began = time.perf_counter()
    run, broken = findings(first, stride)
    points = without_a_crash().points
    print(f"{run} of {points} points run, {len(broken)} failed, {time.perf_counter() - began:.1f} s", *broken, sep="\n")  # noqa: T201
    sys.stdout.flush()
    os._exit(bool(broken))  # nothing of the graveyard may be freed


if __name__ == "__main__":
    main()
