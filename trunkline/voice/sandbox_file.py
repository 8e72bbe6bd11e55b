"""The sandbox's file: SQLite, for its owner only, on the disk before a call is answered. Refuses to be read by others.

All work on it is short and synchronous; `Run` decides where it happens, so that a simulation can do without threads.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from models.secret import KeyringError
from trunkline.voice import VoiceError
from trunkline.voice.verdicts import misconfigured, refused, unavailable, unknown_outcome

OWNER_ONLY = 0o600
PATIENCE_SECONDS = 5.0  # how long a call waits while another process writes
SIDE_FILES = ("", "-wal", "-shm", "-journal")
BUSY_CODES = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
UNUSABLE_CODES = frozenset(
    {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS held (
    voice_id TEXT PRIMARY KEY, kind TEXT NOT NULL, leg TEXT NOT NULL,
    key_id TEXT NOT NULL, auth_password BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS called (text TEXT NOT NULL, voice_id TEXT NOT NULL, PRIMARY KEY (text, voice_id));
CREATE INDEX IF NOT EXISTS called_by ON called (voice_id);
CREATE INDEX IF NOT EXISTS ruled_by ON held (json_extract(leg, '$.trunk_ids[0]')) WHERE kind = 'dispatch';
"""

T = TypeVar("T")


class SandboxFileError(Exception):
    """A file that cannot be the sandbox's: one line that names it and says why."""


class Run(Protocol):
    """How the work on the file is run: in a thread of its own, or at once."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Run the work and give its result; raise what it raises."""


def in_a_thread() -> Run:
    """Run all work in one thread, so that the loop goes on while the disk writes."""
    thread = ThreadPoolExecutor(1, "sandbox")

    async def run(work: Callable[[], T], /) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work)

    return run


def opened(path: Path, patience: float) -> sqlite3.Connection:
    """Open the file, or make it, or raise SandboxFileError. `patience`: seconds to wait for another process."""
    try:
        _make_private(path)
        db = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
        _use_wal(db, patience)
        db.execute("PRAGMA synchronous=FULL")
        with transaction(db):
            for statement in SCHEMA.strip().split(";\n"):
                db.execute(statement)
    except (OSError, sqlite3.Error) as error:
        message = f"{path} cannot be the sandbox's file: {error}"
        raise SandboxFileError(message) from error
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Take the file for writing; all or nothing is kept."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def error_of(error: sqlite3.Error | KeyringError | UnicodeError, *, writing: bool) -> VoiceError:
    """Tell what went wrong with the file."""
    if isinstance(error, KeyringError):
        return misconfigured("The sandbox's file holds a password that TRUNKLINE_SECRET_KEYS cannot open.")
    if isinstance(error, UnicodeError):
        return refused("text that is not Unicode")
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the primary part of an extended code
    if code in UNUSABLE_CODES:
        return misconfigured("The sandbox's file cannot be used; see TRUNKLINE_SANDBOX_FILE.")
    if code in BUSY_CODES or not writing:
        return unavailable("The sandbox's file could not be read or written.")
    return unknown_outcome("The sandbox's file could not be written.")


def _make_private(path: Path) -> None:
    """SQLite gives its side files the mode of the file; those of an earlier time are corrected."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
    for name in (path.with_name(path.name + suffix) for suffix in SIDE_FILES):
        if name.exists():
            name.chmod(OWNER_ONLY)


def _use_wal(db: sqlite3.Connection, patience: float) -> None:
    """Switch to write-ahead logging; two processes that start together refuse each other without waiting."""
    until = time.monotonic() + patience
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in BUSY_CODES or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
