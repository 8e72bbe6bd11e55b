"""createSipTrunk as a client meets it: what it stores, what it refuses, what it leaves behind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.trunk_leg import LegKind
from tests.api import TRUNK, House, codes, given, quick_settings, served_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path)) as house:
        yield house


async def test_a_created_trunk_is_answered_whole(house: House) -> None:
    payload = await house.api.create()
    assert payload["message"] == "SIP trunk created successfully."
    assert payload["userErrors"] == payload["warnings"] == []
    trunk = payload["sipTrunk"]
    echoed = {name: value for name, value in TRUNK.items() if name != "sipPassword"}
    assert trunk.items() >= echoed.items()
    defaults = {"sipPort": None, "sipTransport": "UDP", "mediaEncryption": "AUTO", "allowedInboundIps": None}
    assert trunk.items() >= (defaults | {"countryCode": "RO", "outboundProxy": False, "status": "ACTIVE"}).items()
    assert trunk["id"].startswith("trunk_")
    assert trunk["inboundTrunkId"].startswith("ST_")
    assert trunk["outboundTrunkId"].startswith("ST_")
    assert trunk["createdAt"] == trunk["updatedAt"]
    assert trunk["createdAt"].endswith("Z")


async def test_a_created_trunk_is_found_again_in_every_way(house: House) -> None:
    created = (await house.api.create())["sipTrunk"]
    fields = "id phoneNumber inboundTrunkId outboundTrunkId"
    query = (
        f"query($id: ID!) {{ sipTrunk(id: $id) {{ {fields} }} node(id: $id) {{ id ... on SipTrunk {{ {fields} }} }} }}"
    )
    found = await house.api.ask(query, {"id": created["id"]})
    wanted = {name: created[name] for name in fields.split()}
    assert found == {"sipTrunk": wanted, "node": wanted}
    assert await house.api.trunks() == [created]


async def test_a_creation_costs_two_voice_calls(house: House) -> None:
    await house.api.create()
    writes = [(call.method, call.kind) for call in house.voice.writes]
    assert writes == [("create", LegKind.INBOUND), ("create", LegKind.OUTBOUND)]


async def test_bad_fields_store_nothing_and_send_nothing(house: House) -> None:
    payload = await house.api.create(phoneNumber="12345", sipPassword="x", sipAddress="sip:pbx.example.com")
    assert payload["message"] == "The given data was invalid."
    assert payload["sipTrunk"] is None
    assert [error["field"] for error in payload["userErrors"]] == [
        ["input", "phoneNumber"],
        ["input", "sipPassword"],
        ["input", "sipAddress"],
    ]
    assert house.voice.writes == []
    assert await house.api.trunks() == []


async def test_the_same_trunk_again_already_exists(house: House) -> None:
    await house.api.create()
    payload = await house.api.create(nickname="another", sipPassword="another-password")
    assert codes(payload) == ["ALREADY_EXISTS"]
    assert payload["message"] == "A SIP trunk with the same phone number, username, and address already exists."
    assert payload["userErrors"][0]["field"] is None
    assert len(await house.api.trunks()) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"sipUsername": "bob"}),
        ({}, {"sipAddress": "8.8.8.8"}),
        ({"sipTrunkType": "EXTENSION", "phoneNumber": "10-00"}, {"sipTrunkType": "EXTENSION", "phoneNumber": "1000"}),
        ({}, {"sipTrunkType": "EXTENSION", "phoneNumber": "40741926265"}),
        ({"sipCallingFormat": "NATIONAL"}, {"sipTrunkType": "EXTENSION", "phoneNumber": "0741926265"}),
    ],
)
async def test_a_number_rings_at_one_trunk_only(house: House, first: dict[str, str], second: dict[str, str]) -> None:
    await house.api.create(countryCode="RO", **first)
    payload = await house.api.create(countryCode="RO", **second)
    assert codes(payload) == ["NUMBER_IN_USE"]
    assert payload["userErrors"][0]["field"] == ["input", "phoneNumber"]
    assert not payload["userErrors"][0]["retryable"]


async def test_extensions_with_letters_are_exact(house: House) -> None:
    for extension in ("w12.1000", "W12.1000", "1000-w13"):
        payload = await house.api.create(sipTrunkType="EXTENSION", phoneNumber=extension, countryCode="RO")
        assert codes(payload) == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"phoneNumber": " +40 (741) 926-265 ", "nickname": "  "},
        {"sipPassword": "short"},
        {"countryCode": "DE"},
        {"sipTrunkType": "EXTENSION", "phoneNumber": "1000"},
        {"sipTrunkType": "EXTENSION", "phoneNumber": "1000", "countryCode": "ro"},
        {"sipAddress": "127.0.0.1"},
        {"sipAddress": "pbx.example.com:5061", "sipPort": 0},
        {"inboundAuthorizationType": "IP"},
        {"inboundAuthorizationType": "IP", "allowedInboundIps": ["8.8.8.8", "10.0.0.0/24", "8.8.8.8/32", "x"]},
        {"inboundAuthorizationType": "IP", "allowedInboundIps": ["8.8.8.0/20", "10.0.0.0/24"]},
        {"allowedInboundIps": ["8.8.8.8"]},
        {"mediaEncryption": "REQUIRED", "sipPort": 70000},
        {"sipCallingFormat": "NATIONAL"},
    ],
    ids=str,
)
async def test_validate_and_create_say_the_same(house: House, changes: dict[str, object]) -> None:
    validated = await house.api.validate(**changes)
    assert house.voice.writes == []
    assert await house.api.trunks() == []
    created = await house.api.create(**changes)
    for name in ("userErrors", "warnings"):
        assert validated[name] == created[name]
    assert validated["valid"] is (created["sipTrunk"] is not None)
    if created["sipTrunk"]:
        normalized = validated["normalized"]
        shared = normalized.keys() & created["sipTrunk"].keys()
        assert {name: normalized[name] for name in shared} == {name: created["sipTrunk"][name] for name in shared}
    else:
        assert validated["message"] == created["message"]


async def test_validate_and_create_say_the_same_of_what_is_stored(house: House) -> None:
    await house.api.create()
    for changes in ({}, {"sipUsername": "bob"}):
        validated, created = await house.api.validate(**changes), await house.api.create(**changes)
        assert validated["userErrors"] == created["userErrors"]
        assert validated["message"] == created["message"]
        assert validated["normalized"]["calledTexts"] == ["+40741926265"]


async def test_a_wrong_calling_format_is_a_request_error_in_fixed_words(house: House) -> None:
    query = "mutation($input: CreateSipTrunkInput!) { createSipTrunk(input: $input) { message } }"
    response = await house.api.raw(query, {"input": given(sipCallingFormat="E.164")})
    message = response.json()["errors"][0]["message"]
    assert message == "SIP calling format must be one of: PLUS_E164, E164, NATIONAL."


async def test_reading_twenty_trunks_costs_two_queries_and_no_voice_call(house: House) -> None:
    for number in range(20):
        await house.api.create(sipTrunkType="EXTENSION", phoneNumber=f"2{number:03}", countryCode="RO")
    house.voice.forget()
    page = await house.api.ask("{ sipTrunks { nodes { id inboundTrunkId } pageInfo { hasNextPage } } }")
    assert len(page["sipTrunks"]["nodes"]) == 20
    assert all(node["inboundTrunkId"] for node in page["sipTrunks"]["nodes"])
    assert house.voice.writes == []
