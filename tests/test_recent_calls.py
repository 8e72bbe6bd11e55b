"""The calls that a trunk shows, as LiveKit's webhooks tell them, and the alarms that they give."""

import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.call import Call, CallOutcome, WebhookEvent
from models.event import Event
from tests.api import quick_settings, until
from tests.webhook_api import (
    CALLER,
    NUMBERS,
    Posting,
    Room,
    posting_house,
    webhooks_at_once_are_all_taken,
)
from trunkline import calls, database
from trunkline.metrics import Metrics


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Posting]:
    async with posting_house(quick_settings(tmp_path)) as house:
        yield house


@pytest.fixture
async def trunk(house: Posting) -> dict[str, Any]:
    trunk: dict[str, Any] = (await house.api.create())["sipTrunk"]
    return trunk


def room_of(trunk: dict[str, Any], **changes: Any) -> Room:
    return Room(trunk["inboundTrunkId"], **changes)


async def test_a_call_that_is_answered(house: Posting, trunk: dict[str, Any]) -> None:
    room = room_of(trunk)
    await house.told(room.started(), room.rings(), room.caller_audio())
    (ringing,) = await house.calls(trunk)
    assert ringing == {
        "at": ringing["at"],
        "direction": "INBOUND",
        "from": CALLER,
        "to": "+40741926265",
        "outcome": "RINGING",
        "durationMs": None,
        "agentName": None,
        "sipCallId": room.call_id,
    }
    await house.told(room.agent(), room.agent_audio(kind="VIDEO"))
    assert await house.outcome(trunk) == "RINGING"
    await house.told(room.agent_audio(1))
    (lasting,) = await house.calls(trunk)
    assert (lasting["outcome"], lasting["agentName"], lasting["durationMs"]) == ("IN_PROGRESS", "echo", None)
    await house.told(room.leaves("hangup", 9), room.finished(29))
    (ended,) = await house.calls(trunk)
    assert (ended["outcome"], ended["at"]) == ("ANSWERED", ringing["at"])
    assert 7_000 <= ended["durationMs"] <= 9_000
    assert await Event.filter(action="call.ended").count() == 0


async def test_a_call_that_no_agent_answers_is_an_alarm_once(house: Posting, trunk: dict[str, Any]) -> None:
    room = room_of(trunk)
    await house.told(room.rings(), room.leaves("ringing", 30), room.finished(50), room.leaves("ringing", 30))
    assert await house.outcome(trunk) == "NO_AGENT"
    event = await Event.get(action="call.ended")
    assert (event.actor, event.outcome, event.trunk_id) == ("livekit", "NO_AGENT", trunk["id"])
    assert event.subject_id == (await Call.get()).id
    metrics = (await house.api.client.get("/metrics")).text
    assert 'trunkline_calls_total{outcome="NO_AGENT"} 1.0' in metrics
    assert 'trunkline_alarms_total{event="no_agent_joined"} 1.0' in metrics


async def test_a_from_that_names_a_range_is_an_alarm(house: Posting, trunk: dict[str, Any]) -> None:
    plain, forged = room_of(trunk).rings(), room_of(trunk).rings()
    plain["participant"]["attributes"]["sip.hostname"] = "203.0.113.7"
    forged["participant"]["attributes"]["sip.hostname"] = "203.0.113.0/28"
    await house.told(plain, forged, forged)
    (event,) = await Event.filter(action="call.began")
    assert (event.actor, event.outcome, event.trunk_id) == ("livekit", "FORGED_SOURCE", trunk["id"])
    metrics = (await house.api.client.get("/metrics")).text
    assert 'trunkline_alarms_total{event="forged_source"} 1.0' in metrics


async def test_an_outbound_call(house: Posting, trunk: dict[str, Any]) -> None:
    room = Room(trunk["outboundTrunkId"], direction="OUTBOUND")
    await house.told(room.agent(-3), room.rings())
    (dialled,) = await house.calls(trunk)
    assert (dialled["direction"], dialled["outcome"], dialled["agentName"]) == ("OUTBOUND", "IN_PROGRESS", "echo")
    assert (dialled["from"], dialled["to"]) == ("+40741926265", CALLER)
    await house.told(room.leaves("dialing", 1))
    assert await house.outcome(trunk) == "NOT_ANSWERED"


