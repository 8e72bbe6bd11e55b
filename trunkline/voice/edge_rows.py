"""The rows that the edge reads, in SQLite or PostgreSQL. Refuses to hand on a driver's words, which may quote a secret.

The tables are edge/schema.sql's. Each write notes a new generation in the same transaction, by which the edge tells
what it has loaded. A connection lives as long as one piece of work, so that an edge's database may come and go.
"""

import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import asyncpg

from models.secret import Secret
from trunkline.setting_values import SQLITE
from trunkline.voice import VoiceError
from trunkline.voice.sandbox_file import BUSY_CODES, in_a_thread, transaction
from trunkline.voice.verdicts import misconfigured, refused, unavailable, unknown_outcome

PATIENCE_SECONDS = 2.0  # for a lock, a connection, an answer: below every call's deadline
NEW_GENERATION = "UPDATE edge_generation SET generation = $1"
ERRORS = (sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
UNUSABLE = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
    asyncpg.ReadOnlySQLTransactionError,
)
REFUSED = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)

Row = Sequence[Any]


class Rows(Protocol):
    """Statements are written with $1, $2 … for their values. VoiceError is all that is raised."""

    async def read(self, statement: str, *values: str) -> Sequence[Row]:
        """Give what is selected."""

    async def write(self, statement: str, *values: str) -> int:
        """Change rows and note a new generation, both or none; how many rows it were."""


def rows_at(url: Secret) -> Rows:
    """The rows in the database of a URL."""
    text = url.reveal()
    if text.startswith(SQLITE):
        return _SqliteRows(Path(text.removeprefix(SQLITE).partition("?")[0]))
    return _PostgresRows(f"postgres{text.removeprefix(urlsplit(text).scheme)}")


class _SqliteRows:
    """In a file that the edge has made: without it nothing is there to be written."""

    def __init__(self, path: Path) -> None:
        self._uri = f"file:{quote(str(path))}?mode=rw"
        self._run = in_a_thread()

    async def read(self, statement: str, *values: str) -> Sequence[Row]:
        try:
            return await self._run(lambda: self._read(statement, values))
        except ERRORS as error:
            failure = _error_of(error, writing=False)
        raise failure

    async def write(self, statement: str, *values: str) -> int:
        try:
            return await self._run(lambda: self._written(statement, values))
        except ERRORS as error:
            failure = _error_of(error, writing=True)
        raise failure

    def _read(self, statement: str, values: Sequence[str]) -> Sequence[Row]:
        with closing(self._opened()) as db:
            return db.execute(statement.replace("$", "?"), values).fetchall()

    def _written(self, statement: str, values: Sequence[str]) -> int:
        with closing(self._opened()) as db, transaction(db):
            db.execute(NEW_GENERATION.replace("$", "?"), (_generation(),))
            return db.execute(statement.replace("$", "?"), values).rowcount

    def _opened(self) -> sqlite3.Connection:
        return sqlite3.connect(self._uri, uri=True, timeout=PATIENCE_SECONDS, isolation_level=None)


class _PostgresRows:
    """In a database that several trunklines and edges may share."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def read(self, statement: str, *values: str) -> Sequence[Row]:
        try:
            connection = await self._opened()
            try:
                return [tuple(each) for each in await connection.fetch(statement, *values)]
            finally:
                await connection.close(timeout=PATIENCE_SECONDS)
        except ERRORS as error:
            failure = _error_of(error, writing=False)
        raise failure

    async def write(self, statement: str, *values: str) -> int:
        writing = False
        try:
            connection = await self._opened()
            writing = True
            try:
                async with connection.transaction():
                    await connection.execute(NEW_GENERATION, _generation())
                    told = await connection.execute(statement, *values)  # as in "UPDATE 1"
            finally:
                await connection.close(timeout=PATIENCE_SECONDS)
            return int(told.rpartition(" ")[2])
        except ERRORS as error:
            failure = _error_of(error, writing=writing)
        raise failure

    async def _opened(self) -> asyncpg.Connection:
        return await asyncpg.connect(self._url, timeout=PATIENCE_SECONDS, command_timeout=PATIENCE_SECONDS)


def _generation() -> str:
    return secrets.token_hex(8)


def _error_of(error: Exception, *, writing: bool) -> VoiceError:
    """Tell what went wrong, never in the driver's words."""
    if isinstance(error, REFUSED):
        return refused("a value that the edge's database does not take")
    if isinstance(error, UNUSABLE):
        return misconfigured("TRUNKLINE_EDGE_DATABASE cannot be used; edge/README.md tells what it needs.")
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the primary part of an extended code
        if code not in BUSY_CODES | {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}:
            return misconfigured("TRUNKLINE_EDGE_DATABASE cannot be used; edge/README.md tells what it needs.")
        writing = writing and code not in BUSY_CODES
    if writing:
        return unknown_outcome("The edge's database did not answer.")
    return unavailable("The edge's database could not be reached.")
