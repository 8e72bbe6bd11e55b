"""provider: what it fills in, what it warns of, and that it never replaces what was given."""

from dataclasses import replace

import pytest

from models.sip_trunk import InboundAuthorizationType, MediaEncryption, SipCallingFormat, SipTransport
from tests.trunk_drafts import examined, ip_draft, notices, number_draft, problems
from trunkline.presets import filled, kept
from trunkline.problems import NoticeCode
from trunkline.providers import find
from trunkline.validation import TrunkDraft

TWILIO_HOST = "w12.pstn.twilio.com"
TWILIO_RANGES = [
    "54.172.60.0/30",
    "54.244.51.0/30",
    "54.171.127.192/30",
    "35.156.191.128/30",
    "54.65.63.192/30",
    "54.169.127.128/30",
    "54.252.254.64/30",
    "177.71.206.192/30",
]


def twilio(**changes: object) -> TrunkDraft:
    good = replace(ip_draft(*TWILIO_RANGES), sip_address=TWILIO_HOST, provider="twilio")
    return replace(good, **changes)  # type: ignore[arg-type]


def told(draft: TrunkDraft) -> list[str]:
    """The notices about the provider alone."""
    return [each for each in notices(draft) if each.startswith("PROVIDER")]


def messages(draft: TrunkDraft) -> str:
    return " ".join(each.message for each in examined(draft).notices if each.code.startswith("PROVIDER"))


def test_a_trunk_that_fits_is_not_commented_on() -> None:
    assert told(twilio()) == []
    normalized = examined(twilio()).normalized
    assert normalized
    assert (normalized.provider, normalized.provider_as_of) == ("twilio", "2026-11-23")


def test_what_is_left_out_is_filled_in() -> None:
    draft = filled(replace(ip_draft(), sip_address=TWILIO_HOST, provider=" twilio "))
    assert draft.sip_transport is SipTransport.UDP
    assert draft.sip_port is None  # the transport's own
    assert draft.allowed_inbound_ips == TWILIO_RANGES


@pytest.mark.parametrize(
    ("key", "transport", "port", "encryption"),
    [
        ("exotel", SipTransport.TCP, 5070, None),
        ("signalwire", SipTransport.TLS, None, None),
        ("freeswitch_fusionpbx", SipTransport.UDP, 5080, None),
        ("zadarma", SipTransport.UDP, None, None),
    ],
)
def test_the_usual_transport_brings_its_port(
    key: str, transport: SipTransport, port: int | None, encryption: MediaEncryption | None
) -> None:
    draft = filled(number_draft(provider=key))
    assert (draft.sip_transport, draft.sip_port, draft.media_encryption) == (transport, port, encryption)


def test_tls_brings_encrypted_audio_where_one_switch_means_both() -> None:
    assert filled(twilio(sip_transport=SipTransport.TLS)).media_encryption is MediaEncryption.REQUIRED
    exotel = filled(number_draft(provider="exotel", sip_transport=SipTransport.TLS))
    assert (exotel.sip_port, exotel.media_encryption) == (443, MediaEncryption.REQUIRED)


def test_freeswitch_takes_trunks_at_one_port_over_udp_and_tcp() -> None:
    draft = filled(number_draft(provider="freeswitch_fusionpbx", sip_transport=SipTransport.TCP))
    assert draft.sip_port == 5080


def test_nothing_that_was_given_is_replaced() -> None:
    given = twilio(
        sip_transport=SipTransport.TCP,
        sip_port=5999,
        media_encryption=MediaEncryption.DISABLED,
        allowed_inbound_ips=["8.8.8.8"],
    )
    assert filled(given) == given
    assert filled(number_draft(provider="twilio", sip_port=0)).sip_port == 0  # refused, not mended
    assert filled(number_draft(provider="twilio")).allowed_inbound_ips is None  # with AUTH there is no list


def test_a_recognised_host_fills_nothing_in() -> None:
    draft = number_draft(sip_address="acme.sip.signalwire.com")
    assert filled(draft) == draft
    normalized = examined(draft).normalized
    assert normalized
    assert normalized.provider == "signalwire"
    assert normalized.sip_transport is SipTransport.UDP
    assert "PROVIDER_MISMATCH sipTransport" in told(draft)


def test_twilio_cannot_answer_a_digest() -> None:
    draft = number_draft(provider="twilio", sip_address=TWILIO_HOST)
    assert told(draft) == ["PROVIDER_MISMATCH inboundAuthorizationType"]
    assert "they will be refused" in messages(draft)
    unknown = number_draft(provider="telnyx", sip_address="sip.telnyx.com")
    assert "is not known to answer" in messages(unknown)
    assert told(number_draft(provider="asterisk_freepbx")) == []


