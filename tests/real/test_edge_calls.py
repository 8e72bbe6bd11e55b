"""Calls through the edge: the carrier sees one fixed address and one right answer, LiveKit knows no password."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from livekit import api

from scripts.daemon import LOOPBACK, free_port
from scripts.voice_edge import OUTER
from tests.api import codes, until
from tests.authority import Authority, new_authority, served_with
from tests.real.behind import KEY_HEADER, Caller, past_us
from tests.real.calling import CREDENTIALS, Exchange, new_line
from tests.real.outbound_matrix import NUMBER, Placing
from tests.real.sipp import Carrier
from tests.real.test_test_calls import CANCELLED, CARRIERS, CHALLENGE, RINGING, own_workspace, scenario, test_call
from tests.real.wire import Packet, captured
from tests.sip_servers import answering, over_tcp

HANGING_UP = Path(__file__).with_name("hanging_up.xml")
PATIENCE_SECONDS = 30.0
UNKNOWN_KEY = (403, "Unknown trunk key")
REFUSED = (403, "Carrier refused the trunk's credentials")
ANSWERS = {name: row for name, row in CARRIERS.items() if name not in {"407 again and again", "rings"}}
TERMINATED = """<send><![CDATA[
SIP/2.0 487 Request Terminated
[last_Via:]
[last_From:]
[last_To:];tag=[pid]s[call_number]
[last_Call-ID:]
CSeq: 1 INVITE
Content-Length: 0

]]></send><recv request="ACK"/>"""


@asynccontextmanager
async def wire() -> AsyncIterator[list[Packet]]:
    try:
        async with captured() as packets:
            yield packets
    except PermissionError:
        pytest.skip("needs the right to capture packets (root)")


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_the_carrier_sees_the_edges_address_alone(
    caller: Caller, record_property: Callable[[str, object], None], transport: str
) -> None:
    line, edge = await caller.line(sipTransport=transport), caller.edge
    carrier = f"{LOOPBACK}:{line.trunk['sipPort']}"
    async with wire() as packets:
        placed = await Placing(caller.client, caller.lk, replace(caller.carrier, transport=transport)).call(
            line, NUMBER
        )
    assert placed.followed
    arrived = [packet for packet in packets if packet.target == carrier]
    assert {packet.method for packet in arrived} == {"INVITE", "ACK", "BYE"}
    others = {packet.source for packet in arrived} | {packet.target for packet in packets if packet.source == carrier}
    assert {other.partition(":")[0] for other in others} == {OUTER}
    assert others == {edge.outer} or transport == "TCP"  # whose connections leave from any port
    for packet in packets:
        if {packet.source, packet.target} & {carrier, edge.inner}:
            told = f"{transport} {packet.source:>15} > {packet.target:15}  {packet.start}"
            record_property("a call through the edge", told)
    assert not [message for message in placed.messages if KEY_HEADER in message.text]
    assert placed.invites[0].header("To") == f"<{placed.preview['requestUri']}>"
    assert f"@{OUTER}>" in (placed.invites[0].header("From") or "")


async def test_livekit_knows_a_key_and_no_credentials(caller: Caller) -> None:
    line = await caller.line()
    outbound = await caller.outbound_of(line)
    assert (outbound.address, outbound.auth_username, outbound.auth_password) == (caller.edge.inner, "", "")
    assert outbound.transport == api.SIPTransport.SIP_TRANSPORT_UDP
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", outbound.headers[KEY_HEADER])
    shown = (await caller.client.trunk(line.trunk["id"])) or {}
    assert shown["edge"]["state"] == "READY"
    assert outbound.headers[KEY_HEADER] not in str(shown)


async def test_wrong_credentials_are_tried_once_and_told(caller: Caller, tmp_path: Path) -> None:
    async with caller.carrier.answering(scenario(tmp_path, CHALLENGE * 2)) as callee:
        line = await caller.line(sipPort=callee.port)
        assert await caller.refused(line.trunk["outboundTrunkId"]) == REFUSED
        assert await callee.ended() == 0
        digests = [invite.digest for invite in callee.requests("INVITE")]
        assert [bool(digest) for digest in digests] == [False, True]
        assert digests[1]["username"] == CREDENTIALS[0]


async def test_a_test_call_tells_that_the_carrier_refused_the_credentials(
    behind: Exchange, carrier: Carrier, tmp_path: Path
) -> None:
    challenges = scenario(tmp_path, CHALLENGE * 2)
    async with carrier.answering(challenges) as callee, own_workspace(behind, "refused") as client:
        line = await new_line(client, agent=None, sipPort=callee.port, outboundProxy=True)
        call = (await test_call(client, line.trunk["id"]))["call"]
    assert (call["outcome"], call["sipStatus"]) == ("CREDENTIALS_REFUSED", 403), call


@pytest.mark.parametrize(("body", "outcome", "status"), ANSWERS.values(), ids=ANSWERS)
async def test_what_a_carrier_answers_arrives_as_it_is(  # noqa: PLR0913, PLR0917  # what each row says
    body: str, outcome: str, status: int, behind: Exchange, carrier: Carrier, tmp_path: Path
) -> None:
    async with carrier.answering(scenario(tmp_path, body)) as callee, own_workspace(behind, outcome) as client:
        line = await new_line(client, agent=None, sipPort=callee.port, outboundProxy=True)
        call = (await test_call(client, line.trunk["id"]))["call"]
        assert (call["outcome"], call["sipStatus"]) == (outcome, status), call


@pytest.mark.parametrize("transport", ["TCP", "UDP"])
async def test_a_carrier_that_is_not_there_is_told(behind: Exchange, transport: str) -> None:
    async with own_workspace(behind, "nobody") as client:
        line = await new_line(client, agent=None, sipPort=free_port(), sipTransport=transport, outboundProxy=True)
        call = (await test_call(client, line.trunk["id"], ringSeconds=20))["call"]
    told = (call["outcome"], call["sipStatus"])
    assert told == ("NO_REPLY", 504) or (transport == "TCP" and told == ("UNREACHABLE", 502)), call


async def test_who_gives_up_while_it_rings_is_heard(behind: Exchange, carrier: Carrier, tmp_path: Path) -> None:
    rings = scenario(tmp_path, RINGING + CANCELLED + TERMINATED)
    async with carrier.answering(rings) as callee, own_workspace(behind, "rings") as client:
        line = await new_line(client, agent=None, sipPort=callee.port, outboundProxy=True)
        call = (await test_call(client, line.trunk["id"]))["call"]
        assert call["outcome"] == "RANG", call
        assert await callee.ended() == 0


async def test_an_unknown_key_is_refused(caller: Caller) -> None:
    """Of nobody, of the table's own row, and none at all."""
    for headers in ({KEY_HEADER: "k" * 32}, {KEY_HEADER: "generation"}, {KEY_HEADER: ""}, {}):
        async with caller.by_hand(headers) as trunk_id:
            assert await caller.refused(trunk_id) == UNKNOWN_KEY, headers


