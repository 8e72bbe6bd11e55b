"""What a subscriber is told, in which order, and when not."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.event import Action, Event
from models.trunk_leg import LegKind
from models.workspace import ApiKey
from tests.api import codes, quick_settings
from tests.faulty_voice import Call, Fail, Fault, at
from tests.live import Place, introduced, place_of
from tests.live_cases import ALL, Case
from trunkline import events
from trunkline.causes import problem_of
from trunkline.keys import Caller
from trunkline.voice import VoiceCause, VoiceError


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_of(quick_settings(tmp_path, provision_timeout=15.0)) as place:
        yield place


async def test_a_trunks_life_is_told_as_it_happens(place: Place) -> None:
    async with introduced(place) as socket:
        await socket.subscribe()
        await socket.is_quiet()
        trunk = (await place.api.create())["sipTrunk"]
        assert await socket.change() == {
            "kind": "CREATED",
            "id": trunk["id"],
            "sipTrunk": {"id": trunk["id"], "status": "ACTIVE", "nickname": "Front desk", "assistants": []},
        }
        await place.api.update(trunk["id"], nickname="Back office")
        await place.api.answered_by(trunk["id"])
        told = await socket.change()
        while not told["sipTrunk"]["assistants"]:
            assert told["kind"] == "UPDATED"
            told = await socket.change()
        assert told["sipTrunk"]["nickname"] == "Back office"
        await place.api.delete(trunk["id"])
        while (told := await socket.change())["sipTrunk"]:
            pass
        assert told == {"kind": "DELETED", "id": trunk["id"], "sipTrunk": None}


async def test_one_trunk_is_watched_until_it_is_gone(place: Place) -> None:
    one, two = [(await place.api.create(phoneNumber=f"+4074192626{n}"))["sipTrunk"] for n in (5, 6)]
    async with introduced(place) as socket:
        await socket.subscribe(id=one["id"])
        await socket.is_quiet()
        await place.api.update(two["id"], nickname="Not watched")
        await place.api.update(one["id"], nickname="Watched")
        assert (await socket.change())["id"] == one["id"]
        await place.api.delete(one["id"])
        while (message := await socket.said())["type"] == "next":
            last = message["payload"]["data"]["sipTrunkChanged"]
        assert last == {"kind": "DELETED", "id": one["id"], "sipTrunk": None}
        assert message == {"id": "1", "type": "complete"}


async def test_what_is_repaired_is_told(place: Place) -> None:
    """By the reconciler, which nobody asked."""
    async with introduced(place) as socket:
        await socket.subscribe()
        await socket.is_quiet()
        await place.api.create(provisioning="BACKGROUND")
        told = [await socket.change()]
        while told[-1]["sipTrunk"]["status"] != "ACTIVE":
            told.append(await socket.change())
        assert told[0]["kind"] == "CREATED"
        assert told[-1]["kind"] in {"STATUS", "CREATED"}  # one, when both were told at once


@pytest.mark.parametrize("cause", [VoiceCause.REFUSED, VoiceCause.OUTCOME_UNKNOWN])
async def test_a_failed_creation_is_told_to_nobody(tmp_path: Path, cause: VoiceCause) -> None:
    """Although its events are there."""
    lost = Fail(VoiceError(cause, "No."), after=True)
    left = ["create", "list"]  # who looks for what was lost does not find it either

    def plan(call: Call) -> Fault | None:
        if call.kind is LegKind.OUTBOUND and left and call.method == left[0]:
            del left[0]
            return lost
        return None

    async with place_of(quick_settings(tmp_path, provision_timeout=15.0), plan) as place, introduced(place) as socket:
        await socket.subscribe()
        await socket.is_quiet()
        assert codes(await place.api.create(phoneNumber="no number"))
        assert codes(await place.api.create()) == [problem_of(VoiceError(cause, ""), "").code]
        assert await Event.filter(action=Action.TRUNK_CREATED).exclude(outcome="SUCCEEDED").exists()
        made = (await place.api.create(phoneNumber="+40741926266"))["sipTrunk"]
        told = await socket.change()
        assert (told["kind"], told["id"]) == ("CREATED", made["id"])


async def test_a_removal_that_waits_for_the_voice_backend_is_told_as_a_status(tmp_path: Path) -> None:
    away = Fail(VoiceError(VoiceCause.UNAVAILABLE, "Away."))
    plan = at("delete", LegKind.INBOUND, away, nth=1)
    async with place_of(quick_settings(tmp_path, provision_timeout=15.0), plan) as place, introduced(place) as socket:
        trunk = (await place.api.create())["sipTrunk"]
        await socket.subscribe()
        await socket.is_quiet()
        assert codes(await place.api.delete(trunk["id"])) == ["VOICE_UNAVAILABLE"]
        told = [await socket.change()]
        while told[-1]["kind"] != "DELETED":
            told.append(await socket.change())
        assert {(each["kind"], each["sipTrunk"]["status"]) for each in told[:-1]} == {("STATUS", "DELETING")}
        assert told[-1] == {"kind": "DELETED", "id": trunk["id"], "sipTrunk": None}


async def test_a_call_of_a_trunk_is_no_change_of_it(place: Place) -> None:
    trunk = (await place.api.create())["sipTrunk"]
    await place.api.answered_by(trunk["id"])
    caller = Caller((await ApiKey.get()).workspace_id, "key")
    async with introduced(place) as socket:
        await socket.subscribe()
        await socket.is_quiet()
        for action in (Action.TRUNK_TEST_CALLED, Action.TRUNK_SELF_TESTED, Action.CALL_BEGAN, Action.CALL_ENDED):
            await events.record(caller, action, trunk["id"], trunk_id=trunk["id"], outcome="RANG")
        await socket.is_quiet()
        await place.api.update(trunk["id"], nickname="Changed")
        assert (await socket.change())["kind"] == "UPDATED"


async def test_subscriptions_of_one_socket_end_one_by_one(place: Place) -> None:
    async with introduced(place) as socket:
        await socket.subscribe("a")
        await socket.subscribe("b")
        await socket.say(type="complete", id="a")
        await socket.is_quiet()
        await place.api.create()
        await socket.change("b")
        await socket.subscribe("a")
        await socket.is_quiet()


async def test_an_unknown_trunk_is_refused_at_once(place: Place) -> None:
    async with introduced(place) as socket:
        for unknown in ("trunk_x", "trunk_\x00", "trunk_01m84jm4pde0zt4p5m1q44vg6r"):
            await socket.subscribe(id=unknown)
            answer = await socket.said()
            assert (answer["id"], answer["type"]) == ("1", "error")
            assert answer["payload"][0]["message"] == "There is no such SIP trunk."


@pytest.mark.parametrize("case", ALL)
async def test_on_sqlite(tmp_path: Path, case: Case) -> None:
    await case(quick_settings(tmp_path, provision_timeout=15.0))
