"""Tortoise's SQLite client without a thread: each statement runs in the loop's own thread, between two virtual delays.

Chosen by the engine in Tortoise's configuration; the product's models and transactions stay as they are. Refuses to
block: who finds the file busy waits in virtual time.
"""
# ruff: noqa: SLF001  # stands in for the private thread of aiosqlite

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import aiosqlite
from tortoise.backends.sqlite.client import SqliteClient

from tests.simulation.loop import PROCESS, SimLoop, chance
from trunkline.database import MODULES

BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_LOCKED_SHAREDCACHE}
BUSY_SECONDS = 60.0  # PostgreSQL waits without limit
TRAVEL = (0.0001, 0.002)  # seconds that a request or a reply takes
RETRY = (0.001, 0.02)


class Store:
    """What the processes share: the file, the delays, the open connections. `on_commit` is told of every commit."""

    def __init__(self, path: Path, loop: SimLoop, seed: int) -> None:
        self.path = path
        self.loop = loop
        self.rng = chance(seed, "database")
        self.open: dict[str, list[sqlite3.Connection]] = {}
        self.on_commit: Callable[[], None] = lambda: None

    def config(self) -> dict[str, Any]:
        """Tortoise's configuration, with the product's own models."""
        credentials = {"file_path": str(self.path), "store": self, "synchronous": "OFF"}
        connection = {"engine": "tests.simulation.database", "credentials": credentials}
        models = {"models": list(MODULES), "default_connection": "sqlite"}
        return {"connections": {"sqlite": connection}, "apps": {"models": models}, "use_tz": True}

    def connect(self) -> sqlite3.Connection:
        raw = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        self.open.setdefault(PROCESS.get(), []).append(raw)
        return raw

    def kill(self, process: str) -> None:
        """SQLite rolls back what was not committed."""
        for raw in self.open.pop(process, ()):
            raw.close()

    def close(self) -> None:
        for process in list(self.open):
            self.kill(process)

    async def travel(self) -> None:
        await asyncio.sleep(self.rng.uniform(*TRAVEL))


class InlineConnection(aiosqlite.Connection):
    """An aiosqlite connection whose thread is never started."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.connect, 64)
        self.store = store

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        return self._connect().__await__()

    async def _connect(self) -> aiosqlite.Connection:
        self._connection = self._connection or self.store.connect()
        return self

    def stop(self) -> None:
        """Nothing was started."""

    def __del__(self) -> None:
        """Nothing was started."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._connection is None:
            raise ValueError("no active connection")
        if args[:1] == ("BEGIN",):
            args = ("BEGIN IMMEDIATE", *args[1:])  # two deferred ones that write end in an error, not in waiting
        await self.store.travel()  # a death here: nothing happened
        result = await self._done(self._connection, lambda: fn(*args, **kwargs))
        await self.store.travel()  # a death here: done, and nobody knows
        return result

    async def _done(self, raw: sqlite3.Connection, work: Callable[[], Any]) -> Any:
        give_up = self.store.loop.time() + BUSY_SECONDS
        while True:
            before = raw.in_transaction, raw.total_changes
            try:
                result = work()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in BUSY or self.store.loop.time() >= give_up:
                    raise
                await asyncio.sleep(self.store.rng.uniform(*RETRY))
                continue
            if not raw.in_transaction and (before[0] or raw.total_changes != before[1]):
                self.store.on_commit()
            return result


class SimClient(SqliteClient):
    """Opens an InlineConnection."""

    def __init__(self, file_path: str, *, store: Store, **kwargs: Any) -> None:
        super().__init__(file_path, **kwargs)
        self.pragmas.pop("database", None)
        self.store = store

    async def create_connection(self, with_db: bool) -> None:  # noqa: ARG002  # Tortoise's signature
        if self._connection:
            return
        self._connection = await InlineConnection(self.store)
        self._connection._conn.row_factory = sqlite3.Row
        for pragma, value in self.pragmas.items():
            self._connection._conn.execute(f"PRAGMA {pragma}={value}")
        await self._post_connect()


client_class = SimClient
