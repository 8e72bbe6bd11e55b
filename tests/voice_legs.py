"""Legs for the tests of voice backends, and how those ask a backend about them."""

import re
import secrets
from collections.abc import Awaitable
from dataclasses import replace
from random import Random

import pytest

from models.secret import Secret
from models.sip_trunk import SipTransport
from models.trunk_leg import LegKind
from trunkline.voice import (
    DispatchRule,
    EdgeRoute,
    Encryption,
    InboundTrunk,
    Leg,
    Marker,
    OutboundTrunk,
    VoiceBackend,
    VoiceCause,
    VoiceError,
)

VOICE_ID = re.compile(r"ST_[2-9A-HJ-NP-Za-km-z]{12}")
RULE_ID = re.compile(r"SDR_[2-9A-HJ-NP-Za-km-z]{12}")
ROUTE_ID = re.compile(r"EDGE_[0-9A-Za-z]{12,16}")
UNKNOWN_ID = "ST_unknownunkno"
UNKNOWN_RULE_ID = "SDR_unknownunkno"
PASSWORD = "s3cr\u00e9t \u2603 \"\\' " + "x" * 240
_random = Random()  # noqa: S311  # numbers that no other test uses


def digits() -> str:
    """An own number, without its "+"."""
    return f"4930{_random.randrange(10**8, 10**9)}"


def marked(kind: LegKind, trunk: str = "trunk_1") -> str:
    return Marker("inst_1", "ws_1", trunk, kind, 1).to_metadata()


def inbound(*numbers: str) -> InboundTrunk:
    return InboundTrunk(
        name="Bucharest \u260e",
        numbers=numbers,
        allowed_addresses=(),
        auth_username="alice@pbx",
        auth_password=Secret(PASSWORD),
        encryption=Encryption.ALLOW,
        metadata=marked(LegKind.INBOUND),
    )


def by_address(*numbers: str) -> InboundTrunk:
    """An inbound trunk without credentials."""
    addresses = ("203.0.113.10/32", "2001:db8::/48")
    return replace(inbound(*numbers), allowed_addresses=addresses, auth_username="", auth_password=Secret(""))


def outbound(*numbers: str) -> OutboundTrunk:
    return OutboundTrunk(
        name="Bucharest",
        numbers=numbers or ("+40741926265",),
        address="sip.example.com:5080",
        transport=SipTransport.TCP,
        destination_country="RO",
        auth_username="alice@pbx",
        auth_password=Secret(PASSWORD),
        encryption=Encryption.DISABLE,
        metadata=marked(LegKind.OUTBOUND),
    )


def route() -> EdgeRoute:
    """A route of the edge, by a key of its own."""
    return EdgeRoute(
        edge_key=Secret(secrets.token_urlsafe(24)),
        address="sip.example.com:5080",
        transport=SipTransport.TCP,
        auth_username="alice@pbx",
        auth_password=Secret(PASSWORD),
        metadata=marked(LegKind.EDGE),
    )


def rule(trunk_id: str = "") -> DispatchRule:
    """The rule of a trunk; of an own one that does not exist, unless told."""
    return DispatchRule(
        name="Bucharest \u260e",
        trunk_ids=(trunk_id or f"ST_{digits()}",),
        agent_name="reception \u260e",
        room_prefix="call-",
        metadata=marked(LegKind.DISPATCH),
    )


async def held(voice: VoiceBackend, kind: LegKind, voice_id: str) -> Leg | None:
    found = await voice.find(kind, voice_id)
    return found.leg if found else None


async def fails(call: Awaitable[object], cause: VoiceCause) -> VoiceError:
    with pytest.raises(VoiceError) as caught:
        await call
    assert caught.value.cause is cause, caught.value
    return caught.value