async def test_any_order_and_any_repetition_end_the_same(house: Posting, trunk: dict[str, Any]) -> None:
    seen = set()
    for seed in range(12):
        room = room_of(trunk)
        events = [room.rings(), room.agent(), room.agent_audio(2), room.leaves("hangup", 8), room.finished(28)]
        order = random.Random(seed)  # noqa: S311  # no secret depends on it
        order.shuffle(events)
        await house.told(*events, *order.sample(events, 3))
        call = await Call.get(sip_call_id=room.call_id)
        assert call.answered_at
        assert call.ended_at
        began = call.at.timestamp() - room.began
        times = (began, call.answered_at.timestamp() - room.began, call.ended_at.timestamp() - room.began)
        seen.add((call.outcome, call.agent_name, tuple(int(seconds) for seconds in times)))
        assert await WebhookEvent.filter(room=room.name).count() == len(events)
    assert {each[:2] for each in seen} == {(CallOutcome.ANSWERED, "echo")}
    assert all(end - answer in {5, 6, 7} for *_, (_began, answer, end) in seen)


async def test_webhooks_at_once_are_all_taken(house: Posting) -> None:
    await webhooks_at_once_are_all_taken(house)


async def test_what_is_of_no_trunk_of_ours_is_not_kept(house: Posting, trunk: dict[str, Any]) -> None:
    foreign = Room("ST_foreign", direction="OUTBOUND")
    await house.told(foreign.started(), foreign.rings(), foreign.agent_audio(), foreign.leaves("ringing", 30))
    rule = Room(trunk["id"])
    await house.told(rule.rings(), rule.leaves("ringing", 30))
    assert await Call.all().count() == 0
    assert await WebhookEvent.all().count() == 0
    assert await house.calls(trunk) == []


async def test_the_newest_come_first_and_each_trunk_has_its_own(house: Posting, trunk: dict[str, Any]) -> None:
    other = (await house.api.create(phoneNumber="+40741926266"))["sipTrunk"]
    now = int(time.time())
    rooms = [room_of(trunk, began=now - 60 * number) for number in range(25)]
    await house.told(*(room.rings() for room in reversed(rooms)), room_of(other).rings())
    found = await house.calls(trunk)
    assert [call["sipCallId"] for call in found] == [room.call_id for room in rooms[:20]]
    assert len(await house.calls(trunk, first=100)) == 25
    assert len(await house.calls(other)) == 1
    for size in (0, 101):
        answer = (
            await house.api.raw(
                "query($id: ID!, $first: Int) { sipTrunk(id: $id) { recentCalls(first: $first) { at } } }",
                {"id": trunk["id"], "first": size},
            )
        ).json()
        assert answer["errors"][0]["message"] == "first must be from 1 to 100."


async def test_what_strangers_write_into_from_does_no_harm(house: Posting, trunk: dict[str, Any]) -> None:
    room = room_of(trunk)
    event = room.rings()
    event["room"]["name"] = f"call-_{'x' * 300}\x00"
    event["participant"]["attributes"] |= {"sip.phoneNumber": "\x00é" + "9" * 200, "sip.callStatus": "r" * 99}
    await house.told(event)
    (call,) = await house.calls(trunk)
    assert call["from"] == ("?é" + "9" * 200)[:128]


async def test_calls_go_with_their_trunk(house: Posting, trunk: dict[str, Any]) -> None:
    await house.told(room_of(trunk).rings())
    await house.api.delete(trunk["id"])
    assert await Call.all().count() == 0


