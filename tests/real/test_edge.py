"""The edge by itself: the contract of its routes, on both databases, and what it tells when something is wrong."""

import asyncio
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest

from models.secret import Keyring, Secret
from models.trunk_leg import LegKind
from scripts.daemon import free_port
from scripts.voice_edge import EdgeServer
from tests.real.behind import file_of, past_us
from tests.real.servers import running_edge
from tests.server_process import ROOT, ServerProcess
from tests.voice_contract import CASES, EDGE_CASES, Case, run
from tests.voice_legs import fails, route
from trunkline.setting_values import SipHost
from trunkline.settings import SipEdge
from trunkline.voice import EdgeRoute, Held, VoiceCause
from trunkline.voice.edge import EdgeVoice
from trunkline.voice.sandbox import SandboxVoice
from trunkline.voice.with_edge import VoiceWithEdge

EDGE = LegKind.EDGE
ANOTHER_TOKEN = "another-token-of-the-tests"
SCHEMA = (ROOT / "edge" / "schema.sql").read_text()
SCHEMA_OF_SQLITE = SCHEMA.replace(" OR REPLACE", "")  # as edge/start writes it


def told_of(server: EdgeServer) -> SipEdge:
    return SipEdge(SipHost("127.0.0.1"), Secret(server.database), server.rpc_url, Secret(server.rpc_token))


@pytest.fixture
async def voice(edge: EdgeServer) -> AsyncIterator[EdgeVoice]:
    voice = EdgeVoice(told_of(edge))
    yield voice
    await voice.aclose()


@pytest.fixture
async def whole(edge: EdgeServer, tmp_path: Path) -> AsyncIterator[VoiceWithEdge]:
    """A sandbox with the real edge."""
    sandbox = SandboxVoice(tmp_path / "sandbox.db", Keyring.parse(Keyring.generate("k1")))
    voice = VoiceWithEdge(sandbox, EdgeVoice(told_of(edge)))
    yield voice
    await voice.aclose()


@pytest.mark.parametrize("case", EDGE_CASES, ids=lambda case: case.__name__)
async def test_the_edge_keeps_the_contract(case: Case, whole: VoiceWithEdge) -> None:
    await run(case, whole)


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.__name__)
async def test_what_is_not_of_the_edge_goes_past_it(case: Case, whole: VoiceWithEdge) -> None:
    await run(case, whole)


async def test_the_edge_keeps_the_contract_on_postgres(edge: EdgeServer, postgres_url: str, tmp_path: Path) -> None:
    """One edge for all cases: it takes a while to start."""
    await _schema_applied(postgres_url)
    with running_edge(tmp_path, EDGE_DATABASE=postgres_url) as server:
        sandbox = SandboxVoice(tmp_path / "sandbox.db", Keyring.parse(Keyring.generate("k1")))
        voice = VoiceWithEdge(sandbox, EdgeVoice(told_of(server)))
        for case in EDGE_CASES:
            await run(case, voice)
        await voice.aclose()
    assert edge.daemon.is_running


async def test_the_schema_applied_again_keeps_what_was_granted(postgres_url: str) -> None:
    await _schema_applied(postgres_url)
    connection = await asyncpg.connect(postgres_url)
    async with connection.transaction():
        await connection.execute("CREATE ROLE edge_reader; GRANT SELECT ON edge_htable TO edge_reader")
        await connection.execute(SCHEMA)
        assert await connection.fetchval("SELECT has_table_privilege('edge_reader', 'edge_htable', 'SELECT')")
        await connection.execute("DROP OWNED BY edge_reader; DROP ROLE edge_reader")
    await connection.close()


