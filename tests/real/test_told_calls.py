"""A real LiveKit tells trunkline of its calls: answered, given up by LiveKit since no agent came, dialled."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from scripts.daemon import LOOPBACK, Daemon, free_port
from tests.api import Api, until
from tests.real import softphone
from tests.real.calling import CREDENTIALS, Exchange, Line, answered, new_caller, new_line
from tests.real.sipp import Carrier
from tests.webhook_api import CALLS

CALL_MILLISECONDS = 2_000
RING_SECONDS = 3
FINAL = {"ANSWERED", "NO_AGENT", "CALLER_HUNG_UP", "NOT_ANSWERED", "UNKNOWN"}


async def calls_of(client: Api, line: Line) -> list[dict[str, Any]]:
    found = await client.ask(CALLS, {"id": line.trunk["id"], "first": 20})
    calls: list[dict[str, Any]] = found["sipTrunk"]["recentCalls"]
    return calls


async def told(client: Api, line: Line, outcome: str | None = None) -> dict[str, Any]:
    """The one call of a line, once it has this outcome, or else has ended."""

    async def is_told() -> bool:
        return [each["outcome"] in ({outcome} if outcome else FINAL) for each in await calls_of(client, line)] == [True]

    await until(is_told)
    return (await calls_of(client, line))[0]


async def ring_shortly(lk: api.LiveKitAPI, line: Line) -> None:
    """LiveKit rings for 30 seconds at our trunks; until the reconciler looks, this one rings for less."""
    trunk_id = line.trunk["inboundTrunkId"]
    (info,) = (await lk.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest(trunk_ids=[trunk_id]))).items
    info.ringing_timeout.FromSeconds(RING_SECONDS)
    await lk.sip.update_inbound_trunk(trunk_id, info)


async def test_an_answered_call(exchange: Exchange, worker: Daemon, carrier: Carrier) -> None:
    assert worker.is_running
    async with exchange.client() as client, exchange.livekit() as lk:
        line, caller = await new_line(client), new_caller()
        async with carrier.calling(line.number, caller, CREDENTIALS, CALL_MILLISECONDS) as call:
            await answered(lk, caller)
            lasting = await told(client, line, "IN_PROGRESS")
            assert await call.ended() == 0
        ended = await told(client, line)
    assert (lasting["agentName"], lasting["durationMs"]) == ("echo", None)
    assert (ended["outcome"], ended["direction"]) == ("ANSWERED", "INBOUND")
    assert (ended["from"], ended["to"]) == (caller, line.number)
    assert CALL_MILLISECONDS - 1_000 <= ended["durationMs"] <= CALL_MILLISECONDS + 3_000
    assert ended["sipCallId"].startswith("SCL_")


async def test_a_call_that_no_agent_answers(
    exchange: Exchange, carrier: Carrier, record_property: Callable[[str, object], None]
) -> None:
    async with exchange.client() as client, exchange.livekit() as lk:
        line, caller = await new_line(client, "nobody"), new_caller()
        await ring_shortly(lk, line)
        async with carrier.calling(line.number, caller, CREDENTIALS) as call:
            ringing = await told(client, line, "RINGING")
            await call.ended()
        ended = await told(client, line)
    assert ringing["agentName"] is None
    assert call.statuses()[-1] == "486"
    assert (ended["outcome"], ended["durationMs"]) == ("NO_AGENT", None)
    assert "no_agent_joined" in exchange.trunkline.log.read_text()
    record_property("milliseconds from INVITE to 486", call.milliseconds_to("486"))


@pytest.mark.parametrize(("seconds", "outcome"), [(1, "CALLER_HUNG_UP"), (6, "NO_AGENT")])
async def test_a_caller_who_gives_up(
    exchange: Exchange, needs: Callable[[str], str], tmp_path: Path, seconds: int, outcome: str
) -> None:
    async with exchange.client() as client:
        line, (user, password) = await new_line(client, "nobody"), CREDENTIALS
        account = f"<sip:{new_caller()}@{LOOPBACK}>;regint=0;auth_user={user};auth_pass={password}"
        phone = softphone.new_phone(tmp_path / "phone", account)
        dial = f"d sip:{line.number}@{exchange.stack.sip.address}"
        async with softphone.running(needs("baresip"), phone, "-e", dial):
            await told(client, line, "RINGING")
            await asyncio.sleep(seconds)
        ended = await told(client, line)
    assert (ended["outcome"], ended["durationMs"]) == (outcome, None)


async def test_calls_that_livekit_refuses_are_not_told(exchange: Exchange, carrier: Carrier) -> None:
    async with exchange.client() as client:
        line = await new_line(client)
        async with carrier.calling(line.number, new_caller(), ("alice", "another-password")) as call:
            await call.ended()
        assert call.statuses()[-1] == "401"
        assert await calls_of(client, line) == []


@pytest.mark.parametrize("answers", [True, False])
async def test_an_outbound_call(exchange: Exchange, carrier: Carrier, answers: bool) -> None:
    async with exchange.client() as client, exchange.livekit() as lk, carrier.answering() as callee:
        line = await new_line(
            client, None, sipPort=callee.port if answers else free_port(), sipTransport="TCP" if not answers else "UDP"
        )
        room = f"any-{line.trunk['id']}"
        request = api.CreateSIPParticipantRequest(
            sip_trunk_id=line.trunk["outboundTrunkId"], sip_call_to="+40741926299", room_name=room
        )
        await lk.sip.create_sip_participant(request)
        if answers:
            dialled = await told(client, line, "IN_PROGRESS")
            assert (dialled["direction"], dialled["from"]) == ("OUTBOUND", line.number)
            await until(lambda: asyncio.sleep(0, "200" in callee.statuses()))
            await lk.room.delete_room(api.DeleteRoomRequest(room=room))
        ended = await told(client, line)
    assert (ended["to"], ended["durationMs"]) == ("+40741926299", None)
    assert ended["outcome"] == ("ANSWERED" if answers else "NOT_ANSWERED")
