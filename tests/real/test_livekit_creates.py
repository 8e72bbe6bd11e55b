"""createSipTrunk over HTTP against a real livekit-server, read back with LiveKit's own client: the mapping table."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from livekit import api

from tests.api import PASSWORD, Api, codes
from tests.real.servers import LiveKitServer
from tests.server_process import ServerProcess

DISABLE, ALLOW, REQUIRE = range(3)
UDP, TCP, TLS = 1, 2, 3
PATIENCE_SECONDS = 30.0


async def inbound(lk: api.LiveKitAPI, trunk: dict[str, Any]) -> api.SIPInboundTrunkInfo:
    request = api.ListSIPInboundTrunkRequest(trunk_ids=[trunk["inboundTrunkId"]])
    return (await lk.sip.list_inbound_trunk(request)).items[0]


async def outbound(lk: api.LiveKitAPI, trunk: dict[str, Any]) -> api.SIPOutboundTrunkInfo:
    request = api.ListSIPOutboundTrunkRequest(trunk_ids=[trunk["outboundTrunkId"]])
    return (await lk.sip.list_outbound_trunk(request)).items[0]


async def object_count(lk: api.LiveKitAPI) -> int:
    into = await lk.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
    out = await lk.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())
    return len(into.items) + len(out.items)


async def created(client: Api, **changes: Any) -> dict[str, Any]:
    payload = await client.create(**changes)
    assert codes(payload) == [], payload
    assert payload["message"] == "SIP trunk created successfully."
    trunk: dict[str, Any] = payload["sipTrunk"]
    return trunk


async def test_a_number_with_digest(client: Api, lk: api.LiveKitAPI) -> None:
    trunk = await created(client, phoneNumber="+40741926260", sipPort=5080)
    into, out = await inbound(lk, trunk), await outbound(lk, trunk)
    assert into.name == out.name == "Front desk"
    assert list(into.numbers) == list(out.numbers) == ["+40741926260"]
    assert (into.auth_username, into.auth_password) == (out.auth_username, out.auth_password) == ("alice", PASSWORD)
    assert list(into.allowed_addresses) == []
    assert into.ringing_timeout.seconds == 30
    assert (out.address, out.transport, out.destination_country) == ("8.8.4.4:5080", UDP, "RO")


async def test_the_name_is_the_number_without_a_nickname_and_the_port_is_left_out(
    client: Api, lk: api.LiveKitAPI
) -> None:
    trunk = await created(client, phoneNumber="+40741926266", nickname=None)
    into, out = await inbound(lk, trunk), await outbound(lk, trunk)
    assert into.name == out.name == "+40741926266"
    assert out.address == "8.8.4.4"


@pytest.mark.parametrize(
    ("changes", "called", "caller"),
    [
        ({"phoneNumber": "+40741926270", "sipCallingFormat": "E164"}, ["+40741926270"], "40741926270"),
        ({"phoneNumber": "+40741926271", "sipCallingFormat": "NATIONAL"}, ["+40741926271", "0741926271"], "0741926271"),
        ({"phoneNumber": "+12025550123", "sipCallingFormat": "NATIONAL"}, ["+12025550123", "2025550123"], "2025550123"),
        ({"sipTrunkType": "EXTENSION", "phoneNumber": "w12.1000", "countryCode": "RO"}, ["w12.1000"], "w12.1000"),
    ],
    ids=["E164", "NATIONAL", "NATIONAL, US", "EXTENSION"],
)
async def test_numbers(
    client: Api, lk: api.LiveKitAPI, changes: dict[str, str], called: list[str], caller: str
) -> None:
    trunk = await created(client, **changes)
    assert list((await inbound(lk, trunk)).numbers) == called
    assert list((await outbound(lk, trunk)).numbers) == [caller]


async def test_ip_authorization_has_addresses_and_no_inbound_credentials(client: Api, lk: api.LiveKitAPI) -> None:
    addresses = ["8.8.8.8", "2001:4860:4860::/48", "8.8.8.8/32"]
    trunk = await created(
        client, phoneNumber="+40741926272", inboundAuthorizationType="IP", allowedInboundIps=addresses
    )
    into, out = await inbound(lk, trunk), await outbound(lk, trunk)
    assert list(into.allowed_addresses) == trunk["allowedInboundIps"] == ["8.8.8.8/32", "2001:4860:4860::/48"]
    assert (into.auth_username, into.auth_password) == ("", "")
    assert (out.auth_username, out.auth_password) == ("alice", PASSWORD)


@pytest.mark.parametrize(
    ("encryption", "wanted_in", "wanted_out"),
    [
        ("AUTO", ALLOW, DISABLE),
        ("DISABLED", DISABLE, DISABLE),
        ("ALLOWED", ALLOW, ALLOW),
        ("REQUIRED", REQUIRE, REQUIRE),
    ],
)
async def test_media_encryption(
    client: Api, lk: api.LiveKitAPI, encryption: str, wanted_in: int, wanted_out: int
) -> None:
    extension = f"media.{encryption.lower()}"[:15]
    trunk = await created(
        client, sipTrunkType="EXTENSION", phoneNumber=extension, countryCode="RO", mediaEncryption=encryption
    )
    into, out = await inbound(lk, trunk), await outbound(lk, trunk)
    assert (into.media.encryption, into.media_encryption) == (wanted_in, wanted_in)
    assert (out.media.encryption, out.media_encryption) == (wanted_out, wanted_out)


@pytest.mark.parametrize(("transport", "wanted"), [("UDP", UDP), ("TCP", TCP), ("TLS", TLS)])
async def test_the_transport_is_always_explicit(client: Api, lk: api.LiveKitAPI, transport: str, wanted: int) -> None:
    trunk = await created(
        client, sipTrunkType="EXTENSION", phoneNumber=f"over.{transport}", countryCode="RO", sipTransport=transport
    )
    assert (await outbound(lk, trunk)).transport == wanted


async def test_both_legs_carry_the_marker(client: Api, lk: api.LiveKitAPI) -> None:
    trunk = await created(client, phoneNumber="+40741926273")
    markers = [json.loads((await read(lk, trunk)).metadata) for read in (inbound, outbound)]
    assert [marker["leg"] for marker in markers] == ["inbound", "outbound"]
    for marker in markers:
        assert marker["app"] == "trunkline"
        assert marker["trunk"] == trunk["id"]
        assert marker["installation"].startswith("inst_")
        assert marker["workspace"].startswith("ws_")
        assert marker["revision"] == 1
        assert len(json.dumps(marker, separators=(",", ":"))) < 300


async def test_a_number_of_somebody_else_at_livekit_is_in_use(client: Api, lk: api.LiveKitAPI) -> None:
    foreign = api.SIPInboundTrunkInfo(name="theirs", numbers=["40 741 926 274"], allowed_addresses=["8.8.8.8"])
    held = await lk.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=foreign))
    before = await object_count(lk)
    payload = await client.create(phoneNumber="+40741926274")
    assert codes(payload) == ["NUMBER_IN_USE"]
    assert held.sip_trunk_id not in json.dumps(payload), "whose number it is stays unsaid"
    assert await object_count(lk) == before


async def test_outbound_proxy_is_refused_naming_the_setting(client: Api) -> None:
    payload = await client.create(phoneNumber="+40741926275", outboundProxy=True)
    (error,) = payload["userErrors"]
    assert (error["code"], error["field"]) == ("VOICE_MISCONFIGURED", ["input", "outboundProxy"])
    assert "TRUNKLINE_OUTBOUND_PROXY" in error["message"]


async def test_while_livekit_is_away_nothing_is_saved_and_afterwards_all_works_without_a_restart(
    client: Api, trunkline: ServerProcess, livekit: LiveKitServer
) -> None:
    livekit.stop()
    try:
        payload = await client.create(phoneNumber="+40741926276")
        assert codes(payload) == ["VOICE_UNAVAILABLE"]
        assert payload["userErrors"][0]["retryable"]
        assert payload["message"].startswith("Failed to create SIP trunk.")
        assert "+40741926276" not in {trunk["phoneNumber"] for trunk in await client.trunks()}
        async with httpx.AsyncClient(base_url=trunkline.url) as anybody, asyncio.timeout(PATIENCE_SECONDS):
            while (await anybody.get("/readyz")).json() != {"status": "unready", "reasons": ["voice_backend"]}:
                await asyncio.sleep(0.2)
    finally:
        livekit.start()
    await created(client, phoneNumber="+40741926276")
