"""LiveKit's webhooks over HTTP: who is let in, what becomes of them, and the calls that a trunk shows."""

import base64
import hashlib
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.call import Call, CallOutcome, WebhookEvent
from models.event import Event
from tests.api import quick_settings, served_house, until
from tests.webhook_api import (
    API_KEY,
    API_SECRET,
    CALLER,
    NUMBERS,
    Posting,
    Room,
    posting_house,
    token,
    webhooks_at_once_are_all_taken,
)
from trunkline import calls, database
from trunkline.metrics import Metrics
from trunkline.voice.webhooks import MalformedError, event_in
from trunkline.webhooks import MAX_BODY, PATH

BODY = json.dumps(Room("ST_foreign").started()).encode()
OTHER_SECRET = API_SECRET[::-1]


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


def claims(**changes: Any) -> str:
    """A token with LiveKit's claims but for changes; None takes one away."""
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    plain = {"iss": API_KEY, "nbf": int(time.time()), "exp": int(time.time()) + 300, "sha256": digest}
    told = {name: value for name, value in (plain | changes).items() if value is not None}
    return jwt.encode(told, API_SECRET, algorithm="HS256")


def bad_tokens() -> dict[str, str | None]:
    unsigned = jwt.encode({"iss": API_KEY, "exp": int(time.time()) + 300}, "", algorithm="none")
    return {
        "no header": None,
        "empty": "",
        "junk": "junk",
        "an API key of ours": "Bearer tl_a-key-of-the-tests-and-of-nobody-else",
        "not ASCII": "é.é.é",
        "another secret": token(BODY, secret=OTHER_SECRET),
        "another key": token(BODY, key="another"),
        "another body": token(BODY + b" "),
        "no signature": unsigned,
        "another algorithm": jwt.encode({"iss": API_KEY, "exp": 9e9}, API_SECRET * 2, algorithm="HS512"),
        "over": claims(nbf=int(time.time()) - 600, exp=int(time.time()) - 120),
        "not yet": claims(nbf=int(time.time()) + 600),
        "without end": claims(exp=None),
        "no hash": claims(sha256=None),
        "empty hash": claims(sha256=""),
        "a hash that is no base64": claims(sha256="…"),
        "a hash that is no text": claims(sha256=7),
        "the hash of nothing": claims(sha256=base64.b64encode(hashlib.sha256(b"").digest()).decode()),
    }


async def test_only_what_livekit_signed_is_taken(house: Posting) -> None:
    for name, authorization in bad_tokens().items():
        response = await house.post(BODY, authorization)
        assert response.status_code == 401, name
        assert "signed" in response.json()["errors"][0]["message"]
    for authorization in (token(BODY), f"Bearer {token(BODY)}", claims(exp=int(time.time()) - 30)):
        assert (await house.post(BODY, authorization)).status_code == 200


async def test_without_livekit_there_is_no_such_address(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        response = await house.api.client.post(PATH, content=BODY, headers={"authorization": token(BODY)})
        assert response.status_code == 404


async def test_any_host_may_be_named_there_and_there_alone(house: Posting) -> None:
    assert (await house.post(BODY, token(BODY))).status_code == 200
    assert (await house.http.post("/graphql", json={"query": "{ __typename }"})).status_code == 421
    assert (await house.http.get(PATH)).status_code == 405
    origin = {"authorization": token(BODY), "origin": "https://evil.example.com"}
    assert (await house.http.post(PATH, content=BODY, headers=origin)).status_code == 403


async def test_a_long_body_is_refused_by_what_arrives(house: Posting) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 1024 + 1):
            yield b" " * 1024

    fits = BODY + b" " * (MAX_BODY - len(BODY))
    assert (await house.post(fits, token(fits))).status_code == 200
    assert (await house.http.post(PATH, content=parts(), headers={"authorization": token(b"")})).status_code == 413


async def test_a_signed_body_that_is_no_webhook_is_refused(house: Posting) -> None:
    plain = Room("ST_foreign").started()
    bad = [
        *(b"", b"{}", b"[]", b"null", b"7", b"{", b"\xff", b'{"event": 7}', b'{"room": []}', b'{"a":' * 2_000),
        *(json.dumps(plain | {"createdAt": at}).encode() for at in ("soon", "-1" + "0" * 17, "9" * 18)),
        json.dumps(plain | {"id": "\ud800"}).encode(),
    ]
    for body in bad:
        response = await house.post(body, token(body))
        assert response.status_code == 400, body[:60]
    for name in ("room_finished", "egress_started", "of_the_future"):
        ignored = json.dumps({"event": name, "id": "EV_1", "andMore": {}}).encode()
        assert (await house.post(ignored, token(ignored))).status_code == 200, name
    assert await WebhookEvent.all().count() == 0


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.dictionaries(
            st.sampled_from(
                [
                    "event",
                    "room",
                    "name",
                    "id",
                    "createdAt",
                    "participant",
                    "kind",
                    "attributes",
                    "track",
                    "type",
                    "sip.callID",
                    "sip.trunkID",
                    "identity",
                ]
            ),
            inner
            | st.sampled_from(
                ["participant_joined", "participant_left", "track_published", "room_finished", "SIP", "AGENT"]
            ),
        ),
    )
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_signed_is_read_or_refused(value: Any) -> None:
    try:
        event = event_in(json.dumps(value).encode(), datetime.now(UTC))
    except MalformedError:
        return
    assert event is None or (event.id and event.room)


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