async def _schema_applied(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(SCHEMA)
    await connection.close()


async def test_many_writes_at_once_are_all_loaded(voice: EdgeVoice, edge: EdgeServer) -> None:
    routes = [route() for _ in range(20)]
    made = await asyncio.gather(*map(voice.create, routes))
    listed = {held.voice_id: held.leg for held in await voice.list(EDGE)}
    assert {voice_id: listed[voice_id] for voice_id in made} == dict(zip(made, routes, strict=True))
    assert await loaded(edge) == written(edge)
    await asyncio.gather(*(voice.delete(EDGE, voice_id) for voice_id in made))
    assert await loaded(edge) == written(edge)


async def loaded(edge: EdgeServer) -> str:
    """The generation that the edge says it has."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {edge.rpc_token}"}) as client:
        answer = await client.get(edge.rpc_url)
    assert answer.status_code == 200
    return answer.text


def written(edge: EdgeServer) -> str:
    return str(past_us(edge, "SELECT generation FROM edge_generation")[0][0])


async def test_it_comes_back_complete_after_a_kill(voice: EdgeVoice, edge: EdgeServer) -> None:
    each = route()
    voice_id = await voice.create(each)
    edge.kill()
    error = await fails(voice.create(route()), VoiceCause.UNAVAILABLE)
    assert "could not be reached" in error.detail
    await fails(voice.list(EDGE), VoiceCause.UNAVAILABLE)
    edge.daemon.start()
    assert await loaded(edge) == written(edge)
    assert await voice.find(EDGE, voice_id) == Held(voice_id, each)
    await voice.delete(EDGE, voice_id)


async def test_what_was_written_past_us_is_loaded_at_the_next_look(voice: EdgeVoice, edge: EdgeServer) -> None:
    """As after a load that failed: the rows say one thing, the edge's memory another."""
    past_us(edge, "UPDATE edge_generation SET generation = 'written past us'")
    assert await loaded(edge) != "written past us"
    await voice.list(EDGE)
    assert await loaded(edge) == "written past us"


async def test_a_wrong_token_is_told(edge: EdgeServer) -> None:
    voice = EdgeVoice(replace(told_of(edge), rpc_token=Secret(ANOTHER_TOKEN)))
    before = written(edge)
    error = await fails(voice.create(route()), VoiceCause.MISCONFIGURED)
    assert "TRUNKLINE_EDGE_RPC_TOKEN" in error.detail
    assert written(edge) == before
    await voice.aclose()


async def test_another_database_than_the_edges_is_told(voice: EdgeVoice, edge: EdgeServer, tmp_path: Path) -> None:
    """Otherwise every call would be refused while all looks well."""
    await voice.delete(EDGE, await voice.create(route()))  # two that were never written to look alike
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as db:
        db.executescript(SCHEMA_OF_SQLITE)
    astray = EdgeVoice(replace(told_of(edge), database_url=Secret(f"sqlite://{other}")))
    error = await fails(astray.list(EDGE), VoiceCause.MISCONFIGURED)
    assert "EDGE_DATABASE" in error.detail
    await fails(astray.create(route()), VoiceCause.MISCONFIGURED)
    with closing(sqlite3.connect(other)) as db:
        assert db.execute("SELECT * FROM edge_route").fetchall() == []
    await astray.aclose()


@pytest.mark.parametrize("made", [False, True])
async def test_a_database_that_the_edge_did_not_make_is_told(edge: EdgeServer, tmp_path: Path, made: bool) -> None:
    file = tmp_path / "none.db"
    if made:
        file.touch()
    voice = EdgeVoice(replace(told_of(edge), database_url=Secret(f"sqlite://{file}")))
    for call in (voice.list(EDGE), voice.create(route())):
        error = await fails(call, VoiceCause.MISCONFIGURED)
        assert "TRUNKLINE_EDGE_DATABASE" in error.detail
    assert file.exists() == made
    await voice.aclose()


async def test_a_postgres_that_does_not_suit_is_told(edge: EdgeServer, postgres_url: str) -> None:
    closed = f"postgres://u:p@127.0.0.1:{free_port()}/edge"
    cases = {
        postgres_url: VoiceCause.MISCONFIGURED,  # without the tables
        postgres_url.replace("://trunkline:", "://trunkline:x"): VoiceCause.MISCONFIGURED,
        f"{postgres_url}_of_another_name": VoiceCause.MISCONFIGURED,
        closed: VoiceCause.UNAVAILABLE,
    }
    for url, cause in cases.items():
        voice = EdgeVoice(replace(told_of(edge), database_url=Secret(url)))
        for call in (voice.list(EDGE), voice.create(route())):
            await fails(call, cause)
        await voice.aclose()


async def test_something_else_at_the_url_is_told(edge: EdgeServer, served: ServerProcess) -> None:
    before = written(edge)
    for path in ("/", "/graphql", "/healthz", "/nowhere"):
        voice = EdgeVoice(replace(told_of(edge), rpc_url=f"{served.url}{path}"))
        error = await fails(voice.create(route()), VoiceCause.MISCONFIGURED)
        assert "TRUNKLINE_EDGE_RPC_URL" in error.detail
        await voice.aclose()
    assert written(edge) == before


@pytest.fixture
def breakable(tmp_path: Path, edge: EdgeServer) -> Iterator[EdgeServer]:
    """An edge of the test's own."""
    assert edge.daemon.is_running  # it can be started here
    with running_edge(tmp_path) as server:
        yield server


async def test_rows_that_cannot_be_loaded_are_an_unknown_outcome_until_they_can(breakable: EdgeServer) -> None:
    voice = EdgeVoice(told_of(breakable))
    with closing(sqlite3.connect(file_of(breakable))) as db:
        db.execute("DROP VIEW edge_htable")
        await fails(voice.create(route()), VoiceCause.OUTCOME_UNKNOWN)
        error = await fails(voice.list(EDGE), VoiceCause.UNAVAILABLE)
        assert "could not load its rows" in error.detail
        db.executescript(SCHEMA_OF_SQLITE)
    (held,) = await voice.list(EDGE)
    assert isinstance(held.leg, EdgeRoute)
    await voice.aclose()


async def test_a_locked_database_is_unavailable_and_not_for_ever(breakable: EdgeServer) -> None:
    voice = EdgeVoice(told_of(breakable))
    with closing(sqlite3.connect(file_of(breakable), isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        await fails(voice.create(route()), VoiceCause.UNAVAILABLE)
        assert await voice.list(EDGE) == []  # readers are not kept waiting
        db.execute("ROLLBACK")
    await voice.create(route())
    await voice.aclose()


async def test_a_transport_that_nobody_writes_is_not_exact(voice: EdgeVoice, edge: EdgeServer) -> None:
    voice_id = await voice.create(route())
    past_us(edge, "UPDATE edge_route SET transport = 'SCT' WHERE id = ?", voice_id)
    found = await voice.find(EDGE, voice_id)
    assert found
    assert not found.exact
    await voice.delete(EDGE, voice_id)


def test_its_files_are_its_owners_alone(edge: EdgeServer) -> None:
    for file in file_of(edge).parent.glob("*.db*"):
        assert file.stat().st_mode & 0o077 == 0, file
    for name in ("key.pem", "seal.key"):
        assert (file_of(edge).parent / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("missing", ["EDGE_DATABASE", "EDGE_OUTER_ADDRESS", "EDGE_RPC_TOKEN"])
def test_a_missing_setting_is_one_line(edge: EdgeServer, missing: str) -> None:
    environment = {**(edge.daemon.environment or {}), missing: ""}
    done = subprocess.run([ROOT / "edge" / "start"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert missing in line


async def test_no_secret_is_in_its_log(voice: EdgeVoice, edge: EdgeServer) -> None:
    each = route()
    await voice.delete(EDGE, await voice.create(each))
    told = edge.daemon.log.read_text(errors="replace")
    for secret in (each.edge_key.reveal(), each.auth_password.reveal(), edge.rpc_token):
        assert secret not in told


async def test_nobody_else_is_answered_at_the_rpc_port(edge: EdgeServer) -> None:
    """Neither without the token nor on another port; and with the token nothing but its two questions."""
    outer = f"http://{edge.outer}/"
    async with httpx.AsyncClient(timeout=1.0) as client:
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {ANOTHER_TOKEN}"}):
            answer = await client.post(edge.rpc_url, headers=headers)
            assert (answer.status_code, answer.text) == (401, "")
        right = {"Authorization": f"Bearer {edge.rpc_token}"}
        for url in (outer, outer.replace("http://", "http://edge@")):
            with pytest.raises(httpx.TransportError):
                await client.get(url, headers=right)
        dump = {"jsonrpc": "2.0", "method": "htable.dump", "params": ["trunk"], "id": 1}
        answer = await client.post(edge.rpc_url, headers=right, json=dump)
        assert answer.text == written(edge)
