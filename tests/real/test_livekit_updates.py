"""updateSipTrunk and deleteSipTrunk over HTTP against a real livekit-server, read back with LiveKit's own client."""

import json
from typing import Any

import pytest
from livekit import api

from tests.api import PASSWORD, Api, codes
from tests.real.servers import LiveKitServer

DISABLE, ALLOW, REQUIRE = range(3)
UDP, TCP, TLS = 1, 2, 3
NUMBERS = (f"+40741926{number}" for number in range(400, 500))  # each test its own: they share the server


async def inbound(lk: api.LiveKitAPI, trunk: dict[str, Any]) -> api.SIPInboundTrunkInfo | None:
    request = api.ListSIPInboundTrunkRequest(trunk_ids=[trunk["inboundTrunkId"]])
    return next(iter((await lk.sip.list_inbound_trunk(request)).items), None)


async def outbound(lk: api.LiveKitAPI, trunk: dict[str, Any]) -> api.SIPOutboundTrunkInfo | None:
    request = api.ListSIPOutboundTrunkRequest(trunk_ids=[trunk["outboundTrunkId"]])
    return next(iter((await lk.sip.list_outbound_trunk(request)).items), None)


async def legs(lk: api.LiveKitAPI, trunk: dict[str, Any]) -> tuple[api.SIPInboundTrunkInfo, api.SIPOutboundTrunkInfo]:
    into, out = await inbound(lk, trunk), await outbound(lk, trunk)
    assert into
    assert out
    return into, out


async def created(client: Api, **changes: Any) -> dict[str, Any]:
    payload = await client.create(**({"phoneNumber": next(NUMBERS)} | changes))
    assert codes(payload) == [], payload
    trunk: dict[str, Any] = payload["sipTrunk"]
    return trunk


async def updated(client: Api, trunk: dict[str, Any], **changes: Any) -> dict[str, Any]:
    payload = await client.update(trunk["id"], **changes)
    assert codes(payload) == [], payload
    changed: dict[str, Any] = payload["sipTrunk"]
    ids = ("id", "inboundTrunkId", "outboundTrunkId")
    assert {name: changed[name] for name in ids} == {name: trunk[name] for name in ids}, "in place"
    assert changed["status"] == "ACTIVE"
    return changed


async def test_a_nickname_is_the_name_of_both_legs_and_null_gives_the_number_back(
    client: Api, lk: api.LiveKitAPI
) -> None:
    trunk = await created(client)
    await updated(client, trunk, nickname="Reception")
    into, out = await legs(lk, trunk)
    assert (into.name, out.name) == ("Reception", "Reception")
    await updated(client, trunk, nickname=None)
    into, out = await legs(lk, trunk)
    assert into.name == out.name == trunk["phoneNumber"]
    for leg in (into, out):
        assert (leg.auth_username, leg.auth_password) == ("alice", PASSWORD), "left out is unchanged"


async def test_credentials_follow_on_both_legs(client: Api, lk: api.LiveKitAPI) -> None:
    trunk = await created(client)
    await updated(client, trunk, sipUsername="bob", sipPassword="another-password")
    for leg in await legs(lk, trunk):
        assert (leg.auth_username, leg.auth_password) == ("bob", "another-password")


async def test_the_address_the_port_and_the_transport_follow(client: Api, lk: api.LiveKitAPI) -> None:
    trunk = await created(client)
    await updated(client, trunk, sipAddress="8.8.8.8", sipPort=5080, sipTransport="TCP")
    _into, out = await legs(lk, trunk)
    assert (out.address, out.transport) == ("8.8.8.8:5080", TCP)
    await updated(client, trunk, sipPort=None, sipTransport=None)
    _into, out = await legs(lk, trunk)
    assert (out.address, out.transport) == ("8.8.8.8", UDP)


async def test_the_number_its_country_and_its_format_follow(client: Api, lk: api.LiveKitAPI) -> None:
    trunk = await created(client)
    await updated(client, trunk, phoneNumber="+12025550188", sipCallingFormat="NATIONAL")
    into, out = await legs(lk, trunk)
    assert list(into.numbers) == ["+12025550188", "2025550188"]
    assert (list(out.numbers), out.destination_country) == (["2025550188"], "US")
    await updated(client, trunk, sipCallingFormat="E164")
    into, out = await legs(lk, trunk)
    assert (list(into.numbers), list(out.numbers)) == (["+12025550188"], ["12025550188"])


async def test_authorization_by_address_clears_the_credentials_and_back(client: Api, lk: api.LiveKitAPI) -> None:
    trunk = await created(client)
    await updated(client, trunk, inboundAuthorizationType="IP", allowedInboundIps=["8.8.8.8", "2001:4860::/48"])
    into, out = await legs(lk, trunk)
    assert list(into.allowed_addresses) == ["8.8.8.8/32", "2001:4860::/48"]
    assert (into.auth_username, into.auth_password) == ("", "")
    assert (out.auth_username, out.auth_password) == ("alice", PASSWORD)
    await updated(client, trunk, inboundAuthorizationType="AUTH")
    into, _out = await legs(lk, trunk)
    assert (list(into.allowed_addresses), into.auth_username, into.auth_password) == ([], "alice", PASSWORD)


