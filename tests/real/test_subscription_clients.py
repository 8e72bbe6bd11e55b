"""The npm clients graphql-ws and graphql-sse against trunkline as it is served: changes, a restart, a wrong key."""

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api import CREATE, UPDATE, given
from tests.server_process import ServerProcess

SCRIPT = Path(__file__).parent / "node" / "subscriptions.mjs"
PATIENCE_SECONDS = 60


class Clients:
    """What the script prints, line by line; lines that nobody waits for are passed over."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def wait_for(self, *wanted: dict[str, Any]) -> None:
        """Each of these is said, in whatever order."""
        missing = list(wanted)
        while missing:
            said = self.lines.get(timeout=PATIENCE_SECONDS)
            missing = [each for each in missing if not each.items() <= said.items()]


@contextmanager
def clients_of(server: ServerProcess, node: str) -> Iterator[Clients]:
    command = [node, str(SCRIPT), f"{server.url}/graphql", server.key]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Clients(process)
            process.communicate("end\n", timeout=PATIENCE_SECONDS)
            assert process.returncode == 0
        finally:
            process.kill()


def ask(server: ServerProcess, query: str, **wish: Any) -> Any:
    headers = {"authorization": f"Bearer {server.key}"}
    answer = httpx.post(
        f"{server.url}/graphql", json={"query": query, "variables": {"input": wish}}, headers=headers, timeout=60
    )
    (payload,) = answer.json()["data"].values()
    assert payload["userErrors"] == []
    return payload["sipTrunk"]


def both(**said: Any) -> list[dict[str, Any]]:
    return [{"who": who, **said} for who in ("ws", "sse")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path) as server:
        yield server


def test_both_clients_see_changes_and_come_back_after_a_restart(
    server: ServerProcess, needs: Callable[[str], str]
) -> None:
    needs("playwright-core")  # of the same package: the clients are installed when it is
    with clients_of(server, needs("node")) as clients:
        clients.wait_for({"who": "stranger", "error": 4403}, *both(stands=[]))
        trunk = ask(server, CREATE, **given())
        told = {"phoneNumber": "+40741926265", "nickname": "Front desk"}
        clients.wait_for(*both(change={"kind": "CREATED", "sipTrunk": told}))
        assert server.stop() == 0
        server.start(60)
        clients.wait_for(*both(stands=["Front desk"]))  # subscribed, then queried: nothing is missed
        ask(server, UPDATE, id=trunk["id"], nickname="Back office")
        changed = {"kind": "UPDATED", "sipTrunk": told | {"nickname": "Back office"}}
        clients.wait_for(*both(change=changed))
