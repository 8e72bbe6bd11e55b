"""updateSipTrunk as a client meets it: what stays, what is cleared, what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from models.sip_trunk import CalledText, SipTrunk
from models.trunk_leg import LegKind
from tests.api import PASSWORD, House, codes, quick_settings, served_house
from trunkline.voice import InboundTrunk, OutboundTrunk

INBOUND = [("replace", LegKind.INBOUND)]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path)) as house:
        yield house


async def created(house: House, **changes: Any) -> dict[str, Any]:
    payload = await house.api.create(**changes)
    assert codes(payload) == []
    house.voice.forget()
    trunk: dict[str, Any] = payload["sipTrunk"]
    return trunk


async def inbound(house: House) -> InboundTrunk:
    (leg,) = [leg for leg in (await house.held()).values() if isinstance(leg, InboundTrunk)]
    return leg


async def outbound(house: House) -> OutboundTrunk:
    (leg,) = [leg for leg in (await house.held()).values() if isinstance(leg, OutboundTrunk)]
    return leg


def writes(house: House) -> list[tuple[str, LegKind | None]]:
    return [(call.method, call.kind) for call in house.voice.writes]


async def test_what_is_left_out_stays(house: House) -> None:
    trunk = await created(house, sipPort=5080, countryCode="RO")
    payload = await house.api.update(trunk["id"], nickname="Reception")
    assert payload["message"] == "SIP trunk updated successfully."
    assert payload["userErrors"] == payload["warnings"] == []
    changed = payload["sipTrunk"]
    assert changed["updatedAt"] > trunk["updatedAt"]
    assert changed == trunk | {"nickname": "Reception", "revision": 2, "updatedAt": changed["updatedAt"]}
    assert await house.api.trunks() == [changed]
    assert (await outbound(house)).auth_password.reveal() == PASSWORD
    assert (await inbound(house)).auth_password.reveal() == PASSWORD


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("nickname", None),
        ("sipPort", None),
        ("sipTransport", "UDP"),
        ("mediaEncryption", "AUTO"),
        ("countryCode", "RO"),
    ],
)
async def test_null_clears_where_a_creation_may_leave_out(house: House, name: str, stored: str | None) -> None:
    given: dict[str, Any] = {"sipPort": 5080, "sipTransport": "TLS", "mediaEncryption": "REQUIRED", "countryCode": "RO"}
    trunk = await created(house, **given)
    payload = await house.api.update(trunk["id"], **{name: None})
    assert codes(payload) == []
    assert payload["sipTrunk"][name] == stored


@pytest.mark.parametrize(
    "name",
    ["phoneNumber", "sipUsername", "sipPassword", "sipAddress", "sipCallingFormat", "inboundAuthorizationType"],
)
async def test_null_is_refused_where_a_creation_needs_a_value(house: House, name: str) -> None:
    trunk = await created(house)
    payload = await house.api.update(trunk["id"], **{name: None})
    assert payload["message"] == "The given data was invalid."
    assert [(error["code"], error["field"]) for error in payload["userErrors"]] == [("REQUIRED", ["input", name])]
    assert (payload["sipTrunk"], payload["plan"]) == (trunk, None)
    assert writes(house) == []


async def test_all_problems_are_told_at_once_in_the_order_of_the_input(house: House) -> None:
    trunk = await created(house)
    payload = await house.api.update(
        trunk["id"], outboundProxy=None, countryCode="XX", sipCallingFormat=None, sipAddress=" ", nickname="n" * 51
    )
    told = [(error["field"][1], error["code"]) for error in payload["userErrors"]]
    assert told == [
        ("nickname", "TOO_LONG"),
        ("sipAddress", "REQUIRED"),
        ("sipCallingFormat", "REQUIRED"),
        ("countryCode", "INVALID_COUNTRY"),
        ("outboundProxy", "REQUIRED"),
    ]
    assert payload["userErrors"][1]["message"] == "SIP server address is required."
    assert await house.api.trunks() == [trunk]


async def test_the_rules_of_create_hold_for_the_merged_trunk(house: House) -> None:
    trunk = await created(house, sipTransport="TLS", mediaEncryption="REQUIRED", sipPassword="short")
    payload = await house.api.update(trunk["id"], sipTransport="UDP")
    warnings = {warning["code"] for warning in payload["warnings"]}
    assert warnings == {"SRTP_KEYS_EXPOSED", "WEAK_PASSWORD"}
    payload = await house.api.update(trunk["id"], countryCode="DE")
    assert codes(payload) == ["COUNTRY_MISMATCH"]


async def test_ip_authorization_needs_its_list_in_the_same_call(house: House) -> None:
    trunk = await created(house)
    payload = await house.api.update(trunk["id"], inboundAuthorizationType="IP")
    (error,) = payload["userErrors"]
    assert (error["code"], error["field"]) == ("IP_REQUIRED", ["input", "allowedInboundIps"])
    assert error["message"] == "At least one allowed IP address is required when authorization type is IP."
    assert writes(house) == []
    payload = await house.api.update(trunk["id"], inboundAuthorizationType="IP", allowedInboundIps=["8.8.8.8"])
    assert payload["sipTrunk"]["allowedInboundIps"] == ["8.8.8.8/32"]
    leg = await inbound(house)
    assert (leg.allowed_addresses, leg.auth_username, leg.auth_password.reveal()) == (("8.8.8.8/32",), "", "")
    assert writes(house) == INBOUND


async def test_digest_authorization_clears_the_list(house: House) -> None:
    trunk = await created(house, inboundAuthorizationType="IP", allowedInboundIps=["8.8.8.8"])
    payload = await house.api.update(trunk["id"], inboundAuthorizationType="AUTH", allowedInboundIps=["8.8.8.8"])
    assert codes(payload) == ["CONFLICTING_FIELDS"]
    payload = await house.api.update(trunk["id"], inboundAuthorizationType="AUTH")
    assert payload["sipTrunk"]["allowedInboundIps"] is None
    assert set(payload["plan"]["changedFields"]) == {"inboundAuthorizationType", "allowedInboundIps"}
    leg = await inbound(house)
    assert (leg.allowed_addresses, leg.auth_username, leg.auth_password.reveal()) == ((), "alice", PASSWORD)


async def test_the_list_is_replaced_whole_and_not_emptied(house: House) -> None:
    trunk = await created(house, inboundAuthorizationType="IP", allowedInboundIps=["8.8.8.8", "8.8.4.4"])
    payload = await house.api.update(trunk["id"], allowedInboundIps=["1.1.1.1"])
    assert payload["sipTrunk"]["allowedInboundIps"] == ["1.1.1.1/32"]
    assert codes(await house.api.update(trunk["id"], allowedInboundIps=None)) == ["IP_REQUIRED"]
    assert codes(await house.api.update(trunk["id"], allowedInboundIps=[])) == ["IP_REQUIRED"]
    assert codes(await house.api.update(trunk["id"], inboundAuthorizationType="IP", sipPort=5080)) == []


async def test_a_new_number_without_a_country_has_its_own(house: House) -> None:
    trunk = await created(house)
    payload = await house.api.update(trunk["id"], phoneNumber="+1 202 555 0123")
    assert (payload["sipTrunk"]["phoneNumber"], payload["sipTrunk"]["countryCode"]) == ("+12025550123", "US")
    assert payload["plan"]["changedFields"] == ["phoneNumber", "countryCode"]
    assert payload["warnings"] == []
    assert (await inbound(house)).numbers == ("+12025550123",)
    assert (await outbound(house)).destination_country == "US"
    payload = await house.api.update(trunk["id"], phoneNumber="+40741926265", countryCode="US")
    assert codes(payload) == ["COUNTRY_MISMATCH"]


async def test_a_number_of_no_country_keeps_its_country_until_the_number_changes(house: House) -> None:
    trunk = await created(house, phoneNumber="+80012345678", countryCode="DE")
    payload = await house.api.update(trunk["id"], phoneNumber="+800 1234-5678", nickname="Free")
    assert payload["sipTrunk"]["countryCode"] == "DE"
    payload = await house.api.update(trunk["id"], phoneNumber="+80012345679")
    assert [error["field"] for error in payload["userErrors"]] == [["input", "countryCode"]]


async def test_a_new_extension_keeps_the_country(house: House) -> None:
    trunk = await created(house, sipTrunkType="EXTENSION", phoneNumber="1000", countryCode="RO")
    payload = await house.api.update(trunk["id"], phoneNumber="1001")
    assert (payload["sipTrunk"]["phoneNumber"], payload["sipTrunk"]["countryCode"]) == ("1001", "RO")


async def test_a_moved_number_is_free_for_others_and_the_new_one_is_not(house: House) -> None:
    trunk = await created(house)
    await house.api.update(trunk["id"], phoneNumber="+40741926266")
    assert codes(await house.api.create(phoneNumber="+40741926266", sipUsername="bob")) == ["NUMBER_IN_USE"]
    assert codes(await house.api.create(sipUsername="bob")) == []
    assert {row.text async for row in CalledText.all()} == {"+40741926265", "+40741926266"}


async def test_the_national_format_claims_the_national_text_and_gives_it_back(house: House) -> None:
    trunk = await created(house)
    payload = await house.api.update(trunk["id"], sipCallingFormat="NATIONAL")
    assert payload["plan"]["inbound"] == payload["plan"]["outbound"] == "UPDATE_IN_PLACE"
    assert (await inbound(house)).numbers == ("+40741926265", "0741926265")
    rival = {"sipTrunkType": "EXTENSION", "phoneNumber": "0741926265", "countryCode": "RO"}
    assert codes(await house.api.create(**rival)) == ["NUMBER_IN_USE"]
    await house.api.update(trunk["id"], sipCallingFormat="E164")
    assert codes(await house.api.create(**rival)) == []


async def test_a_number_of_another_trunk_is_refused_without_a_voice_call(house: House) -> None:
    trunk = await created(house)
    await created(house, phoneNumber="+40741926266", sipUsername="bob")
    before = await house.held()
    for changes in ({}, {"dryRun": True}):
        payload = await house.api.update(trunk["id"], phoneNumber="+40 741 926 266", **changes)
        (error,) = payload["userErrors"]
        assert (error["code"], error["field"]) == ("NUMBER_IN_USE", ["input", "phoneNumber"])
        assert payload["message"] == error["message"]
        assert payload["sipTrunk"] == trunk
    assert writes(house) == []
    assert await house.held() == before


async def test_becoming_the_same_as_another_trunk_already_exists(house: House) -> None:
    await created(house)
    other = await created(house, phoneNumber="+40741926266", sipUsername="bob")
    payload = await house.api.update(other["id"], phoneNumber="+40741926265", sipUsername="alice")
    assert codes(payload) == ["ALREADY_EXISTS"]
    assert payload["message"] == "A SIP trunk with the same phone number, username, and address already exists."
    assert payload["userErrors"][0]["field"] is None


@pytest.mark.parametrize("trunk_id", ["trunk_01zzzzzzzzzzzzzzzzzzzzzzzz", "nonsense", "", "trunk_\x00"])
async def test_an_unknown_trunk_is_not_found(house: House, trunk_id: str) -> None:
    for payload in (
        await house.api.update(trunk_id, nickname="x"),
        await house.api.update(trunk_id, phoneNumber=None, dryRun=True),
        await house.api.delete(trunk_id),
        await house.api.reprovision(trunk_id),
    ):
        assert codes(payload) == ["NOT_FOUND"]
        assert payload["message"] == "SIP trunk not found."
        assert payload["userErrors"][0]["field"] == ["input", "id"]


async def test_a_password_that_cannot_be_decrypted_is_mended_by_a_new_one(house: House) -> None:
    trunk = await created(house)
    await SipTrunk.all().update(sip_password=b"damaged")
    payload = await house.api.update(trunk["id"], nickname="x")
    assert [(error["code"], error["field"]) for error in payload["userErrors"]] == [
        ("REQUIRED", ["input", "sipPassword"])
    ]
    assert payload["message"] == "The stored password cannot be decrypted; set it again."
    payload = await house.api.update(trunk["id"], sipPassword="another-password")
    assert codes(payload) == []
    assert payload["sipTrunk"]["status"] == "ACTIVE"
    assert (await outbound(house)).auth_password.reveal() == "another-password"
