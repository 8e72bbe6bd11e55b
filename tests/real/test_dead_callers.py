"""A trunkline that dies while it calls leaves no room for long; a probe of the real livekit-sip, asked and unasked."""

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from tests.api import KEY, Api, until
from tests.real.calling import SETTINGS, Exchange, new_line
from tests.real.sipp import Carrier
from tests.real.test_test_calls import CANCELLED, RINGING, left_behind, scenario, test_call
from tests.server_process import ServerProcess


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_process_that_ends_while_it_calls(
    exchange: Exchange, carrier: Carrier, tmp_path: Path, number: signal.Signals
) -> None:
    """Killed: LiveKit ends the call with its ringing, and then the empty room. Asked to stop: it hangs up first."""
    settings = exchange.stack.livekit.environment | SETTINGS
    headers = {"authorization": f"Bearer {KEY}"}
    async with carrier.answering(scenario(tmp_path, RINGING + CANCELLED)) as callee:
        with ServerProcess(tmp_path, settings, key=KEY) as server:
            async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as client:
                line = await new_line(Api(client), agent=None, sipPort=callee.port)
                calling = asyncio.create_task(test_call(Api(client), line.trunk["id"], ringSeconds=3))

                async def rings() -> bool:
                    return bool(callee.requests("INVITE"))

                await until(rings)
                assert await left_behind(exchange) != []
                await asyncio.to_thread(server.daemon.stop, number)
                await asyncio.gather(calling, return_exceptions=True)
        if number is signal.SIGTERM:
            assert await left_behind(exchange) == []

        async def is_gone() -> bool:
            return await left_behind(exchange) == []

        await until(is_gone, 30)
        assert await callee.ended() == 0  # the CANCEL came


async def test_livekit_sip_is_probed(exchange: Exchange, tmp_path: Path) -> None:
    host, _, port = exchange.stack.sip.address.partition(":")
    settings = exchange.stack.livekit.environment | SETTINGS | {"TRUNKLINE_PROBE_NEW_TRUNKS": "yes"}
    headers = {"authorization": f"Bearer {KEY}"}
    with ServerProcess(tmp_path, settings, key=KEY) as server:
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as client:
            api = Api(client)
            for transport in ("UDP", "TCP"):
                line = await new_line(api, agent=None, sipAddress=host, sipPort=int(port), sipTransport=transport)
                last = "query ($id: ID!) { sipTrunk(id: $id) { lastProbe { reachable sipStatus address } } }"

                async def seen(query: str = last, trunk_id: str = line.trunk["id"]) -> bool:
                    probe = (await api.ask(query, {"id": trunk_id}))["sipTrunk"]["lastProbe"]
                    wanted = {"reachable": True, "sipStatus": 200, "address": exchange.stack.sip.address}
                    return bool(probe == wanted)

                await until(seen)
