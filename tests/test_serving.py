"""Serving for real: what a person sees first, keys while it serves, and an end that loses nothing."""

import json
import re
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from gql.streams import IN_ALL, SOCKETS_MOST
from tests.api import CREATE, LIST, given
from tests.commands import output, refusal
from tests.server_process import KEY, ServerProcess
from tests.terminal import Terminal, on_a_terminal

FIRST_START = {"TRUNKLINE_BOOTSTRAP_KEY": "", "TRUNKLINE_PORT": "1"}  # --port is stronger
UNREACHABLE = {
    "LIVEKIT_URL": "http://127.0.0.1:9",
    "LIVEKIT_API_KEY": "devkey",
    "LIVEKIT_API_SECRET": "a-secret-of-livekit-that-is-32-bytes",
    "TRUNKLINE_RECONCILE_INTERVAL": "600",
}
PATIENCE_SECONDS = 30.0
LIMITS_OF_THIS_PROCESS = Path("/proc/self/limits")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ServerProcess]]:
    """Two servers started together: `first`, without a supplied key, and `lost`, whose LiveKit does not answer."""
    first = ServerProcess(tmp_path_factory.mktemp("first"), FIRST_START)
    lost = ServerProcess(tmp_path_factory.mktemp("lost"), UNREACHABLE)
    with ExitStack() as stack:
        lost.launch()
        stack.callback(lost.stop)
        stack.enter_context(first)
        yield {"first": first, "lost": lost}


@pytest.fixture(scope="module")
def first(house: dict[str, ServerProcess]) -> ServerProcess:
    return house["first"]


def key_of(server: ServerProcess) -> str:
    return (server.folder / "api-key").read_text().strip()


