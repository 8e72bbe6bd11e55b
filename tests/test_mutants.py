"""Each deliberate bug of tests.mutants turns something red. Two cheap ones in every run, all in the full one."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE

import pytest

from tests.mutants import MUTANTS

CHEAP = ("lose_the_row_in_the_aad", "no_claim_before_the_call")
PLANTED = tuple(MUTANTS) if os.environ.get("TRUNKLINE_FULL") else CHEAP
PATIENCE_SECONDS = 600.0


@pytest.mark.parametrize("name", PLANTED)
async def test_a_mutant_is_caught(name: str) -> None:
    command = (sys.executable, "-m", "tests.mutants", name)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, err = await process.communicate()
    assert out.decode().splitlines()[-1].startswith("CAUGHT "), (out + err).decode()