@pytest.mark.parametrize(
    ("encryption", "wanted_in", "wanted_out"),
    [("DISABLED", DISABLE, DISABLE), ("ALLOWED", ALLOW, ALLOW), ("REQUIRED", REQUIRE, REQUIRE), (None, ALLOW, DISABLE)],
)
async def test_media_encryption_follows(
    client: Api, lk: api.LiveKitAPI, encryption: str | None, wanted_in: int, wanted_out: int
) -> None:
    trunk = await created(client, mediaEncryption="AUTO" if encryption else "REQUIRED")
    await updated(client, trunk, mediaEncryption=encryption)
    into, out = await legs(lk, trunk)
    assert (into.media.encryption, into.media_encryption) == (wanted_in, wanted_in)
    assert (out.media.encryption, out.media_encryption) == (wanted_out, wanted_out)


async def test_what_is_ours_alone_stays(client: Api, lk: api.LiveKitAPI) -> None:
    trunk = await created(client)
    await updated(client, trunk, sipPort=5080)
    into, out = await legs(lk, trunk)
    assert into.ringing_timeout.seconds == 30
    markers = [json.loads(leg.metadata) for leg in (into, out)]
    assert [marker["revision"] for marker in markers] == [1, 2], "each leg's own applied revision"
    assert {marker["trunk"] for marker in markers} == {trunk["id"]}


async def test_our_own_check_of_the_number_stands_before_livekits_hole(client: Api, lk: api.LiveKitAPI) -> None:
    """LiveKit accepts an update onto another trunk's number, and then both fail."""
    trunk, other = await created(client), await created(client, sipUsername="bob")
    before = await legs(lk, trunk), await legs(lk, other)
    payload = await client.update(trunk["id"], phoneNumber=other["phoneNumber"])
    assert codes(payload) == ["NUMBER_IN_USE"]
    assert payload["userErrors"][0]["field"] == ["input", "phoneNumber"]
    assert (await legs(lk, trunk), await legs(lk, other)) == before
    calling = await client.create(sipTrunkType="EXTENSION", phoneNumber="0741926999", countryCode="RO")
    assert codes(calling) == []
    national = await created(client, phoneNumber="+40741926998", sipCallingFormat="NATIONAL")
    payload = await client.update(national["id"], phoneNumber="+40741926999")
    assert codes(payload) == ["NUMBER_IN_USE"], "the national text is another trunk's"


async def test_a_dry_run_sends_nothing(client: Api, lk: api.LiveKitAPI) -> None:
    trunk = await created(client)
    before = await legs(lk, trunk)
    payload = await client.update(trunk["id"], sipUsername="bob", dryRun=True)
    assert (payload["plan"]["inbound"], payload["plan"]["outbound"]) == ("UPDATE_IN_PLACE", "UPDATE_IN_PLACE")
    assert await legs(lk, trunk) == before


async def test_a_leg_that_is_gone_is_made_anew_by_the_change(client: Api, lk: api.LiveKitAPI) -> None:
    trunk = await created(client)
    await lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk["outboundTrunkId"]))
    payload = await client.update(trunk["id"], nickname="Reception")
    assert codes(payload) == []
    into, out = await legs(lk, payload["sipTrunk"])
    assert (into.name, out.name) == ("Reception", "Reception")


async def test_a_removal_takes_the_dispatch_rule_and_both_legs(client: Api, lk: api.LiveKitAPI) -> None:
    trunk = await created(client)
    assistant = await client.answered_by(trunk["id"])
    rules = (await lk.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())).items
    assert [list(rule.trunk_ids) for rule in rules if rule.sip_dispatch_rule_id == assistant["dispatchRuleId"]] == [
        [trunk["inboundTrunkId"]]
    ]
    payload = await client.delete(trunk["id"])
    assert payload["message"] == "SIP trunk deleted successfully."
    assert payload["deletedId"] == trunk["id"]
    assert [each["id"] for each in payload["unassigned"]] == [assistant["id"]]
    assert (await inbound(lk, trunk), await outbound(lk, trunk)) == (None, None)
    rules = (await lk.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())).items
    assert assistant["dispatchRuleId"] not in {rule.sip_dispatch_rule_id for rule in rules}
    assert await client.trunk(trunk["id"]) is None
    await created(client, phoneNumber=trunk["phoneNumber"])


async def test_a_removal_while_livekit_is_away_is_finished_when_it_is_back(
    client: Api, lk: api.LiveKitAPI, livekit: LiveKitServer
) -> None:
    trunk, changed = await created(client), await created(client)
    before = await legs(lk, changed)
    livekit.stop()
    try:
        payload = await client.delete(trunk["id"])
        assert (payload["deletedId"], codes(payload)) == (None, ["VOICE_UNAVAILABLE"])
        assert payload["message"].startswith("Failed to delete SIP trunk. ")
        assert payload["message"].endswith("It stays DELETING and is finished by itself.")
        assert ((await client.trunk(trunk["id"])) or {})["status"] == "DELETING"
        payload = await client.update(changed["id"], nickname="Reception")
        assert codes(payload) == ["VOICE_UNAVAILABLE"]
        assert payload["sipTrunk"] == changed
    finally:
        livekit.start()
    await client.gone(trunk["id"])
    assert (await inbound(lk, trunk), await outbound(lk, trunk)) == (None, None)
    assert await legs(lk, changed) == before
