"""The commands `workspaces` and `api-keys`: for who has the database, whatever any API key may do."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click

from trunkline.settings import read_settings

ACTOR = "command line"
SCOPES = ("READ", "WRITE", "OPERATOR")  # of models.workspace.ApiKeyScope, which is imported only when it is used


class Name(click.ParamType[str]):
    """A name that can be printed, trimmed."""

    name = "name"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Trim and check it."""
        from models.workspace import NAME_MAX

        if not (value.isprintable() and 1 <= len(value.strip()) <= NAME_MAX):
            self.fail(f"1-{NAME_MAX} printable characters", param, ctx)
        return value.strip()


class Expiry(click.ParamType[datetime]):
    """A time in the future: `90d`, `2027-01-31` or with a time and an offset, `2027-01-31T18:00:00+01:00`."""

    name = "time"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """A date is its beginning in UTC."""
        now = datetime.now(UTC)
        try:
            days = value.removesuffix("d") if isinstance(value, str) else ""
            at = now + timedelta(days=int(days)) if days.isdecimal() else datetime.fromisoformat(str(value))
        except (ValueError, OverflowError):
            self.fail("90d, 2027-01-31 or 2027-01-31T18:00:00+01:00", param, ctx)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if at <= now:
            self.fail("must be in the future", param, ctx)
        return at


@click.group()
def workspaces() -> None:
    """Make and list workspaces."""


@workspaces.command("create")
@click.argument("name", type=Name())
def create_workspace(name: str) -> None:
    """Make a workspace; its id and its first key are printed, the key this once."""
    from trunkline.keys import Caller
    from trunkline.start import started
    from trunkline.workspaces import new_workspace

    async def work() -> None:
        async with started(read_settings(os.environ)) as start:
            made = await new_workspace(start.keyring, Caller(start.workspace_id, ACTOR), name)
            if made.workspace is None or made.secret is None:
                raise click.ClickException(made.problems[0].message)
            click.echo(f"{made.workspace.id}\n{made.secret.reveal()}")

    asyncio.run(work())


@workspaces.command("list")
def list_workspaces() -> None:
    """Show the workspaces: id, name."""
    from models.workspace import Workspace
    from trunkline.start import started

    async def work() -> None:
        async with started(read_settings(os.environ)):
            for workspace in await Workspace.all().order_by("created_at"):
                click.echo(f"{workspace.id}  {workspace.name}")

    asyncio.run(work())


@click.group("api-keys")
def api_keys() -> None:
    """Make, list and revoke API keys."""


@api_keys.command("create")
@click.argument("name", type=Name())
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="May be repeated. Default: all.")
@click.option("--expires", type=Expiry(), help="When it stops working: 90d, 2027-01-31 or with a time. Default: never.")
@click.option("--workspace", default="default", show_default=True, help="The workspace's name or id.")
def create_api_key(name: str, scopes: Sequence[str], expires: datetime | None, workspace: str) -> None:
    """Make a key; it is printed this once."""
    from tortoise.transactions import in_transaction

    from models.workspace import ApiKeyScope
    from trunkline.events import record
    from trunkline.keys import Caller, create_key
    from trunkline.start import started

    may = {ApiKeyScope(scope) for scope in scopes or SCOPES}

    async def work() -> None:
        async with started(read_settings(os.environ)) as start:
            owner = await _workspace(workspace)
            async with in_transaction():
                key, secret = await create_key(start.keyring, owner, name, scopes=may, expires_at=expires)
                fields = ("name", "scopes", "expiresAt")
                await record(Caller(owner, ACTOR), "api_key.created", key.id, changed_fields=fields)
            click.echo(f"{key.id}\n{secret.reveal()}")

    asyncio.run(work())


async def _workspace(name_or_id: str) -> str:
    from tortoise.expressions import Q

    from models.workspace import Workspace

    found = await Workspace.get_or_none(Q(name=name_or_id) | Q(id=name_or_id))
    if found is None:
        raise click.ClickException(f"There is no workspace {name_or_id}.")
    return found.id


@api_keys.command("list")
def list_api_keys() -> None:
    """Show the keys: id, what is shown of the key, state, scopes, workspace, name."""
    from models.workspace import ApiKey
    from trunkline.keys import works
    from trunkline.start import started

    async def work() -> None:
        async with started(read_settings(os.environ)):
            for key in await ApiKey.all().order_by("id").prefetch_related("workspace"):
                state = "revoked" if key.revoked_at else "active" if works(key) else "expired"
                may = key.scopes.replace(" ", ",")
                click.echo(f"{key.id}  {key.prefix}…  {state}  {may}  {key.workspace.name}  {key.name}")

    asyncio.run(work())


@api_keys.command("revoke")
@click.argument("key_id")
def revoke_api_key(key_id: str) -> None:
    """Revoke a key for good; says so when nobody of its workspace can make another one then."""
    from tortoise.transactions import in_transaction

    from models.workspace import ApiKey
    from trunkline.events import record
    from trunkline.keys import Caller, revoke_key
    from trunkline.start import started
    from trunkline.workspaces import operators_among, visible_keys

    async def work() -> None:
        async with started(read_settings(os.environ)):
            key = await ApiKey.get_or_none(id=key_id)
            async with in_transaction():
                if key is None or not await revoke_key(key_id):
                    raise click.ClickException(f"No active key has the id {key_id}.")
                await record(Caller(key.workspace_id, ACTOR), "api_key.revoked", key_id)
            click.echo("Revoked.")
            if not operators_among(await visible_keys(key.workspace_id)):
                click.echo("Its workspace has no working key with the scope OPERATOR any more: `api-keys create`.")

    asyncio.run(work())
