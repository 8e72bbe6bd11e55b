"""Assistants over HTTP: which rule stands at the voice backend after each mutation, and what is refused."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.trunk_leg import LegKind
from tests.api import Api, House, codes, quick_settings
from tests.assistant_api import Assistants, rules, watched_house
from tests.test_pages import other_api
from tests.waiting import until
from trunkline.voice import DispatchRule

OTHER_NUMBER = "+40741926266"
UNKNOWN_TRUNK = "trunk_01h455vb4pex5vsknk084sn02q"
UNKNOWN = "asst_01h455vb4pex5vsknk084sn02q"
IN_USE = {
    "code": "IN_USE",
    "message": "Another inbound assistant already answers this number.",
    "field": ["input", "phoneNumberId"],
    "retryable": False,
    "retryAfter": None,
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with watched_house(quick_settings(tmp_path)) as house:
        yield house


@pytest.fixture
def assistants(house: House) -> Assistants:
    return Assistants(house.api)


@pytest.fixture
async def trunk(house: House) -> dict[str, Any]:
    made: dict[str, Any] = (await house.api.create())["sipTrunk"]
    return made


async def test_each_mutation_of_a_document_shows_what_the_one_before_changed(
    house: House, trunk: dict[str, Any]
) -> None:
    assistant = await house.api.answered_by(trunk["id"], kind="OUTBOUND")
    document = """mutation ($trunk: UpdateSipTrunkInput!, $assistant: UpdateAssistantInput!) {
      first: updateAssistant(input: $assistant) { assistant { phoneNumber { nickname } } }
      second: updateSipTrunk(input: $trunk) { sipTrunk { nickname assistants { phoneNumber { nickname } } } }
      third: updateAssistant(input: $assistant) { assistant { phoneNumber { nickname } } }
    }"""
    wish = {"trunk": {"id": trunk["id"], "nickname": "New"}, "assistant": {"id": assistant["id"], "name": "Desk 2"}}
    told = await house.api.ask(document, wish)
    new = {"phoneNumber": {"nickname": "New"}}
    assert told["first"]["assistant"] != new
    assert told["second"]["sipTrunk"] == {"nickname": "New", "assistants": [new]}
    assert told["third"]["assistant"] == new


async def test_an_inbound_assistant_answers_the_calls_of_its_trunk_each_in_a_room_of_its_own(
    house: House, assistants: Assistants, trunk: dict[str, Any]
) -> None:
    made = await assistants.made(trunk, name=" Reception ", agentName=" echo ")
    ((rule_id, rule),) = (await rules(house)).items()
    assert (made["name"], made["agentName"], made["type"]) == ("Reception", "echo", "INBOUND")
    assert made["phoneNumber"] == {"id": trunk["id"], "status": "ACTIVE"}
    assert made["dispatch"] == {"voiceId": rule_id, "state": "READY", "lastError": None}
    assert made["dispatchRuleId"] == rule_id
    assert rule.trunk_ids == (trunk["inboundTrunkId"],)
    assert (rule.agent_name, rule.name, rule.room_prefix) == ("echo", "Reception", "call-")
    found = await house.api.trunk(trunk["id"])
    assert found
    assert [each["id"] for each in found["assistants"]] == [made["id"]]


async def test_outbound_assistants_have_no_rule_and_share_a_number(
    house: House, assistants: Assistants, trunk: dict[str, Any]
) -> None:
    house.voice.forget()
    for name in ("One", "Two"):
        made = await assistants.made(trunk, name=name, type="OUTBOUND")
        assert made["phoneNumber"]["id"] == trunk["id"]
        assert (made["dispatch"], made["dispatchRuleId"]) == (None, None)
    assert house.voice.writes == []
    await assistants.made(trunk)
    assert len(await rules(house)) == 1


async def test_without_a_number_there_is_no_rule(house: House, assistants: Assistants) -> None:
    made = await assistants.made(None)
    assert (made["phoneNumber"], made["dispatch"], made["dispatchRuleId"]) == (None, None, None)
    assert await rules(house) == {}


async def test_a_number_has_one_inbound_assistant(house: House, assistants: Assistants, trunk: dict[str, Any]) -> None:
    first = await assistants.made(trunk)
    idle = await assistants.made(None, name="Idle")
    before = await rules(house)
    refused = await assistants.create(trunk, name="Second")
    assert (refused["assistant"], refused["userErrors"]) == (None, [IN_USE])
    assert refused["message"] == IN_USE["message"]
    refused = await assistants.update(idle, phoneNumberId=trunk["id"], name="Never")
    assert (refused["assistant"], refused["userErrors"]) == (idle, [IN_USE])
    assert await assistants.all() == [idle, first]
    assert await rules(house) == before


async def test_unassigning_removes_the_rule_and_frees_the_number(
    house: House, assistants: Assistants, trunk: dict[str, Any]
) -> None:
    made = await assistants.made(trunk)
    payload = await assistants.update(made, phoneNumberId=None)
    assert payload["message"] == "Assistant updated successfully."
    told = payload["assistant"]
    assert (told["phoneNumber"], told["dispatch"], told["dispatchRuleId"]) == (None, None, None)
    assert await rules(house) == {}
    await assistants.made(trunk, name="Next")


async def test_renaming_the_agent_replaces_the_rule_in_place(
    house: House, assistants: Assistants, trunk: dict[str, Any]
) -> None:
    made = await assistants.made(trunk)
    house.voice.forget()
    told = (await assistants.update(made, agentName="echo-2"))["assistant"]
    assert told["dispatchRuleId"] == made["dispatchRuleId"]
    assert told["createdAt"] == made["createdAt"] < told["updatedAt"]
    assert (await rules(house))[made["dispatchRuleId"]].agent_name == "echo-2"
    assert [call.method for call in house.voice.writes] == ["replace"]


async def test_moving_to_another_trunk_makes_the_rule_there_first(
    house: House, assistants: Assistants, trunk: dict[str, Any]
) -> None:
    other = (await house.api.create(phoneNumber=OTHER_NUMBER))["sipTrunk"]
    made = await assistants.made(trunk)
    house.voice.forget()
    told = (await assistants.update(made, phoneNumberId=other["id"]))["assistant"]
    ((rule_id, rule),) = (await rules(house)).items()
    assert (told["phoneNumber"]["id"], told["dispatchRuleId"]) == (other["id"], rule_id)
    assert rule.trunk_ids == (other["inboundTrunkId"],)
    assert [(call.method, call.kind) for call in house.voice.writes] == [
        ("create", LegKind.DISPATCH),
        ("delete", LegKind.DISPATCH),
    ]
    await assistants.made(trunk, name="Next")


async def test_a_change_that_changes_nothing_asks_the_voice_backend_nothing(
    house: House, assistants: Assistants, trunk: dict[str, Any]
) -> None:
    made = await assistants.made(trunk)
    house.voice.forget()
    payload = await assistants.update(made, name=made["name"], phoneNumberId=trunk["id"])
    assert (payload["assistant"], payload["userErrors"]) == (made, [])
    assert house.voice.writes == []


async def test_deleting_removes_the_rule_and_frees_the_number(
    house: House, assistants: Assistants, trunk: dict[str, Any]
) -> None:
    made = await assistants.made(trunk)
    payload = await assistants.delete(made)
    assert payload == {"message": "Assistant deleted successfully.", "deletedId": made["id"], "userErrors": []}
    assert await rules(house) == {}
    assert await assistants.one(made) is None
    await assistants.made(trunk)


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"name": " "}, [("REQUIRED", "name")]),
        ({"name": "x" * 101}, [("TOO_LONG", "name")]),
        ({"name": "a\nb"}, [("INVALID_FORMAT", "name")]),
        ({"agentName": "\t"}, [("REQUIRED", "agentName")]),
        ({"agentName": "x" * 101}, [("TOO_LONG", "agentName")]),
        ({"agentName": "a\x00b"}, [("INVALID_FORMAT", "agentName")]),
        (
            {"name": "", "agentName": "", "phoneNumberId": UNKNOWN_TRUNK},
            [("REQUIRED", "name"), ("REQUIRED", "agentName"), ("NOT_FOUND", "phoneNumberId")],
        ),
    ],
)
async def test_all_problems_of_the_fields_are_told_together(
    assistants: Assistants, changes: dict[str, str], problems: list[tuple[str, str]]
) -> None:
    made = await assistants.made(None)
    for payload in (await assistants.create(None, **changes), await assistants.update(made, **changes)):
        assert [(error["code"], error["field"][-1]) for error in payload["userErrors"]] == problems
        assert payload["message"] == "The given data was invalid."
    assert await assistants.all() == [made]


async def test_null_is_no_name(assistants: Assistants) -> None:
    payload = await assistants.update(await assistants.made(None), name=None, agentName=None)
    assert codes(payload) == ["REQUIRED", "REQUIRED"]


@pytest.mark.parametrize("unknown", [UNKNOWN, "asst_", "", "x" * 5000, "trunk_01h455vb4pex5vsknk084sn02q", "\x00"])
async def test_unknown_and_malformed_ids_are_not_found(assistants: Assistants, unknown: str) -> None:
    assert codes(await assistants.update({"id": unknown}, name="x")) == ["NOT_FOUND"]
    assert codes(await assistants.delete({"id": unknown})) == ["NOT_FOUND"]
    assert await assistants.one({"id": unknown}) is None
    payload = await assistants.create({"id": unknown.replace("asst", "trunk")})
    assert (codes(payload), payload["message"]) == (["NOT_FOUND"], "SIP trunk not found.")


async def test_another_workspace_finds_neither_the_assistant_nor_the_trunk(
    house: House, assistants: Assistants, trunk: dict[str, Any]
) -> None:
    made = await assistants.made(trunk)
    async with await other_api(house) as client:
        others = Assistants(Api(client))
        assert codes(await others.update(made, name="x")) == ["NOT_FOUND"]
        assert codes(await others.delete(made)) == ["NOT_FOUND"]
        assert await others.one(made) is None
        assert await others.all() == []
        assert codes(await others.create(trunk)) == ["NOT_FOUND"]
    assert await assistants.all() == [made]


async def test_deleting_a_trunk_removes_its_rule_first_and_names_its_assistants(
    house: House, assistants: Assistants, trunk: dict[str, Any]
) -> None:
    answering, calling = await assistants.made(trunk), await assistants.made(trunk, type="OUTBOUND")
    house.voice.forget()
    payload = await house.api.delete(trunk["id"])
    assert [each["id"] for each in payload["unassigned"]] == sorted([answering["id"], calling["id"]])
    assert [call.kind for call in house.voice.writes] == [LegKind.DISPATCH, LegKind.INBOUND, LegKind.OUTBOUND]
    assert await house.held() == {}
    for each in await assistants.all():
        assert (each["phoneNumber"], each["dispatch"], each["dispatchRuleId"]) == (None, None, None)


async def test_pages_are_newest_first(assistants: Assistants) -> None:
    made = [await assistants.made(None, name=f"Number {number}") for number in range(5)]
    first = await assistants.page(first=3)
    rest = await assistants.page(first=3, after=first["pageInfo"]["endCursor"])
    assert first["totalCount"] == 5
    assert first["nodes"] + rest["nodes"] == made[::-1]
    assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)


async def foreign_rule(house: House, trunk: dict[str, Any]) -> tuple[str, DispatchRule]:
    """Somebody else's rule, moved onto our trunk by an update, which LiveKit does not refuse."""
    foreign = DispatchRule("theirs", ("ST_elsewhere",), "their-agent", "their-", "")
    rule_id = await house.voice.inner.create(foreign)
    moved = replace(foreign, trunk_ids=(trunk["inboundTrunkId"],))
    await house.voice.inner.replace(rule_id, moved)
    return rule_id, moved


