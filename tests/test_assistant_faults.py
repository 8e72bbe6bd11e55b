"""Every way in which the voice backend can fail an assistant's mutation, and what meets it: the answer, what stands."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from models.assistant import Assistant, AssistantType
from models.sip_trunk import SipTrunk
from models.trunk_leg import LegKind
from tests.api import House, codes, quick_settings, until
from tests.assistant_api import Assistants, rules, watched_house
from tests.faulty_voice import Fail, Fault, Hang, Late, at, faultless
from trunkline import database
from trunkline.voice import VoiceCause, VoiceError

NUMBERS = ("+40741926265", "+40741926266")
DEFINITE = {  # the code, and whether it may be tried again
    VoiceCause.CONFLICT: ("IN_USE", False, None),
    VoiceCause.REFUSED: ("VOICE_REFUSED", False, None),
    VoiceCause.MISCONFIGURED: ("VOICE_MISCONFIGURED", False, None),
    VoiceCause.UNAVAILABLE: ("VOICE_UNAVAILABLE", True, None),
    VoiceCause.RATE_LIMITED: ("RATE_LIMITED", True, 7),
}
REFUSED = Fail(VoiceError(VoiceCause.REFUSED, "This is why."))
UNKNOWN: list[Fault] = [
    Fail(VoiceError(VoiceCause.OUTCOME_UNKNOWN, "Lost.")),
    Fail(VoiceError(VoiceCause.OUTCOME_UNKNOWN, "Lost."), after=True),
    Hang(),
    Hang(after=True),
    Late(0.5),
]
Method = Literal["create", "replace", "delete"]


class Scene:
    """A house with two trunks, and the assistant that a change is about."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.assistants = Assistants(house.api)
        self.trunks: list[dict[str, Any]] = []
        self.made: dict[str, Any] = {}

    async def set_up(self) -> None:
        self.trunks = [(await self.house.api.create(phoneNumber=number))["sipTrunk"] for number in NUMBERS]

    async def create(self) -> dict[str, Any]:
        return await self.assistants.create(self.trunks[0])

    async def rename(self) -> dict[str, Any]:
        return await self.assistants.update(self.made, agentName="echo-2")

    async def unassign(self) -> dict[str, Any]:
        return await self.assistants.update(self.made, phoneNumberId=None)

    async def move(self) -> dict[str, Any]:
        return await self.assistants.update(self.made, phoneNumberId=self.trunks[1]["id"])

    async def delete(self) -> dict[str, Any]:
        return await self.assistants.delete(self.made)

    async def settled(self) -> None:
        """Wait until the rules are those of the assistants, all trunks ACTIVE, and nothing is open any more."""
        await until(self._is_settled)

    async def _is_settled(self) -> bool:
        trunks = {trunk["id"]: trunk for trunk in await self.house.api.trunks()}
        told = await self.assistants.all()
        answering = [each for each in told if each["phoneNumber"] and each["type"] == "INBOUND"]
        wanted = {
            each["dispatchRuleId"]: (each["agentName"], (trunks[each["phoneNumber"]["id"]]["inboundTrunkId"],))
            for each in answering
        }
        held = {rule_id: (rule.agent_name, rule.trunk_ids) for rule_id, rule in (await rules(self.house)).items()}
        quiet = all(each["dispatch"]["state"] == "READY" for each in answering)
        undecided = await Assistant.exclude(previous=None).exists() or await SipTrunk.exclude(lease_owner=None).exists()
        return held == wanted and quiet and not undecided and {t["status"] for t in trunks.values()} <= {"ACTIVE"}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with watched_house(quick_settings(tmp_path)) as house:
        scene = Scene(house)
        await scene.set_up()
        yield scene


@dataclass(frozen=True, slots=True)
class Change:
    """A mutation, and the write by which it can fail."""

    name: str
    verb: str
    run: Callable[[Scene], Awaitable[dict[str, Any]]]
    method: Method

    async def prepare(self, scene: Scene, fault: Fault) -> None:
        if self.verb != "create":
            scene.made = await scene.assistants.made(scene.trunks[0])
        scene.house.voice.forget()
        scene.house.voice.plan = at(self.method, LegKind.DISPATCH, fault, nth=1)


