"""A real PostgreSQL that is not as it should be: one line at the start, masked answers while serving, recovery."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from models.secret import Keyring, Secret
from tests.api import LIST, codes, quick_settings, served_house, until
from tests.commands import all_of, command
from trunkline import database
from trunkline.asgi import served
from trunkline.database import DatabaseError
from trunkline.following import APPLICATION
from trunkline.settings import Settings

RING = Keyring.generate("k1")
NODE = "query ($id: ID!) { node(id: $id) { id } sipTrunk(id: $id) { id } }"
PAGE = "query ($after: String) { sipTrunks(after: $after) { nodes { id } } }"
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = $2"
WALK = """query ($first: Int, $after: String, $last: Int, $before: String) {
  sipTrunks(first: $first, after: $after, last: $last, before: $before) {
    nodes { phoneNumber } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""


def settings_of(folder: Path, url: str) -> Settings:
    return quick_settings(
        folder, database_url=Secret(url), secret_keys=Secret(RING), sandbox_file=folder / "sandbox.db"
    )


@asynccontextmanager
async def administrator(url: str) -> "AsyncIterator[asyncpg.Connection[Any]]":
    """A connection beside the tested one, to another database of the server."""
    connection = await asyncpg.connect(url.rpartition("/")[0] + "/postgres")
    try:
        yield connection
    finally:
        await connection.close()


async def refusal(settings: Settings) -> str:
    with pytest.raises(DatabaseError) as caught:
        async with asyncio.timeout(10), served(settings):
            pass
    return str(caught.value)


async def test_a_wrong_login_is_told_without_the_password(tmp_path: Path, postgres_url: str) -> None:
    before, _, after = postgres_url.rpartition("@")
    scheme_and_user = before.rpartition(":")[0]
    settings = settings_of(tmp_path, f"{scheme_and_user}:wrong%20s3cret@{after}")
    shown = f"{scheme_and_user}:********@{after}"
    expected = f"TRUNKLINE_DATABASE_URL: {shown} cannot be used (InvalidPasswordError)"
    assert await refusal(settings) == expected


@pytest.mark.parametrize(
    ("suffix", "cause"), [("_lost", "DBConnectionError"), ("?nonsense=1", "TypeError"), ("?min_size=x", "ValueError")]
)
async def test_a_wrong_url_is_told(tmp_path: Path, postgres_url: str, suffix: str, cause: str) -> None:
    line = await refusal(settings_of(tmp_path, postgres_url + suffix))
    assert line.endswith(f"cannot be used ({cause})")
    assert postgres_url.split(":")[2].partition("@")[0] not in line


async def test_a_failed_migration_is_told_and_made_up_for_later(tmp_path: Path, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE workspace (something_else int)")
    assert (await refusal(settings_of(tmp_path, postgres_url))).endswith("cannot be used (OperationalError)")
    await connection.execute("DROP TABLE workspace")
    await connection.close()
    async with served_house(settings_of(tmp_path, postgres_url)) as house:
        assert codes(await house.api.create()) == []


def test_replicas_that_start_together_migrate_once(tmp_path: Path, postgres_url: str) -> None:
    settings = {"TRUNKLINE_DATABASE_URL": postgres_url, "TRUNKLINE_SECRET_KEYS": RING}
    for done in all_of([command(tmp_path, "migrate", **settings)] * 3):
        assert (done.returncode, done.stderr) == (0, "")


async def test_restarts_of_the_database_are_survived(tmp_path: Path, postgres_url: str) -> None:
    async with served_house(settings_of(tmp_path, postgres_url)) as house, administrator(postgres_url) as other:
        name = postgres_url.rpartition("/")[2]

        async def answers_and_listens() -> bool:
            listening = await other.fetchval(LISTENING, name, APPLICATION)
            return (await house.api.raw(LIST)).status_code == 200 and listening == 1

        for _ in range(3):  # an answer may fall into the instant of a cut
            await other.execute(CUT, name)
            await until(answers_and_listens)
        assert await house.api.trunks() == []
        assert codes(await house.api.create()) == []


async def test_a_lost_database_is_masked_and_unready(tmp_path: Path, postgres_url: str) -> None:
    async with served_house(settings_of(tmp_path, postgres_url)) as house:
        async with administrator(postgres_url) as other:
            await other.execute(f"DROP DATABASE {postgres_url.rpartition('/')[2]} WITH (FORCE)")
        answer = await house.api.raw(LIST)
        assert answer.status_code == 500
        assert answer.json()["errors"][0]["message"].startswith("Internal error. Please report the request id ")
        ready = await house.api.client.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "unready", "reasons": ["database"]})
        assert (await house.api.client.get("/healthz")).status_code == 200


STRANGE = ["", "\x00", "trunk_\x00", "trunk_" + "0" * 25 + "\x00", "x" * 10_000, "\N{GRINNING FACE}"]


async def test_a_zero_byte_never_reaches_the_database(tmp_path: Path, postgres_url: str) -> None:
    async with served_house(settings_of(tmp_path, postgres_url)) as house:
        for text in STRANGE:
            assert await house.api.ask(NODE, {"id": text}) == {"node": None, "sipTrunk": None}
            (error,) = (await house.api.raw(PAGE, {"after": text})).json()["errors"]
            assert error["message"].startswith("The cursor does not belong to this list")
        for field in ("phoneNumber", "nickname", "sipUsername", "sipPassword", "sipAddress", "countryCode"):
            for text in ("\x00", "a\x00b", "+4074\x001926265"):
                assert codes(await house.api.create(**{field: text})), field
                assert codes(await house.api.validate(**{field: text})), field
        assert codes(await house.api.create(inboundAuthorizationType="IP", allowedInboundIps=["8.8.8.8\x00"]))
        answer = await house.api.client.post("/graphql", headers={"authorization": "Bearer tl_" + "\x7f" * 30})
        assert answer.status_code == 401


async def test_trunks_of_one_instant_are_paged_in_one_order(tmp_path: Path, postgres_url: str) -> None:
    numbers = [f"100{number}" for number in range(7)]
    async with served_house(settings_of(tmp_path, postgres_url)) as house:
        for number in numbers:
            assert not codes(await house.api.create(sipTrunkType="EXTENSION", phoneNumber=number, countryCode="RO"))
        await database.connection().execute_query("UPDATE sip_trunk SET created_at = '2026-01-02 03:04:05.123456+00'")
        met: list[str] = []
        arguments: dict[str, Any] = {"first": 2}
        while len(met) < 7:
            found = (await house.api.ask(WALK, arguments))["sipTrunks"]
            met += [node["phoneNumber"] for node in found["nodes"]]
            assert found["pageInfo"]["hasNextPage"] == (len(met) < 7)
            assert found["pageInfo"]["hasPreviousPage"] == (len(met) > 2)
            arguments["after"] = found["pageInfo"]["endCursor"]
        assert met == numbers
        last = {"last": 3, "before": found["pageInfo"]["startCursor"]}
        found = (await house.api.ask(WALK, last))["sipTrunks"]
        assert [node["phoneNumber"] for node in found["nodes"]] == numbers[3:6]