async def test_a_call_whose_end_is_never_told_is_given_up(house: Posting, trunk: dict[str, Any]) -> None:
    ringing, lasting, dialled = room_of(trunk), room_of(trunk), Room(trunk["outboundTrunkId"], direction="OUTBOUND")
    await house.told(ringing.rings(), lasting.rings(), lasting.agent_audio(), dialled.rings())
    at = await database.now()
    await calls.tidy(Metrics(), at + timedelta(minutes=9))
    assert sorted(call["outcome"] for call in await house.calls(trunk)) == ["IN_PROGRESS", "IN_PROGRESS", "RINGING"]
    await calls.tidy(Metrics(), at + timedelta(minutes=11))
    assert (await Call.get(sip_call_id=ringing.call_id)).outcome is CallOutcome.UNKNOWN
    await calls.tidy(Metrics(), at + timedelta(hours=26))
    assert (await Call.get(sip_call_id=lasting.call_id)).outcome is CallOutcome.ANSWERED
    assert (await Call.get(sip_call_id=dialled.call_id)).outcome is CallOutcome.UNKNOWN
    await house.told(ringing.leaves("ringing", 30))
    assert (await Call.get(sip_call_id=ringing.call_id)).outcome is CallOutcome.NO_AGENT


async def test_a_room_that_is_used_again_changes_no_call_that_ended(house: Posting, trunk: dict[str, Any]) -> None:
    """By name: an agent that calls out chooses its room, and so does a rule that was taken over."""
    first = Room(trunk["outboundTrunkId"], direction="OUTBOUND", began=int(time.time()) - 3 * 86_400)
    await house.told(first.agent(-2), first.rings(), first.leaves("hangup", 9), first.finished(29))
    (before,) = await house.calls(trunk)
    await calls.tidy(Metrics(), await database.now())
    assert await WebhookEvent.all().count() == 0
    again = replace(first, began=int(time.time()), number=next(NUMBERS), room_name=first.name)
    await house.told(again.agent(-2), again.rings(), again.leaves("dialing", 1))
    after, unchanged = await house.calls(trunk)
    assert (after["outcome"], unchanged) == ("NOT_ANSWERED", before)
    metrics = (await house.api.client.get("/metrics")).text
    assert 'trunkline_calls_total{outcome="ANSWERED"} 1.0' in metrics
    assert 'trunkline_calls_total{outcome="UNKNOWN"}' not in metrics


async def test_what_was_given_up_is_not_of_the_rooms_next_use(house: Posting, trunk: dict[str, Any]) -> None:
    lost = room_of(trunk, began=int(time.time()) - 3_600)
    await house.told(lost.rings())
    await calls.tidy(Metrics(), await database.now())
    again = room_of(trunk, room_name=lost.name)
    await house.told(again.rings(), again.agent(), again.agent_audio())
    assert [call["outcome"] for call in await house.calls(trunk)] == ["IN_PROGRESS", "UNKNOWN"]


async def test_an_agent_of_a_rooms_use_before_the_call_is_not_the_calls(house: Posting, trunk: dict[str, Any]) -> None:
    """A room with an agent and without a call, whose name a call then has."""
    room = Room(trunk["outboundTrunkId"], direction="OUTBOUND")
    await house.told(room.agent(-100), room.finished(-50), room.rings())
    (call,) = await house.calls(trunk)
    assert call["agentName"] is None


async def test_what_is_kept_is_bounded(house: Posting, trunk: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "KEPT_PER_TRUNK", 3)
    now = int(time.time())
    await house.told(*(room_of(trunk, began=now + number).rings() for number in range(6)))
    assert len(await house.calls(trunk)) == 3
    at = await database.now()
    await calls.tidy(Metrics(), at + timedelta(days=3))
    assert (await Call.all().count(), await WebhookEvent.all().count()) == (3, 0)
    await calls.tidy(Metrics(), at + timedelta(days=31))
    assert await Call.all().count() == 0


async def test_tidying_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "TIDY_SECONDS", 0.05)
    monkeypatch.setattr(calls, "RINGS_AT_MOST", timedelta(seconds=0))
    async with posting_house(quick_settings(tmp_path)) as house:
        trunk = (await house.api.create())["sipTrunk"]
        await house.told(room_of(trunk, began=int(time.time()) - 9).rings())

        async def is_unknown() -> bool:
            return await house.outcome(trunk) == "UNKNOWN"

        await until(is_unknown)
