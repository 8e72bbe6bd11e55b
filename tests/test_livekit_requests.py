"""What is sent to LiveKit, what is read from it, and what its errors mean: pure functions, no server."""

import ssl
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from livekit import api

from models.secret import Secret
from models.sip_trunk import SipTransport
from tests.voice_legs import PASSWORD, by_address, inbound, marked, outbound, rule
from trunkline.voice import Encryption, Held, VoiceCause
from trunkline.voice.livekit import (
    ENCRYPTIONS,
    TRANSPORTS,
    creation_of,
    held_of,
    inbound_info,
    outbound_info,
    rule_info,
)
from trunkline.voice.verdicts import Refusal, verdict
from trunkline.voice.wire import error_of

HERE = ConnectionKey(
    "livekit.example.com", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
)
CONFLICT = 'Conflicting inbound SIP Trunks: "<new>" and "ST_other", using the same number(s) ["+4930123"] without ...'

RULE_CONFLICT = (
    "Dispatch rule for the same trunk, inbound number, number, and PIN combination already exists in dispatch rule "
    '"ST_other" "+4930123"'
)


def test_inbound_request_says_every_field() -> None:
    leg = replace(by_address("+40741926265", "0741926265"), encryption=Encryption.REQUIRE)
    require = api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE
    assert inbound_info(leg) == api.SIPInboundTrunkInfo(
        name=leg.name,
        metadata=leg.metadata,
        numbers=["+40741926265", "0741926265"],
        allowed_addresses=["203.0.113.10/32", "2001:db8::/48"],
        ringing_timeout=Duration(seconds=30),
        media_encryption=require,
        media=api.SIPMediaConfig(encryption=require),
    )


def test_outbound_request_says_every_field() -> None:
    disable = api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_DISABLE
    info = outbound_info(outbound("40741926265"))
    assert info == api.SIPOutboundTrunkInfo(
        name="Bucharest",
        metadata=outbound().metadata,
        numbers=["40741926265"],
        address="sip.example.com:5080",
        transport=api.SIPTransport.SIP_TRANSPORT_TCP,
        destination_country="RO",
        auth_username="alice@pbx",
        auth_password=PASSWORD,
        media_encryption=disable,
        media=api.SIPMediaConfig(encryption=disable),
    )
    assert info.media.HasField("encryption")  # DISABLE is said, not left out


def test_credentials_of_the_inbound_leg_are_sent_both() -> None:
    info = inbound_info(inbound("1000"))
    assert (info.auth_username, info.auth_password) == ("alice@pbx", PASSWORD)
    assert not info.allowed_addresses


def test_transport_is_never_automatic() -> None:
    assert set(TRANSPORTS) == set(SipTransport)
    assert api.SIPTransport.SIP_TRANSPORT_AUTO not in TRANSPORTS.values()


@pytest.mark.parametrize("encryption", Encryption)
def test_encryption_is_said_in_the_new_field_and_in_the_old(encryption: Encryption) -> None:
    for info in (
        inbound_info(replace(inbound("1"), encryption=encryption)),
        outbound_info(replace(outbound(), encryption=encryption)),
    ):
        assert info.media.encryption == info.media_encryption == ENCRYPTIONS[encryption]


def test_inbound_trunk_that_was_written_reads_back_exactly() -> None:
    for leg in (inbound("1", "2"), by_address("+1"), replace(inbound("1"), ringing_timeout=0)):
        assert held_of(inbound_info(leg)) == Held("", leg)


def test_outbound_trunk_that_was_written_reads_back_exactly() -> None:
    for leg in (outbound(), replace(outbound(), auth_password=Secret(""))):
        assert held_of(outbound_info(leg)) == Held("", leg)


def test_rule_says_every_field() -> None:
    leg = rule("ST_1")
    assert rule_info(leg) == api.SIPDispatchRuleInfo(
        name=leg.name,
        metadata=leg.metadata,
        trunk_ids=["ST_1"],
        rule=api.SIPDispatchRule(dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix="call-")),
        room_config=api.RoomConfiguration(agents=[api.RoomAgentDispatch(agent_name=leg.agent_name)]),
    )


def test_new_rule_says_its_trunk_in_the_older_field_too() -> None:
    request = creation_of(rule("ST_1"))
    assert request.trunk_ids == request.dispatch_rule.trunk_ids == ["ST_1"]


@pytest.mark.parametrize("prefix", ["call-", ""])
def test_rule_that_was_written_reads_back_exactly(prefix: str) -> None:
    leg = replace(rule(), room_prefix=prefix)
    info = rule_info(leg)
    info.sip_dispatch_rule_id = "SDR_1"
    assert held_of(info) == Held("SDR_1", leg)
    info.media.SetInParent()  # the server adds it
    info.created_at.FromSeconds(1)
    assert held_of(info) == Held("SDR_1", leg)


