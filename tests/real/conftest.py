"""Fixtures of the real servers, each started once. A missing one skips its tests and is told at the end of the run.

With TRUNKLINE_REQUIRE_REAL=1, as in CI, it fails them.
"""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import httpx
import pytest
from livekit import api

from scripts import agent_environment, voice_edge, voice_sip, voice_stack
from scripts.daemon import Daemon, free_port
from scripts.voice_edge import EdgeServer
from tests.api import KEY, Api
from tests.authority import Authority, new_authority
from tests.conftest import REAL_SERVER
from tests.real.behind import Caller
from tests.real.calling import Exchange, running_exchange, running_worker
from tests.real.inbound_matrix import Case, Played, play
from tests.real.servers import (
    LiveKitServer,
    Postgres,
    VoiceStack,
    postgres_binaries,
    running_edge,
    running_livekit,
    running_postgres,
    running_sip,
)
from tests.real.sipp import Carrier
from tests.server_process import ROOT, ServerProcess

QUICK = {"TRUNKLINE_RECONCILE_INTERVAL": "1"}
NODE_FOLDERS = (Path(__file__).parent / "node", ROOT / "examples" / "web")
NODE_COMMANDS = os.pathsep.join(str(folder / "node_modules" / ".bin") for folder in NODE_FOLDERS)
INSTALLED_BY = {
    "node": "apt-get install nodejs",
    "sipp": "apt-get install sip-tester",
    "baresip": "apt-get install baresip-core",
    "kamailio": f"apt-get install {voice_edge.PACKAGES}",
    "playwright-core": "npm ci --prefix tests/real/node",
    "vite": "npm ci --prefix examples/web",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Calls and browsers wait for no machine: one that was too slow for a test tries it once more, and that is told."""
    for item in items:
        if {"livekit_sip", "seen"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note which real servers a test meets: the summary and CI count them."""
    for server in {"edge", "livekit", "livekit_sip", "postgres"} & set(getattr(item, "fixturenames", ())):
        item.user_properties.append((REAL_SERVER, server))


def _unavailable(what: str) -> NoReturn:
    if os.environ.get("TRUNKLINE_REQUIRE_REAL") == "1":
        pytest.fail(f"needs {what}", pytrace=False)
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session")
def needs() -> Callable[[str], str]:
    """`needs("chromium")` is the command's path; without the command the test is skipped."""

    def path_of(command: str) -> str:
        found = shutil.which(command) or shutil.which(command, path=NODE_COMMANDS)
        return found or _unavailable(f"{command} ({INSTALLED_BY.get(command, f'apt-get install {command}')})")

    return path_of


@pytest.fixture(scope="session")
def livekit() -> Iterator[LiveKitServer]:
    """A real livekit-server. A test that stops it starts it again."""
    lacking = voice_stack.missing("redis-server")
    if not voice_stack.binary().exists():
        lacking.append(f"livekit-server {voice_stack.VERSION} (scripts/voice --build)")
    if lacking:
        _unavailable(" and ".join(lacking))
    with running_livekit() as server:
        yield server


@pytest.fixture(scope="session")
def livekit_sip(needs: Callable[[str], str]) -> Iterator[VoiceStack]:
    """A real livekit-sip with a livekit-server of its own: it takes calls. Its events go to a trunkline at `.port`."""
    needs("redis-server")
    for name, binary in (("livekit-server", voice_stack.binary()), ("livekit-sip", voice_sip.binary())):
        if not binary.exists():
            _unavailable(f"{name} (scripts/voice --build)")
    with running_sip() as stack:
        yield stack


@pytest.fixture(scope="session")
def agent_python() -> Path:
    """A Python with LiveKit's agents, which pin other versions than ours: an environment of its own."""
    try:
        return agent_environment.python()
    except agent_environment.UnavailableError as error:
        _unavailable(str(error))


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory, livekit_sip: VoiceStack, agent_python: Path) -> Iterator[Daemon]:
    """The example agent, at work for all calls."""
    with running_worker(tmp_path_factory.mktemp("worker"), livekit_sip, agent_python) as worker:
        yield worker


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory, livekit_sip: VoiceStack) -> Iterator[Exchange]:
    """trunkline over the real livekit-sip, served once for all calls."""
    with running_exchange(tmp_path_factory.mktemp("exchange"), livekit_sip) as exchange:
        yield exchange


