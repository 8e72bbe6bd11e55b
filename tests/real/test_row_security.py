"""The second wall on a real PostgreSQL: what it hides, from whom, who may build it, and that it stands again."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tortoise import Tortoise
from tortoise.exceptions import OperationalError
from tortoise.transactions import in_transaction

from models.secret import Secret
from models.sip_trunk import CalledText, SipTrunk
from models.trunk_leg import TrunkLeg
from models.workspace import ApiKey, Workspace
from tests.api import House, codes, served_house
from tests.real.servers import Postgres
from tests.real.test_postgres_creates import postgres_settings
from tests.real.test_postgres_database import administrator, refusal
from tests.test_workspaces import make_workspace
from trunkline import database
from trunkline.row_security import RIGHTS, Table, behind_the_wall, table_of
from trunkline.settings import Settings

WHO = "SELECT current_user::text AS who"
CLOSED = {"webhook_event"}  # written and read by nobody's request
NAMES = count()


@pytest.fixture
def settings(tmp_path: Path, postgres_url: str) -> Settings:
    return postgres_settings(tmp_path, postgres_url)


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    """The default workspace has a trunk with an assistant; the database is asked past the API."""
    async with served_house(settings) as house:
        trunk = (await house.api.create())["sipTrunk"]
        await house.api.answered_by(trunk["id"])
        yield house


async def other_workspace(house: House) -> str:
    made = await make_workspace(house.api)
    assert codes(made) == []
    workspace_id: str = made["workspace"]["id"]
    return workspace_id


def tables() -> list[Table]:
    return [table_of(model) for model in Tortoise.apps["models"].values()]


async def rows(statement: str) -> list[dict[str, Any]]:
    return [dict(row) for row in (await database.connection().execute_query(statement))[1]]


async def test_every_table_is_walled_listed_or_closed(house: House) -> None:
    assert {each.name for each in tables() if not each.rows and each.name not in RIGHTS} == CLOSED
    assert {"workspace", "api_key", "sip_trunk", "trunk_leg", "called_text", "assistant", "event", "call"} <= {
        each.name for each in tables() if each.rows
    }
    assert await house.api.trunks()


async def test_a_workspace_sees_its_own_rows_alone(house: House) -> None:
    own, other = (await database.default_workspace()).id, await other_workspace(house)
    for table in tables():
        if not table.rows:
            continue
        everything = await rows(f'SELECT * FROM "{table.name}"')  # noqa: S608  # its name
        with behind_the_wall(own):
            ours = await rows(f'SELECT * FROM "{table.name}"')  # noqa: S608  # its name
        with behind_the_wall(other):
            theirs = await rows(f'SELECT * FROM "{table.name}"')  # noqa: S608  # its name
        with behind_the_wall("ws_01h455vb4pex5vsknk084sn02q"):
            assert await rows(f'SELECT * FROM "{table.name}"') == []  # noqa: S608  # its name
        assert len(ours) + len(theirs) == len(everything), table
        assert len(theirs) == (1 if table.name in {"workspace", "api_key"} else 0), table


async def test_a_workspace_writes_its_own_rows_alone(house: House) -> None:
    trunk, other = await SipTrunk.get(), await other_workspace(house)
    columns = {name: getattr(trunk, name) for name in trunk._meta.db_fields}  # noqa: SLF001  # Tortoise's list
    with behind_the_wall(other):
        assert await SipTrunk.filter(id=trunk.id).update(nickname="theirs") == 0
        assert await SipTrunk.filter(id=trunk.id).delete() == 0
        assert await TrunkLeg.all().delete() == 0
        assert await ApiKey.exclude(workspace_id=other).update(revoked_at=trunk.created_at) == 0
        for row in (
            SipTrunk(**columns | {"id": "trunk_theirs", "phone_number": "1"}),
            CalledText(text="1", trunk_id=trunk.id),
            TrunkLeg(trunk_id=trunk.id, kind="dispatch"),
        ):
            with pytest.raises(OperationalError, match="row-level security"):
                await row.save(force_create=True)
        with pytest.raises(OperationalError, match="permission denied"):
            await Workspace.create(id="ws_theirs", name="theirs", created_at=trunk.created_at)
    assert (await SipTrunk.get()).nickname == trunk.nickname


async def test_a_connection_is_told_anew_for_whom_it_works(house: House) -> None:
    """One connection, so that each takes over from the one before."""
    own = (await database.default_workspace()).id
    name = (await rows("SELECT current_database()::text AS name"))[0]["name"]
    pool = database.connection()._pool  # noqa: SLF001  # the pool's own connections are looked at
    taken = [await pool.acquire() for _ in range(pool.get_max_size() - 1)]
    for _ in range(2):
        with behind_the_wall(own):
            assert await rows(WHO) == [{"who": f"{name}_tenant"}]
            async with in_transaction() as transaction:
                assert (await transaction.execute_query(WHO))[1][0]["who"] == f"{name}_tenant"
            with pytest.raises(OperationalError):
                await rows("SELECT 1 FROM webhook_event")
            with database.as_installation():
                assert await rows(WHO) == [{"who": "trunkline"}]
            assert await rows(WHO) == [{"who": f"{name}_tenant"}]
        assert await rows(WHO) == [{"who": "trunkline"}]
    for each in taken:
        await pool.release(each)
    assert house.api


async def test_a_transaction_keeps_its_role(house: House) -> None:
    with behind_the_wall((await database.default_workspace()).id):
        async with in_transaction():
            with pytest.raises(AssertionError, match="keeps its role"), database.as_installation():
                pass
    assert await house.api.trunks()


async def test_a_wall_that_was_torn_down_stands_after_the_next_start(settings: Settings) -> None:
    async with served_house(settings) as house:
        await house.api.create()
    connection = await asyncpg.connect(settings.database_url.reveal())
    name = settings.database_url.reveal().rpartition("/")[2]
    await connection.execute("ALTER TABLE sip_trunk DISABLE ROW LEVEL SECURITY")
    await connection.execute("DROP POLICY trunkline ON trunk_leg")
    await connection.execute(f"REVOKE SELECT ON api_key FROM {name}_tenant")  # noqa: S608  # the role's name
    await connection.close()
    async with served_house(settings) as house:
        other = await other_workspace(house)
        with behind_the_wall(other):
            assert (await SipTrunk.all(), await TrunkLeg.all()) == ([], [])
            assert [key.workspace_id for key in await ApiKey.all()] == [other]
        assert len(await house.api.trunks()) == 1


async def made_owner(postgres_url: str, postgres: Postgres, may: str = "") -> str:
    """The URL of a database whose owner may do no more than this."""
    name = f"owner_{next(NAMES)}"
    async with administrator(postgres_url) as admin:
        await admin.execute(f"CREATE ROLE {name} LOGIN {may} PASSWORD 'secret'")
        await admin.execute(f"CREATE DATABASE {name} OWNER {name}")
    return f"postgres://{name}:secret@127.0.0.1:{postgres.port}/{name}"


async def test_an_owner_without_other_rights_sees_all_and_its_requests_one_workspace(
    settings: Settings, postgres_url: str, postgres: Postgres
) -> None:
    url = await made_owner(postgres_url, postgres, "CREATEROLE")
    for _ in range(2):
        async with served_house(replace(settings, database_url=Secret(url))) as house:
            if not await house.api.trunks():
                await house.api.create()
                tenant = house.holding((await make_workspace(house.api))["secret"])
                assert codes(await tenant.create(phoneNumber="+40741926266")) == []
                assert len(await tenant.trunks()) == 1
            assert await SipTrunk.all().count() == 2
            own = (await database.default_workspace()).id
            with behind_the_wall(own):
                assert [trunk.workspace_id for trunk in await SipTrunk.all()] == [own]


async def test_who_may_not_build_the_wall_is_told_what_an_administrator_must_run(
    settings: Settings, postgres_url: str, postgres: Postgres
) -> None:
    url = await made_owner(postgres_url, postgres)
    poor, name = replace(settings, database_url=Secret(url)), url.rpartition("/")[2]
    line = await refusal(poor)
    advice = f"CREATE ROLE {name}_tenant NOLOGIN; GRANT {name}_tenant TO {name};"
    assert line.startswith(f"TRUNKLINE_DATABASE_URL: postgres://{name}:********@")
    assert line.endswith(f"an administrator must run once: {advice}")
    assert len(line.splitlines()) == 1
    async with administrator(postgres_url) as admin:
        await admin.execute(advice.partition(";")[0])
        assert await refusal(poor) == line  # half of it
        await admin.execute(advice.partition("; ")[2])
    async with served_house(poor) as house:
        assert codes(await house.api.create()) == []


@pytest.mark.parametrize("mighty", ["LOGIN", "SUPERUSER", "BYPASSRLS"])
async def test_a_mighty_role_is_refused(settings: Settings, postgres_url: str, mighty: str) -> None:
    role = f"{postgres_url.rpartition('/')[2]}_tenant"
    async with administrator(postgres_url) as admin:
        await admin.execute(f"CREATE ROLE {role} {mighty}")
    assert f"the role {role} must be NOLOGIN NOSUPERUSER NOBYPASSRLS" in await refusal(settings)


async def test_a_dump_of_the_owner_restores_with_its_wall(
    settings: Settings, postgres_url: str, postgres: Postgres
) -> None:
    """As docs/operating.md says: FORCE binds the owner, so that pg_dump needs --enable-row-security."""
    url, copy = [await made_owner(postgres_url, postgres, "CREATEROLE") for _ in range(2)]
    async with served_house(replace(settings, database_url=Secret(url))) as house:
        payload = await house.api.create()
    dump = [str(postgres.binaries / "pg_dump"), "--enable-row-security", "--no-owner", "--dbname", url]
    text = (await asyncio.to_thread(subprocess.run, dump, capture_output=True, check=True)).stdout
    restore = [str(postgres.binaries / "psql"), "--quiet", "--dbname", copy]
    await asyncio.to_thread(subprocess.run, restore, input=text, capture_output=True, check=True)
    async with served_house(replace(settings, database_url=Secret(copy))) as house:
        assert await house.api.trunks() == [payload["sipTrunk"]]
        with behind_the_wall(await other_workspace(house)):
            assert await SipTrunk.all() == []
