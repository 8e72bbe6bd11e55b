"""examine(): all problems at once and in order, what is stored, and that no text brings it down."""

import time
from dataclasses import fields, replace
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.secret import Secret
from models.sip_trunk import (
    InboundAuthorizationType,
    MediaEncryption,
    SipCallingFormat,
    SipTransport,
    SipTrunkType,
)
from tests.trunk_drafts import NUMBER_DRAFT, examined, ip_draft, notices, number_draft, problems
from trunkline.problems import Code
from trunkline.validation import Examination, NormalizedTrunk, Policy, TrunkDraft, examine, name_to_resolve

EVERYTHING_WRONG = TrunkDraft(
    sip_trunk_type=SipTrunkType.NUMBER,
    phone_number="123",
    nickname="n" * 51,
    sip_username="u",
    sip_password=Secret("p"),
    sip_address="sip:sip.example.com",
    sip_port=0,
    sip_transport=SipTransport.UDP,
    media_encryption=MediaEncryption.REQUIRED,
    sip_calling_format=SipCallingFormat.NATIONAL,
    inbound_authorization_type=InboundAuthorizationType.IP,
    allowed_inbound_ips=["x", "8.8.8.8", "0.0.0.0/0"],
    country_code="ZZ",
    outbound_proxy=True,
)
NO_PROXY = Policy(outbound_proxy_problem="Set TRUNKLINE_OUTBOUND_PROXY to use outboundProxy.")


def messages(result: Examination) -> list[str]:
    return [problem.message for problem in result.problems] + [notice.message for notice in result.notices]


def test_all_problems_are_told_together_in_the_order_of_the_input() -> None:
    assert problems(EVERYTHING_WRONG, NO_PROXY) == [
        "INVALID_FORMAT phoneNumber",
        "TOO_LONG nickname",
        "TOO_SHORT sipUsername",
        "TOO_SHORT sipPassword",
        "ADDRESS_IS_URI sipAddress",
        "OUT_OF_RANGE sipPort",
        "INVALID_IP allowedInboundIps/0",
        "IP_NOT_ALLOWED allowedInboundIps/2",
        "INVALID_COUNTRY countryCode",
        "VOICE_MISCONFIGURED outboundProxy",
    ]
    assert examined(EVERYTHING_WRONG, NO_PROXY).normalized is None


def test_an_empty_form_is_told_field_by_field() -> None:
    empty = replace(NUMBER_DRAFT, phone_number="", sip_username=" ", sip_password=Secret(""), sip_address="")
    assert problems(empty) == [
        "REQUIRED phoneNumber",
        "REQUIRED sipUsername",
        "REQUIRED sipPassword",
        "REQUIRED sipAddress",
    ]


def test_all_notices_are_told_in_the_order_of_the_input_beside_problems_too() -> None:
    draft = replace(
        ip_draft("10.0.0.0/8"),
        sip_password=Secret("short"),
        media_encryption=MediaEncryption.REQUIRED,
        country_code="CA",
    )
    told = [
        "WEAK_PASSWORD sipPassword",
        "ADDRESS_NOT_RESOLVED sipAddress",
        "SRTP_KEYS_EXPOSED mediaEncryption",
        "WIDE_IP_RANGE allowedInboundIps/0",
        "PUBLIC_IP_EXPECTED allowedInboundIps/0",
        "COUNTRY_DETECTED countryCode",
    ]
    assert notices(draft, addresses=None) == told
    assert notices(replace(draft, nickname="n" * 51), addresses=None) == told


def test_every_field_that_passes_is_stored() -> None:
    draft = replace(
        ip_draft("8.8.8.8"),
        phone_number="+40 741 926 265",
        nickname=" Front desk ",
        sip_username=" user ",
        sip_address=" SIP.Example.com. ",
        sip_port=5080,
        sip_transport=SipTransport.TLS,
        media_encryption=MediaEncryption.REQUIRED,
        sip_calling_format=SipCallingFormat.NATIONAL,
        country_code="ro",
        outbound_proxy=True,
    )
    assert examined(draft).normalized == NormalizedTrunk(
        sip_trunk_type=SipTrunkType.NUMBER,
        phone_number="+40741926265",
        nickname="Front desk",
        sip_username="user",
        sip_password=Secret("a long enough password"),
        sip_address="sip.example.com",
        sip_port=5080,
        sip_transport=SipTransport.TLS,
        media_encryption=MediaEncryption.REQUIRED,
        sip_calling_format=SipCallingFormat.NATIONAL,
        inbound_authorization_type=InboundAuthorizationType.IP,
        allowed_inbound_ips=("8.8.8.8/32",),
        country_code="RO",
        outbound_proxy=True,
        provider=None,
        provider_as_of=None,
        called_texts=("+40741926265", "0741926265"),
        caller_id="0741926265",
    )


def test_the_outbound_proxy_is_refused_with_the_reason_that_is_given() -> None:
    (problem,) = examined(number_draft(outbound_proxy=True), NO_PROXY).problems
    assert (problem.code, problem.field) == (Code.VOICE_MISCONFIGURED, ("input", "outboundProxy"))
    assert problem.message == NO_PROXY.outbound_proxy_problem
    assert examined(number_draft(outbound_proxy=True)).normalized
    assert examined(number_draft(outbound_proxy=False), NO_PROXY).normalized


