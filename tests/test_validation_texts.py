"""Rules of nickname, sipUsername, sipPassword, sipPort, sipTransport and mediaEncryption."""

import pytest

from models.secret import Secret
from models.sip_trunk import MediaEncryption, SipTransport
from tests.trunk_drafts import examined, notices, number_draft, problems


@pytest.mark.parametrize(
    ("nickname", "stored"),
    [
        (None, None),
        ("", None),
        ("  \t ", None),
        ("  Front desk  ", "Front desk"),
        ("n" * 50, "n" * 50),
        (" " + "n" * 50 + " ", "n" * 50),
        ("☎" * 50, "☎" * 50),
        ("Zoë's 👩‍💻 line", "Zoë's 👩‍💻 line"),
    ],
)
def test_a_nickname_is_trimmed_and_blank_is_none(nickname: str | None, stored: str | None) -> None:
    normalized = examined(number_draft(nickname=nickname)).normalized
    assert normalized
    assert normalized.nickname == stored


@pytest.mark.parametrize(
    ("nickname", "codes"),
    [
        ("n" * 51, ["TOO_LONG"]),
        ("a\x00b", ["INVALID_FORMAT"]),
        ("\x00", ["INVALID_FORMAT"]),
        ("a\nb", ["INVALID_FORMAT"]),
        ("a\tb", ["INVALID_FORMAT"]),
        ("a\x7fb", ["INVALID_FORMAT"]),
        ("a\x85b", ["INVALID_FORMAT"]),
        ("a\ud800b", ["INVALID_FORMAT"]),
        ("n" * 50 + "\x00", ["TOO_LONG", "INVALID_FORMAT"]),
    ],
)
def test_a_bad_nickname_is_told(nickname: str, codes: list[str]) -> None:
    assert problems(number_draft(nickname=nickname)) == [f"{code} nickname" for code in codes]


@pytest.mark.parametrize(
    ("username", "stored"),
    [
        ("abc", "abc"),
        ("  abc  ", "abc"),
        ("u" * 128, "u" * 128),
        ("user@example.com", "user@example.com"),
        ("@%^$#+", "@%^$#+"),
        ("!#$%&'()*+,-./:;<=>?@[]^_`{|}~", "!#$%&'()*+,-./:;<=>?@[]^_`{|}~"),
    ],
)
def test_a_username_of_printable_ascii_passes(username: str, stored: str) -> None:
    normalized = examined(number_draft(sip_username=username)).normalized
    assert normalized
    assert normalized.sip_username == stored


@pytest.mark.parametrize(
    ("username", "codes"),
    [
        ("", ["REQUIRED"]),
        (" \t ", ["REQUIRED"]),
        ("ab", ["TOO_SHORT"]),
        (" ab ", ["TOO_SHORT"]),
        ("u" * 129, ["TOO_LONG"]),
        ("a b", ["INVALID_FORMAT"]),
        ('a"b', ["INVALID_FORMAT"]),
        ("a\\b", ["INVALID_FORMAT"]),
        ("abc\x00", ["INVALID_FORMAT"]),
        ("a\x7fb", ["INVALID_FORMAT"]),
        ("a\u00a0b", ["INVALID_FORMAT"]),
        ("zoë", ["INVALID_FORMAT"]),
        ("\u0661\u0662\u0663", ["INVALID_FORMAT"]),
        ("abc\ud800", ["INVALID_FORMAT"]),
        ("é", ["TOO_SHORT", "INVALID_FORMAT"]),
    ],
)
def test_a_bad_username_is_told(username: str, codes: list[str]) -> None:
    assert problems(number_draft(sip_username=username)) == [f"{code} sipUsername" for code in codes]


@pytest.mark.parametrize("password", ["p" * 12, "p" * 256, " " * 12, "pässwörter ✓✓", 'a"b\\c d;e@f/g', "😀" * 256])
def test_a_password_is_never_trimmed(password: str) -> None:
    result = examined(number_draft(sip_password=Secret(password)))
    assert result.normalized
    assert result.normalized.sip_password == Secret(password)
    assert result.notices == ()


@pytest.mark.parametrize(
    ("password", "codes"),
    [
        ("", ["REQUIRED"]),
        ("  ", ["TOO_SHORT"]),
        ("pw", ["TOO_SHORT"]),
        ("p" * 257, ["TOO_LONG"]),
        ("long enough\n", ["INVALID_FORMAT"]),
        ("long\x00enough", ["INVALID_FORMAT"]),
        ("long\x9fenough", ["INVALID_FORMAT"]),
        ("long\udfffenough", ["INVALID_FORMAT"]),
        ("\x00", ["TOO_SHORT", "INVALID_FORMAT"]),
    ],
)
def test_a_bad_password_is_told(password: str, codes: list[str]) -> None:
    assert problems(number_draft(sip_password=Secret(password))) == [f"{code} sipPassword" for code in codes]


@pytest.mark.parametrize(("length", "told"), [(2, []), (3, ["WEAK_PASSWORD sipPassword"]), (12, [])])
def test_a_short_password_is_weak(length: int, told: list[str]) -> None:
    assert notices(number_draft(sip_password=Secret("p" * length))) == told


def test_the_longest_weak_password_has_eleven_characters() -> None:
    result = examined(number_draft(sip_password=Secret("p" * 11)))
    assert result.normalized
    assert [str(notice.code) for notice in result.notices] == ["WEAK_PASSWORD"]


@pytest.mark.parametrize("port", [None, 1, 5060, 65535])
def test_a_port_is_stored_as_given(port: int | None) -> None:
    normalized = examined(number_draft(sip_port=port)).normalized
    assert normalized
    assert normalized.sip_port == port


@pytest.mark.parametrize("port", [0, -1, 65536, 2**31 - 1])
def test_a_port_out_of_range_is_told(port: int) -> None:
    assert problems(number_draft(sip_port=port)) == ["OUT_OF_RANGE sipPort"]


def test_transport_and_encryption_left_out_are_udp_and_auto() -> None:
    normalized = examined(number_draft()).normalized
    assert normalized
    assert normalized.sip_transport is SipTransport.UDP
    assert normalized.media_encryption is MediaEncryption.AUTO


@pytest.mark.parametrize("transport", [None, *SipTransport])
@pytest.mark.parametrize("encryption", [None, *MediaEncryption])
def test_srtp_without_tls_exposes_its_keys(transport: SipTransport | None, encryption: MediaEncryption | None) -> None:
    is_exposed = encryption in {MediaEncryption.ALLOWED, MediaEncryption.REQUIRED} and transport is not SipTransport.TLS
    told = notices(number_draft(sip_transport=transport, media_encryption=encryption))
    assert told == (["SRTP_KEYS_EXPOSED mediaEncryption"] if is_exposed else [])
