"""What somebody may do to our objects at the voice backend: every field of every kind of leg, changed."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from models.secret import Secret
from models.sip_trunk import SipTransport, SipTrunk, TrunkStatus
from models.trunk_leg import LegKind, LegState, TrunkLeg
from models.workspace import Installation
from tests.api import Api, House, until
from trunkline.voice import Encryption, Held, Leg, Marker, VoiceBackend

CHANGES: dict[LegKind, dict[str, Any]] = {
    LegKind.INBOUND: {
        "name": "Somebody else's",
        "numbers": ("+40741926299",),
        "allowed_addresses": ("203.0.113.0/24",),
        "auth_username": "mallory",
        "auth_password": Secret("another password"),
        "encryption": Encryption.REQUIRE,
        "metadata": "",
        "ringing_timeout": 7,
    },
    LegKind.OUTBOUND: {
        "name": "Somebody else's",
        "numbers": ("+40741926299",),
        "address": "8.8.8.8:5070",
        "transport": SipTransport.TCP,
        "destination_country": "DE",
        "auth_username": "mallory",
        "auth_password": Secret("another password"),
        "encryption": Encryption.REQUIRE,
        "metadata": "not a marker",
        "edge_key": Secret("another key"),
    },
    LegKind.DISPATCH: {
        "name": "Somebody else's",
        "trunk_ids": ("ST_anotherOnesXX",),
        "agent_name": "another-agent",
        "room_prefix": "room-",
        "metadata": '{"app":"another"}',
    },
    LegKind.EDGE: {
        "edge_key": Secret("another key"),
        "address": "8.8.8.8:5070",
        "transport": SipTransport.TCP,
        "auth_username": "mallory",
        "auth_password": Secret("another password"),
        "metadata": "not a marker",
    },
}
EVERY_CHANGE = [(kind, name) for kind, changes in CHANGES.items() for name in changes]
ASSIGN = """mutation Assign($input: CreateAssistantInput!) { createAssistant(input: $input) {
  assistant { id dispatchRuleId } userErrors { code message } } }"""


@dataclass(frozen=True, slots=True)
class Whole:
    """A trunk with all of its legs."""

    trunk_id: str
    voice_ids: dict[LegKind, str]


async def whole_trunk(api: Api, **changes: Any) -> Whole:
    """Create a trunk that an assistant answers; it goes out through the edge unless told otherwise."""
    trunk_id = (await api.create(**{"outboundProxy": True} | changes))["sipTrunk"]["id"]
    wish = {"name": "Reception", "agentName": "reception", "type": "INBOUND", "phoneNumberId": trunk_id}
    assigned = (await api.ask(ASSIGN, {"input": wish}))["createAssistant"]
    assert assigned["userErrors"] == []
    trunk = await api.trunk(trunk_id) or {}
    legs = {kind: trunk[kind] for kind in LegKind if trunk.get(kind)}
    rule = {LegKind.DISPATCH: assigned["assistant"]["dispatchRuleId"]}
    return Whole(trunk_id, {kind: leg["voiceId"] for kind, leg in legs.items()} | rule)


async def held_of(voice: VoiceBackend, whole: Whole, kind: LegKind) -> Held:
    held = await voice.find(kind, whole.voice_ids[kind])
    assert held is not None
    return held


def changed(leg: Leg, name: str) -> Leg:
    """The leg with one field as somebody else left it."""
    return replace(leg, **{name: CHANGES[leg.kind][name]})


async def everything(voice: VoiceBackend) -> set[str]:
    """The ids of all objects."""
    return {held.voice_id for kind in LegKind for held in await voice.list(kind)}


async def marker_of(trunk_id: str, kind: LegKind = LegKind.INBOUND, installation: str = "") -> str:
    """A marker of a trunk, of our own installation unless told."""
    ours = await Installation.get()
    return Marker(installation or ours.id, "ws_1", trunk_id, kind, 1).to_metadata()


def every_field() -> list[tuple[LegKind, str]]:
    """All that a change can be made to."""
    return [(leg.kind, field.name) for leg in get_args(Leg) for field in fields(leg)]


async def is_settled() -> bool:
    """Every trunk is ACTIVE, nothing is due and every leg is in place."""
    unsettled = await SipTrunk.exclude(status=TrunkStatus.ACTIVE, next_attempt_at=None, lease_owner=None).exists()
    return not unsettled and not await TrunkLeg.exclude(state=LegState.READY).exists()


async def passes(house: House, count: int) -> None:
    """Wait for whole passes, and count the calls of the voice backend from here."""
    house.voice.forget()
    await until(lambda: _has_passed(house, count))


async def _has_passed(house: House, count: int) -> bool:
    return house.voice.count("list", LegKind.DISPATCH) > count


def forget_the_database(folder: Path) -> None:
    for path in folder.glob("trunkline.db*"):
        path.unlink()
