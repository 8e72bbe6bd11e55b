"""addresses.py: what is reachable over the internet, and what hides inside IPv6."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.addresses import is_allowed, is_publicly_routable, is_publicly_routable_network, without_mapping

# First and last addresses of the IANA special-purpose blocks that are not globally reachable, and the disguises.
NOT_PUBLIC = """
    0.0.0.0 0.0.0.1 0.255.255.255
    10.0.0.0 10.0.0.1 10.255.255.255
    100.64.0.0 100.64.0.1 100.127.255.255
    127.0.0.1 127.255.255.255
    169.254.0.0 169.254.169.254 169.254.255.255
    172.16.0.0 172.31.255.255
    192.0.0.0 192.0.0.8 192.0.0.11 192.0.0.170 192.0.0.171 192.0.0.255
    192.0.2.0 192.0.2.255
    192.88.99.0 192.88.99.1 192.88.99.2 192.88.99.255
    192.168.0.0 192.168.255.255
    198.18.0.0 198.19.255.255
    198.51.100.0 198.51.100.255
    203.0.113.0 203.0.113.255
    224.0.0.0 224.0.1.1 232.1.2.3 239.255.255.255
    240.0.0.0 240.0.0.1 255.255.255.254 255.255.255.255
    :: ::1 ::2 ::8.8.8.8 ::127.0.0.1 ::ffff:0:8.8.8.8
    ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:100.64.0.1 ::ffff:169.254.169.254 ::ffff:224.0.0.1 ::ffff:0.0.0.0
    64:ff9b::10.0.0.1 64:ff9b::7f00:1 64:ff9b::100.64.0.1 64:ff9b::a9fe:a9fe 64:ff9b::192.88.99.1
    64:ff9b:1::1 64:ff9b:1::10.0.0.1 64:ff9b:1::8.8.8.8 64:ff9b:1:a00:0:100:: 64:ff9b:1:ffff:ffff:ffff:ffff:ffff
    64:ff9b:0:1::8.8.8.8 64:ff9b:2::1
    100:: 100::1 100::ffff:ffff:ffff:ffff 100:0:0:1::1
    200::1 400::1 1fff:ffff::1 4000::1 5f00:: 5f00::1 5f00:ffff::1 6000::1 a000::1 e000::1 f000::1
    2001:: 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1:: 2001:1::4 2001:2::1 2001:10::1 2001:1f:ffff::1
    2001:1ff::1 2001:5::1 2001:40::1
    2001:db8:: 2001:db8::1 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff
    2002:a00:1:: 2002:7f00:1:: 2002:7f00:1::1 2002:6440:1:: 2002:a9fe:a9fe::1 2002:e000:1:: 2002:c058:6301::1 2002::
    3fff:: 3fff::1 3fff:fff:ffff::1
    fc00::1 fd00::1 fdff::1 fe00::1 fe80::1 fe80::1%eth0 febf::1 fec0:: fec0::1 feff::1
    ff00::1 ff02::1 ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
""".split()  # noqa: SIM905  # a table, not a list of hundreds of lines

# Their neighbours, and the blocks that the registries call globally reachable.
PUBLIC = """
    1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.0.9 192.0.0.10 192.0.1.0 192.0.3.0
    192.31.196.1 192.52.193.1 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 192.175.48.1
    198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
    ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808:: 2002:808:808::1
    2000::1 2001:1::1 2001:1::2 2001:1::3 2001:3::1 2001:4:112::1 2001:20::1 2001:2f:ffff::1 2001:30::1 2001:200::1
    2001:db7:ffff::1 2001:db9::1 2003::1 2606:4700::1111 2620:4f:8000::1 3ffe:ffff::1 3fff:1000::1
""".split()  # noqa: SIM905  # a table, not a list of hundreds of lines


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_a_special_purpose_address_is_not_public(text: str) -> None:
    assert not is_publicly_routable(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_a_globally_reachable_address_is_public(text: str) -> None:
    assert is_publicly_routable(ip_address(text))


@given(st.ip_addresses(v=4))
@settings(deadline=None)
def test_every_disguise_is_judged_as_the_address_inside(inner: object) -> None:
    address = ip_address(str(inner))
    number = int(address)
    disguises = (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80 | 1)
    assert {is_publicly_routable(ip_address(disguise)) for disguise in disguises} == {is_publicly_routable(address)}


@given(st.ip_addresses())
@settings(deadline=None)
def test_every_address_has_a_verdict(address: object) -> None:
    assert is_publicly_routable(ip_address(str(address))) in {True, False}


@pytest.mark.parametrize(
    ("network", "public"),
    [
        ("10.0.0.0/8", False),
        ("10.0.0.0/7", True),
        ("100.64.0.0/10", False),
        ("192.0.0.0/24", False),
        ("203.0.113.0/28", False),
        ("203.0.112.0/23", True),
        ("8.8.8.0/24", True),
        ("fc00::/16", False),
        ("2002:a00::/32", False),
        ("2002:a00:100::/40", False),
        ("2002:c0a8::/32", False),
        ("2002:a00:1::/64", False),
        ("64:ff9b::a00:0/104", False),
        ("64:ff9b::/96", True),
        ("::ffff:192.168.0.0/112", False),
        ("2600::/16", True),
    ],
)
def test_a_network_is_judged_by_the_narrowest_block_around_it(network: str, public: bool) -> None:
    assert is_publicly_routable_network(ip_network(network)) is public


@pytest.mark.parametrize(
    ("text", "allowed", "expected"),
    [
        ("10.1.2.3", "10.1.0.0/16", True),
        ("10.2.2.3", "10.1.0.0/16", False),
        ("::ffff:10.1.2.3", "10.1.0.0/16", True),
        ("64:ff9b::10.1.2.3", "10.1.0.0/16", True),
        ("64:ff9b:1::10.1.2.3", "10.1.0.0/16", True),
        ("64:ff9b:1:a01:2:300::", "10.1.0.0/16", False),
        ("2002:a01:203::1", "10.1.0.0/16", True),
        ("::10.1.2.3", "10.1.0.0/16", True),
        ("fd00::1", "10.1.0.0/16", False),
        ("fd00::1", "fd00::/8", True),
        ("fe80::1%eth0", "fe80::/10", True),
        ("10.1.2.3", "fd00::/8", False),
    ],
)
def test_the_allowed_networks_count_for_the_address_inside_too(text: str, allowed: str, expected: bool) -> None:
    assert is_allowed(ip_address(text), (ip_network(allowed),)) is expected


def test_nothing_is_allowed_without_allowed_networks() -> None:
    assert not is_allowed(ip_address("10.1.2.3"), ())


def test_only_mapped_networks_become_ipv4() -> None:
    assert without_mapping(ip_network("::ffff:203.0.113.10/128")) == ip_network("203.0.113.10/32")
    assert without_mapping(ip_network("::ffff:203.0.113.0/120")) == ip_network("203.0.113.0/24")
    assert without_mapping(ip_network("::ffff:0:0/96")) == ip_network("0.0.0.0/0")
    assert without_mapping(ip_network("64:ff9b::/96")) == ip_network("64:ff9b::/96")
    assert without_mapping(ip_network("203.0.113.0/24")) == ip_network("203.0.113.0/24")
