"""Edits behind our back with LiveKit's own client, a Redis that lost everything, a running project that moves in."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from livekit import api

from models.secret import Secret
from models.trunk_leg import LegKind
from tests.api import PASSWORD, House, codes, quick_settings, served_house, until
from tests.behind_our_back import everything, held_of, is_settled, passes, whole_trunk
from tests.commands import output
from tests.real.reaching import reaching
from tests.real.servers import LiveKitServer
from tests.voice_legs import digits
from trunkline.settings import LiveKit
from trunkline.voice import DispatchRule

PATIENCE_SECONDS = 30.0
TRUNKS = 30


@pytest.fixture
async def house(tmp_path: Path, livekit: LiveKitServer) -> AsyncIterator[House]:
    await cleared(livekit)
    server = LiveKit(livekit.url, livekit.api_key, Secret(livekit.api_secret))
    settings = quick_settings(tmp_path, livekit=server, provision_timeout=6.0, settle_time=0.5)
    async with served_house(settings) as house:
        yield house
    await cleared(livekit)


async def cleared(livekit: LiveKitServer) -> None:
    async with reaching(livekit) as voice:
        for kind in LegKind:
            for held in await voice.list(kind):
                await voice.delete(kind, held.voice_id)


@contextlib.asynccontextmanager
async def somebody(livekit: LiveKitServer) -> AsyncIterator[Any]:
    """LiveKit's own client."""
    async with api.LiveKitAPI(livekit.url, livekit.api_key, livekit.api_secret) as client:
        yield client.sip


def number() -> str:
    return f"+407419{digits()[-5:]}"


EDITS: dict[str, tuple[LegKind, Callable[[Any], None]]] = {
    "a number": (LegKind.INBOUND, lambda info: info.numbers.append("+4930999")),
    "the password": (LegKind.INBOUND, lambda info: setattr(info, "auth_password", "another one")),
    "callers": (LegKind.INBOUND, lambda info: info.allowed_numbers.append("+4930111")),
    "a header": (LegKind.INBOUND, lambda info: info.headers.update({"X-Theirs": "1"})),
    "the ringing time": (LegKind.INBOUND, lambda info: info.ringing_timeout.CopyFrom(Duration(seconds=7))),
    "noise reduction": (LegKind.INBOUND, lambda info: setattr(info, "krisp_enabled", True)),
    "the marker": (LegKind.INBOUND, lambda info: setattr(info, "metadata", "")),
    "the address": (LegKind.OUTBOUND, lambda info: setattr(info, "address", "8.8.8.8")),
    "an automatic transport": (LegKind.OUTBOUND, lambda info: setattr(info, "transport", 0)),
    "encryption": (LegKind.OUTBOUND, lambda info: setattr(info.media, "encryption", 2)),
    "codecs": (LegKind.OUTBOUND, lambda info: setattr(info.media, "only_listed_codecs", True)),
    "a caller's host": (LegKind.OUTBOUND, lambda info: setattr(info, "from_host", "pbx.example.com")),
    "the agent": (LegKind.DISPATCH, lambda info: setattr(info.room_config.agents[0], "agent_name", "theirs")),
    "an attribute": (LegKind.DISPATCH, lambda info: info.attributes.update({"theirs": "1"})),
}


async def edited(sip: Any, kind: LegKind, voice_id: str, edit: Callable[[Any], None]) -> None:
    if kind is LegKind.DISPATCH:
        rules = await sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest(dispatch_rule_ids=[voice_id]))
        edit(rules.items[0])
        await sip.update_dispatch_rule(voice_id, rules.items[0])
    elif kind is LegKind.INBOUND:
        inbound = await sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest(trunk_ids=[voice_id]))
        edit(inbound.items[0])
        await sip.update_inbound_trunk(voice_id, inbound.items[0])
    else:
        outbound = await sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest(trunk_ids=[voice_id]))
        edit(outbound.items[0])
        await sip.update_outbound_trunk(voice_id, outbound.items[0])