CHANGES = [
    Change("create", "create", Scene.create, "create"),
    Change("rename", "update", Scene.rename, "replace"),
    Change("unassign", "update", Scene.unassign, "delete"),
    Change("move, there", "update", Scene.move, "create"),
    Change("move, away", "update", Scene.move, "delete"),
    Change("delete", "delete", Scene.delete, "delete"),
]
of_each_change = pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])


@of_each_change
@pytest.mark.parametrize("cause", DEFINITE)
async def test_a_failure_changes_nothing_and_has_one_cause(scene: Scene, change: Change, cause: VoiceCause) -> None:
    code, retryable, seconds = DEFINITE[cause]
    await change.prepare(scene, Fail(VoiceError(cause, "This is why.", seconds)))
    before = (await scene.assistants.all(), await rules(scene.house))
    payload = await change.run(scene)
    (error,) = payload["userErrors"]
    assert (error["code"], error["retryable"], error["retryAfter"]) == (code, retryable, seconds)
    assert error["message"] == payload["message"] == f"Failed to {change.verb} assistant. This is why."
    assert (await scene.assistants.all(), await rules(scene.house)) == before, "at the answer already"
    assert {trunk["status"] for trunk in await scene.house.api.trunks()} == {"ACTIVE"}
    await scene.settled()
    assert codes(await change.run(scene)) == []


@of_each_change
@pytest.mark.parametrize("fault", UNKNOWN, ids=str)
async def test_an_unknown_outcome_ends_in_the_old_state_or_the_new_one(
    scene: Scene, change: Change, fault: Fault
) -> None:
    """And the same request may be sent again at once."""
    await change.prepare(scene, fault)
    old = await scene.assistants.all()
    payload = await change.run(scene)
    if payload["userErrors"]:
        assert codes(payload) == ["OUTCOME_UNKNOWN"]
        assert payload["userErrors"][0]["retryable"]
        assert [each["updatedAt"] for each in await scene.assistants.all()] == [each["updatedAt"] for each in old]
        assert codes(await change.run(scene)) == []
    await scene.house.voice.landed()
    await scene.settled()


@of_each_change
async def test_after_an_unknown_outcome_it_settles_when_nobody_asks_again(scene: Scene, change: Change) -> None:
    await change.prepare(scene, Late(1.0))
    assert codes(await change.run(scene)) == ["OUTCOME_UNKNOWN"]
    await scene.house.voice.landed()
    await scene.settled()


async def test_the_answer_comes_within_the_provision_timeout_and_what_hangs_is_put_back(scene: Scene) -> None:
    scene.house.voice.plan = lambda call: None if call.method in {"ping", "list"} else Hang()
    async with asyncio.timeout(scene.house.settings.provision_timeout + 5):
        assert codes(await scene.create()) == ["OUTCOME_UNKNOWN"]
    scene.house.voice.plan = faultless
    await scene.settled()
    assert await scene.assistants.all() == []
    assert codes(await scene.create()) == []


