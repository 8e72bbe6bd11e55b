"""`python -m tests.simulation --seeds A-B`: run seeds; a failing one is printed with its replay, and it exits 1."""

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

from tests.simulation.climate import drawn_climate
from tests.simulation.loop import START
from tests.simulation.world import World

BLOCK = 25  # seeds per process: what killed processes leave is never freed


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", required=True, help="one seed, or a range as 1-100")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no further seed after this time")
    parser.add_argument("--trace", type=Path, help="write the trace of the (last) seed to this file")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    until = time.monotonic() + given.seconds
    failed = 0
    for begin in range(0, len(seeds), BLOCK):
        failed |= _in_a_child(seeds[begin : begin + BLOCK], until, given.trace)
    return failed


def _in_a_child(seeds: range, until: float, trace: Path | None) -> int:
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    failed = 1
    try:
        failed = max((_run(seed, trace) for seed in seeds if time.monotonic() < until), default=0)
    except BaseException:  # noqa: BLE001  # the child ends below, whatever it was
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(failed)  # nothing of the graveyard may be freed


def _run(seed: int, trace: Path | None) -> int:
    began = time.perf_counter()
    world = World(seed, drawn_climate(seed), keep_trace=trace is not None)
    try:
        world.run()
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    if trace:
        trace.write_text("".join(world.trace.lines))
    asked = sum(client.asked for client in world.clients)
    told = f"{asked} requests, {world.crashes} crashes, {world.stalls} stalls, {world.network.writes} writes"
    spent = f"{world.loop.steps} steps, {world.loop.now - START:.0f} virtual s in {time.perf_counter() - began:.2f} s"
    print(f"seed {seed}: {world.broken or 'ok'} | {told}, {spent} | {world.trace.digest[:16]}")  # noqa: T201
    if world.broken:
        print(f"  replay: python -m tests.simulation --seeds {seed} --trace FILE")  # noqa: T201
    return int(world.broken is not None)


if __name__ == "__main__":
    sys.exit(main())
