"""SIGTERM with open sockets and streams: everybody is told, and the process ends with 0 and soon."""

import json
import time
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.live import CHANGED, PROTOCOL
from tests.server_process import KEY, ServerProcess

SOON_SECONDS = 15  # the grace of requests is 30


def test_a_stop_does_not_wait_for_subscriptions(tmp_path: Path) -> None:
    headers = {"authorization": f"Bearer {KEY}", "accept": "text/event-stream"}
    with ServerProcess(tmp_path) as server, httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
        address = f"{server.url.replace('http', 'ws')}/graphql"
        with (
            connect(address, subprotocols=[PROTOCOL]) as socket,  # type: ignore[list-item]
            client.stream("POST", "/graphql", json={"query": CHANGED}) as stream,
        ):
            socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {KEY}"}}))
            assert json.loads(socket.recv(30)) == {"type": "connection_ack"}
            socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": CHANGED}}))
            lines = stream.iter_lines()
            assert next(lines) == ":"
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began < SOON_SECONDS
            with pytest.raises(ConnectionClosed):
                socket.recv(10)
            assert socket.close_code == 1012
            assert "event: complete" not in [*lines]
    assert "Traceback" not in server.log.read_text()
