"""The sandbox: the contract suite, and what is its own: the file, its durability, its secrecy, two processes."""

import asyncio
import os
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest

from models.secret import Keyring
from models.trunk_leg import LegKind
from tests.voice_contract import CASES, EDGE_CASES, Case, run
from tests.voice_legs import PASSWORD, digits, fails, inbound, outbound, rule
from trunkline.voice import Held, VoiceCause
from trunkline.voice.sandbox import SandboxVoice
from trunkline.voice.sandbox_file import SandboxFileError, error_of

RING = Keyring.generate("k1")
KEYRING = Keyring.parse(RING)
ROOT = Path(__file__).parent.parent
T = TypeVar("T")

CREATE_ALL = """
import asyncio, sys
from pathlib import Path
from models.secret import Keyring
from tests.voice_legs import inbound
from trunkline.voice import VoiceError
from trunkline.voice.sandbox import SandboxVoice

async def main():
    voice = SandboxVoice(Path(sys.argv[1]), Keyring.parse(sys.argv[2]))
    for number in sys.argv[3:]:
        try:
            print(await voice.create(inbound(number)), flush=True)
        except VoiceError as error:
            print(error.cause, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sandbox.db"


@pytest.fixture
async def voice(path: Path) -> AsyncIterator[SandboxVoice]:
    voice = SandboxVoice(path, KEYRING)
    yield voice
    await voice.aclose()


async def at_once(work: Callable[[], T], /) -> T:
    return work()


@pytest.mark.parametrize("case", CASES + EDGE_CASES, ids=lambda case: case.__name__)
async def test_sandbox_keeps_the_contract(case: Case, voice: SandboxVoice) -> None:
    await run(case, voice)


async def test_reopened_file_holds_what_was_acknowledged(path: Path) -> None:
    first = SandboxVoice(path, KEYRING)
    leg = inbound(digits())
    voice_id = await first.create(leg)
    own_rule = rule(voice_id)
    rule_id = await first.create(own_rule)
    await first.aclose()
    second = SandboxVoice(path, KEYRING)
    assert await second.list(LegKind.INBOUND) == [Held(voice_id, leg)]
    assert await second.list(LegKind.DISPATCH) == [Held(rule_id, own_rule)]
    for each in (leg, own_rule):
        await fails(second.create(each), VoiceCause.CONFLICT)
    await second.aclose()


async def test_no_other_user_may_read_any_of_its_files(voice: SandboxVoice, path: Path) -> None:
    path.chmod(0o644)  # noqa: ASYNC240  # nothing else runs
    again = SandboxVoice(path, KEYRING)
    await voice.create(outbound())
    await again.aclose()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(["sandbox.db", "sandbox.db-shm", "sandbox.db-wal"], 0o600)


async def test_no_file_holds_a_password(voice: SandboxVoice, path: Path) -> None:
    await voice.create(outbound())
    assert not [file for file in path.parent.iterdir() if PASSWORD[-20:].encode() in file.read_bytes()]


async def test_wrong_key_ring_is_told_at_the_start(voice: SandboxVoice, path: Path) -> None:
    await voice.create(outbound())
    for wrong in (Keyring.generate("k1"), Keyring.generate("k2")):
        with pytest.raises(SandboxFileError, match=r"sandbox\.db was written with other secret keys"):
            SandboxVoice(path, Keyring.parse(wrong))


async def test_older_key_of_the_ring_still_opens(voice: SandboxVoice, path: Path) -> None:
    leg = outbound()
    await voice.create(leg)
    rotated = SandboxVoice(path, Keyring.parse(f"{Keyring.generate('k2')},{RING}"))
    await rotated.create(leg)
    assert [held.leg for held in await rotated.list(LegKind.OUTBOUND)] == [leg, leg]
    await fails(voice.list(LegKind.OUTBOUND), VoiceCause.MISCONFIGURED)
    await rotated.aclose()


async def test_file_that_is_no_database_is_told_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and long enough to have a header" * 20)
    with pytest.raises(SandboxFileError, match=r"notes\.txt cannot be the sandbox's file"):
        SandboxVoice(path, KEYRING)


async def test_folder_that_cannot_be_made_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SandboxFileError, match="cannot be the sandbox's file"):
        SandboxVoice(tmp_path / "file" / "sandbox.db", KEYRING)


async def test_file_that_another_process_keeps_is_unavailable(voice: SandboxVoice, path: Path) -> None:
    hasty = SandboxVoice(path, KEYRING, patience=0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await fails(hasty.create(outbound()), VoiceCause.UNAVAILABLE)
        assert await hasty.list(LegKind.OUTBOUND) == []
    await hasty.aclose()
    await voice.create(outbound())


@pytest.mark.parametrize(
    ("code", "of_a_write", "of_a_read"),
    [
        (sqlite3.SQLITE_BUSY_SNAPSHOT, VoiceCause.UNAVAILABLE, VoiceCause.UNAVAILABLE),
        (sqlite3.SQLITE_READONLY_DBMOVED, VoiceCause.MISCONFIGURED, VoiceCause.MISCONFIGURED),
        (sqlite3.SQLITE_CORRUPT, VoiceCause.MISCONFIGURED, VoiceCause.MISCONFIGURED),
        (sqlite3.SQLITE_IOERR_FSYNC, VoiceCause.OUTCOME_UNKNOWN, VoiceCause.UNAVAILABLE),
        (sqlite3.SQLITE_FULL, VoiceCause.OUTCOME_UNKNOWN, VoiceCause.UNAVAILABLE),
    ],
)
def test_trouble_with_the_file_is_told_by_its_cause(code: int, of_a_write: VoiceCause, of_a_read: VoiceCause) -> None:
    error = sqlite3.OperationalError()
    error.sqlite_errorcode = code
    assert error_of(error, writing=True).cause is of_a_write
    assert error_of(error, writing=False).cause is of_a_read


async def test_simulation_needs_no_thread_and_repeats_its_ids(tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        voice = SandboxVoice(tmp_path / name, KEYRING, run=at_once, random=Random(7))  # noqa: S311  # a seed
        ids.append([await voice.create(outbound()) for _ in range(3)])
        await voice.aclose()
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3


async def test_concurrent_creates_of_one_number_make_one_trunk(voice: SandboxVoice) -> None:
    number = digits()
    made = await asyncio.gather(*(voice.create(inbound(number)) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(each, str) for each in made) == 1
    assert len(await voice.list(LegKind.INBOUND)) == 1


async def test_concurrent_rules_of_one_trunk_make_one_rule(voice: SandboxVoice) -> None:
    leg = rule()
    made = await asyncio.gather(*(voice.create(leg) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(each, str) for each in made) == 1
    assert len(await voice.list(LegKind.DISPATCH)) == 1


async def test_two_processes_give_no_number_twice_and_lose_nothing_when_killed(path: Path) -> None:
    numbers = [digits() for _ in range(30)]
    command = [sys.executable, "-c", CREATE_ALL, str(path), RING, *numbers]
    pipe = asyncio.subprocess.PIPE
    processes = [await asyncio.create_subprocess_exec(*command, stdout=pipe, cwd=ROOT) for _ in range(2)]
    lines = await asyncio.gather(*(_lines(process, len(numbers)) for process in processes))
    for process in processes:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    told = [line for each in lines for line in each]
    voice = SandboxVoice(path, KEYRING)
    kept = [held.voice_id for held in await voice.list(LegKind.INBOUND)]
    await voice.aclose()
    assert sorted(line for line in told if line.startswith("ST_")) == sorted(kept)
    assert len(kept) == told.count(VoiceCause.CONFLICT) == len(numbers)


async def _lines(process: asyncio.subprocess.Process, count: int) -> list[str]:
    assert process.stdout
    return [(await process.stdout.readline()).decode().strip() for _ in range(count)]


async def test_sandbox_loads_neither_livekit_nor_its_client() -> None:
    check = "import sys, trunkline.voice.sandbox; sys.exit(bool({'livekit', 'aiohttp', 'google'} & set(sys.modules)))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", check, cwd=ROOT, env={**os.environ})
    assert await process.wait() == 0
