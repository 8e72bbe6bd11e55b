"""What idle subscribers cost the server in memory, and how long it takes until all of them have heard of a change."""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from websockets.asyncio.client import connect

from scripts.daemon import LOOPBACK, Daemon, answers_ok, free_port

ROOT = Path(__file__).resolve().parent.parent
KEY = "tl_a-key-of-the-measurement-and-of-nobody-else"
QUERY = "subscription { sipTrunkChanged { kind id sipTrunk { id status } } }"
CREATE = "mutation ($input: CreateSipTrunkInput!) { createSipTrunk(input: $input) { sipTrunk { id } } }"
UPDATE = "mutation ($input: UpdateSipTrunkInput!) { updateSipTrunk(input: $input) { sipTrunk { id } } }"
TRUNK = {
    "sipTrunkType": "NUMBER",
    "phoneNumber": "+40741926265",
    "sipUsername": "alice",
    "sipPassword": "correct-horse-battery",
    "sipAddress": "8.8.4.4",
    "sipCallingFormat": "PLUS_E164",
    "inboundAuthorizationType": "AUTH",
}
SETTLE_SECONDS = 2.0


def served(folder: Path) -> tuple[Daemon, int]:
    """A server of its own in a folder that is thrown away."""
    port = free_port()
    settings = {
        "TRUNKLINE_DATABASE_URL": f"sqlite://{folder}/trunkline.db",
        "TRUNKLINE_BOOTSTRAP_KEY": KEY,
        "TRUNKLINE_LIMIT_REQUESTS_PER_MINUTE": "0",
    }
    foreign = {name: text for name, text in os.environ.items() if not name.startswith(("LIVEKIT_", "TRUNKLINE_"))}
    command = [sys.executable, "-m", "trunkline", "serve", "--port", str(port)]
    ready = lambda: answers_ok(port, "/readyz")  # noqa: E731  # said once
    return Daemon(command, folder / "log", ready, foreign | settings, ROOT), port


def resident_kilobytes(pid: int) -> int:
    """Memory that a process has in RAM."""
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(shown.stdout)


Hear = Callable[[], Awaitable[object]]  # waits for the next change


async def over_socket(stack: AsyncExitStack, port: int, _client: httpx.AsyncClient) -> Hear:
    """One subscriber that has subscribed."""
    address = f"ws://{LOOPBACK}:{port}/graphql"
    socket = await stack.enter_async_context(
        connect(address, subprotocols=["graphql-transport-ws"], compression=None)  # type: ignore[list-item]
    )
    await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {KEY}"}}))
    await socket.recv()
    await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": QUERY}}))
    return socket.recv


async def as_stream(stack: AsyncExitStack, _port: int, client: httpx.AsyncClient) -> Hear:
    """One subscriber that has subscribed."""
    headers = {"accept": "text/event-stream"}
    response = await stack.enter_async_context(
        client.stream("POST", "/graphql", json={"query": QUERY}, headers=headers, timeout=None)
    )
    lines = response.aiter_lines()

    async def hear() -> None:
        async for line in lines:
            if line == "event: next":
                return

    return hear


async def measure(pid: int, port: int, transport: str, count: int, rounds: int) -> None:
    """Open them, let them idle, change a trunk: one line for each."""
    headers = {"authorization": f"Bearer {KEY}"}
    limits = httpx.Limits(max_connections=None)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", headers=headers, limits=limits, timeout=120)
        )
        made = await client.post("/graphql", json={"query": CREATE, "variables": {"input": TRUNK}})
        trunk_id = made.json()["data"]["createSipTrunk"]["sipTrunk"]["id"]
        await asyncio.sleep(SETTLE_SECONDS)
        before = resident_kilobytes(pid)
        opened = [await OPEN[transport](stack, port, client) for _ in range(count)]
        await asyncio.sleep(SETTLE_SECONDS)
        idle = resident_kilobytes(pid)
        print(f"{count} over {transport}: {(idle - before) / count:.1f} KB each ({before} -> {idle} KB)", flush=True)
        for number in range(1, rounds + 1):
            wish = {"id": trunk_id, "nickname": f"Name {number}"}
            began = time.perf_counter()
            asked = client.post("/graphql", json={"query": UPDATE, "variables": {"input": wish}})
            await asyncio.gather(asked, *(hear() for hear in opened))
            took = time.perf_counter() - began
            print(f"  change {number}: all heard of it in {took:.2f} s, {resident_kilobytes(pid)} KB", flush=True)


OPEN = {"web sockets": over_socket, "server-sent events": as_stream}


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(prog="scripts/bench subscribers", description=__doc__)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for transport in OPEN:
        with TemporaryDirectory() as folder:
            server, port = served(Path(folder))
            server.start(60)
            try:
                pid = server.process.pid if server.process else 0
                asyncio.run(measure(pid, port, transport, given.subscribers, given.rounds))
            finally:
                server.stop()


if __name__ == "__main__":
    main()