def test_no_problem_is_retryable() -> None:
    assert not any(problem.retryable for problem in examined(EVERYTHING_WRONG).problems)


HUGE = 2_000_000


@pytest.mark.parametrize("character", ["a", "1", "+", "\u0661", "\ud800", "\x00", "ü", " ", ":", ".", "-", "\u0308"])
def test_megabytes_of_anything_are_refused_in_a_moment(character: str) -> None:
    text = character * HUGE
    draft = replace(
        ip_draft(text, "1." + text),
        phone_number="+1" + text,
        nickname="n" + text,
        sip_username="u" + text,
        sip_password=Secret("p" + text),
        sip_address="a" + text,
        country_code="c" + text,
    )
    start = time.process_time()
    result = examined(draft)
    assert time.process_time() - start < 2
    assert result.normalized is None
    assert all(len(problem.message) < 250 for problem in result.problems)


PIECES = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="+0123456789-. ()*#@;:/[]%\x00\ud800\u0661\u00fcabcXYZ", max_size=20),
    st.sampled_from(
        ["+12025550123", "1000", "sip.example.com", "8.8.8.8", "10.0.0.1", "10.0.0.0/8", "US", "gb", "trunk-user", ""]
    ),
)
DRAFTS = st.builds(
    TrunkDraft,
    sip_trunk_type=st.sampled_from(SipTrunkType),
    phone_number=PIECES,
    nickname=st.none() | PIECES,
    sip_username=PIECES,
    sip_password=PIECES.map(Secret),
    sip_address=PIECES,
    sip_port=st.none() | st.integers(-(2**31), 2**31 - 1) | st.just(5060),
    sip_transport=st.none() | st.sampled_from(SipTransport),
    media_encryption=st.none() | st.sampled_from(MediaEncryption),
    sip_calling_format=st.sampled_from(SipCallingFormat),
    inbound_authorization_type=st.sampled_from(InboundAuthorizationType),
    allowed_inbound_ips=st.none() | st.lists(PIECES, max_size=4),
    country_code=st.none() | PIECES,
    outbound_proxy=st.booleans(),
)
ADDRESSES = st.none() | st.lists(st.ip_addresses(), max_size=3)
ORDER = [field.name.replace("_", "") for field in fields(TrunkDraft)]


@given(DRAFTS, ADDRESSES)
@settings(deadline=None, max_examples=300)
def test_whatever_is_sent_is_examined_and_told_in_the_order_of_the_input(draft: TrunkDraft, addresses: Any) -> None:
    result = examine(draft, NO_PROXY, addresses)
    assert (result.normalized is None) == bool(result.problems)
    paths_of_each_kind = [[each.field or () for each in result.problems], [each.field or () for each in result.notices]]
    for paths in paths_of_each_kind:
        assert all(path[0] == "input" for path in paths)
        places = [(ORDER.index(path[1].lower()), int(path[2]) if len(path) > 2 else -1) for path in paths]
        assert places == sorted(places)
    for message in messages(result):
        message.encode()  # no lone surrogate gets out
        assert len(message) < 250
    name = name_to_resolve(draft)
    assert name is None or name.isascii()


GOOD_DRAFTS = st.builds(
    TrunkDraft,
    sip_trunk_type=st.just(SipTrunkType.NUMBER),
    phone_number=st.sampled_from(
        ["+1 (202) 555-0123", "+40741926265", "+441534440000", "+800 1234 5678", "+541123456789"]
    ),
    nickname=st.none() | st.text(max_size=50),
    sip_username=st.text(alphabet="ab@%^$#+ ", min_size=3, max_size=20),
    sip_password=st.text(min_size=3, max_size=20).map(Secret),
    sip_address=st.sampled_from([" SIP.Example.com.", "münchen.de", "8.8.8.8", "ab--c.example.com"]),
    sip_calling_format=st.sampled_from(SipCallingFormat),
    inbound_authorization_type=st.just(InboundAuthorizationType.IP),
    allowed_inbound_ips=st.lists(st.ip_addresses().map(str), min_size=1, max_size=3),
    country_code=st.sampled_from([None, "us", "CA", "GB", " ro "]),
)


@given(GOOD_DRAFTS)
@settings(deadline=None, max_examples=300)
def test_what_is_accepted_is_stored_the_same_when_sent_again(draft: TrunkDraft) -> None:
    first = examine(draft, Policy(), [ip_address("8.8.8.8")]).normalized
    if first is None:
        return
    sent_again = {field.name: getattr(first, field.name) for field in fields(TrunkDraft)}
    assert examine(TrunkDraft(**sent_again), Policy(), [ip_address("8.8.8.8")]).normalized == first


@given(st.text(alphabet="Qq0ß\x00\n\ud800", min_size=6, max_size=300))
@settings(deadline=None)
def test_the_password_is_never_quoted(password: str) -> None:
    told = messages(examined(number_draft(sip_password=Secret(password))))
    assert not any(password in message for message in told)
