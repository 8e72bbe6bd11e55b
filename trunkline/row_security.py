"""Row level security on PostgreSQL: a second wall behind our own filters, at which the server shows one workspace.

What is done for a workspace is done as a role of this database that cannot log in, and that sees and writes the rows of
the workspace that is set. Everything else is done as the role that connects: the reconciler, authentication, the
command line, and what `trunkline.database.as_installation` asks. SQLite has no such thing.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
from tortoise.models import Model

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Base = asyncpg.Connection[asyncpg.Record]
    Pooled = PoolConnectionProxy[asyncpg.Record]
else:
    Base = asyncpg.Connection

ROLE = "(left(current_database(), 56) || '_tenant')"  # roles are the server's, hence the database in the name
ENTER = f"SELECT set_config('role', {ROLE}, false), set_config('trunkline.workspace', $1, false)"
LEAVE = "RESET ROLE"
HERE = "current_setting('trunkline.workspace', true)"
OF_TRUNK = "EXISTS (SELECT FROM sip_trunk WHERE sip_trunk.id = trunk_id)"  # of those that the role sees
STANDS = f"""
SELECT ($2::text IS NULL OR relrowsecurity AND relforcerowsecurity AND EXISTS (
    SELECT FROM pg_policy WHERE polrelid = c.oid AND polname = current_user AND obj_description(oid, 'pg_policy') = $2))
  AND (SELECT bool_and(has_table_privilege({ROLE}, c.oid, right_)) FROM unnest($3::text[]) AS right_)
FROM pg_class AS c WHERE oid = $1::text::regclass
"""  # noqa: S608  # our own words
MIGHTY = f"SELECT rolcanlogin OR rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = {ROLE}"  # noqa: S608  # as above
EVERYTHING = ("SELECT", "INSERT", "UPDATE", "DELETE")
# What the role may do where that is less. A table that belongs to no workspace is closed to it unless it is named here.
RIGHTS: Mapping[str, tuple[str, ...]] = {
    "workspace": ("SELECT",),
    "api_key": ("SELECT", "INSERT", "UPDATE"),
    "event": ("SELECT", "INSERT"),
    "call": ("SELECT",),
    "installation": ("SELECT",),
    "retired_trunk": ("SELECT", "INSERT"),
}

_workspace: ContextVar[str | None] = ContextVar("workspace", default=None)


class WallError(Exception):
    """The wall cannot be built, or does not hold: one line that says what to do."""


@contextmanager
def behind_the_wall(workspace_id: str | None) -> Iterator[None]:
    """Work within one workspace in this task and in those that it starts; None: as the role that connects.

    Not undone by a token: a stream may be closed from another context than the one that began it.
    """
    before = _workspace.get()
    _workspace.set(workspace_id)
    try:
        yield
    finally:
        _workspace.set(before)


class Connection(Base):
    """Knows as whom it stands on the server. A new one stands as the role that connects."""

    __slots__ = ("workspace_id",)

    async def stand(self, workspace_id: str | None) -> None:
        """Stand for a workspace, or as the role that connects; the server is told only when that is another one."""
        if getattr(self, "workspace_id", None) != workspace_id:
            await (self.execute(ENTER, workspace_id) if workspace_id else self.execute(LEAVE))
            self.workspace_id = workspace_id


async def enter(connection: Any) -> None:  # noqa: ANN401  # the pool's proxy of a Connection
    """Prepare a pooled connection for the one who asks for it; when that fails the pool closes it."""
    await connection.stand(_workspace.get())


async def leave(_connection: object) -> None:
    """Nothing: whoever asks next says who it is, and nothing else of a session is ever set."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table by what matters here. `rows`: the condition by which a row is of the workspace; None: none is of any."""

    name: str
    rows: str | None
    key: str | None  # the column that a sequence fills

    @property
    def rights(self) -> Sequence[str]:
        """What the role may do."""
        return RIGHTS.get(self.name, EVERYTHING if self.rows else ())


def table_of(model: type[Model]) -> Table:
    """Every table with a workspace's or a trunk's id is walled, a new one too."""
    meta = model._meta  # noqa: SLF001  # Tortoise has no public name for it
    columns, rows = meta.db_fields, None
    if meta.db_table == "workspace":
        rows = f"id = {HERE}"
    elif "workspace_id" in columns:
        rows = f"workspace_id = {HERE}"
    elif "trunk_id" in columns:
        rows = OF_TRUNK
    return Table(meta.db_table, rows, meta.db_pk_column if meta.pk.generated else None)


async def build(connection: "Pooled", tables: Sequence[Table]) -> None:
    """See to it that the role, its rights and the policies are as this version wants them, and that they hold."""
    role, user = [*(await connection.fetch(f"SELECT quote_ident({ROLE}), quote_ident(current_user)"))[0]]
    try:
        await _make_role(connection, role)
        for table in tables:
            await _wall(connection, table, role, user)
        await _prove(connection, [f'"{table.name}"' for table in tables if table.rows])
    except asyncpg.InsufficientPrivilegeError:
        advice = f"CREATE ROLE {role} NOLOGIN; GRANT {role} TO {user};"
        why = f"{user} may not set up row level security; it must own the tables, and an administrator must run once:"
        raise WallError(f"{why} {advice}") from None


async def _make_role(connection: "Pooled", role: str) -> None:
    mighty = await connection.fetchval(MIGHTY)
    if mighty:
        raise WallError(f"the role {role} must be NOLOGIN NOSUPERUSER NOBYPASSRLS")
    if mighty is None:
        await connection.execute(f"CREATE ROLE {role} NOLOGIN; GRANT {role} TO CURRENT_USER")


async def _wall(connection: "Pooled", table: Table, role: str, user: str) -> None:
    """Policies and rights of one table, unless they stand; changing them locks the table for an instant."""
    if not table.rights or await connection.fetchval(STANDS, f'"{table.name}"', table.rows, table.rights):
        return
    statements = [f'GRANT {", ".join(table.rights)} ON "{table.name}" TO {role}']
    if table.rows:
        statements += _policies(table.name, table.rows, role, user)
    if table.key:
        sequence = await connection.fetchval("SELECT pg_get_serial_sequence($1, $2)", f'"{table.name}"', table.key)
        statements.append(f"GRANT USAGE ON SEQUENCE {sequence} TO {role}")
    await connection.execute("; ".join(statements))


def _policies(table: str, rows: str, role: str, user: str) -> list[str]:
    """Each named after the role that it is for. FORCE binds the tables' owner too, so that it needs one of its own."""
    noted = rows.replace("'", "''")
    return [
        f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
        f'DROP POLICY IF EXISTS {role} ON "{table}"',
        f'CREATE POLICY {role} ON "{table}" TO {role} USING ({rows})',
        f'DROP POLICY IF EXISTS {user} ON "{table}"',
        f'CREATE POLICY {user} ON "{table}" TO {user} USING (true)',
        f"""COMMENT ON POLICY {user} ON "{table}" IS '{noted}'""",
    ]


async def _prove(connection: "Pooled", tables: list[str]) -> None:
    """Enter as a request does, and ask the server whether it would filter."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(ENTER, "nobody")
        active = "SELECT bool_and(row_security_active(name::regclass)) FROM unnest($1::text[]) AS name"
        if not await connection.fetchval(active, tables):
            raise WallError("row level security does not hold for the role of requests")
    finally:
        await transaction.rollback()
