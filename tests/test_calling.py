"""testCallSipTrunk and selfTestSipTrunk in the sandbox, which calls nobody: what is refused, and in which order."""

from pathlib import Path
from typing import Any

import pytest

from models.event import Event
from tests.api import House, codes, quick_settings, served_house
from tests.voice_legs import fails
from trunkline.call_outcomes import LOST
from trunkline.setting_values import SipHost
from trunkline.voice import VoiceCause
from trunkline.voice.calls import CallEnd, Dial, NoCalls, Route

CALL = """mutation ($input: TestCallSipTrunkInput!) { testCallSipTrunk(input: $input) {
  message call { outcome } userErrors { code message field retryable }
} }"""
SELF_TEST = """mutation ($id: ID!) { selfTestSipTrunk(input: {id: $id}) {
  message selfTest { outcome explanation durationMs } userErrors { code message field }
} }"""
DESTINATION = "+40741926299"


async def trunk_of(house: House, **changes: Any) -> str:
    trunk_id: str = (await house.api.create(**changes))["sipTrunk"]["id"]
    return trunk_id


async def call(house: House, trunk_id: str, **changes: Any) -> dict[str, Any]:
    wish = {"id": trunk_id, "destination": DESTINATION} | changes
    payload: dict[str, Any] = (await house.api.ask(CALL, {"input": wish}))["testCallSipTrunk"]
    return payload


async def self_test(house: House, trunk_id: str) -> dict[str, Any]:
    payload: dict[str, Any] = (await house.api.ask(SELF_TEST, {"id": trunk_id}))["selfTestSipTrunk"]
    return payload


async def test_nothing_may_be_called_unless_it_is_listed(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        payload = await call(house, await trunk_of(house), ringSeconds=31)
        assert codes(payload) == ["FORBIDDEN", "OUT_OF_RANGE"]
        assert [error["field"] for error in payload["userErrors"]] == [
            ["input", "destination"],
            ["input", "ringSeconds"],
        ]
        assert "TRUNKLINE_TEST_CALL_DESTINATIONS" in payload["message"]
        assert await Event.filter(action="sip_trunk.test_called").count() == 0


async def test_the_sandbox_says_that_it_places_no_calls(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, test_call_destinations=("+40",))) as house:
        trunk_id = await trunk_of(house)
        payload = await call(house, trunk_id)
        assert codes(payload) == ["VOICE_MISCONFIGURED"]
        assert "The sandbox places no calls" in payload["message"]
        event = await Event.get(action="sip_trunk.test_called")
        assert (event.trunk_id, event.outcome, event.changed_fields) == (trunk_id, "VOICE_MISCONFIGURED", [])


async def test_a_destination_without_a_form_is_told(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, test_call_destinations=("+44",))) as house:
        payload = await call(house, await trunk_of(house, sipCallingFormat="NATIONAL"), destination="+442079460958")
        assert codes(payload) == ["INVALID_FORMAT"]
        assert "no national form" in payload["message"]


async def test_calls_are_limited(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, test_call_destinations=("+40",))) as house:
        trunk_id = await trunk_of(house)
        told = [codes(await call(house, trunk_id)) for _ in range(7)]
        assert told == [["VOICE_MISCONFIGURED"]] * 6 + [["RATE_LIMITED"]]


@pytest.mark.parametrize("unknown", ["trunk_01m84jm4pde0zt4p5m1q44vg6r", "nonsense"])
async def test_an_unknown_trunk_is_not_found(tmp_path: Path, unknown: str) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        assert codes(await call(house, unknown)) == ["NOT_FOUND"]
        assert codes(await self_test(house, unknown)) == ["NOT_FOUND"]


async def test_a_self_test_needs_a_place_to_call_and_somebody_to_answer(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        payload = await self_test(house, await trunk_of(house))
        assert codes(payload) == ["VOICE_MISCONFIGURED"]
        assert "TRUNKLINE_SIP_HOST" in payload["message"]
    async with served_house(quick_settings(tmp_path, sip_host=SipHost("203.0.113.5"))) as house:
        trunk_id = await trunk_of(
            house, phoneNumber="+40741926266", inboundAuthorizationType="IP", allowedInboundIps=["198.51.100.7"]
        )
        assert (await self_test(house, trunk_id))["selfTest"]["outcome"] == "NO_ASSISTANT"
        await house.api.answered_by(trunk_id)
        payload = await self_test(house, trunk_id)
        assert codes(payload) == ["IP_NOT_ALLOWED"]
        assert "203.0.113.5" in payload["message"]
        await house.api.update(trunk_id, allowedInboundIps=["203.0.113.0/24"])
        assert codes(await self_test(house, trunk_id)) == ["VOICE_MISCONFIGURED"]


class Forgetful(NoCalls):
    """Loses the first call, as livekit-sip does over TCP now and then, and answers the second."""

    dials: list[Dial]

    def __init__(self) -> None:
        Forgetful.dials = []

    async def place(self, dial: Dial) -> CallEnd:
        Forgetful.dials.append(dial)
        return CallEnd(answered=True) if len(Forgetful.dials) > 1 else CallEnd(words=f"{LOST} (0 responses)")


@pytest.mark.parametrize(("encryption", "transport"), [("REQUIRED", "TCP"), ("AUTO", "UDP")])
async def test_a_self_test_goes_over_a_transport_that_it_fits_into_and_not_by_one_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encryption: str, transport: str
) -> None:
    monkeypatch.setattr("trunkline.asgi.NoCalls", Forgetful)
    async with served_house(quick_settings(tmp_path, sip_host=SipHost("203.0.113.5"))) as house:
        trunk_id = await trunk_of(house, mediaEncryption=encryption)
        await house.api.answered_by(trunk_id)
        assert (await self_test(house, trunk_id))["selfTest"]["outcome"] == "ANSWERED"
    routes = [dial.by for dial in Forgetful.dials]
    assert [route.transport for route in routes if isinstance(route, Route)] == [transport] * 2


async def test_the_sandbox_has_no_rooms() -> None:
    calls = NoCalls()
    await fails(calls.place(Dial(room="r", callee="1000", ring_seconds=1, by="ST_1")), VoiceCause.MISCONFIGURED)
    assert (await calls.arrivals(""), await calls.close("")) == ([], 0)
