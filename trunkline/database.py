"""The database: opening it, migrating it, its clock and its identity. Refuses to show a URL's password."""

import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
from tortoise import Tortoise
from tortoise.backends.base.client import BaseDBAsyncClient, TransactionalDBClient
from tortoise.backends.base.config_generator import expand_db_url
from tortoise.exceptions import BaseORMException, IntegrityError
from tortoise.migrations.executor import MigrationExecutor

from models.identifiers import new_id
from models.workspace import Installation, Workspace
from trunkline import row_security
from trunkline.settings import SettingError, Settings

MIGRATION_LOCK = 0x7472_756E  # any number of our own for PostgreSQL's advisory lock
DEFAULT_WORKSPACE = "default"
MODULES = (
    "models.assistant",
    "models.call",
    "models.event",
    "models.idempotency_key",
    "models.sip_trunk",
    "models.trunk_leg",
    "models.workspace",
)
# busy_timeout: other processes (the command line) may write; synchronous: an answered create is on disk
SQLITE_PRAGMAS = {"journal_mode": "WAL", "synchronous": "FULL", "busy_timeout": "5000", "foreign_keys": "ON"}
SETTING = "TRUNKLINE_DATABASE_URL"
# What a database that is gone or not ours is told by: Tortoise hands on some of the drivers' errors as they are.
# InternalClientError: a connection that the server has ended, in the instant before it is seen to be closed.
UNUSABLE = (
    BaseORMException,
    OSError,
    sqlite3.Error,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

Row = TypeVar("Row", Installation, Workspace)


class DatabaseError(Exception):
    """A database that cannot be used: one line, without any value of a row or a password."""


def tortoise_config(settings: Settings) -> dict[str, Any]:
    """Tortoise's configuration of these settings."""
    name = "sqlite" if settings.sqlite_file else "postgres"  # Tortoise keeps a statement cache per name in the process
    models = {"models": list(MODULES), "migrations": "models.migrations", "default_connection": name}
    return {"connections": {name: _connection(settings)}, "apps": {"models": models}, "use_tz": True}


def _connection(settings: Settings) -> dict[str, Any]:
    if settings.sqlite_file:  # not as a URL, in which a path may mean another one
        credentials = {"file_path": str(settings.sqlite_file), **SQLITE_PRAGMAS}
        return {"engine": "tortoise.backends.sqlite", "credentials": credentials}
    url = settings.database_url.reveal()
    parts: dict[str, Any] = expand_db_url("asyncpg" + url.removeprefix(urlsplit(url).scheme))
    walled = {"connection_class": row_security.Connection, "setup": row_security.enter, "reset": row_security.leave}
    parts["credentials"] |= walled
    return parts


def _make(path: Path) -> None:
    """Make an empty file that only we can read, unless it is there; SQLite gives its WAL the same mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise SettingError(SETTING, f"the file {path} cannot be made: {error.strerror}") from None


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[None]:
    """Open the database for this process, and close it whatever happens."""
    if settings.sqlite_file:
        _make(settings.sqlite_file)
    # Requests run in other tasks than the start, so the context has to be found from everywhere.
    context = await Tortoise.init(config=tortoise_config(settings), _enable_global_fallback=True)
    try:
        # Not at the first query: Tortoise keeps SQLite's lock when opening fails there, and the next query hangs.
        await connection().create_connection(with_db=True)
        yield
    finally:
        await context.close_connections()


@asynccontextmanager
async def migrated(settings: Settings) -> AsyncIterator[None]:
    """Open the database with every migration applied; replicas that start together take turns."""
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(opened(settings))
            await _migrate(settings)
        except row_security.WallError as error:
            raise DatabaseError(f"{SETTING}: {shown(settings)}: {error}") from None
        except (*UNUSABLE, ValueError, TypeError) as error:  # the last two: a URL's parameters; texts may quote values
            message = f"{SETTING}: {shown(settings)} cannot be used ({type(error).__name__})"
            raise DatabaseError(message) from None
        yield


async def _migrate(settings: Settings) -> None:
    if settings.sqlite_file:
        await _executor(settings).migrate()
        return
    async with connection().acquire_connection() as holder:  # the lock is this connection's
        await holder.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        try:
            await _executor(settings).migrate()
            await row_security.build(holder, [*map(row_security.table_of, Tortoise.apps["models"].values())])
        finally:
            await holder.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)


def _executor(settings: Settings) -> MigrationExecutor:
    return MigrationExecutor(connection(), tortoise_config(settings)["apps"])


def connection() -> BaseDBAsyncClient:
    """The open database's connection."""
    return Installation._meta.db  # noqa: SLF001  # Tortoise has no public name for it


@contextmanager
def as_installation() -> Iterator[None]:
    """The one way for a workspace's work to ask about all workspaces: whose a number is, making a workspace."""
    assert not isinstance(connection(), TransactionalDBClient), "a transaction keeps its role"  # noqa: S101
    with row_security.behind_the_wall(None):
        yield


async def take_turns(name: str) -> None:
    """One transaction at a time goes on from here until it ends, over all replicas; on SQLite there is one anyway."""
    if connection().capabilities.dialect == "postgres":
        await connection().execute_query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [name])


async def pending_migrations(settings: Settings) -> int:
    """How many migrations the database lacks."""
    await connection().execute_query("SELECT 1")  # Tortoise takes a lost database for one without migrations
    return len(await _executor(settings).plan())


async def now() -> datetime:
    """The database's clock, which all replicas share; on SQLite there is one process and its clock is as good."""
    database = connection()
    if database.capabilities.dialect == "sqlite":
        return datetime.now(UTC)
    rows = await database.execute_query_dict("SELECT clock_timestamp() AS now")
    at: datetime = rows[0]["now"]
    return at


async def installation() -> Installation:
    """The database's identity, made with it."""
    return await _the_one(Installation, {"only": True}, "inst")


async def default_workspace() -> Workspace:
    """The workspace that is there from the start."""
    return await _the_one(Workspace, {"name": DEFAULT_WORKSPACE}, "ws")


async def _the_one(model: type[Row], key: dict[str, Any], prefix: str) -> Row:
    if row := await model.get_or_none(**key):
        return row
    try:
        return await model.create(id=new_id(prefix), created_at=await now(), **key)
    except IntegrityError:  # another replica made it in this instant
        return await model.get(**key)


def shown(settings: Settings) -> str:
    """The database URL as it may be shown: without the password and the parameters, where one may stand too."""
    url = settings.database_url.reveal()
    if settings.sqlite_file:
        return url
    parts = urlsplit(url)
    user = f"{parts.username}{':********' if parts.password else ''}@" if parts.username else ""
    return f"{parts.scheme}://{user}{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextmanager
def only_process(settings: Settings) -> Iterator[None]:
    """Keep a second server off the same SQLite file: claims of a dead process are told by there being only one."""
    if settings.sqlite_file is None:
        yield
        return
    path = settings.sqlite_file.with_name(settings.sqlite_file.name + ".lock")
    _make(path)
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            why = f"{settings.sqlite_file} is in use by another trunkline process; use PostgreSQL for several"
            raise SettingError(SETTING, why) from None
        yield