def test_the_missing_ranges_are_named() -> None:
    draft = twilio(allowed_inbound_ips=["54.172.60.0/30", "54.244.51.0/29"])
    assert told(draft) == ["PROVIDER_MISMATCH allowedInboundIps"]
    text = messages(draft)
    assert all(network in text for network in TWILIO_RANGES[2:])
    assert "54.172.60.0/30" not in text
    assert "54.244.51.0/30" not in text  # it lies in the wider one that is listed
    assert "as of 2026-11-23" in text


def test_regional_ranges_need_not_all_be_there() -> None:
    telnyx = replace(ip_draft("192.76.120.10", "64.16.250.10"), sip_address="sip.telnyx.com", provider="telnyx")
    assert told(telnyx) == []
    elsewhere = replace(telnyx, allowed_inbound_ips=["8.8.8.8"])
    assert told(elsewhere) == ["PROVIDER_MISMATCH allowedInboundIps"]
    assert "some of 192.76.120.10/32, " in messages(elsewhere)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sip_address": "sip.telnyx.com"}, "sipAddress"),
        ({"sip_port": 5070}, "sipPort"),
        ({"sip_calling_format": SipCallingFormat.NATIONAL}, "sipCallingFormat"),
        ({"sip_calling_format": SipCallingFormat.E164}, "sipCallingFormat"),
        ({"sip_transport": SipTransport.TLS}, "mediaEncryption"),
        ({"media_encryption": MediaEncryption.REQUIRED}, "mediaEncryption"),
    ],
)
def test_each_difference_is_told_beside_its_field(changes: dict[str, object], field: str) -> None:
    assert told(twilio(**changes)) == [f"PROVIDER_MISMATCH {field}"]


@pytest.mark.parametrize(
    ("key", "host", "words"),
    [("exotel", "pstn.in2.exotel.com", "From host"), ("sipgate", "sipconnect.sipgate.de", "SIP-ID")],
)
def test_a_carrier_that_will_refuse_the_calls_is_told_before_anything_is_stored(
    key: str, host: str, words: str
) -> None:
    draft = filled(replace(ip_draft("8.8.8.8"), provider=key, sip_address=host))
    assert "PROVIDER_MISMATCH provider" in told(draft)
    assert words in messages(draft)


def test_an_explicit_standard_port_is_no_difference() -> None:
    assert told(twilio(sip_port=5060)) == []


@pytest.mark.parametrize(
    ("key", "host", "words"),
    [
        ("peoplefone", "sips.peoplefone.ch", "works only with what registers"),
        ("sipgate", "sipconnect.sipgate.de", "delivers calls only to what registers"),
    ],
)
def test_a_carrier_that_wants_register_is_told_before_anything_is_stored(key: str, host: str, words: str) -> None:
    for draft in (number_draft(provider=key, sip_address=host), number_draft(sip_address=host)):
        assert NoticeCode.PROVIDER_NEEDS_REGISTRATION in [each.code for each in examined(draft).notices]
        assert words in messages(draft)


def test_a_carrier_without_a_list_says_where_to_ask() -> None:
    draft = replace(ip_draft(), provider="bandwidth", allowed_inbound_ips=[])
    assert problems(draft) == ["IP_REQUIRED allowedInboundIps"]
    assert "ask which ones" in messages(draft)
    assert "your PBX" in messages(replace(draft, provider="3cx"))


def test_an_unknown_key_is_refused_with_its_neighbours() -> None:
    (problem,) = examined(number_draft(provider="twillio")).problems
    assert (problem.code, problem.field) == ("UNKNOWN_PROVIDER", ("input", "provider"))
    assert "Did you mean twilio?" in problem.message
    (other,) = examined(number_draft(provider="\x00" * 5000)).problems
    assert "The query providers lists the keys." in other.message


def test_blank_is_left_out() -> None:
    assert examined(number_draft(provider="  ")).normalized == examined(number_draft()).normalized


def test_a_trunk_keeps_its_provider_unless_its_host_is_anothers() -> None:
    assert kept("twilio", None) == "twilio"
    assert kept("twilio", "sip.example.com") == "twilio"
    assert kept("twilio", "sip.telnyx.eu") == "telnyx"
    assert kept(None, "sip.telnyx.eu") == "telnyx"
    assert kept("gone_from_the_list", None) is None


def test_authorization_by_address_needs_the_list_still() -> None:
    draft = replace(number_draft(), inbound_authorization_type=InboundAuthorizationType.IP)
    assert problems(draft) == ["IP_REQUIRED allowedInboundIps"]
    assert find("twilio") is not None
