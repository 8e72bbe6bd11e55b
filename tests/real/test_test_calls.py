"""testCallSipTrunk over the real livekit-sip: every way a carrier can answer, and nothing left behind after any."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from livekit import api

from scripts.daemon import LOOPBACK, free_port
from tests.api import Api, codes
from tests.authority import new_authority, served_with
from tests.real.calling import Exchange, new_line
from tests.real.sipp import SCENARIOS, Carrier
from tests.sip_servers import answering, over_tcp, saying

CALL = """mutation ($input: TestCallSipTrunkInput!) { testCallSipTrunk(input: $input) {
  message userErrors { code message field retryable retryAfter }
  call { outcome sipStatus reason durationMs likelyCauses dialled { requestUri toUser fromUser } }
} }"""
LAST_EVENT = "query ($id: ID!) { sipTrunk(id: $id) { events(first: 1) { nodes { action outcome } } } }"
NEW_WORKSPACE = """mutation ($input: CreateWorkspaceInput!) { createWorkspace(input: $input) { secret } }"""
DESTINATION = "+40741926299"
HEADERS = """[last_Via:]
[last_From:]
[last_To:];tag=[pid]s[call_number]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0
"""
CHALLENGE = f"""<recv request="INVITE"/><send><![CDATA[
SIP/2.0 407 Proxy Authentication Required
Proxy-Authenticate: Digest realm="carrier.example", nonce="[call_id]", algorithm=MD5, qop="auth"
{HEADERS}
]]></send><recv request="ACK"/>"""
RINGING = f"""<recv request="INVITE"/><send><![CDATA[
SIP/2.0 180 Ringing
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
{HEADERS}
]]></send>"""
CANCELLED = f"""<recv request="CANCEL"/><send><![CDATA[
SIP/2.0 200 OK
{HEADERS}
]]></send>"""


def refusing(status: str) -> str:
    return f"""{CHALLENGE}<recv request="INVITE"/><send><![CDATA[
SIP/2.0 {status}
{HEADERS}
]]></send><recv request="ACK"/>"""


@asynccontextmanager
async def own_workspace(exchange: Exchange, name: str) -> AsyncIterator[Api]:
    """A client of a workspace with turns of its own."""
    async with exchange.client() as operator:
        secret = (await operator.ask(NEW_WORKSPACE, {"input": {"name": f"{name} {time.monotonic_ns()}"}}))[
            "createWorkspace"
        ]["secret"]
    headers = {"authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=exchange.trunkline.url, headers=headers, timeout=60) as client:
        yield Api(client)


async def test_call(api_client: Api, trunk_id: str, **changes: Any) -> dict[str, Any]:
    wish = {"id": trunk_id, "destination": DESTINATION, "ringSeconds": 2} | changes
    payload: dict[str, Any] = (await api_client.ask(CALL, {"input": wish}))["testCallSipTrunk"]
    return payload


test_call.__test__ = False  # type: ignore[attr-defined]  # it calls, it does not test


async def left_behind(exchange: Exchange) -> list[str]:
    async with exchange.livekit() as lk:
        rooms = [room.name for room in (await lk.room.list_rooms(api.ListRoomsRequest())).rooms]
    return [name for name in rooms if name.startswith("trunkline-test-") or "selftest" in name]


async def last_event(client: Api, trunk_id: str) -> tuple[str, str]:
    """Action and outcome of what happened last to a trunk."""
    trunk = (await client.ask(LAST_EVENT, {"id": trunk_id}))["sipTrunk"]
    (event,) = trunk["events"]["nodes"]
    return event["action"], event["outcome"]


def scenario(folder: Path, body: str) -> Path:
    file = folder / "carrier.xml"
    file.write_text(f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="carrier">{body}</scenario>\n')
    return file


CARRIERS: dict[str, tuple[str, str, int | None]] = {
    "403": (refusing("403 Forbidden"), "REJECTED", 403),
    "404": (refusing("404 Not Found"), "NOT_FOUND", 404),
    "480": (refusing("480 Temporarily Unavailable"), "REJECTED", 480),
    "486": (refusing("486 Busy Here"), "BUSY", 486),
    "488": (refusing("488 Not Acceptable Here"), "REJECTED", 488),
    "500": (refusing("500 Server Error"), "CARRIER_ERROR", 500),
    "503": (refusing("503 Service Unavailable"), "CARRIER_ERROR", 503),
    "603": (refusing("603 Decline"), "REJECTED", 603),
    "407 again and again": (CHALLENGE * 5, "CREDENTIALS_REFUSED", None),
    "rings": (RINGING + CANCELLED, "RANG", None),
}


@pytest.mark.parametrize(("body", "outcome", "status"), CARRIERS.values(), ids=CARRIERS)
async def test_what_a_carrier_answers(  # noqa: PLR0913, PLR0917  # what each row says
    body: str,
    outcome: str,
    status: int | None,
    exchange: Exchange,
    carrier: Carrier,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    async with carrier.answering(scenario(tmp_path, body)) as callee, own_workspace(exchange, outcome) as client:
        line = await new_line(client, agent=None, sipPort=callee.port)
        payload = await test_call(client, line.trunk["id"])
        assert codes(payload) == [], payload
        call = payload["call"]
        record_property("test calls", f"{outcome:20} {call['sipStatus']} {call['durationMs']} ms {call['reason']}")
        assert (call["outcome"], call["sipStatus"]) == (outcome, status), call
        assert call["likelyCauses"]
        assert await last_event(client, line.trunk["id"]) == ("sip_trunk.test_called", outcome)
        assert await left_behind(exchange) == []


async def test_an_answered_call_is_hung_up(exchange: Exchange, carrier: Carrier) -> None:
    async with carrier.answering(SCENARIOS / "answer.xml") as callee, own_workspace(exchange, "answered") as client:
        line = await new_line(client, agent=None, sipPort=callee.port)
        payload = await test_call(client, line.trunk["id"])
        assert (payload["call"]["outcome"], payload["call"]["likelyCauses"]) == ("ANSWERED", [])
        assert await callee.ended() == 0  # the BYE came
        assert callee.requests("INVITE")[-1].request_uri == payload["call"]["dialled"]["requestUri"]
    assert await left_behind(exchange) == []


async def test_srtp_and_a_challenge_are_too_large_for_udp(exchange: Exchange, carrier: Carrier, tmp_path: Path) -> None:
    callee_of_both = scenario(tmp_path, refusing("486 Busy Here"))
    async with carrier.answering(callee_of_both) as callee, own_workspace(exchange, "large") as client:
        line = await new_line(client, agent=None, sipPort=callee.port, mediaEncryption="REQUIRED")
        call = (await test_call(client, line.trunk["id"]))["call"]
        assert (call["outcome"], "larger than livekit-sip sends over UDP" in call["likelyCauses"][0]) == (
            "UNREACHABLE",
            True,
        ), call
    assert await left_behind(exchange) == []


def _quiet() -> AbstractAsyncContextManager[Any]:
    return over_tcp(saying(), stays=True, blind=True)


async def test_nobody_there(exchange: Exchange) -> None:
    async with own_workspace(exchange, "nobody") as client:
        for changes, outcome in (
            ({"sipPort": free_port(), "sipTransport": "TCP"}, "UNREACHABLE"),
            ({"sipPort": free_port()}, "NO_REPLY"),
            ({"sipAddress": "nowhere.invalid"}, "UNREACHABLE"),
        ):
            line = await new_line(client, agent=None, **changes)
            call = (await test_call(client, line.trunk["id"]))["call"]
            assert call["outcome"] == outcome, call
            assert await left_behind(exchange) == []


async def test_a_tls_port_that_says_nothing_ends_in_time(exchange: Exchange) -> None:
    async with _quiet() as server, own_workspace(exchange, "quiet") as client:
        line = await new_line(client, agent=None, sipPort=server.port, sipTransport="TLS")
        began = time.monotonic()
        call = (await test_call(client, line.trunk["id"]))["call"]
        assert time.monotonic() - began < 20  # LiveKit alone: 80 s
        assert (call["outcome"], "TLS" in call["likelyCauses"][0]) == ("NO_REPLY", True), call
    assert await left_behind(exchange) == []


async def test_a_certificate_that_is_not_trusted_is_told(exchange: Exchange, tmp_path: Path) -> None:
    tls: ssl.SSLContext = served_with(new_authority(tmp_path).signed(LOOPBACK))
    async with over_tcp(answering(), tls=tls) as server, own_workspace(exchange, "certificate") as client:
        line = await new_line(client, agent=None, sipPort=server.port, sipTransport="TLS")
        call = (await test_call(client, line.trunk["id"]))["call"]
        assert call["outcome"] == "UNREACHABLE", call
        assert "unknown authority" in call["likelyCauses"][0]
    assert await left_behind(exchange) == []


async def test_a_client_that_goes_away_leaves_no_call(exchange: Exchange, carrier: Carrier, tmp_path: Path) -> None:
    async with (
        carrier.answering(scenario(tmp_path, RINGING + CANCELLED)) as callee,
        own_workspace(exchange, "gone") as client,
    ):
        line = await new_line(client, agent=None, sipPort=callee.port)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await test_call(client, line.trunk["id"], ringSeconds=4)
        again = await test_call(client, line.trunk["id"])
        assert codes(again) == ["IN_USE"]
        assert again["userErrors"][0]["retryable"] is True
        async with asyncio.timeout(20):
            while await left_behind(exchange):
                await asyncio.sleep(0.1)


async def test_only_what_is_listed_is_called(exchange: Exchange, carrier: Carrier) -> None:
    async with carrier.answering() as callee, own_workspace(exchange, "listed") as client:
        line = await new_line(client, agent=None, sipPort=callee.port)
        for destination in ("+4930123456", "0741926299", "20011", "+40 906 123 456", "+870 123", "112", "00407419262"):
            payload = await test_call(client, line.trunk["id"], destination=destination)
            assert codes(payload) == ["FORBIDDEN"], (destination, payload)
        assert callee.messages() == []