@pytest.fixture(scope="session")
def edge_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom the edge trusts."""
    return new_authority(tmp_path_factory.mktemp("trusted"))


@pytest.fixture(scope="session")
def edge(
    tmp_path_factory: pytest.TempPathFactory, needs: Callable[[str], str], edge_authority: Authority
) -> Iterator[EdgeServer]:
    """A real edge. A test that stops it starts it again."""
    for command in ("kamailio", "sqlite3", "openssl"):
        needs(command)
    subprocess.run(["openssl", "rehash", edge_authority.folder], check=True)
    with running_edge(tmp_path_factory.mktemp("edge"), EDGE_TLS_CA=str(edge_authority.folder)) as server:
        yield server


@pytest.fixture(scope="session")
def behind(tmp_path_factory: pytest.TempPathFactory, livekit_sip: VoiceStack, edge: EdgeServer) -> Iterator[Exchange]:
    """Another trunkline at the same livekit-sip, whose trunks may go out through the edge."""
    elsewhere = replace(livekit_sip, port=free_port())  # LiveKit's events go to the other one
    with running_exchange(tmp_path_factory.mktemp("behind"), elsewhere, edge.environment | QUICK) as exchange:
        yield exchange


@pytest.fixture
async def caller(behind: Exchange, carrier: Carrier, edge: EdgeServer) -> AsyncIterator[Caller]:
    """Calls through the edge."""
    async with behind.client() as client, behind.livekit() as lk:
        yield Caller(client, lk, carrier, edge)


@pytest.fixture(scope="session")
def carrier(tmp_path_factory: pytest.TempPathFactory, needs: Callable[[str], str], livekit_sip: VoiceStack) -> Carrier:
    """SIPp as a carrier."""
    return Carrier(needs("sipp"), tmp_path_factory.mktemp("carrier"), livekit_sip.sip.address)


@pytest.fixture(scope="session")
async def inbound_calls(exchange: Exchange, worker: Daemon, carrier: Carrier) -> dict[Case, Played]:
    """Every call of the inbound matrix, played once. Trunks and assistants are left as they were."""
    assert worker.is_running
    return await play(exchange, carrier)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL."""
    binaries = postgres_binaries()
    if binaries is None:
        _unavailable("PostgreSQL (apt-get install postgresql)")
    with running_postgres(binaries) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """A database of the test's own."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A served trunkline with SQLite and the sandbox: `.url`, `.key`, `.log`."""
    folder: Path = tmp_path_factory.mktemp("served")
    with ServerProcess(folder) as server:
        yield server


@pytest.fixture(scope="module")
def trunkline(tmp_path_factory: pytest.TempPathFactory, livekit: LiveKitServer) -> Iterator[ServerProcess]:
    """trunkline served over the real livekit-server, with short times."""
    quick = {"TRUNKLINE_PROVISION_TIMEOUT": "6", "TRUNKLINE_RECONCILE_INTERVAL": "1"}
    settings = livekit.environment | quick
    with ServerProcess(tmp_path_factory.mktemp("trunkline"), settings, key=KEY) as server:
        yield server


@pytest.fixture
async def client(trunkline: ServerProcess) -> AsyncIterator[Api]:
    """Speaks to it over HTTP."""
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=trunkline.url, headers=headers, timeout=30) as client:
        yield Api(client)


@pytest.fixture
async def lk(livekit: LiveKitServer) -> AsyncIterator[api.LiveKitAPI]:
    """LiveKit's own client, at the same server."""
    async with api.LiveKitAPI(livekit.url, livekit.api_key, livekit.api_secret) as lk:
        yield lk
