"""The command line: serving, the schema, carriers, keys, moving in. A wrong setting is one line, no traceback."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

import click

from trunkline.adopt_command import adopt
from trunkline.key_commands import api_keys, workspaces
from trunkline.settings import SettingError, Settings, read_settings

if TYPE_CHECKING:
    from models.secret import Keyring
    from trunkline.rotation import Use
    from trunkline.voice.sandbox import SandboxVoice

T = TypeVar("T")
KEYRING = "keyring"  # who acts, in events


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


@main.command()
def providers() -> None:
    """Print the page of carriers and PBXs, docs/carriers.md."""
    from trunkline.providers_page import page

    click.echo(page(), nl=False)


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
    """Say which keys the ring holds, that the database needs no other, and what each is used for."""
    from trunkline.rotation import uses
    from trunkline.start import started

    async def work() -> None:
        settings = _settings()
        async with started(settings) as start, _sandbox(settings, start.keyring) as sandbox:
            ring = start.keyring
            click.echo(f"The ring fits. Writing with {ring.writing}; reading {', '.join(ring.key_ids)}.")
            _tell_uses(ring.key_ids, await uses(sandbox))

    _run(work())


@keyring.command("rotate")
def rotate_keyring() -> None:
    """Encrypt everything with a new key, while the server serves.

    The ring's file gets a new key by itself. With TRUNKLINE_SECRET_KEYS put the new key behind the others first and
    restart every server, then in front and restart again: all have to know a key before one of them writes with it.
    """
    from models.event import Action
    from trunkline.events import by_itself, record
    from trunkline.rotation import new_key, rotate, uses
    from trunkline.start import ring_file, started

    async def work() -> None:
        settings = _settings()
        async with started(settings) as start, _sandbox(settings, start.keyring) as sandbox:
            ring = start.keyring
            if path := ring_file(settings):
                click.echo(f"The new key {new_key(path)} is in {path} and writes from now on.")
                ring.refresh()
            done = await rotate(settings, start, sandbox)
            await record(by_itself(start.workspace_id, KEYRING), Action.KEYRING_ROTATED, start.installation_id)
            counts = ", ".join(f"{count} {what}" for what, count in done.items()) or "nothing"
            click.echo(f"Sealed again with {ring.writing}: {counts}.")
            _tell_uses(ring.key_ids, await uses(sandbox))

    _run(work())


@keyring.command("drop")
@click.argument("key_id")
def drop_key(key_id: str) -> None:
    """Take a key out of the ring's file, when nothing needs it any more."""
    from models.event import Action
    from trunkline.events import by_itself, record
    from trunkline.rotation import RotationError, drop
    from trunkline.start import ring_file, started

    async def work() -> None:
        settings = _settings()
        path = ring_file(settings)
        if path is None:
            raise click.ClickException("Take it out of TRUNKLINE_SECRET_KEYS when `keyring check` says it is free.")
        async with started(settings) as start, _sandbox(settings, start.keyring) as sandbox:
            try:
                await drop(settings, path, key_id, sandbox)
                await record(by_itself(start.workspace_id, KEYRING), Action.KEYRING_DROPPED, start.installation_id)
            except RotationError as error:
                raise click.ClickException(str(error)) from None

    _run(work())
    click.echo(f"Dropped {key_id}.")


def _tell_uses(key_ids: tuple[str, ...], found: "list[Use]") -> None:
    from trunkline.rotation import NEEDLESS, told

    for position, key_id in enumerate(key_ids):
        mine = [use for use in found if use.key_id == key_id]
        free = position and all(use.what in NEEDLESS for use in mine)
        click.echo(f"{key_id}: {told(mine) or 'used for nothing'}{'; it can be dropped' if free else ''}.")


@asynccontextmanager
async def _sandbox(settings: Settings, ring: "Keyring") -> "AsyncIterator[SandboxVoice | None]":
    """The sandbox's file, where there is one."""
    from trunkline.asgi import open_voice
    from trunkline.voice.sandbox import SandboxVoice

    voice = open_voice(settings, ring) if settings.livekit is None else None
    try:
        yield voice if isinstance(voice, SandboxVoice) else None
    finally:
        if voice:
            await voice.aclose()


for command in (workspaces, api_keys, adopt):
    main.add_command(command)


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