def individual(**more: Any) -> api.SIPDispatchRule:
    return api.SIPDispatchRule(dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix="call-", **more))


ALLOW = api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW
ADDED = [
    api.SIPDispatchRuleInfo(attributes={"tenant": "w12"}),
    api.SIPDispatchRuleInfo(inbound_numbers=["+1555"]),
    api.SIPDispatchRuleInfo(numbers=["+1555"]),
    api.SIPDispatchRuleInfo(hide_phone_number=True),
    api.SIPDispatchRuleInfo(room_preset="preset"),
    api.SIPDispatchRuleInfo(krisp_enabled=True),
    api.SIPDispatchRuleInfo(media_encryption=ALLOW),
    api.SIPDispatchRuleInfo(media=api.SIPMediaConfig(encryption=ALLOW)),
    api.SIPDispatchRuleInfo(media=api.SIPMediaConfig(media_timeout=Duration(seconds=60))),
    api.SIPDispatchRuleInfo(rule=individual(pin="1234")),
    api.SIPDispatchRuleInfo(rule=individual(no_randomness=True)),
    api.SIPDispatchRuleInfo(room_config=api.RoomConfiguration(agents=[api.RoomAgentDispatch(agent_name="second")])),
    api.SIPDispatchRuleInfo(room_config=api.RoomConfiguration(empty_timeout=10)),
    api.SIPDispatchRuleInfo(room_config=api.RoomConfiguration(metadata="{}")),
]


@pytest.mark.parametrize("added", ADDED, ids=str)
def test_rule_that_somebody_added_to_is_not_exact(added: api.SIPDispatchRuleInfo) -> None:
    info = rule_info(rule())
    info.MergeFrom(added)
    assert (held_of(info).leg.metadata, held_of(info).exact) == (rule().metadata, False)


OTHER_RULES = [
    None,
    api.SIPDispatchRule(),
    api.SIPDispatchRule(dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name="call-")),
    api.SIPDispatchRule(dispatch_rule_callee=api.SIPDispatchRuleCallee(room_prefix="call-")),
]


@pytest.mark.parametrize("other", OTHER_RULES, ids=str)
def test_rule_of_another_kind_is_not_exact(other: api.SIPDispatchRule | None) -> None:
    info = rule_info(rule())
    info.ClearField("rule")
    info.MergeFrom(api.SIPDispatchRuleInfo(rule=other))
    assert not held_of(info).exact


@pytest.mark.parametrize("agent", [{"metadata": "{}"}, {"attributes": {"tenant": "w12"}}, {"deployment": "blue"}])
def test_rule_that_tells_its_agent_more_is_not_exact(agent: dict[str, Any]) -> None:
    info = rule_info(rule())
    info.room_config.agents[0].MergeFrom(api.RoomAgentDispatch(**agent))
    assert not held_of(info).exact


def test_rule_for_many_trunks_shows_them() -> None:
    leg = held_of(rule_info(replace(rule(), trunk_ids=("ST_1", "ST_2")))).leg
    assert leg == replace(rule(), trunk_ids=("ST_1", "ST_2"))


def test_empty_foreign_objects_are_read() -> None:
    assert not held_of(api.SIPDispatchRuleInfo()).exact
    assert held_of(api.SIPDispatchRuleInfo(metadata="[[")).marker is None
    assert held_of(api.SIPInboundTrunkInfo()).marker is None
    assert not held_of(api.SIPOutboundTrunkInfo()).exact  # its transport is automatic


@pytest.mark.parametrize(
    "metadata",
    ["", "[]", "{}", "null", '{"app":"trunkline"}', '{"app":"trunkline","revision":1e999}', "[" * 100_000, "\u0000"]
    + [
        marked(inbound("1").kind).replace(*each) for each in (('"inbound"', "[1]"), (":1}", ":1e999}"), (":1}", ":[]}"))
    ],
)
def test_odd_metadata_is_not_our_marker(metadata: str) -> None:
    assert held_of(api.SIPInboundTrunkInfo(metadata=metadata)).marker is None


