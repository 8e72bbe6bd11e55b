"""The provider files: each is whole, dated, sourced and readable, and the page made of them is fresh."""

import re
from datetime import date
from ipaddress import IPv4Network, IPv6Network

import pytest

from models.sip_trunk import PROVIDER_MAX
from tests.commands import ROOT
from trunkline.addresses import is_publicly_routable_network
from trunkline.hosts import read_host
from trunkline.phone import E164
from trunkline.providers import FOLDER, Kind, Provider, generic_steps, nearest, providers, recognised
from trunkline.providers_page import page
from trunkline.setup_sheets import WORDS

KEYS = sorted(path.stem for path in FOLDER.glob("*.toml") if path.stem != "generic")
CONDITIONS = {"AUTH", "IP", "NUMBER", "EXTENSION", "UDP", "TCP", "TLS", "PLAIN"}
every = pytest.mark.parametrize("provider", providers().values(), ids=lambda each: each.key)


def test_every_file_is_read() -> None:
    assert sorted(providers()) == KEYS
    assert len(KEYS) >= 21


@every
def test_a_file_says_what_everybody_needs(provider: Provider) -> None:
    assert re.fullmatch(r"[a-z0-9_]+", provider.key)
    assert len(provider.key) <= PROVIDER_MAX
    assert provider.name.strip() == provider.name != ""
    assert date(2026, 1, 1) <= provider.as_of <= date(2100, 1, 1)
    assert provider.sources
    assert all(source.where for source in provider.sources)
    assert provider.steps


@every
def test_hosts_are_hosts_once_a_label_is_filled_in(provider: Provider) -> None:
    for host in provider.outbound.hosts:
        real = re.sub(r"\{.*?\}", "w12", host)
        assert read_host(real) == real
        if provider.kind is Kind.CARRIER:
            assert recognised(real) is provider


@every
def test_transports_and_ports_belong_together(provider: Provider) -> None:
    ports = provider.outbound.ports or {}
    assert all(1 <= port <= 65535 for port in ports.values())
    if provider.outbound.transports is not None:
        assert set(ports) <= set(provider.outbound.transports)
        assert provider.outbound.transports


@every
def test_ranges_are_public_and_each_stands_once(provider: Provider) -> None:
    ranges = provider.inbound.ranges or ()
    assert len(set(ranges)) == len(ranges)
    assert all(isinstance(each, IPv4Network | IPv6Network) for each in ranges)
    assert all(is_publicly_routable_network(each) for each in ranges)
    assert (provider.inbound.ranges_origin is None) == (provider.inbound.ranges is None)


@pytest.mark.parametrize("steps", [each.steps for each in providers().values()] + [generic_steps()])
def test_steps_use_known_words_only(steps: tuple[object, ...]) -> None:
    for step in steps:
        value = getattr(step, "value", None) or ""
        assert set(re.findall(r"\{(.*?)\}", value)) <= set(WORDS)
        assert set(getattr(step, "only", ())) <= CONDITIONS
        assert not re.search(r"(?<!\{)\{(?!\{)", getattr(step, "what", ""))


@every
def test_nothing_of_a_customer_stands_in_a_file(provider: Provider) -> None:
    """Public examples hold real numbers and passwords; none may come along."""
    text = (FOLDER / f"{provider.key}.toml").read_text("utf8")
    assert not [
        word for word in re.findall(r"\+[\d ]+", text) if E164.fullmatch(word.replace(" ", "")) and len(word) > 8
    ]


def test_a_mistyped_key_has_neighbours() -> None:
    assert nearest("twillio") == ["twilio"]
    assert nearest("Telnyx ") == ["telnyx"]
    assert nearest("Telekom") == ["telekom_companyflex"]
    assert nearest("fusionpbx") == ["freeswitch_fusionpbx"]
    assert nearest("zzz") == []


def test_a_host_of_nobody_is_not_recognised() -> None:
    assert recognised("sip.example.com") is None
    assert recognised("twilio.com.example.net") is None
    assert recognised("x.w12.pstn.twilio.com") is None


def test_the_page_is_fresh() -> None:
    assert (ROOT / "docs" / "carriers.md").read_text("utf8") == page()
