"""Outbound calls through the edge: its route is a leg like any other, by a key that nobody is shown."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from models.secret import Secret
from models.sip_trunk import SipTransport, SipTrunk, TrunkStatus
from models.trunk_leg import LegKind, LegState, TrunkLeg
from tests.api import PASSWORD, House, codes, quick_settings, served_house, until
from tests.behind_our_back import is_settled, passes
from tests.faulty_voice import Call, Fail, at
from tests.needle import traces, traces_in
from trunkline.settings import LiveKit, SettingError
from trunkline.voice import EdgeRoute, Leg, OutboundTrunk, VoiceCause, VoiceError

EDGE, OUTBOUND, INBOUND = LegKind.EDGE, LegKind.OUTBOUND, LegKind.INBOUND
CARRIER: dict[str, Any] = {"sipAddress": "8.8.4.4", "sipPort": 5070, "sipTransport": "TCP", "outboundProxy": True}
REFUSED = Fail(VoiceError(VoiceCause.REFUSED, "No."))
EDGE_AWAY = Fail(VoiceError(VoiceCause.EDGE_UNAVAILABLE, "Away."))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path)) as house:
        yield house


async def created(house: House, **changes: Any) -> dict[str, Any]:
    payload = await house.api.create(**CARRIER | changes)
    assert codes(payload) == [], payload
    house.voice.forget()
    return await house.api.trunk(payload["sipTrunk"]["id"]) or {}


async def leg(house: House, kind: LegKind) -> Leg:
    (held,) = await house.voice.inner.list(kind)
    return held.leg


async def both(house: House) -> tuple[EdgeRoute, OutboundTrunk]:
    route, outbound = await leg(house, EDGE), await leg(house, OUTBOUND)
    assert isinstance(route, EdgeRoute)
    assert isinstance(outbound, OutboundTrunk)
    return route, outbound


def changing(house: House) -> list[tuple[str, LegKind | None]]:
    return [(call.method, call.kind) for call in house.voice.writes]


async def test_the_voice_backend_gets_a_key_and_the_edge_the_credentials(house: House) -> None:
    trunk = await created(house)
    route, outbound = await both(house)
    assert (outbound.address, outbound.transport) == ("edge", SipTransport.UDP)
    assert (outbound.auth_username, outbound.auth_password) == ("", Secret(""))
    assert (route.address, route.transport) == ("8.8.4.4:5070", SipTransport.TCP)
    assert (route.auth_username, route.auth_password) == ("alice", Secret(PASSWORD))
    assert outbound.edge_key == route.edge_key
    assert len(route.edge_key.reveal()) == 32
    assert trunk["edge"]["state"] == "READY"
    assert trunk["edge"]["voiceId"].startswith("EDGE_")


async def test_a_trunk_without_it_has_no_route_and_no_key(house: House) -> None:
    trunk = await created(house, outboundProxy=False)
    assert trunk["edge"] is None
    assert await house.voice.inner.list(EDGE) == []
    assert (await SipTrunk.get()).edge_key is None


async def test_every_trunk_has_a_key_of_its_own(house: House) -> None:
    await created(house)
    await created(house, phoneNumber="+40741926266")
    keys = {held.leg.edge_key for held in await house.voice.inner.list(EDGE) if isinstance(held.leg, EdgeRoute)}
    assert len(keys) == 2


async def test_the_key_is_nowhere_to_be_read(tmp_path: Path) -> None:
    with capture_logs() as logged:
        async with served_house(quick_settings(tmp_path)) as house:
            trunk = await created(house)
            key = (await both(house))[0].edge_key.reveal()
            answer = await house.api.update(trunk["id"], sipPassword="another-password")
            await house.api.delete(trunk["id"])
            assert traces_in(tmp_path, key) == {}
    assert traces_in(tmp_path, key) == {}
    assert traces(key, f"{logged}{trunk}{answer}".encode()) == []


async def test_what_concerns_the_carrier_is_written_at_the_edge_alone(house: House) -> None:
    trunk = await created(house)
    key = (await both(house))[0].edge_key
    changes = {"sipAddress": "9.9.9.9", "sipPort": None, "sipTransport": "TLS"}
    payload = await house.api.update(trunk["id"], **changes)
    assert changing(house) == [("replace", EDGE)]
    assert (payload["plan"]["outbound"], payload["plan"]["inbound"]) == ("UPDATE_IN_PLACE", "NONE")
    route, outbound = await both(house)
    assert (route.address, route.transport, outbound.address) == ("9.9.9.9", SipTransport.TLS, "edge")
    assert route.edge_key == outbound.edge_key == key


async def test_the_key_outlives_changes_and_provisioning_again(house: House) -> None:
    trunk = await created(house)
    before = await both(house)
    await house.api.update(trunk["id"], sipPassword="another-password")
    await house.api.reprovision(trunk["id"])
    await house.api.update(trunk["id"], outboundProxy=False)
    await house.api.update(trunk["id"], outboundProxy=True)
    after = await both(house)
    assert after[0].edge_key == after[1].edge_key == before[0].edge_key
    assert after[0].auth_password == Secret("another-password")


async def test_the_route_is_there_before_it_is_dialled_and_as_long(house: House) -> None:
    trunk = await created(house, outboundProxy=False)
    await house.api.update(trunk["id"], outboundProxy=True)
    assert changing(house) == [("create", EDGE), ("replace", OUTBOUND)]
    house.voice.forget()
    payload = await house.api.update(trunk["id"], outboundProxy=False)
    assert payload["sipTrunk"]["status"] == "ACTIVE"
    assert changing(house) == [("replace", OUTBOUND), ("delete", EDGE)]
    assert ((await house.api.trunk(trunk["id"])) or {})["edge"] is None
    await house.api.update(trunk["id"], outboundProxy=True)
    house.voice.forget()
    assert (await house.api.delete(trunk["id"]))["deletedId"] == trunk["id"]
    assert changing(house) == [("delete", kind) for kind in (INBOUND, OUTBOUND, EDGE)]


@pytest.mark.parametrize("kind", [EDGE, OUTBOUND])
async def test_a_failed_creation_leaves_nothing_at_the_edge_either(house: House, kind: LegKind) -> None:
    house.voice.plan = at("create", kind, REFUSED)
    assert codes(await house.api.create(**CARRIER)) == ["VOICE_REFUSED"]
    assert await house.held() == {}
    assert not await SipTrunk.exists()


async def test_a_change_that_the_edge_refuses_leaves_the_trunk_as_it_was(house: House) -> None:
    trunk = await created(house, outboundProxy=False)
    before = await house.held()
    house.voice.plan = at("create", EDGE, REFUSED)
    payload = await house.api.update(trunk["id"], outboundProxy=True)
    assert codes(payload) == ["VOICE_REFUSED"]
    assert await house.held() == before
    assert payload["sipTrunk"].items() <= trunk.items()
    assert not await TrunkLeg.exists(kind=EDGE)


async def test_an_edge_that_is_away_fails_only_what_needs_it(house: House) -> None:
    def away(call: Call) -> Fail | None:
        return EDGE_AWAY if call.kind is EDGE else None

    trunk = await created(house)
    house.voice.plan = away
    for payload in (
        await house.api.create(**CARRIER | {"phoneNumber": "+40741926266"}),
        await house.api.update(trunk["id"], sipPassword="another-password"),
    ):
        (error,) = payload["userErrors"]
        assert (error["code"], error["retryable"]) == ("VOICE_UNAVAILABLE", True)
    assert codes(await house.api.create(phoneNumber="+40741926267")) == []
    with capture_logs() as logged:
        await house.voice.inner.delete(INBOUND, trunk["inboundTrunkId"])

        async def mended() -> bool:
            return len(await house.voice.inner.list(INBOUND)) == 2 and await is_settled()

        await until(mended)
    assert "edge_unseen" in {line["event"] for line in logged}
    assert "reconcile_failed" not in {line["event"] for line in logged}
    assert (await house.api.ask("{ voice { reachable } }"))["voice"]["reachable"] is True


async def test_the_edge_can_be_left_while_it_is_away(house: House) -> None:
    trunk = await created(house)
    house.voice.plan = at("delete", EDGE, EDGE_AWAY)
    payload = await house.api.update(trunk["id"], outboundProxy=False)
    assert (codes(payload), payload["sipTrunk"]["status"]) == ([], "ACTIVE")
    assert (await both(house))[1].address == "8.8.4.4:5070"
    left = (await house.api.trunk(trunk["id"]) or {})["edge"]
    assert (left["state"], left["lastError"]["code"]) == ("REMOVING", "VOICE_UNAVAILABLE")
    house.voice.plan = at("delete", INBOUND, REFUSED)

    async def gone() -> bool:
        return await house.voice.inner.list(EDGE) == [] and not await TrunkLeg.exists(kind=EDGE)

    await until(gone)


async def test_a_removal_waits_for_the_edge(house: House) -> None:
    trunk = await created(house)
    house.voice.plan = at("delete", EDGE, EDGE_AWAY, nth=1)
    payload = await house.api.delete(trunk["id"])
    (error,) = payload["userErrors"]
    assert (payload["deletedId"], error["code"], error["retryable"]) == (None, "VOICE_UNAVAILABLE", True)
    await house.api.gone(trunk["id"])
    assert await house.held() == {}


async def test_a_trunk_from_before_the_edge_goes_out_by_itself_until_it_is_changed(house: House) -> None:
    trunk = await created(house, outboundProxy=False)
    await SipTrunk.all().update(outbound_proxy=True)
    await passes(house, 2)
    assert changing(house) == []
    await house.api.update(trunk["id"], nickname="Reception")
    route, outbound = await both(house)
    assert outbound.edge_key == route.edge_key


async def test_a_route_of_unknown_outcome_is_found_and_taken(house: House) -> None:
    house.voice.plan = at("create", EDGE, Fail(VoiceError(VoiceCause.OUTCOME_UNKNOWN, "Lost."), after=True))
    payload = await house.api.create(**CARRIER)
    assert codes(payload) == []
    route, outbound = await both(house)
    assert outbound.edge_key == route.edge_key
    assert await TrunkLeg.filter(state=LegState.READY).count() == 3
    assert (await SipTrunk.get()).status is TrunkStatus.ACTIVE


async def test_a_start_without_the_edge_that_trunks_go_out_by_is_refused(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings) as house:
        await created(house)
    livekit = LiveKit("http://127.0.0.1:1", "key", Secret("secret"))
    with pytest.raises(SettingError, match=r"^TRUNKLINE_OUTBOUND_PROXY: is missing; 1 trunks"):
        async with served_house(replace(settings, livekit=livekit)):
            raise AssertionError("it started")
