"""Rules of sipAddress: its codes, and what the name may resolve to."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest

from tests.trunk_drafts import examined, notices, number_draft, problems
from trunkline.addresses import Address
from trunkline.validation import Policy, name_to_resolve

NOT_ALLOWED = ["ADDRESS_NOT_ALLOWED sipAddress"]
NOT_RESOLVED = ["ADDRESS_NOT_RESOLVED sipAddress"]
ON_PREMISE = Policy(allowed_networks=(ip_network("10.1.0.0/16"), ip_network("127.0.0.0/8"), ip_network("fd00::/8")))


def resolved(*texts: str) -> list[Address]:
    return [ip_address(text) for text in texts]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (" ", "REQUIRED"),
        ("sip:sip.example.com:5060", "ADDRESS_IS_URI"),
        ("sip.example.com:5060", "ADDRESS_HAS_PORT"),
        ("::1", "INVALID_ADDRESS"),
        ("127.1", "INVALID_ADDRESS"),
        ("sip_.example.com", "INVALID_ADDRESS"),
        ("127.0.0.1", "ADDRESS_NOT_ALLOWED"),
        ("localhost", "ADDRESS_NOT_ALLOWED"),
    ],
)
@pytest.mark.parametrize("addresses", [None, [], resolved("10.0.0.1"), resolved("8.8.8.8")])
def test_one_address_code_is_told_whatever_was_resolved(
    address: str, code: str, addresses: Sequence[Address] | None
) -> None:
    draft = number_draft(sip_address=address)
    assert problems(draft, addresses=addresses) == [f"{code} sipAddress"]
    assert notices(draft, addresses=addresses) == []


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (" SIP.example.com. ", "sip.example.com"),
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("pbx", "pbx"),
        ("203.0.113.10", None),
        ("127.0.0.1", None),
        ("localhost", None),
        ("SIP.LocalHost.", None),
        ("sip:sip.example.com", None),
        ("sip.example.com:5060", None),
        ("::1", None),
        ("", None),
        ("127.1", None),
        ("\ud800", None),
    ],
)
def test_only_a_good_name_is_looked_up(address: str, name: str | None) -> None:
    assert name_to_resolve(number_draft(sip_address=address)) == name


@pytest.mark.parametrize("address", ["8.8.8.8", " 1.1.1.1. "])
def test_a_public_literal_passes_without_a_lookup(address: str) -> None:
    result = examined(number_draft(sip_address=address), addresses=None)
    assert result.normalized
    assert result.normalized.sip_address == address.strip(" .")
    assert result.notices == ()


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "127.0.0.1", "0.0.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "203.0.113.10", "192.88.99.1",
     "255.255.255.255", "１２７.0.0.1", "localhost", "LOCALHOST.", "sip.localhost"],  # noqa: RUF001  # full width
)  # fmt: skip
def test_a_literal_that_is_not_public_is_not_allowed(address: str) -> None:
    assert problems(number_draft(sip_address=address)) == NOT_ALLOWED


@pytest.mark.parametrize(
    "addresses",
    [
        resolved("10.0.0.1"),
        resolved("8.8.8.8", "10.0.0.1"),
        resolved("8.8.8.8", "::1"),
        resolved("8.8.8.8", "fe80::1"),
        resolved("::ffff:169.254.169.254"),
        resolved("64:ff9b::10.0.0.1"),
        resolved("2002:7f00:1::"),
        resolved("fd00::1"),
    ],
)
def test_one_forbidden_address_among_all_is_enough(addresses: Sequence[Address]) -> None:
    draft = number_draft()
    assert problems(draft, addresses=addresses) == NOT_ALLOWED
    assert notices(draft, addresses=addresses) == []


def test_a_refused_name_does_not_tell_what_it_resolves_to() -> None:
    (problem,) = examined(number_draft(), addresses=resolved("10.20.30.40")).problems
    assert "10.20" not in problem.message


@pytest.mark.parametrize(
    ("address", "addresses", "told"),
    [
        ("10.1.2.3", None, []),
        ("127.0.0.1", None, []),
        ("10.2.2.3", None, NOT_ALLOWED),
        ("pbx", resolved("10.1.2.3"), []),
        ("pbx", resolved("10.1.2.3", "fd00::5", "8.8.8.8"), []),
        ("pbx", resolved("10.1.2.3", "10.2.2.3"), NOT_ALLOWED),
        ("pbx", resolved("10.1.2.3", "64:ff9b::10.1.2.3", "::ffff:10.1.2.3"), []),
        ("localhost", None, NOT_ALLOWED),
        ("sip.localhost", resolved("127.0.0.1"), NOT_ALLOWED),
    ],
)
def test_a_pbx_in_an_allowed_network_passes(address: str, addresses: Sequence[Address] | None, told: list[str]) -> None:
    assert problems(number_draft(sip_address=address), ON_PREMISE, addresses) == told


@pytest.mark.parametrize("addresses", [None, [], resolved("2606:4700::1111"), resolved("2606:4700::1", "2606:4700::2")])
def test_a_name_without_an_ipv4_address_passes_with_a_warning(addresses: Sequence[Address] | None) -> None:
    result = examined(number_draft(), addresses=addresses)
    assert result.normalized
    assert notices(number_draft(), addresses=addresses) == NOT_RESOLVED
    assert "SRV records does not work with LiveKit" in result.notices[0].message


@pytest.mark.parametrize("addresses", [resolved("8.8.8.8"), resolved("8.8.8.8", "2606:4700::1111")])
def test_a_name_with_public_addresses_passes(addresses: Sequence[Address]) -> None:
    assert examined(number_draft(), addresses=addresses).normalized
    assert notices(number_draft(), addresses=addresses) == []
