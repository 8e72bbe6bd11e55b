"""The command line: serve, migrate, schema, api-keys, keyring. Errors of settings are one line, never a traceback."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, TypeVar

import click

from trunkline.settings import SettingError, Settings, read_settings

T = TypeVar("T")


def _settings() -> Settings:
    return read_settings(os.environ)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Trunkline: SIP trunks for your own LiveKit, through one GraphQL API. Settings come from the environment."""


@main.command()
@click.option("--host", help="Address to listen on (default: TRUNKLINE_HOST, else 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default: TRUNKLINE_PORT, else 8000).")
def serve(host: str | None, port: int | None) -> None:
    """Migrate the database and serve the API and the GraphiQL page."""
    from trunkline.serving import serve_forever

    settings = _settings()
    port = settings.port if port is None else port
    serve_forever(replace(settings, host=host or settings.host, port=port))


@main.command()
def migrate() -> None:
    """Bring the database to this version's form."""
    from trunkline import database

    async def work() -> None:
        async with database.migrated(_settings()):
            pass

    _run(work())
    click.echo("The database is up to date.")


@main.command()
def schema() -> None:
    """Print the GraphQL schema."""
    from gql.schema import schema as built

    click.echo(built.as_str())


@main.group("api-keys")
def api_keys() -> None:
    """Make, list and revoke API keys."""


@api_keys.command("create")
@click.argument("name")
def create_api_key(name: str) -> None:
    """Make a key; it is printed this once."""
    from models.workspace import NAME_MAX
    from trunkline.keys import create_key
    from trunkline.start import started

    if not (name.isprintable() and 1 <= len(name.strip()) <= NAME_MAX):
        raise click.BadParameter(f"1-{NAME_MAX} printable characters", param_hint="NAME")

    async def work() -> None:
        async with started(_settings()) as start:
            key, secret = await create_key(start.keyring, start.workspace_id, name.strip())
            click.echo(f"{key.id}\n{secret.reveal()}")

    _run(work())


@api_keys.command("list")
def list_api_keys() -> None:
    """Show the keys: id, what is shown of the key, state, name."""
    from models.workspace import ApiKey
    from trunkline.start import started

    async def work() -> None:
        async with started(_settings()):
            for key in await ApiKey.all().order_by("id"):
                state = "revoked" if key.revoked_at else "active"
                click.echo(f"{key.id}  {key.prefix}…  {state}  {key.name}")

    _run(work())


@api_keys.command("revoke")
@click.argument("key_id")
def revoke_api_key(key_id: str) -> None:
    """Revoke a key for good."""
    from trunkline.keys import revoke_key
    from trunkline.start import started

    async def work() -> bool:
        async with started(_settings()):
            return await revoke_key(key_id)

    if not _run(work()):
        raise click.ClickException(f"No active key has the id {key_id}.")
    click.echo("Revoked.")


@main.group()
def keyring() -> None:
    """The keys that encrypt the passwords."""


@keyring.command("new")
@click.argument("key_id", default="k1")
def new_key(key_id: str) -> None:
    """Print a new random key for TRUNKLINE_SECRET_KEYS, newest first in the ring."""
    from models.secret import KEY_ID, Keyring

    if not KEY_ID.fullmatch(key_id):
        raise click.BadParameter("1-16 lower case letters or digits", param_hint="KEY_ID")
    click.echo(Keyring.generate(key_id))


@keyring.command("check")
def check_keyring() -> None:
    """Say which keys the ring holds and that the database needs no other."""
    from trunkline.start import started

    async def work() -> None:
        async with started(_settings()) as start:
            click.echo(
                f"The ring fits. Writing with {start.keyring.writing}; reading {', '.join(start.keyring.key_ids)}."
            )

    _run(work())


def command_line() -> None:
    """Run a command; what is wrong with the settings or the database is one line."""
    if find_spec("gql.context") is None:  # the client library of that name was installed over ours
        sys.exit("The folder gql is not trunkline's: uninstall the PyPI package gql from this environment.")
    from trunkline.database import DatabaseError

    try:
        main(prog_name="python -m trunkline")
    except (SettingError, DatabaseError) as error:
        sys.exit(f"trunkline: {error}")


if __name__ == "__main__":
    command_line()
