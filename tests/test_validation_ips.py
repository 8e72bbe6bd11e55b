"""Rules of allowedInboundIps."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sip_trunk import InboundAuthorizationType
from tests.trunk_drafts import examined, ip_draft, notices, number_draft, problems

IP = InboundAuthorizationType.IP


@pytest.mark.parametrize(
    ("entry", "stored"),
    [
        ("54.172.60.1", "54.172.60.1/32"),
        (" 54.172.60.1 ", "54.172.60.1/32"),
        ("54.172.60.1/32", "54.172.60.1/32"),
        ("54.172.60.0/30", "54.172.60.0/30"),
        ("54.172.60.0/24", "54.172.60.0/24"),
        ("2606:4700:0:0::1", "2606:4700::1/128"),
        ("2606:4700::ABCD", "2606:4700::abcd/128"),
        ("2606:4700::/48", "2606:4700::/48"),
        ("::ffff:54.172.60.1", "54.172.60.1/32"),
        ("::ffff:54.172.60.1/128", "54.172.60.1/32"),
        ("::ffff:54.172.60.0/126", "54.172.60.0/30"),
        ("::FFFF:36ac:3c01", "54.172.60.1/32"),
    ],
)
def test_an_entry_is_stored_as_a_canonical_range(entry: str, stored: str) -> None:
    result = examined(ip_draft(entry))
    assert result.normalized
    assert result.normalized.allowed_inbound_ips == (stored,)
    assert result.notices == ()


@pytest.mark.parametrize(
    "entry",
    ["", "  ", "sip.example.com", "54.172.60", "54.172.60.1.1", "54.172.60.256", "54.172.060.1", "054.172.60.1",
     "54.172.60.1 /32", "54.172.60.1/ 32", "54.172. 60.1", "54.172.60.1/33", "54.172.60.0/024", "54.172.60.1/",
     "/24", "54.172.60.0/255.255.255.0", "54.172.60.0/0.0.0.255", "54.172.60.1-54.172.60.9", "54.172.60.1:5060",
     "[2606:4700::1]", "fe80::1%eth0", "2606:4700::1/129", "2606:4700:::1", "2606:4700::1/+64", "0x36ac3c01",
     "917257217", "127.1", "54.172.60.1\x00", "\ud800", "\u0665\u0664.172.60.1", "54.172.60.1/\u0663\u0662",
     "::ffff:54.172.060.1", "::ffff:54.172.60.1/33", "54.172.60.1/24", "54.172.60.0/8", "2606:4700::1/64",
     "::ffff:54.172.60.1/120", "10.1.2.3/4", "0.0.0.1/0"],
)  # fmt: skip
def test_an_entry_that_is_no_address_and_no_range_is_told(entry: str) -> None:
    assert problems(ip_draft("8.8.8.8", entry)) == ["INVALID_IP allowedInboundIps/1"]
    assert notices(ip_draft(entry)) == []


@pytest.mark.parametrize(
    ("entry", "readings"),
    [
        ("54.172.60.1/24", ("54.172.60.1/32", "54.172.60.0/24")),
        ("2606:4700::1/64", ("2606:4700::1/128", "2606:4700::/64")),
        ("::ffff:54.172.60.1/120", ("54.172.60.1/32", "54.172.60.0/24")),
    ],
)
def test_host_bits_are_told_with_both_readings(entry: str, readings: tuple[str, str]) -> None:
    (problem,) = examined(ip_draft(entry)).problems
    assert all(reading in problem.message for reading in readings)


@pytest.mark.parametrize(
    "entry",
    ["0.0.0.0/0", "0.0.0.0/8", "0.0.0.0/32", "::", "::/0", "::/16", "::/128", "224.0.0.1", "239.255.255.255",
     "224.0.0.0/8", "232.1.0.0/16", "ff02::1", "ff00::/16", "54.0.0.0/7", "128.0.0.0/1", "2600::/15", "2000::/3",
     "::ffff:0:0/96", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "::ffff:54.0.0.0/103", " 0.0.0.0"],
)  # fmt: skip
def test_an_entry_that_would_let_anybody_or_nobody_in_is_told(entry: str) -> None:
    assert problems(ip_draft(entry)) == ["IP_NOT_ALLOWED allowedInboundIps/0"]
    assert notices(ip_draft(entry)) == []


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("54.0.0.0/8", ["WIDE_IP_RANGE"]),
        ("54.172.60.0/23", ["WIDE_IP_RANGE"]),
        ("54.172.60.0/24", []),
        ("2600::/16", ["WIDE_IP_RANGE"]),
        ("2606:4700::/47", ["WIDE_IP_RANGE"]),
        ("2606:4700::/48", []),
        ("10.0.0.0/8", ["WIDE_IP_RANGE", "PUBLIC_IP_EXPECTED"]),
        ("192.168.1.10", ["PUBLIC_IP_EXPECTED"]),
        ("100.64.0.1", ["PUBLIC_IP_EXPECTED"]),
        ("127.0.0.1", ["PUBLIC_IP_EXPECTED"]),
        ("169.254.169.254", ["PUBLIC_IP_EXPECTED"]),
        ("203.0.113.10", ["PUBLIC_IP_EXPECTED"]),
        ("240.0.0.1", ["PUBLIC_IP_EXPECTED"]),
        ("::1", ["PUBLIC_IP_EXPECTED"]),
        ("fd00::/48", ["PUBLIC_IP_EXPECTED"]),
        ("fe80::1", ["PUBLIC_IP_EXPECTED"]),
        ("2001:db8::1", ["PUBLIC_IP_EXPECTED"]),
        ("64:ff9b::10.0.0.1", ["PUBLIC_IP_EXPECTED"]),
        ("::ffff:10.0.0.1", ["PUBLIC_IP_EXPECTED"]),
    ],
)
def test_wide_and_private_ranges_pass_with_a_warning(entry: str, told: list[str]) -> None:
    assert problems(ip_draft("8.8.8.8", entry)) == []
    assert notices(ip_draft("8.8.8.8", entry)) == [f"{code} allowedInboundIps/1" for code in told]


@pytest.mark.parametrize("entries", [None, []])
def test_ip_authorization_needs_an_address(entries: list[str] | None) -> None:
    draft = number_draft(inbound_authorization_type=IP, allowed_inbound_ips=entries)
    assert problems(draft) == ["IP_REQUIRED allowedInboundIps"]
    message = "At least one allowed IP address is required when authorization type is IP."
    assert examined(draft).problems[0].message == message


@pytest.mark.parametrize("entries", [None, []])
def test_digest_authorization_stores_no_addresses(entries: list[str] | None) -> None:
    normalized = examined(number_draft(allowed_inbound_ips=entries)).normalized
    assert normalized
    assert normalized.allowed_inbound_ips is None


@pytest.mark.parametrize("entries", [["8.8.8.8"], ["nonsense", "0.0.0.0/0"], [""]])
def test_addresses_beside_digest_authorization_conflict(entries: list[str]) -> None:
    assert problems(number_draft(allowed_inbound_ips=entries)) == ["CONFLICTING_FIELDS allowedInboundIps"]


def test_duplicates_are_dropped_and_the_order_is_kept() -> None:
    result = examined(ip_draft("9.9.9.9", "8.8.8.8", " 8.8.8.8/32", "::ffff:8.8.8.8", "9.9.9.9", "1.1.1.1"))
    assert result.normalized
    assert result.normalized.allowed_inbound_ips == ("9.9.9.9/32", "8.8.8.8/32", "1.1.1.1/32")


def test_a_duplicate_bad_entry_is_told_once_where_it_stands_first() -> None:
    assert problems(ip_draft("8.8.8.8", "x", "y", " x")) == [
        "INVALID_IP allowedInboundIps/1",
        "INVALID_IP allowedInboundIps/2",
    ]


def test_a_hundred_distinct_entries_fit_and_one_more_does_not() -> None:
    hundred = [f"54.172.60.{n}" for n in range(100)]
    assert problems(ip_draft(*hundred, *hundred, "54.172.60.0/32")) == []
    assert problems(ip_draft(*hundred, "54.172.60.100")) == ["LIMIT_REACHED allowedInboundIps"]
    assert problems(ip_draft(*hundred, "x")) == ["LIMIT_REACHED allowedInboundIps", "INVALID_IP allowedInboundIps/100"]


def test_no_entry_is_dropped_unread() -> None:
    letters = product(*((letter, letter.upper()) for letter in "abcdefabc"))
    spellings = ["2606:{}{}{}{}:{}{}{}{}:{}::".format(*each) for each in letters]
    normalized = examined(ip_draft(*spellings[:300])).normalized
    assert normalized
    assert normalized.allowed_inbound_ips == ("2606:abcd:efab:c::/128",)
    assert problems(ip_draft(*spellings[:301])) == ["LIMIT_REACHED allowedInboundIps"]


def test_a_flood_of_entries_is_refused_without_reading_all() -> None:
    flood = examined(ip_draft(*(f"54.{n >> 8}.60.{n & 255}" for n in range(60_000))))
    assert [str(problem.code) for problem in flood.problems] == ["LIMIT_REACHED"]
    assert len(examined(ip_draft(*(f"x{n}" for n in range(60_000)))).problems) == 301
    assert len(examined(ip_draft(*["x"] * 60_000)).problems) == 1


def test_a_bad_entry_is_quoted_short_and_printable() -> None:
    (problem,) = examined(ip_draft("a\x00\ud800\u202e" + "b" * 1_000_000)).problems
    assert "“a???b" in problem.message
    assert len(problem.message) < 200


@given(st.one_of(st.text(), st.ip_addresses().map(str), st.from_regex(r"\A[0-9a-f:.]{2,20}(/[0-9]{1,3})?\Z")))
@settings(deadline=None, max_examples=300)
def test_what_is_accepted_is_stored_the_same_again(entry: str) -> None:
    first = examined(ip_draft(entry)).normalized
    if first is not None:
        stored = first.allowed_inbound_ips or ()
        again = examined(ip_draft(*stored)).normalized
        assert again
        assert again.allowed_inbound_ips == stored