async def test_a_trunk_whose_calls_a_foreign_rule_takes_is_refused(
    house: House, assistants: Assistants, trunk: dict[str, Any]
) -> None:
    rule_id, foreign = await foreign_rule(house, trunk)
    payload = await assistants.create(trunk)
    (error,) = payload["userErrors"]
    assert (error["code"], error["field"], error["retryable"]) == ("IN_USE", ["input", "phoneNumberId"], False)
    cause = "Another dispatch rule at the voice backend already takes this trunk's calls."
    assert error["message"] == payload["message"] == f"Failed to create assistant. {cause}"
    assert await assistants.all() == []
    assert await rules(house) == {rule_id: foreign}
    assert [each["status"] for each in await house.api.trunks()] == ["ACTIVE"]


async def test_a_foreign_rule_beside_ours_refuses_changes_of_ours(
    house: House, assistants: Assistants, trunk: dict[str, Any]
) -> None:
    made = await assistants.made(trunk)
    rule_id, foreign = await foreign_rule(house, trunk)
    before = await rules(house)
    payload = await assistants.update(made, agentName="another")
    assert (codes(payload), payload["assistant"]) == (["IN_USE"], made)
    assert await rules(house) == before
    assert [each["status"] for each in await house.api.trunks()] == ["ACTIVE"]
    assert codes(await assistants.delete(made)) == []
    assert await rules(house) == {rule_id: foreign}


async def test_the_rule_follows_when_the_inbound_trunk_is_made_again(
    house: House, assistants: Assistants, trunk: dict[str, Any]
) -> None:
    made = await assistants.made(trunk)
    await house.voice.inner.delete(LegKind.INBOUND, trunk["inboundTrunkId"])
    await until(lambda: house.voice.count("create", LegKind.INBOUND) == 2)
    await house.api.trunk_in(trunk["id"], "ACTIVE")
    again = (await house.api.trunks())[0]["inboundTrunkId"]
    assert again != trunk["inboundTrunkId"]
    ((rule_id, rule),) = (await rules(house)).items()
    assert (rule_id, rule.trunk_ids) == (made["dispatchRuleId"], (again,))
    assert house.voice.count("create", LegKind.DISPATCH) == 1
