"""What each change leaves behind, read through the API: run on both databases."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from models.trunk_leg import LegKind
from models.workspace import ApiKey
from tests.api import PASSWORD, House, codes, served_house, until
from tests.assistant_api import Assistants
from tests.faulty_voice import Fail, at, faultless
from trunkline import database
from trunkline.settings import Settings
from trunkline.voice import VoiceCause, VoiceError

FIELDS = "id at actor action subjectId sipTrunkId changedFields outcome requestId"
EVENTS = f"""query ($first: Int, $after: String) {{ events(first: $first, after: $after) {{
  edges {{ cursor }} nodes {{ {FIELDS} }} pageInfo {{ hasNextPage hasPreviousPage endCursor }} }} }}"""
OF_TRUNK = f"query ($id: ID!) {{ sipTrunk(id: $id) {{ events {{ nodes {{ {FIELDS} }} }} }} }}"
NODE = f"query ($id: ID!) {{ node(id: $id) {{ id ... on SipTrunkEvent {{ {FIELDS} }} }} }}"
REFUSED = Fail(VoiceError(VoiceCause.REFUSED, "No."))
AWAY = Fail(VoiceError(VoiceCause.UNAVAILABLE, "Away."))
LOST = Fail(VoiceError(VoiceCause.OUTCOME_UNKNOWN, "Lost."))
GIVEN = [
    "countryCode",
    "inboundAuthorizationType",
    "mediaEncryption",
    "nickname",
    "outboundProxy",
    "phoneNumber",
    "sipAddress",
    "sipCallingFormat",
    "sipPassword",
    "sipTransport",
    "sipTrunkType",
    "sipUsername",
]

Told = tuple[str, list[str], str, str]  # action, changed fields, outcome, "key" or the part that acted
Case = Callable[[Settings], Awaitable[None]]


async def nodes(house: House, trunk_id: str | None = None) -> list[dict[str, Any]]:
    """Oldest first, which is easier to read; without that of the first API key."""
    if trunk_id:
        found = (await house.api.ask(OF_TRUNK, {"id": trunk_id}))["sipTrunk"]["events"]["nodes"]
    else:
        found = (await house.api.ask(EVENTS, {"first": 100}))["events"]["nodes"]
    return [each for each in reversed(found) if each["actor"] != "start"]


def short(event: dict[str, Any]) -> Told:
    actor = "key" if event["actor"].startswith("key_") else event["actor"]
    return event["action"], event["changedFields"], event["outcome"], actor


async def told(house: House, trunk_id: str | None = None) -> list[Told]:
    return [short(each) for each in await nodes(house, trunk_id)]


async def trunk_of(house: House, **changes: Any) -> dict[str, Any]:
    payload = await house.api.create(**changes)
    assert codes(payload) == []
    trunk: dict[str, Any] = payload["sipTrunk"]
    return trunk


async def since(house: House, before: int) -> list[Told]:
    return (await told(house))[before:]


async def a_creation(settings: Settings) -> None:
    async with served_house(settings) as house:
        response = await house.api.client.post("/graphql", json={"query": "{ __typename }"})
        assert await nodes(house) == []
        trunk = await trunk_of(house)
        (event,) = await nodes(house)
        assert short(event) == ("sip_trunk.created", GIVEN, "SUCCEEDED", "key")
        assert (event["subjectId"], event["sipTrunkId"]) == (trunk["id"], trunk["id"])
        assert event["actor"] == (await ApiKey.get()).id
        assert len(event["requestId"]) == len(response.headers["x-request-id"])
        assert (await house.api.ask(NODE, {"id": event["id"]}))["node"] == event
        assert await nodes(house, trunk["id"]) == [event]


async def a_creation_in_the_background(settings: Settings) -> None:
    async with served_house(settings) as house:
        trunk = await trunk_of(house, provisioning="BACKGROUND")
        await house.api.trunk_in(trunk["id"], "ACTIVE")
        assert await told(house) == [
            ("sip_trunk.created", GIVEN, "SUCCEEDED", "key"),
            ("sip_trunk.provisioned", ["status"], "SUCCEEDED", "reconciler"),
        ]
    async with served_house(settings, at("create", LegKind.INBOUND, REFUSED)) as house:
        trunk = await trunk_of(house, phoneNumber="+40741926266", provisioning="BACKGROUND")
        await house.api.trunk_in(trunk["id"], "FAILED")
        failed = ("sip_trunk.provisioned", ["status"], "VOICE_REFUSED", "reconciler")
        assert (await told(house, trunk["id"]))[1:] == [failed]
        assert codes(await house.api.reprovision(trunk["id"])) == ["VOICE_REFUSED"]
        house.voice.plan = faultless
        assert codes(await house.api.reprovision(trunk["id"])) == []
        assert (await told(house, trunk["id"]))[2:] == [
            ("sip_trunk.reprovision_requested", [], "SUCCEEDED", "key"),
            ("sip_trunk.reprovisioned", [], "VOICE_REFUSED", "key"),
            ("sip_trunk.reprovision_requested", [], "SUCCEEDED", "key"),
            ("sip_trunk.provisioned", ["status"], "SUCCEEDED", "key"),
            ("sip_trunk.reprovisioned", [], "SUCCEEDED", "key"),
        ]


async def creations_that_fail(settings: Settings) -> None:
    """Broken rules and taken numbers leave nothing; what the voice backend refuses leaves its code."""
    async with served_house(settings) as house:
        await trunk_of(house)
        assert codes(await house.api.create(phoneNumber="no number"))
        assert codes(await house.api.create()) == ["ALREADY_EXISTS"]
        assert codes(await house.api.create(sipUsername="bob")) == ["NUMBER_IN_USE"]
        assert len(await nodes(house)) == 1
        for fault, code in ((REFUSED, "VOICE_REFUSED"), (LOST, "OUTCOME_UNKNOWN")):
            house.voice.plan = at("create", LegKind.OUTBOUND, fault)
            assert codes(await house.api.create(phoneNumber="+40741926266")) == [code]
            event = (await nodes(house))[-1]
            assert short(event) == ("sip_trunk.created", [], code, "key")
            assert event["sipTrunkId"].startswith("trunk_")


async def a_change(settings: Settings) -> None:
    changes = {"nickname": "Back office", "sipPassword": "another-long-password", "sipPort": 5070}
    async with served_house(settings) as house:
        trunk = await trunk_of(house)
        assert codes(await house.api.update(trunk["id"], **changes)) == []
        fields = ["nickname", "sipPassword", "sipPort"]
        assert await since(house, 1) == [
            ("sip_trunk.update_requested", fields, "SUCCEEDED", "key"),
            ("sip_trunk.updated", fields, "SUCCEEDED", "key"),
        ]
        for nothing in ({}, {"dryRun": True, "nickname": "Else"}, {"sipPort": 0}, changes):
            await house.api.update(trunk["id"], **nothing)
        assert len(await nodes(house)) == 3
        assert len(await nodes(house, trunk["id"])) == 3


async def a_refused_change(settings: Settings) -> None:
    async with served_house(settings) as house:
        trunk = await trunk_of(house)
        house.voice.plan = at("replace", LegKind.OUTBOUND, REFUSED, nth=1)
        assert codes(await house.api.update(trunk["id"], sipAddress="9.9.9.9")) == ["VOICE_REFUSED"]
        assert await since(house, 1) == [
            ("sip_trunk.update_requested", ["sipAddress"], "SUCCEEDED", "key"),
            ("sip_trunk.updated", ["sipAddress"], "VOICE_REFUSED", "key"),
            ("sip_trunk.recovered", ["status"], "SUCCEEDED", "key"),
        ]


async def a_change_without_an_answer(settings: Settings) -> None:
    """The reconciler ends it, and says so."""
    async with served_house(settings) as house:
        trunk = await trunk_of(house)
        house.voice.plan = at("replace", LegKind.OUTBOUND, LOST, nth=1)
        assert codes(await house.api.update(trunk["id"], sipPassword="another-long-password")) == ["OUTCOME_UNKNOWN"]
        await house.api.trunk_in(trunk["id"], "ACTIVE")
        assert await since(house, 1) == [
            ("sip_trunk.update_requested", ["sipPassword"], "SUCCEEDED", "key"),
            ("sip_trunk.updated", ["sipPassword"], "OUTCOME_UNKNOWN", "key"),
            ("sip_trunk.updated", ["sipPassword"], "SUCCEEDED", "reconciler"),
        ]


async def a_removal(settings: Settings) -> None:
    async with served_house(settings) as house:
        trunk = await trunk_of(house)
        await house.api.answered_by(trunk["id"])
        before = len(await nodes(house))
        house.voice.plan = at("delete", LegKind.INBOUND, AWAY, nth=1)
        assert codes(await house.api.delete(trunk["id"])) == ["VOICE_UNAVAILABLE"]
        await house.api.gone(trunk["id"])
        assert await since(house, before) == [
            ("sip_trunk.delete_requested", [], "SUCCEEDED", "key"),
            ("assistant.unassigned", ["phoneNumberId"], "SUCCEEDED", "key"),
            ("sip_trunk.deleted", [], "VOICE_UNAVAILABLE", "key"),
            ("sip_trunk.deleted", [], "SUCCEEDED", "reconciler"),
        ]
        assert {each["sipTrunkId"] for each in await nodes(house)} == {trunk["id"]}
        assert codes(await house.api.delete(trunk["id"])) == ["NOT_FOUND"]
        assert len(await nodes(house)) == before + 4


async def what_the_reconciler_finds(settings: Settings) -> None:
    async with served_house(settings) as house:
        trunk = await trunk_of(house)
        await house.voice.inner.delete(LegKind.OUTBOUND, trunk["outboundTrunkId"])

        async def is_told() -> bool:  # DEGRADED itself may pass too quickly to be seen
            return len(await since(house, 1)) > 1

        await until(is_told)
        assert await since(house, 1) == [
            ("sip_trunk.degraded", ["status"], "MISSING", "reconciler"),
            ("sip_trunk.recovered", ["status"], "SUCCEEDED", "reconciler"),
        ]


async def assistants(settings: Settings) -> None:
    async with served_house(settings) as house:
        speak = Assistants(house.api)
        one, two = await trunk_of(house), await trunk_of(house, phoneNumber="+40741926266")
        made = await speak.made(one)
        given = ["agentName", "name", "phoneNumberId", "type"]
        assert await since(house, 2) == [
            ("assistant.create_requested", given, "SUCCEEDED", "key"),
            ("assistant.created", given, "SUCCEEDED", "key"),
        ]
        assert not codes(await speak.update(made, phoneNumberId=two["id"], name="Night desk"))
        assert await since(house, 4) == [
            ("assistant.update_requested", ["name", "phoneNumberId"], "SUCCEEDED", "key"),
            ("assistant.updated", ["name", "phoneNumberId"], "SUCCEEDED", "key"),
            ("assistant.unassigned", ["phoneNumberId"], "SUCCEEDED", "key"),
        ]
        assert [each["sipTrunkId"] for each in (await nodes(house))[4:]] == [two["id"], two["id"], one["id"]]
        assert not codes(await speak.update(made, phoneNumberId=None))
        assert not codes(await speak.update(made, name="Nobody's desk"))
        assert not codes(await speak.delete(made))
        assert await since(house, 7) == [
            ("assistant.update_requested", ["phoneNumberId"], "SUCCEEDED", "key"),
            ("assistant.updated", ["phoneNumberId"], "SUCCEEDED", "key"),
            ("assistant.updated", ["name"], "SUCCEEDED", "key"),
            ("assistant.deleted", [], "SUCCEEDED", "key"),
        ]
        assert {each["subjectId"] for each in (await nodes(house))[2:]} == {made["id"]}


async def assistants_that_are_refused(settings: Settings) -> None:
    async with served_house(settings, at("create", LegKind.DISPATCH, REFUSED)) as house:
        speak = Assistants(house.api)
        trunk = await trunk_of(house)
        assert codes(await speak.create(trunk)) == ["VOICE_REFUSED"]
        assert codes(await speak.create(name="")) == ["REQUIRED"]
        idle = await speak.made()
        before = len(await nodes(house))
        assert codes(await speak.update(idle, phoneNumberId=trunk["id"])) == ["VOICE_REFUSED"]
        refused = [short(each) for each in await nodes(house) if each["outcome"] != "SUCCEEDED"]
        assert refused == [
            ("assistant.created", ["agentName", "name", "phoneNumberId", "type"], "VOICE_REFUSED", "key"),
            ("assistant.updated", ["phoneNumberId"], "VOICE_REFUSED", "key"),
        ]
        requested = ("assistant.update_requested", ["phoneNumberId"], "SUCCEEDED", "key")
        assert (await since(house, before))[0] == requested


async def pages(settings: Settings) -> None:
    async with served_house(settings) as house:
        trunk = await trunk_of(house)
        for number in range(3):
            await house.api.update(trunk["id"], nickname=f"Name {number}")
        everything = list(reversed(await nodes(house)))
        assert len(everything) == 7
        met: list[dict[str, Any]] = []
        page: dict[str, Any] = {"first": 3, "after": None}
        while True:
            found = (await house.api.ask(EVENTS, page))["events"]
            met += found["nodes"]
            if not found["pageInfo"]["hasNextPage"]:
                break
            page["after"] = found["pageInfo"]["endCursor"]
        *met, first = met
        assert (met, first["action"]) == (everything, "api_key.created")
        assert [each["at"] for each in met] == sorted((each["at"] for each in met), reverse=True)
        errors = (await house.api.raw(OF_TRUNK.replace("events", 'events(after: "x")'), {"id": trunk["id"]})).json()
        assert errors["errors"][0]["message"].startswith("The cursor does not belong to this list")


async def nobody_changes_them(settings: Settings) -> None:
    async with served_house(settings) as house:
        await trunk_of(house)
        before = await nodes(house)
        for statement in ("UPDATE event SET outcome = 'x'", "DELETE FROM event"):
            with pytest.raises(database.UNUSABLE, match="only ever added"):
                await database.connection().execute_query(statement)
        assert await nodes(house) == before


async def no_value_is_in_them(settings: Settings) -> None:
    async with served_house(settings) as house:
        trunk = await trunk_of(house, nickname="Sesame")
        await house.api.update(trunk["id"], sipPassword="Sesame-open-" + PASSWORD)
        rows = await database.connection().execute_query_dict("SELECT * FROM event")
        assert not any(value in str(rows) for value in ("Sesame", PASSWORD, "8.8.4.4", "alice", "40741926265"))


ALL: list[Case] = [
    a_creation,
    a_creation_in_the_background,
    creations_that_fail,
    a_change,
    a_refused_change,
    a_change_without_an_answer,
    a_removal,
    what_the_reconciler_finds,
    assistants,
    assistants_that_are_refused,
    pages,
    nobody_changes_them,
    no_value_is_in_them,
]
