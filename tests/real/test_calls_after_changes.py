"""A change of a trunk counts from the next call, with the ids that LiveKit gave it before."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from scripts.daemon import LOOPBACK, Daemon, free_port
from tests.api import Api, codes
from tests.real.calling import CREDENTIALS, Exchange, Line, new_caller, new_line, new_number
from tests.real.inbound_matrix import ELSEWHERE, Outcome, outcome_of, silence
from tests.real.outbound_matrix import NUMBER, Placing
from tests.real.sipp import Carrier

NEW_PASSWORD = "another-password-of-theirs"
USERNAME = CREDENTIALS[0]


async def changed(client: Api, line: Line, **changes: Any) -> Line:
    """The line after an update that must succeed and keep its ids."""
    payload = await client.update(line.trunk["id"], **changes)
    assert codes(payload) == [], payload
    after = payload["sipTrunk"]
    for name in ("inboundTrunkId", "outboundTrunkId"):
        assert after[name] == line.trunk[name]
    return Line(after, line.assistant)


async def told(carrier: Carrier, called: str, password: str) -> list[str]:
    """The answers to a call that has an end."""
    async with carrier.calling(called, new_caller(), (USERNAME, password)) as call:
        await call.ended()
        return call.statuses()


async def told_while_ringing(carrier: Carrier, called: str, password: str) -> list[str]:
    """The answers to a call that only rings."""
    async with carrier.calling(called, new_caller(), (USERNAME, password)) as call:
        await silence(call)
        return call.statuses()


async def test_a_new_number_and_password_count(exchange: Exchange, worker: Daemon, carrier: Carrier) -> None:
    assert worker.is_running
    async with exchange.client() as client:
        before = await new_line(client)
        assert outcome_of(await told(carrier, before.number, CREDENTIALS[1])) == Outcome.ANSWERED
        after = await changed(client, before, phoneNumber=new_number(), sipPassword=NEW_PASSWORD)
    answers = await asyncio.gather(
        told(carrier, after.number, NEW_PASSWORD),
        told(carrier, after.number, CREDENTIALS[1]),
        told_while_ringing(carrier, before.number, NEW_PASSWORD),
    )
    assert [outcome_of(each) for each in answers] == [Outcome.ANSWERED, Outcome.REFUSED, Outcome.SILENT]


async def test_addresses_instead_of_digest_count(exchange: Exchange, worker: Daemon, carrier: Carrier) -> None:
    assert worker.is_running
    async with exchange.client() as client:
        line = await new_line(client)
        assert "407" in await told(carrier, line.number, CREDENTIALS[1])
        await changed(client, line, inboundAuthorizationType="IP", allowedInboundIps=[f"{ELSEWHERE}/32"])
    listed, unlisted = await asyncio.gather(
        told(replace(carrier, source=ELSEWHERE), line.number, NEW_PASSWORD),
        told_while_ringing(carrier, line.number, CREDENTIALS[1]),
    )
    assert listed == ["100", "180", "200"]
    assert unlisted == ["100", "180"]


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_new_carrier_is_called(exchange: Exchange, carrier: Carrier, transport: str) -> None:
    new_carrier = replace(carrier, transport=transport, source=ELSEWHERE)
    async with exchange.client() as client, exchange.livekit() as lk:
        line = await new_line(client, None, sipPort=free_port())
        first = await Placing(client, lk, carrier).call(line, NUMBER)
        assert first.answers_with(*CREDENTIALS)
        where = {"sipAddress": ELSEWHERE, "sipPort": free_port(), "sipTransport": transport}
        after = await changed(client, line, phoneNumber=new_number(), sipPassword=NEW_PASSWORD, **where)
        second = await Placing(client, lk, new_carrier).call(after, NUMBER)
    assert LOOPBACK in first.invites[-1].request_uri
    assert second.answers_with(USERNAME, NEW_PASSWORD)
    assert second.invites[-1].request_uri == second.preview["requestUri"]
    assert second.invites[-1].request_uri.endswith(f"@{ELSEWHERE}:{where['sipPort']};transport={transport.lower()}")
    assert second.invites[-1].user("From") == second.preview["fromUser"] == after.number
