"""Setup sheets: one kept page per provider, to be read like prose. `pytest --snapshot-update` writes them anew."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from tests.api import PASSWORD, House, codes, quick_settings, served_house
from tests.test_resolver import Answer
from trunkline.providers import Kind, Provider, providers
from trunkline.resolver import Resolver
from trunkline.setting_values import SipHost

SHEET = """query($id: ID!) { sipTrunk(id: $id) {
  provider { key } providerAsOf setupSheet { markdown sipUri transport steps { where what value } } } }"""
EXTENSION: dict[str, Any] = {"sipTrunkType": "EXTENSION", "phoneNumber": "1000", "countryCode": "DE"}


class Page(SingleFileSnapshotExtension):
    """One Markdown file per sheet."""

    file_extension = "md"
    _write_mode = WriteMode.TEXT


@pytest.fixture
def kept_page(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(Page)


def everybody(host: str, _port: None, **_hints: object) -> list[Answer]:
    """A getaddrinfo that knows every name, so that a test asks no name server."""
    assert host
    return [(0, 0, 0, "", ("8.8.4.4", 0))]


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr("trunkline.asgi.Resolver", lambda: Resolver(everybody))
    async with served_house(quick_settings(tmp_path, sip_host=SipHost("sip.example.com"))) as house:
        yield house


def wish_of(provider: Provider) -> dict[str, Any]:
    """What a user of this provider would give: its own host where it has one name for all, and what it takes."""
    by_address = provider.inbound.ranges is not None or not provider.inbound.answers_digest
    own = {} if provider.inbound.ranges or not by_address else {"allowedInboundIps": ["8.8.8.8"]}
    formats = provider.outbound.calling_formats
    host = provider.outbound.hosts[0] if provider.outbound.hosts else "sbc.example.com"
    return {
        "provider": provider.key,
        "sipAddress": re.sub(r"\{.*?\}", "acme", host) if provider.kind is Kind.CARRIER else "pbx.example.com",
        "sipCallingFormat": formats[0] if formats else "PLUS_E164",
        "inboundAuthorizationType": "IP" if by_address else "AUTH",
        **own,
        **(EXTENSION if provider.kind is Kind.PBX else {}),
    }


async def sheet_of(house: House, trunk_id: str) -> dict[str, Any]:
    trunk: dict[str, Any] = (await house.api.ask(SHEET, {"id": trunk_id}))["sipTrunk"]
    return trunk


@pytest.mark.parametrize("provider", providers().values(), ids=lambda each: each.key)
async def test_a_trunk_with_its_preset_has_its_sheet(
    house: House, provider: Provider, kept_page: SnapshotAssertion
) -> None:
    payload = await house.api.create(**wish_of(provider))
    assert codes(payload) == []
    mismatches = [each["field"] for each in payload["warnings"] if each["code"] == "PROVIDER_MISMATCH"]
    assert mismatches == ([["input", "provider"]] if provider.outbound.refused else [])
    created = payload["sipTrunk"]
    if provider.outbound.transports:
        assert created["sipTransport"] == provider.outbound.transports[0]
    if provider.inbound.ranges:
        assert created["allowedInboundIps"] == [str(network) for network in provider.inbound.ranges]
    trunk = await sheet_of(house, created["id"])
    assert trunk["provider"]["key"] == provider.key
    assert trunk["providerAsOf"] == provider.as_of.isoformat()
    assert PASSWORD not in str(trunk)
    assert trunk["setupSheet"]["markdown"] == kept_page


@pytest.mark.parametrize(
    ("transport", "uri"),
    [
        ("UDP", "sip:+40741926265@sip.example.com:5070"),
        ("TCP", "sip:+40741926265@sip.example.com:5070;transport=tcp"),
        ("TLS", "sip:+40741926265@sip.example.com;transport=tls"),  # which is served at another port
    ],
)
async def test_the_port_is_the_one_of_udp_and_tcp(tmp_path: Path, transport: str, uri: str) -> None:
    async with served_house(quick_settings(tmp_path, sip_host=SipHost("sip.example.com", 5070))) as house:
        created = (await house.api.create(sipTransport=transport))["sipTrunk"]
        sheet = (await sheet_of(house, created["id"]))["setupSheet"]
        assert sheet["sipUri"] == uri
        assert uri in [step["value"] for step in sheet["steps"]]


@pytest.mark.parametrize(
    ("key", "transport", "value"),
    [
        ("telnyx", "UDP", "sip.example.com:5070"),
        ("telnyx", "TLS", "sip.example.com:5061"),  # its console has a field for the port
        ("vonage", "TLS", "sip.example.com"),  # its console has none
        ("plivo", "UDP", "sip:+40741926265@sip.example.com:5070;transport=tcp"),
        ("plivo", "TLS", "sip:+40741926265@sip.example.com;transport=tls"),
        ("exotel", "TCP", "+40741926265@sip.example.com:5070;transport=tcp"),
        ("exotel", "TLS", "+40741926265@sip.example.com;transport=tls"),
        ("wavix", "UDP", "+40741926265@sip.example.com:5070;transport=tcp"),
        ("signalwire", "TLS", "+40741926265@sip.example.com;transport=tls"),
    ],
)
async def test_calls_are_sent_to_where_livekit_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, transport: str, value: str
) -> None:
    monkeypatch.setattr("trunkline.asgi.Resolver", lambda: Resolver(everybody))
    async with served_house(quick_settings(tmp_path, sip_host=SipHost("sip.example.com", 5070))) as house:
        wish = wish_of(providers()[key]) | {"sipTransport": transport}
        created = (await house.api.create(**wish))["sipTrunk"]
        sheet = (await sheet_of(house, created["id"]))["setupSheet"]
    assert value in [step["value"] for step in sheet["steps"]]
    if "@" in value:
        assert sheet["sipUri"].removeprefix("sip:") == value.removeprefix("sip:")


@pytest.mark.parametrize("known", [True, False])
async def test_behind_the_edge_calls_come_from_its_outer_address(tmp_path: Path, known: bool) -> None:
    told: dict[str, Any] = {"edge_outer_address": "203.0.113.9"} if known else {}
    async with served_house(quick_settings(tmp_path, sip_host=SipHost("198.51.100.7"), **told)) as house:
        created = (await house.api.create(outboundProxy=True))["sipTrunk"]
        values = [step["value"] for step in (await sheet_of(house, created["id"]))["setupSheet"]["steps"]]
        assert ("203.0.113.9" in values) is known
        assert ("TRUNKLINE_EDGE_OUTER_ADDRESS=203.0.113.9" in values) is not known
        assert "198.51.100.7" not in values


@pytest.mark.parametrize("kind", ["NUMBER", "EXTENSION"])
async def test_everybody_else_gets_the_general_sheet(house: House, kind: str, kept_page: SnapshotAssertion) -> None:
    created = (await house.api.create(**(EXTENSION if kind == "EXTENSION" else {}), sipTransport="TCP"))["sipTrunk"]
    trunk = await sheet_of(house, created["id"])
    assert trunk["provider"] is None
    called = created["phoneNumber"]
    assert trunk["setupSheet"]["sipUri"] == f"sip:{called}@sip.example.com;transport=tcp"
    assert trunk["setupSheet"]["markdown"] == kept_page


async def test_without_the_setting_the_sheet_names_it(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        created = (await house.api.create())["sipTrunk"]
        sheet = (await sheet_of(house, created["id"]))["setupSheet"]
    assert sheet["sipUri"] is None
    assert sheet["steps"][0]["value"].startswith("TRUNKLINE_SIP_HOST=")
    assert "TRUNKLINE\\_SIP\\_HOST is not set" in sheet["markdown"]


async def test_a_list_that_lacks_ranges_says_which(house: House) -> None:
    ranges = ["54.172.60.0/30"]
    created = await house.api.create(provider="twilio", inboundAuthorizationType="IP", allowedInboundIps=ranges)
    trunk = created["sipTrunk"]
    assert trunk["allowedInboundIps"] == ranges  # never replaced
    step = (await sheet_of(house, trunk["id"]))["setupSheet"]["steps"][-1]
    assert step["where"] == "allowedInboundIps of this trunk"
    assert "54.244.51.0/30" in step["value"]
    assert "54.172.60.0/30" not in step["value"]


async def test_of_regional_ranges_those_of_one_region_will_do(house: House) -> None:
    region = ["192.76.120.10/32", "64.16.250.10/32"]
    created = await house.api.create(provider="telnyx", inboundAuthorizationType="IP", allowedInboundIps=region)
    steps = (await sheet_of(house, created["sipTrunk"]["id"]))["setupSheet"]["steps"]
    assert steps[-1]["value"] == ", ".join(region)


async def test_what_a_user_wrote_stays_text_on_the_page(house: House) -> None:
    created = (await house.api.create(sipUsername="a`b``c<script>"))["sipTrunk"]
    markdown = (await sheet_of(house, created["id"]))["setupSheet"]["markdown"]
    assert "``` a`b``c<script> ```" in markdown


async def test_the_provider_follows_a_change(house: House) -> None:
    created = (await house.api.create(provider="twilio", inboundAuthorizationType="IP"))["sipTrunk"]
    changed = await house.api.update(created["id"], provider="telnyx")
    assert codes(changed) == []
    assert changed["plan"]["changedFields"] == ["provider"]
    assert changed["plan"]["inbound"] == changed["plan"]["outbound"] == "NONE"
    assert changed["sipTrunk"]["allowedInboundIps"] == created["allowedInboundIps"]
    assert (await sheet_of(house, created["id"]))["provider"]["key"] == "telnyx"
    assert codes(await house.api.update(created["id"], provider="telnix")) == ["UNKNOWN_PROVIDER"]
    assert codes(await house.api.update(created["id"], provider=None)) == []
    assert (await sheet_of(house, created["id"]))["provider"] is None


async def test_all_that_is_known_can_be_read(house: House) -> None:
    fields = """key name kind asOf confidence needsRegistration hosts transports inboundIps answersInboundDigest
      callingFormat notes sources"""
    query = f'{{ providers {{ {fields} }} provider(key: "twilio") {{ {fields} }} none: provider(key: "x") {{ key }} }}'
    found = await house.api.ask(query)
    assert [each["key"] for each in found["providers"]] == list(providers())
    assert found["provider"] in found["providers"]
    assert found["provider"]["answersInboundDigest"] is False
    assert found["provider"]["needsRegistration"] is False
    assert len(found["provider"]["inboundIps"]) == 8
    assert next(each for each in found["providers"] if each["key"] == "yeastar")["needsRegistration"] is None
    assert found["none"] is None
