"""Whole lives of several replicas in virtual time: whatever goes wrong, the truth is kept and comes back."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

FULL = bool(os.environ.get("TRUNKLINE_FULL"))
SEEDS = ("1-1000", "1001-2000")  # two processes side by side
SECONDS = "3600" if FULL else "35"
STRIDE = 1 if FULL else 53
PATIENCE_SECONDS = 4000.0


async def outcome(module: str, *given: str, hash_seed: str = "0") -> tuple[int, str]:
    """Exit status and output of a run in a process of its own: what its dead leave is never freed."""
    command = (sys.executable, "-m", module, *given)
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=environment)
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, err = await process.communicate()
    return process.returncode or 0, (out + err).decode()


async def test_seeds_of_trouble_end_in_truth() -> None:
    runs = [outcome("tests.simulation", "--seeds", seeds, "--seconds", SECONDS) for seeds in SEEDS]
    for status, told in await asyncio.gather(*runs):
        broken = [line for line in told.splitlines() if ": ok |" not in line]
        assert (status, broken) == (0, []), "\n".join(broken)
        assert len(re.findall(r"^seed \d+: ok", told, re.MULTILINE)) >= 3


async def test_a_death_at_any_await_leaves_the_truth() -> None:
    """Every point of a script of requests when all is run, some of them otherwise."""
    runs = [outcome("tests.simulation.every_await", str(first), str(2 * STRIDE)) for first in (1, 1 + STRIDE)]
    for status, told in await asyncio.gather(*runs):
        assert status == 0, told
        assert re.match(r"\d+ of \d+ points run, 0 failed", told), told


@pytest.mark.parametrize("seed", ["3", "12"])
async def test_a_seed_replays_byte_by_byte(tmp_path: Path, seed: str) -> None:
    """In another process and under another order of hashes."""
    traces = []
    for hash_seed in ("1", "2"):
        trace = tmp_path / hash_seed
        status, told = await outcome("tests.simulation", "--seeds", seed, "--trace", str(trace), hash_seed=hash_seed)
        assert status == 0, told
        traces.append(trace.read_bytes())
    assert traces[0] == traces[1]
    assert traces[0].count(b"\n") > 100