@pytest.mark.parametrize(
    ("status", "code", "message", "cause"),
    [
        (400, "invalid_argument", CONFLICT, VoiceCause.CONFLICT),
        (400, "invalid_argument", RULE_CONFLICT, VoiceCause.CONFLICT),
        (409, "already_exists", "", VoiceCause.CONFLICT),
        (400, "invalid_argument", "no trunk numbers specified", VoiceCause.REFUSED),
        (400, "malformed", "the protobuf request could not be decoded", VoiceCause.REFUSED),
        (412, "failed_precondition", "", VoiceCause.REFUSED),
        (413, "", "", VoiceCause.REFUSED),
        (404, "not_found", "requested sip trunk does not exist", VoiceCause.MISSING),
        (404, "not_found", "requested sip dispatch rule does not exist", VoiceCause.MISSING),
        (404, "", "", VoiceCause.MISCONFIGURED),
        (404, "bad_route", 'unsupported method "GET" (only POST is allowed)', VoiceCause.MISCONFIGURED),
        (401, "", "", VoiceCause.MISCONFIGURED),
        (401, "unauthenticated", "permissions denied", VoiceCause.MISCONFIGURED),
        (403, "permission_denied", "", VoiceCause.MISCONFIGURED),
        (400, "", "", VoiceCause.MISCONFIGURED),
        (405, "", "", VoiceCause.MISCONFIGURED),
        (301, "", "", VoiceCause.MISCONFIGURED),
        (308, "", "", VoiceCause.MISCONFIGURED),
        (500, "internal", "twirp error unknown: sip not connected (redis required)", VoiceCause.MISCONFIGURED),
        (501, "unimplemented", "", VoiceCause.MISCONFIGURED),
        (500, "unknown", "dial tcp: connection refused", VoiceCause.OUTCOME_UNKNOWN),
        (502, "", "", VoiceCause.OUTCOME_UNKNOWN),
        (503, "unavailable", "", VoiceCause.OUTCOME_UNKNOWN),
        (408, "deadline_exceeded", "", VoiceCause.OUTCOME_UNKNOWN),
        (409, "aborted", "", VoiceCause.OUTCOME_UNKNOWN),
        (204, "", "", VoiceCause.OUTCOME_UNKNOWN),
        (429, "resource_exhausted", "", VoiceCause.RATE_LIMITED),
        (429, "", "", VoiceCause.RATE_LIMITED),
    ],
)
def test_answer_is_judged_by_its_status(status: int, code: str, message: str, cause: VoiceCause) -> None:
    assert verdict(status, code, message).cause is cause


@pytest.mark.parametrize("status", [400, 404, 409, 412, 500, 503])
@pytest.mark.parametrize("code", ["invalid_argument", "not_found", "already_exists", "internal", "anything"])
@pytest.mark.parametrize("message", [CONFLICT, RULE_CONFLICT, "numbers +4930123 and ST_other"])
def test_text_of_the_server_that_may_name_others_is_not_passed_on(status: int, code: str, message: str) -> None:
    told = str(verdict(status, code, message))
    assert "ST_other" not in told
    assert "4930123" not in told


@pytest.mark.parametrize("refusal", Refusal)
def test_known_words_of_livekit_are_passed_on(refusal: Refusal) -> None:
    assert refusal in verdict(400, "invalid_argument", refusal).detail


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 5),
        ("7", 7),
        ("0", 1),
        ("999999", 3600),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 5),
        ("-3", 5),
        ("9" * 40, 5),
        ("\u0663", 5),
    ],
)
def test_rate_limit_tells_how_long_to_wait(header: str, seconds: int) -> None:
    error = verdict(429, retry_after=header)
    assert error.retry_after == seconds
    assert f" {seconds} seconds" in error.detail


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (aiohttp.ClientConnectorError(HERE, ConnectionRefusedError()), VoiceCause.UNAVAILABLE),
        (aiohttp.ClientConnectorDNSError(HERE, OSError()), VoiceCause.UNAVAILABLE),
        (aiohttp.ConnectionTimeoutError(), VoiceCause.UNAVAILABLE),
        (aiohttp.ClientConnectorCertificateError(HERE, ssl.SSLCertVerificationError()), VoiceCause.MISCONFIGURED),
        (aiohttp.ClientConnectorSSLError(HERE, ssl.SSLError()), VoiceCause.MISCONFIGURED),
        (aiohttp.NonHttpUrlClientError("livekit.example.com"), VoiceCause.MISCONFIGURED),
        (aiohttp.InvalidURL("http://:port"), VoiceCause.MISCONFIGURED),
        (aiohttp.ServerDisconnectedError(), VoiceCause.OUTCOME_UNKNOWN),
        (aiohttp.ClientOSError(104, "Can not write request body"), VoiceCause.OUTCOME_UNKNOWN),
        (aiohttp.ClientPayloadError(), VoiceCause.OUTCOME_UNKNOWN),
        (aiohttp.SocketTimeoutError(), VoiceCause.OUTCOME_UNKNOWN),
        (TimeoutError(), VoiceCause.OUTCOME_UNKNOWN),
        (DecodeError(), VoiceCause.OUTCOME_UNKNOWN),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), VoiceCause.REFUSED),
    ],
)
def test_failure_on_the_way_is_judged_by_what_may_have_been_done(error: Exception, cause: VoiceCause) -> None:
    assert error_of(error).cause is cause