def ask(server: ServerProcess, key: str, query: str = "{ __typename }", variables: object = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    body = {"query": query, "variables": variables}
    return httpx.post(f"{server.url}/graphql", json=body, headers=headers, timeout=PATIENCE_SECONDS)


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def greeting(server: ServerProcess) -> list[str]:
    """The lines of the log that are no JSON."""
    return [line for line in server.log.read_text().splitlines() if not line.startswith("{")]


def test_the_greeting_says_sandbox_and_where_the_key_is(first: ServerProcess) -> None:
    assert greeting(first) == [
        f"trunkline is serving {first.url}/graphql",
        "Voice backend: SANDBOX (built in; no real call is made)",
        f"The API key is in {first.folder}/api-key",
    ]


@pytest.mark.skipif(not LIMITS_OF_THIS_PROCESS.exists(), reason="only Linux tells a process's limits")
def test_it_takes_room_for_as_many_sockets_as_it_promises(tmp_path: Path) -> None:
    """Although whoever starts it allows 1,024 open files, as is usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = ServerProcess(tmp_path)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1_024, soft), hard))
    try:
        server.launch()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        until(server.is_ready)
        assert server.daemon.process
        limits = Path(f"/proc/{server.daemon.process.pid}/limits").read_text()
    finally:
        server.stop()
    (line,) = (each for each in limits.splitlines() if each.startswith("Max open files"))
    promised = SOCKETS_MOST + IN_ALL
    assert int(line.split()[3]) >= (promised if hard == resource.RLIM_INFINITY else min(promised, hard))


def test_the_first_key_works_and_is_for_its_owner_only(first: ServerProcess) -> None:
    assert re.fullmatch(r"tl_\w{47}", key_of(first))
    assert (first.folder / "api-key").stat().st_mode & 0o777 == 0o600
    assert ask(first, key_of(first)).json() == {"data": {"__typename": "Query"}}
    assert key_of(first) not in first.log.read_text()


def test_a_key_works_while_it_serves_until_it_is_revoked(first: ServerProcess) -> None:
    key_id, secret = output(first.folder, "api-keys", "create", "ci").splitlines()
    assert ask(first, secret).status_code == 200
    assert output(first.folder, "api-keys", "revoke", key_id) == "Revoked.\n"
    assert ask(first, secret).status_code == 401
    assert ask(first, key_of(first)).status_code == 200


def test_a_port_in_use_is_told_in_one_line(first: ServerProcess, tmp_path: Path) -> None:
    line = refusal(tmp_path, "serve", "--port", str(first.port))
    assert line == f"trunkline: TRUNKLINE_PORT: 127.0.0.1:{first.port} cannot be listened on: Address already in use"
    assert list(tmp_path.iterdir()) == []


def test_a_second_server_on_the_same_file_is_refused(first: ServerProcess) -> None:
    line = refusal(first.folder, "serve", "--port", "0")
    assert line.startswith(f"trunkline: TRUNKLINE_DATABASE_URL: {first.folder}/trunkline.db is in use by another")
    assert ask(first, key_of(first)).status_code == 200


def test_the_log_is_json_and_holds_no_query(first: ServerProcess) -> None:
    assert httpx.get(f"{first.url}/healthz?needle=1", headers={"x-needle": "1"}).status_code == 200
    lines = [json.loads(line) for line in first.log.read_text().splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["event"] == "request"]
    assert {"method": "GET", "path": "/healthz", "status": 200}.items() <= requests[-1].items()
    assert set(requests[-1]) == {
        "event", "level", "timestamp", "method", "path", "status", "outcome", "ms", "request_id"
    }  # fmt: skip
    assert "needle" not in first.log.read_text()


def test_a_start_without_its_voice_backend_is_alive_and_unready(house: dict[str, ServerProcess]) -> None:
    lost = house["lost"]
    until(lambda: "serving" in lost.log.read_text())
    ready = httpx.get(f"{lost.url}/readyz", timeout=PATIENCE_SECONDS)
    assert (ready.status_code, ready.json()) == (503, {"status": "unready", "reasons": ["voice_backend"]})
    assert httpx.get(f"{lost.url}/healthz").json() == {"status": "ok"}
    assert greeting(lost)[1] == "Voice backend: LiveKit at http://127.0.0.1:9"
    assert KEY not in lost.log.read_text()


def test_an_unready_server_ends_at_once(house: dict[str, ServerProcess]) -> None:
    began = time.monotonic()
    assert house["lost"].stop() == 0
    assert time.monotonic() - began < 20  # the grace is 30


def test_a_terminal_shows_the_address_with_the_key(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, FIRST_START)
    with on_a_terminal(server) as terminal:
        *lines, opening = terminal.shown().splitlines()
        assert opening == f"Open {server.url}/graphql#key={key_of(server)}"
        assert len(lines) == 2
        assert terminal.stop(signal.SIGINT) == 0
    assert "Traceback" not in server.log.read_text()


def test_a_stop_finishes_the_creation_under_way(tmp_path: Path) -> None:
    """On a terminal with a supplied key, which is never shown."""
    server = ServerProcess(tmp_path)
    with on_a_terminal(server) as terminal, ThreadPoolExecutor(1) as pool:
        with closing(sqlite3.connect(tmp_path / "sandbox.db", isolation_level=None)) as sandbox:
            sandbox.execute("BEGIN IMMEDIATE")  # the voice backend waits
            creating = pool.submit(ask, server, KEY, CREATE, {"input": given()})
            until(lambda: rows(tmp_path, "SELECT status FROM sip_trunk") == [("CLAIMED",)])
            terminal.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)  # time enough to end too early
            assert terminal.process.poll() is None
        payload: dict[str, Any] = creating.result().json()["data"]["createSipTrunk"]
        assert payload["message"] == "SIP trunk created successfully."
        assert terminal.process.wait(PATIENCE_SECONDS) == 0
        assert_only_the_address_is_shown(terminal, server)
    ids = {payload["sipTrunk"]["inboundTrunkId"], payload["sipTrunk"]["outboundTrunkId"]}
    assert rows(tmp_path, "SELECT status FROM sip_trunk") == [("ACTIVE",)]
    assert {voice_id for (voice_id,) in rows(tmp_path, "SELECT voice_id FROM trunk_leg")} == ids
    with server:
        nodes = ask(server, KEY, LIST).json()["data"]["sipTrunks"]["nodes"]
        assert nodes == [payload["sipTrunk"]]


def assert_only_the_address_is_shown(terminal: Terminal, server: ServerProcess) -> None:
    assert terminal.shown().splitlines() == [
        f"trunkline is serving {server.url}/graphql",
        "Voice backend: SANDBOX (built in; no real call is made)",
    ]
    assert not (server.folder / "api-key").exists()
    assert KEY not in server.log.read_text()


def rows(folder: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "trunkline.db", timeout=5)) as db:
        return db.execute(statement).fetchall()
