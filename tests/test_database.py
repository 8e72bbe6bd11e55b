"""The database file, its migrations, and every database that cannot be used: one line, no secret, no hanging."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from models.secret import Keyring, Secret
from models.sip_trunk import SipTrunk
from tests.api import codes, quick_settings, served_house
from tests.waiting import until
from trunkline import database
from trunkline.asgi import served
from trunkline.database import DatabaseError
from trunkline.settings import SettingError, Settings
from trunkline.start import load_keyring, started

PATIENCE_SECONDS = 5
PASSWORD = "s3cret"


async def refusal(settings: Settings) -> str:
    """The one line of a start that is refused, in good time."""
    with pytest.raises((SettingError, DatabaseError)) as caught:
        async with asyncio.timeout(PATIENCE_SECONDS), served(settings):
            pass
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert PASSWORD not in line
    return line


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_every_file_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with served_house(quick_settings(folder, bootstrap_key=None)) as house:
        assert (await house.api.raw("{ __typename }")).status_code == 401
        found = modes(folder)
        assert {"trunkline.db", "trunkline.db-wal", "trunkline.db-shm", "sandbox.db", "secret-keys", "api-key"} <= set(
            found
        )
        assert set(found.values()) == {0o600}
    assert modes(tmp_path) == {"data": 0o700}


async def test_an_answered_create_is_on_the_disk(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)):
        rows = await database.connection().execute_query_dict("PRAGMA synchronous")
        assert rows == [{"synchronous": 2}]
        assert await database.connection().execute_query_dict("PRAGMA foreign_keys") == [{"foreign_keys": 1}]


@pytest.mark.parametrize("name", ["with space", "%41", "a#b", "[x]", "\N{SNOWMAN}", "+"])
async def test_the_file_is_the_one_that_was_named(tmp_path: Path, name: str) -> None:
    settings = Settings(database_url=Secret(f"sqlite://{tmp_path}/{name}/{name}.db"))
    async with database.migrated(settings):
        assert modes(tmp_path / name)[f"{name}.db"] == 0o600
    assert set(modes(tmp_path)) == {name}


async def test_a_second_process_on_the_same_file_is_refused(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served(settings):
        line = await refusal(settings)
    assert line.startswith(f"TRUNKLINE_DATABASE_URL: {tmp_path}/trunkline.db is in use by another trunkline process")
    async with served(settings):
        pass


async def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with started(settings) as first:
        assert await database.pending_migrations(settings) == 0
    async with started(settings) as second:
        assert (second.installation_id, second.workspace_id) == (first.installation_id, first.workspace_id)


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all " * 500)


def half_a_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE x (y)")
        db.execute("INSERT INTO x VALUES (zeroblob(20000))")
    db.close()
    path.write_bytes(path.read_bytes()[:5000])


def a_table_in_the_way(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE workspace (something_else)")
    db.close()


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [garbage, half_a_database, a_table_in_the_way, a_folder])
async def test_an_unusable_file_ends_the_start(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "trunkline.db")
    assert (await refusal(quick_settings(tmp_path))).startswith("TRUNKLINE_DATABASE_URL: ")


async def test_an_unusable_sandbox_file_ends_the_start(tmp_path: Path) -> None:
    garbage(tmp_path / "sandbox.db")
    line = await refusal(quick_settings(tmp_path))
    assert line.startswith(f"TRUNKLINE_SANDBOX_FILE: {tmp_path}/sandbox.db cannot be the sandbox's file")


async def test_a_failed_migration_is_made_up_for_later(tmp_path: Path) -> None:
    a_table_in_the_way(tmp_path / "trunkline.db")
    await refusal(quick_settings(tmp_path))
    with sqlite3.connect(tmp_path / "trunkline.db") as db:
        db.execute("DROP TABLE workspace")
    db.close()
    async with served_house(quick_settings(tmp_path)) as house:
        assert codes(await house.api.create()) == []


async def test_a_file_where_the_folder_should_be_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert (await refusal(quick_settings(tmp_path / "file"))).startswith("TRUNKLINE_DATABASE_URL: the file ")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "asyncpg"])
async def test_an_unreachable_postgres_ends_the_start(tmp_path: Path, scheme: str) -> None:
    url = f"{scheme}://u:{PASSWORD}@127.0.0.1:1/t?application_name={PASSWORD}"
    settings = quick_settings(tmp_path, database_url=Secret(url), secret_keys=Secret(Keyring.generate("k1")))
    shown = f"{scheme}://u:********@127.0.0.1:1/t"
    assert await refusal(settings) == f"TRUNKLINE_DATABASE_URL: {shown} cannot be used (ConnectionRefusedError)"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://u:p%40s3cret@db.example.com/t", "postgres://u:********@db.example.com/t"),
        ("postgres://u:s3cret@s3cret@db.example.com/t", "postgres://u:********@db.example.com/t"),
        ("postgres://u@db.example.com:5433/t?password=s3cret", "postgres://u@db.example.com:5433/t"),
        ("postgres:///t?user=u&host=/run/postgresql&password=s3cret", "postgres:///t"),
        ("postgres://u:u@u/u", "postgres://u:********@u/u"),
        ("sqlite://data/t.db", "sqlite://data/t.db"),
    ],
)
def test_a_shown_url_holds_no_password(url: str, shown: str) -> None:
    assert database.shown(Settings(database_url=Secret(url))) == shown


async def test_a_ring_without_a_key_that_is_needed_stops_the_start(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, secret_keys=Secret(Keyring.generate("k7")))) as house:
        assert codes(await house.api.create()) == []
    line = await refusal(quick_settings(tmp_path, secret_keys=Secret(Keyring.generate("k8"))))
    assert line == "TRUNKLINE_SECRET_KEYS: lacks the key k7, which this database needs"


async def test_another_key_under_the_same_name_stops_the_start(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        assert codes(await house.api.create()) == []
    (tmp_path / "secret-keys").unlink()
    line = await refusal(quick_settings(tmp_path))
    assert line == "TRUNKLINE_SECRET_KEYS: its key k1 is another one than the k1 that this database was written with"


async def test_one_damaged_password_does_not_stop_the_start(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        damaged = await house.api.create()
        assert codes(await house.api.create(phoneNumber="+40741926266")) == []
        await SipTrunk.filter(id=damaged["sipTrunk"]["id"]).update(sip_password=b"?")
    async with served_house(quick_settings(tmp_path)) as house:
        assert len(await house.api.trunks()) == 2


async def test_the_clean_up_outlives_a_failing_database(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, reconcile_interval=0.05)) as house:
        rename = "ALTER TABLE {} RENAME TO {}"
        with capture_logs() as lines:
            await database.connection().execute_script(rename.format("sip_trunk", "away"))
            await until(lambda: any(line["event"] == "reconcile_failed" for line in lines))
        await database.connection().execute_script(rename.format("away", "sip_trunk"))
        house.voice.forget()
        await until(lambda: house.voice.count("list") > 0)


async def test_a_malformed_ring_stops_the_start(tmp_path: Path) -> None:
    line = await refusal(quick_settings(tmp_path, secret_keys=Secret(f"k1:{PASSWORD}")))
    assert line == "TRUNKLINE_SECRET_KEYS: entry 1 needs 32 bytes in base64 after the colon"


async def test_a_damaged_ring_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "secret-keys").write_text("")
    assert await refusal(quick_settings(tmp_path)) == f"{tmp_path}/secret-keys: it holds no key"


async def test_postgres_without_a_ring_is_refused(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path, database_url=Secret(f"postgres://u:{PASSWORD}@127.0.0.1:1/t"))
    line = await refusal(settings)
    assert line.startswith("TRUNKLINE_SECRET_KEYS: is required with PostgreSQL")


async def test_a_ring_is_made_once_by_starts_at_the_same_time(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)

    async def started_ring() -> tuple[str, bytes]:
        ring = await asyncio.to_thread(load_keyring, settings)
        return ring.writing, ring.digest("x")

    rings = await asyncio.gather(*(started_ring() for _ in range(8)))
    assert len(set(rings)) == 1
