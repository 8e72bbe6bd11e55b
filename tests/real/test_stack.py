"""The real servers themselves: what the other tests of this folder rely on."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from livekit import api
from livekit.protocol.sip import CreateSIPInboundTrunkRequest, ListSIPInboundTrunkRequest, SIPInboundTrunkInfo

from scripts.daemon import answers_ok
from tests.real.servers import LiveKitServer, Postgres
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


def test_the_voice_script_serves_until_it_is_told_to_stop(livekit: LiveKitServer, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [ROOT / "scripts" / "voice"],
        cwd="/",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as voice:
        assert voice.stdout
        lines = [voice.stdout.readline().strip() for _ in range(4)]
        exports = dict(line.removeprefix("export ").split("=", 1) for line in lines[:3])
        assert list(exports) == list(livekit.environment)
        assert lines[3] == "ready"
        port = int(exports["LIVEKIT_URL"].rpartition(":")[2])
        assert answers_ok(port)
        children = Path(f"/proc/{voice.pid}/task/{voice.pid}/children").read_text().split()
        voice.send_signal(signal.SIGTERM)
        assert voice.wait(timeout=20) == 0
    assert len(children) == 2
    assert not any(_is_running(int(child)) for child in children)
    assert list(tmp_path.iterdir()) == []


def _is_running(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False