@pytest.mark.parametrize("name", EDITS)
async def test_an_edit_is_undone_in_place(house: House, livekit: LiveKitServer, name: str) -> None:
    kind, edit = EDITS[name]
    voice, whole = house.voice.inner, await whole_trunk(house.api, phoneNumber=number(), outboundProxy=False)
    right = await held_of(voice, whole, kind)
    house.voice.forget()
    async with somebody(livekit) as sip:
        await edited(sip, kind, right.voice_id, edit)

    async def undone() -> bool:
        return len(house.voice.writes) > 0 and await held_of(voice, whole, kind) == right and await is_settled()

    await until(undone)
    assert [(call.method, call.kind) for call in house.voice.writes] == [("replace", kind)]
    assert await everything(voice) == set(whole.voice_ids.values())


async def test_what_somebody_else_made_is_never_touched(house: House, livekit: LiveKitServer) -> None:
    await whole_trunk(house.api, phoneNumber=number(), outboundProxy=False)
    theirs = api.SIPInboundTrunkInfo(name="Theirs", numbers=[number()], auth_username="bob", auth_password="builder")
    async with somebody(livekit) as sip:
        made = await sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=theirs))
        await passes(house, 5)
        assert house.voice.writes == []
        only = api.ListSIPInboundTrunkRequest(trunk_ids=[made.sip_trunk_id])
        assert list((await sip.list_inbound_trunk(only)).items) == [made]


async def test_everything_comes_back_when_redis_lost_it(house: House, livekit: LiveKitServer) -> None:
    trunks = [await whole_trunk(house.api, phoneNumber=f"+4074192{n:04}", outboundProxy=False) for n in range(TRUNKS)]
    before = await everything(house.voice.inner)
    await asyncio.to_thread(lose_everything, livekit)

    assert codes(await house.api.create(phoneNumber="+40741930000")) == []  # users are served meanwhile
    await until(back_and_one_more(house, len(before) + 2), PATIENCE_SECONDS)
    after = await everything(house.voice.inner)
    assert after.isdisjoint(before)
    assert await rules_are_bound(house)
    assert len(await house.api.trunks()) == len(trunks) + 1


def back_and_one_more(house: House, count: int) -> Callable[[], Any]:
    async def back() -> bool:
        return len(await everything(house.voice.inner)) == count and await is_settled()

    return back


async def rules_are_bound(house: House) -> bool:
    """Every rule names an inbound trunk that is there, each another one."""
    voice = house.voice.inner
    inbound = {held.voice_id for held in await voice.list(LegKind.INBOUND)}
    rules = [held.leg for held in await voice.list(LegKind.DISPATCH)]
    named = [rule.trunk_ids[0] for rule in rules if isinstance(rule, DispatchRule)]
    return len(set(named)) == TRUNKS and set(named) <= inbound


def lose_everything(livekit: LiveKitServer) -> None:
    """FLUSHALL, and livekit-server starts anew."""
    host, port = livekit.redis_address.split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(16).startswith(b"+OK")
    livekit.livekit.stop()
    livekit.livekit.start()


async def test_a_running_project_moves_in_without_a_change(house: House, livekit: LiveKitServer) -> None:
    own = number()
    shared: dict[str, Any] = {"auth_username": "alice", "auth_password": PASSWORD, "name": "Desk", "numbers": [own]}
    udp = api.SIPTransport.SIP_TRANSPORT_UDP
    inbound = api.SIPInboundTrunkInfo(ringing_timeout=Duration(seconds=30), **shared)
    outbound = api.SIPOutboundTrunkInfo(address="8.8.4.4", transport=udp, destination_country="RO", **shared)
    async with somebody(livekit) as sip:
        made = await sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=inbound))
        paired = await sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=outbound))
        shown = await asyncio.to_thread(adopt, house, livekit)
        assert f"{made.sip_trunk_id} {paired.sip_trunk_id}  {own}  Desk" in shown
        assert "changes" not in shown
        assert "Adopted as" in await asyncio.to_thread(adopt, house, livekit, made.sip_trunk_id)
        await until(is_settled)
        (trunk,) = await house.api.trunks()
        assert (trunk["inboundTrunkId"], trunk["outboundTrunkId"]) == (made.sip_trunk_id, paired.sip_trunk_id)
        found = (await sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())).items[0]
        assert without_marker(found) == without_marker(made)


def adopt(house: House, livekit: LiveKitServer, *arguments: str) -> str:
    return output(house.settings.data_folder, "adopt", *arguments, **livekit.environment)


def without_marker(info: Any) -> Any:
    plain = type(info)()
    plain.CopyFrom(info)
    for name in ("metadata", "created_at", "updated_at", "media"):
        plain.ClearField(name)
    return plain