async def test_the_key_of_a_removed_trunk_opens_nothing_without_a_restart(caller: Caller) -> None:
    line = await caller.line()
    running = caller.edge.daemon.process
    async with caller.by_hand({KEY_HEADER: await caller.key_of(line)}) as trunk_id:
        async with caller.up(line, trunk_id):
            pass
        assert (await caller.client.delete(line.trunk["id"]))["deletedId"]
        assert await caller.refused(trunk_id) == UNKNOWN_KEY
    assert caller.edge.daemon.process is running


async def test_a_call_outlives_the_loading_of_other_routes_and_of_its_own(caller: Caller) -> None:
    line = await caller.line()
    async with caller.up(line):
        other = await caller.line()
        assert codes(await caller.client.update(line.trunk["id"], sipPassword="another-password")) == []
        assert (await caller.client.delete(other.trunk["id"]))["deletedId"]


async def test_the_carrier_changes_the_call_and_ends_it(caller: Caller) -> None:
    line = await caller.line()
    trunk_id, port = line.trunk["outboundTrunkId"], line.trunk["sipPort"]
    async with caller.carrier.answering(HANGING_UP, port) as callee, caller.dialled(trunk_id) as room:
        assert await callee.ended() == 0
        await until(lambda: _is_empty(caller, room), PATIENCE_SECONDS)


async def test_the_carrier_ends_a_call_that_the_edge_has_forgotten(caller: Caller, tmp_path: Path) -> None:
    begin, _, rest = HANGING_UP.read_text().partition('<pause milliseconds="500"/>')
    later = tmp_path / "later.xml"
    later.write_text(begin + '<pause milliseconds="3000"/>' + rest.partition('<pause milliseconds="300"/>')[2])
    line = await caller.line()
    trunk_id, port = line.trunk["outboundTrunkId"], line.trunk["sipPort"]
    async with caller.carrier.answering(later, port) as callee, caller.dialled(trunk_id) as room:
        caller.edge.kill()
        assert not await _is_empty(caller, room)
        caller.edge.daemon.start()
        assert await callee.ended() == 0
        await until(lambda: _is_empty(caller, room), PATIENCE_SECONDS)


async def _is_empty(caller: Caller, room: str) -> bool:
    there = (await caller.lk.room.list_participants(api.ListParticipantsRequest(room=room))).participants
    return not there


async def test_it_comes_back_complete_after_a_kill_and_calls_can_be_ended(caller: Caller) -> None:
    line, standing = await caller.line(), await caller.line()
    async with caller.up(standing):
        caller.edge.kill()
        caller.edge.daemon.start()
        async with caller.up(line):
            pass


@pytest.mark.parametrize("statement", ["UPDATE edge_route SET address = '127.0.0.9'", "DELETE FROM edge_route"])
async def test_a_changed_or_lost_route_is_put_right(caller: Caller, statement: str) -> None:
    line = await caller.line()
    key = await caller.key_of(line)
    past_us(caller.edge, f"{statement} WHERE trunk_key = ?", key)

    async def right() -> bool:
        rows = past_us(caller.edge, "SELECT address FROM edge_route WHERE trunk_key = ?", key)
        trunk = (await caller.client.trunk(line.trunk["id"])) or {}
        return rows == [(f"{LOOPBACK}:{line.trunk['sipPort']}",)] and trunk["edge"]["state"] == "READY"

    await until(right, PATIENCE_SECONDS)
    async with caller.up(line):
        pass


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_carrier_with_tls_is_verified(
    behind: Exchange, edge_authority: Authority, tmp_path: Path, trusted: bool
) -> None:
    authority = edge_authority if trusted else new_authority(tmp_path)
    tls = served_with(authority.signed(LOOPBACK))
    async with (
        over_tcp(answering(486, "Busy Here"), tls=tls, stays=True) as server,
        own_workspace(behind, "tls") as client,
    ):
        line = await new_line(client, agent=None, sipPort=server.port, sipTransport="TLS", outboundProxy=True)
        call = (await test_call(client, line.trunk["id"]))["call"]
        assert (call["outcome"] == "BUSY") == trusted, call
        assert len(server.requests) == trusted
        assert all(str(request.uri).endswith(";transport=tls") for request in server.requests)
