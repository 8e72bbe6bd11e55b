"""The real servers themselves: what the other tests of this folder rely on."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import asyncpg
import pytest
from aiohttp import web
from livekit import api
from livekit.protocol.sip import CreateSIPInboundTrunkRequest, ListSIPInboundTrunkRequest, SIPInboundTrunkInfo

from scripts.daemon import LOOPBACK, answers_ok, free_port
from scripts.voice_edge import EdgeServer
from scripts.voice_sip import answers_options
from tests.real.servers import LiveKitServer, Postgres, VoiceStack, running_livekit
from tests.server_process import ROOT


async def _numbers(livekit: LiveKitServer) -> list[str]:
    async with api.LiveKitAPI(livekit.url, livekit.api_key, livekit.api_secret) as client:
        trunks = await client.sip.list_inbound_trunk(ListSIPInboundTrunkRequest())
    return [number for trunk in trunks.items for number in trunk.numbers]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_livekit_keeps_its_trunks_over_a_stop(livekit: LiveKitServer, number: signal.Signals) -> None:
    called = f"+1415555{1000 + number:04}"
    async with api.LiveKitAPI(livekit.url, livekit.api_key, livekit.api_secret) as client:
        trunk = SIPInboundTrunkInfo(name="of test_stack", numbers=[called])
        await client.sip.create_inbound_trunk(CreateSIPInboundTrunkRequest(trunk=trunk))
    livekit.stop(number)
    assert not answers_ok(int(livekit.url.rpartition(":")[2]))
    livekit.start()
    assert called in await _numbers(livekit)


async def test_every_test_gets_an_empty_database_that_writes_through(postgres: Postgres, postgres_url: str) -> None:
    assert postgres.new_database() != postgres_url
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        assert await connection.fetchval("SHOW fsync") == "on"
    finally:
        await connection.close()


async def test_postgres_asks_for_the_password(postgres_url: str, postgres: Postgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_url.replace(postgres.password, "another"))


@pytest.mark.parametrize(
    ("arguments", "number", "servers"),
    [
        (["--edge"], signal.SIGINT, 4),
        (["--no-edge"], signal.SIGINT, 3),
        (["--no-sip", "--webhook", ""], signal.SIGTERM, 2),
    ],
)
def test_the_voice_script_serves_until_it_is_told_to_stop(  # noqa: PLR0913, PLR0917  # what each row says
    livekit_sip: VoiceStack,
    edge: EdgeServer,
    tmp_path: Path,
    arguments: list[str],
    number: signal.Signals,
    servers: int,
) -> None:
    with subprocess.Popen(
        [ROOT / "scripts" / "voice", *arguments],
        cwd="/",
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as voice:
        assert voice.stdout
        exports = dict(_exported(voice.stdout))
        assert set(livekit_sip.livekit.environment) <= set(exports)
        assert answers_ok(int(exports["LIVEKIT_URL"].rpartition(":")[2]))
        takes_calls = "TRUNKLINE_SIP_HOST" in exports and answers_options(_port(exports["TRUNKLINE_SIP_HOST"]))
        children = Path(f"/proc/{voice.pid}/task/{voice.pid}/children").read_text().split()
        voice.send_signal(number)
        assert voice.wait(timeout=20) == 0
    assert (len(children), takes_calls) == (servers, servers >= 3)
    assert (set(edge.environment) <= set(exports)) == (servers == 4)
    assert not any(_is_running(int(child)) for child in children)
    assert list(tmp_path.iterdir()) == []


def _exported(output: IO[str]) -> Iterator[tuple[str, str]]:
    """What the lines before `# ready` export."""
    for line in iter(output.readline, "# ready\n"):
        assert line.startswith("export "), line
        name, _, value = line.removeprefix("export ").strip().partition("=")
        yield name, value


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


async def test_livekit_posts_its_events_signed(livekit: LiveKitServer) -> None:
    assert livekit.livekit.is_running  # it can be started here
    posted: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        await posted.put((await request.text(), request.headers["Authorization"]))
        return web.Response()

    app, port = web.Application(), free_port()
    app.router.add_post("/webhooks/livekit", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    with running_livekit(f"http://{LOOPBACK}:{port}/webhooks/livekit") as server:
        async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as client, asyncio.timeout(10):
            await client.room.create_room(api.CreateRoomRequest(name="lobby"))
            body, token = await posted.get()
    await runner.cleanup()
    event = api.WebhookReceiver(api.TokenVerifier(server.api_key, server.api_secret)).receive(body, token)
    assert (event.event, event.room.name) == ("room_started", "lobby")


def _is_running(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False