async def test_a_client_that_goes_away_does_not_stop_an_assignment(scene: Scene) -> None:
    scene.house.voice.plan = at("create", LegKind.DISPATCH, Hang(), nth=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await scene.create()
    await scene.settled()


async def test_a_refused_assignment_whose_process_died_is_taken_back_by_the_reconciler(scene: Scene) -> None:
    scene.made = await scene.assistants.made(scene.trunks[0])
    now = await database.now()
    scene.house.voice.plan = at("create", LegKind.DISPATCH, REFUSED)
    old, new = (trunk["id"] for trunk in scene.trunks)
    previous = {"name": "Reception", "agent_name": "echo", "trunk_id": old, "updated_at": now.isoformat()}
    moved = Assistant.filter(id=scene.made["id"])
    await moved.update(trunk_id=new, answers_trunk_id=new, agent_name="new", previous=previous)
    await SipTrunk.filter(id=new).update(next_attempt_at=now)
    scene.house.voice.forget()
    await scene.settled()
    (told,) = await scene.assistants.all()
    assert (told["agentName"], told["phoneNumber"]["id"]) == ("echo", old)
    assert scene.house.voice.count("create", LegKind.DISPATCH) == 1


async def test_a_refused_creation_whose_process_died_is_taken_back_by_the_reconciler(scene: Scene) -> None:
    trunk = await SipTrunk.get(id=scene.trunks[0]["id"])
    now = await database.now()
    scene.house.voice.plan = at("create", LegKind.DISPATCH, REFUSED)
    made = Assistant(id="asst_x", workspace_id=trunk.workspace_id, name="n", agent_name="a", previous={})
    made.update_from_dict({"type": AssistantType.INBOUND, "trunk_id": trunk.id, "answers_trunk_id": trunk.id})
    await made.update_from_dict({"created_at": now, "updated_at": now}).save(force_create=True)
    await SipTrunk.filter(id=trunk.id).update(next_attempt_at=now)
    await scene.settled()
    assert await scene.assistants.all() == []


async def test_trouble_of_the_outbound_leg_is_not_the_assistants(scene: Scene) -> None:
    trunk = scene.trunks[0]
    scene.house.voice.plan = at("create", LegKind.OUTBOUND, REFUSED)
    await scene.house.voice.inner.delete(LegKind.OUTBOUND, trunk["outboundTrunkId"])
    await scene.house.api.trunk_in(trunk["id"], "DEGRADED")
    made = await scene.assistants.made(trunk)
    assert len(await rules(scene.house)) == 1
    assert codes(await scene.assistants.delete(made)) == []
    assert await rules(scene.house) == {}


async def test_of_many_assistants_for_one_number_at_once_one_wins(scene: Scene) -> None:
    payloads = await asyncio.gather(*(scene.create() for _ in range(8)))
    assert Counter(tuple(codes(payload)) for payload in payloads) == {(): 1, ("IN_USE",): 7}
    await scene.settled()
    assert scene.house.voice.count("create", LegKind.DISPATCH) == 1


async def test_two_assistants_that_change_places_do_not_wait_for_each_other(scene: Scene) -> None:
    """Each number is taken, so both are refused; and quickly."""
    first, second = scene.trunks
    one, two = await scene.assistants.made(first), await scene.assistants.made(second)
    payloads = await asyncio.gather(
        scene.assistants.update(one, phoneNumberId=second["id"]),
        scene.assistants.update(two, phoneNumberId=first["id"]),
    )
    assert [codes(payload) for payload in payloads] == [["IN_USE"], ["IN_USE"]]
    await scene.settled()


async def test_changes_of_one_assistant_at_once_all_count(scene: Scene) -> None:
    scene.made = await scene.assistants.made(scene.trunks[0])
    payloads = await asyncio.gather(
        scene.assistants.update(scene.made, name="Lobby"), scene.rename(), scene.move(), return_exceptions=False
    )
    assert [codes(payload) for payload in payloads] == [[], [], []]
    (told,) = await scene.assistants.all()
    assert (told["name"], told["agentName"]) == ("Lobby", "echo-2")
    assert told["phoneNumber"]["id"] == scene.trunks[1]["id"]
    await scene.settled()


@pytest.mark.parametrize("round_", range(6))
async def test_an_assignment_that_meets_the_trunks_deletion_leaves_no_rule(scene: Scene, round_: int) -> None:
    trunk = scene.trunks[0]

    async def delete() -> dict[str, Any]:
        await asyncio.sleep(0.004 * round_)
        return await scene.house.api.delete(trunk["id"])

    assigned, deleted = await asyncio.gather(scene.create(), delete())
    assert deleted["deletedId"] == trunk["id"]
    assert codes(assigned) in ([], ["NOT_FOUND"])
    await scene.settled()
    assert await rules(scene.house) == {}
    assert all(each["phoneNumber"] is None for each in await scene.assistants.all())
