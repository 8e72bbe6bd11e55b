"""hosts.py: the form of sipAddress, and which of its problems is told."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.hosts import BadHost, is_localhost, literal, read_host


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("sip.example.com", "sip.example.com"),
        ("  SIP.Example.COM.  ", "sip.example.com"),
        ("pbx", "pbx"),
        ("203.0.113.10", "203.0.113.10"),
        ("203.0.113.10.", "203.0.113.10"),
        ("1.1.1.1", "1.1.1.1"),
        ("ab--cd.example.com", "ab--cd.example.com"),
        ("r3---sn-x.example.com", "r3---sn-x.example.com"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("XN--MNCHEN-3YA.DE", "xn--mnchen-3ya.de"),
        ("München.de", "xn--mnchen-3ya.de"),
        ("mu\u0308nchen.de", "xn--mnchen-3ya.de"),
        ("straße.de", "xn--strae-oqa.de"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("ｓｉｐ．example．com", "sip.example.com"),  # noqa: RUF001  # full width on purpose
        ("sip\u00ad.example.com", "sip.example.com"),
        ("１.1.1.1", "1.1.1.1"),  # noqa: RUF001  # full width on purpose
        ("4you.example.com", "4you.example.com"),
        ("sip.4you", "sip.4you"),
        ("a" * 63 + ".example.com", "a" * 63 + ".example.com"),
        (".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61]), ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])),
        (".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61]) + ".", ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])),
    ],
)
def test_a_host_is_stored_in_one_form(given: str, stored: str) -> None:
    assert read_host(given) == stored
    assert read_host(stored) == stored


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", "REQUIRED"),
        (" \t\u00a0", "REQUIRED"),
        ("sip:sip.example.com", "ADDRESS_IS_URI"),
        ("SIPS:sip.example.com:5061", "ADDRESS_IS_URI"),
        ("tel:+12025550123", "ADDRESS_IS_URI"),
        ("tel:5060", "ADDRESS_IS_URI"),
        ("udp://sip.example.com", "ADDRESS_IS_URI"),
        ("https://sip.example.com:443", "ADDRESS_IS_URI"),
        ("user@sip.example.com", "ADDRESS_IS_URI"),
        ("sip.example.com;transport=tls", "ADDRESS_IS_URI"),
        ("sip.example.com?x=1", "ADDRESS_IS_URI"),
        ("sip.example.com/", "ADDRESS_IS_URI"),
        ("sip.example.com:5060;transport=tcp", "ADDRESS_IS_URI"),
        ("203.0.113.0/24", "ADDRESS_IS_URI"),
        ("[::1]:5060;x", "ADDRESS_IS_URI"),
        ("sip.example.com:5060", "ADDRESS_HAS_PORT"),
        ("sip.example.com:0", "ADDRESS_HAS_PORT"),
        ("sip.example.com:999999", "ADDRESS_HAS_PORT"),
        ("203.0.113.10:5060", "ADDRESS_HAS_PORT"),
        ("localhost:5060", "ADDRESS_HAS_PORT"),
        ("[2001:db8::1]", "ADDRESS_HAS_PORT"),
        ("[2001:db8::1]:5060", "ADDRESS_HAS_PORT"),
        ("[::ffff:1.1.1.1]:5060", "ADDRESS_HAS_PORT"),
        ("2606:4700::1111", "INVALID_ADDRESS"),
        ("::1", "INVALID_ADDRESS"),
        ("::5060", "INVALID_ADDRESS"),
        ("fe80::1%eth0", "INVALID_ADDRESS"),
        ("::ffff:1.1.1.1", "INVALID_ADDRESS"),
        ("127.1", "INVALID_ADDRESS"),
        ("2130706433", "INVALID_ADDRESS"),
        ("0x7f000001", "INVALID_ADDRESS"),
        ("0x7f.1", "INVALID_ADDRESS"),
        ("0X7F.0.0.0x1", "INVALID_ADDRESS"),
        ("example.0x", "INVALID_ADDRESS"),
        ("0177.0.0.1", "INVALID_ADDRESS"),
        ("010.0.0.1", "INVALID_ADDRESS"),
        ("1.2.3", "INVALID_ADDRESS"),
        ("1.2.3.4.5", "INVALID_ADDRESS"),
        ("1.2.3.256", "INVALID_ADDRESS"),
        ("sip.example.5", "INVALID_ADDRESS"),
        ("２１３０７０６４３３", "INVALID_ADDRESS"),  # noqa: RUF001  # full width on purpose
        ("\u0661\u0662\u0667.1", "INVALID_ADDRESS"),
        ("sip.example.com:", "INVALID_ADDRESS"),
        ("sip.example.com:sip", "INVALID_ADDRESS"),
        ("sip.example.com:\u0661", "INVALID_ADDRESS"),
        (":5060", "INVALID_ADDRESS"),
        ("[sip.example.com]", "INVALID_ADDRESS"),
        ("[::1]:x", "INVALID_ADDRESS"),
        ("[::1", "INVALID_ADDRESS"),
        ("sip_trunk.example.com", "INVALID_ADDRESS"),
        ("-sip.example.com", "INVALID_ADDRESS"),
        ("sip-.example.com", "INVALID_ADDRESS"),
        ("sip..example.com", "INVALID_ADDRESS"),
        ("sip.example.com..", "INVALID_ADDRESS"),
        (".", "INVALID_ADDRESS"),
        (".example.com", "INVALID_ADDRESS"),
        ("sip example.com", "INVALID_ADDRESS"),
        ("sip\x00.example.com", "INVALID_ADDRESS"),
        ("sip.example.com\x00", "INVALID_ADDRESS"),
        ("sip\n.example.com", "INVALID_ADDRESS"),
        ("sip\\example.com", "INVALID_ADDRESS"),
        ("*.example.com", "INVALID_ADDRESS"),
        ("\ud800.example.com", "INVALID_ADDRESS"),
        ("xn--.example.com", "INVALID_ADDRESS"),
        ("xn--a.example.com", "INVALID_ADDRESS"),
        ("xn--99999999.example.com", "INVALID_ADDRESS"),
        ("xn--ls8h.example.com", "INVALID_ADDRESS"),
        ("☃.example.com", "INVALID_ADDRESS"),
        ("user＠sip.example.com", "INVALID_ADDRESS"),  # noqa: RUF001  # full width on purpose
        ("a" * 64 + ".example.com", "INVALID_ADDRESS"),
        (".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 62]), "INVALID_ADDRESS"),
        pytest.param("a" * 2_000_000, "INVALID_ADDRESS", id="megabytes of one label"),
        pytest.param("ü" * 2_000_000, "INVALID_ADDRESS", id="megabytes of IDNA"),
        pytest.param("1." * 1_000_000, "INVALID_ADDRESS", id="megabytes of labels"),
    ],
)
def test_of_a_bad_host_the_first_thing_wrong_is_told(given: str, code: str) -> None:
    bad = read_host(given)
    assert isinstance(bad, BadHost)
    assert bad.code == code


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "SIP server address is required."),
        ("sip.example.com:5060", "The port goes in sipPort."),
        ("::1", "LiveKit SIP cannot dial IPv6 addresses yet."),
        ("::ffff:1.1.1.1", "LiveKit SIP cannot dial IPv6 addresses yet."),
    ],
)
def test_the_fixed_messages_are_told_word_for_word(given: str, message: str) -> None:
    bad = read_host(given)
    assert isinstance(bad, BadHost)
    assert bad.message == message


HOSTLIKE = st.one_of(
    st.text(),
    st.text(alphabet="abz019.-_xn:/[]@%\u00fc\u3002\u00df\u0661\ud800\x00", max_size=40),
    st.ip_addresses().map(str),
    st.from_regex(r"\A(xn--)?[a-z0-9-]{1,20}(\.[a-z0-9ü-]{1,8}){0,3}\.?\Z"),
)


@given(HOSTLIKE)
@settings(deadline=None, max_examples=500)
def test_any_text_has_a_verdict_and_what_is_accepted_stays_as_it_is(text: str) -> None:
    host = read_host(text)
    if isinstance(host, str):
        assert read_host(host) == host
        assert host.isascii()
        assert len(host) <= 253


@given(st.ip_addresses())
@settings(deadline=None)
def test_every_ipv4_address_is_a_literal_and_no_ipv6_address_is_a_host(address: IPv4Address | IPv6Address) -> None:
    host = read_host(str(address))
    if isinstance(address, IPv4Address):
        assert isinstance(host, str)
        assert literal(host) == address
    else:
        assert isinstance(host, BadHost)


def test_localhost_and_what_is_below_it_mean_this_machine() -> None:
    assert is_localhost("localhost")
    assert is_localhost("sip.localhost")
    assert not is_localhost("localhost.example.com")
    assert not is_localhost("notlocalhost")
