"""Subscriptions on a real PostgreSQL: what another replica did arrives, and what was lost on the way is told late."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from models.secret import Secret
from tests.api import CREATE, KEY, given
from tests.live import introduced, opened, place_of
from tests.live_cases import ALL, Case
from tests.real.test_postgres_creates import postgres_settings
from tests.server_process import ServerProcess
from tests.test_workspaces import REVOKE, make_key

CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'trunkline feed'"""
COLUMNS = "workspace_id, actor, subject_id, trunk_id, changed_fields, outcome"
EVENT = f"""INSERT INTO event (id, at, action, {COLUMNS})
SELECT 'evt_later', clock_timestamp(), 'sip_trunk.updated', {COLUMNS} FROM event WHERE trunk_id = $1 LIMIT 1"""  # noqa: S608  # our own words


@pytest.mark.parametrize("case", ALL)
async def test_on_postgres(tmp_path: Path, postgres_url: str, case: Case) -> None:
    await case(postgres_settings(tmp_path, postgres_url))


async def test_what_another_replica_did_arrives(tmp_path: Path, postgres_url: str) -> None:
    """A change by another process is told here, and a key that is revoked there ends what it opened here."""
    settings = postgres_settings(tmp_path, postgres_url)
    ring = settings.secret_keys or Secret("")
    environment = {"TRUNKLINE_DATABASE_URL": postgres_url, "TRUNKLINE_SECRET_KEYS": ring.reveal()}
    other = ServerProcess(tmp_path, environment)
    async with place_of(settings) as place:
        key = await make_key(place.api)
        async with introduced(place, key["secret"]) as socket:
            await socket.subscribe()
            await socket.is_quiet()
            await asyncio.to_thread(other.start, 90)
            try:
                wish = {"query": CREATE, "variables": {"input": given()}}
                made = (await place.api.client.post(f"{other.url}/graphql", json=wish)).json()["data"]["createSipTrunk"]
                told = await socket.change()
                assert (told["kind"], told["id"]) == ("CREATED", made["sipTrunk"]["id"])
                end = {"query": REVOKE, "variables": {"id": key["apiKey"]["id"]}}
                await place.api.client.post(f"{other.url}/graphql", json=end)
                assert await socket.closed() == (4401, "The API key does not work any more")
            finally:
                other.stop()


async def test_what_was_lost_on_the_way_is_told_after_all(tmp_path: Path, postgres_url: str) -> None:
    """The connection that listens is cut, and the change is made before anybody listens again."""
    async with place_of(postgres_settings(tmp_path, postgres_url)) as place, introduced(place) as socket:
        trunk = (await place.api.create())["sipTrunk"]
        await socket.subscribe(id=trunk["id"])
        await socket.is_quiet()
        administrator = await asyncpg.connect(postgres_url)
        with capture_logs() as log:
            async with administrator.transaction():
                await administrator.execute("UPDATE sip_trunk SET nickname = 'Told late'")
                await administrator.execute(EVENT, trunk["id"])
                await administrator.execute(CUT)
            await administrator.close()
            while (told := await socket.change())["sipTrunk"]["nickname"] != "Told late":
                pass
        assert told["id"] == trunk["id"]
        assert "feed_interrupted" in {line["event"] for line in log}


async def test_without_its_database_a_socket_is_told_to_come_again(tmp_path: Path, postgres_url: str) -> None:
    """By a code upon which clients do: one that subscribes, and one that says who it is."""
    house = place_of(postgres_settings(tmp_path, postgres_url))
    async with house as place, introduced(place) as known, opened(place) as stranger:
        administrator = await asyncpg.connect(postgres_url.rpartition("/")[0] + "/postgres")
        await administrator.execute(f"DROP DATABASE {postgres_url.rpartition('/')[2]} WITH (FORCE)")
        await administrator.close()
        await known.subscribe()
        await stranger.say(type="connection_init", payload={"authorization": f"Bearer {KEY}"})
        for socket in (known, stranger):
            assert await socket.closed() == (1013, "Something was missed: subscribe again, then query")
