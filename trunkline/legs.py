"""What is wanted at the voice backend for one trunk: pure functions, one per leg (the mapping table of the README)."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from models.assistant import Assistant
from models.secret import Keyring, Place, Secret, key_id_of
from models.sip_trunk import InboundAuthorizationType, MediaEncryption, SipTransport, SipTrunk
from models.trunk_leg import LegKind
from trunkline.phone import called_text_key, called_texts, caller_id
from trunkline.services import Services
from trunkline.voice import DispatchRule, EdgeRoute, Encryption, InboundTrunk, Leg, Marker, OutboundTrunk

ROOM_PREFIX = "call-"

# ALLOW takes plain and SRTP offers; DISABLE answers an SRTP offer with silence.
INBOUND_ENCRYPTION = {
    MediaEncryption.AUTO: Encryption.ALLOW,
    MediaEncryption.DISABLED: Encryption.DISABLE,
    MediaEncryption.ALLOWED: Encryption.ALLOW,
    MediaEncryption.REQUIRED: Encryption.REQUIRE,
}
# Outbound, ALLOW offers SRTP only: a callee without it refuses with 488, so AUTO stays plain.
OUTBOUND_ENCRYPTION = INBOUND_ENCRYPTION | {MediaEncryption.AUTO: Encryption.DISABLE}


def password_place(trunk: SipTrunk) -> Place:
    """Where the trunk's password belongs."""
    return _place(trunk, "sip_password")


def edge_key_place(trunk: SipTrunk) -> Place:
    """Where the key belongs by which the edge knows the trunk."""
    return _place(trunk, "edge_key")


def sealed_again(trunk: SipTrunk, sealed: Mapping[str, bytes | None], keyring: Keyring) -> dict[str, Any]:
    """The secrets of a trunk with the writing key, and that key's id; KeyringError when one does not open."""
    places = {name: _place(trunk, name) for name, value in sealed.items() if value is not None}
    again = {name: keyring.seal(keyring.open(bytes(sealed[name] or b""), at), at) for name, at in places.items()}
    return again | {"sip_password_key": key_id_of(again["sip_password"])}


def wanted_legs(services: Services, trunk: SipTrunk) -> tuple[Leg, ...]:
    """What this installation wants of a trunk; KeyringError when its secrets do not open."""
    return legs_of(trunk, services.keyring, services.installation_id, services.settings.edge_address)


def legs_of(trunk: SipTrunk, keyring: Keyring, installation_id: str, edge_address: str) -> tuple[Leg, ...]:
    """The inbound leg, which can be refused, and then the outbound one, after the edge's where there is one.

    A trunk without a key was made before there was an edge: it goes out by itself until it is changed.
    """
    password = keyring.open(bytes(trunk.sip_password), password_place(trunk))
    inbound = _inbound(trunk, password, installation_id)
    outbound = _outbound(trunk, password, installation_id)
    if not trunk.outbound_proxy or trunk.edge_key is None:
        return inbound, outbound
    key = keyring.open(bytes(trunk.edge_key), edge_key_place(trunk))
    bare = replace(outbound, auth_username="", auth_password=Secret(""), transport=SipTransport.UDP)
    behind = replace(bare, address=edge_address, edge_key=key)
    return inbound, _edge_route(trunk, outbound, key, installation_id), behind


def _inbound(trunk: SipTrunk, password: Secret, installation_id: str) -> InboundTrunk:
    by_address = trunk.inbound_authorization_type is InboundAuthorizationType.IP
    return InboundTrunk(
        name=_name(trunk),
        numbers=called_texts(trunk.sip_trunk_type, trunk.phone_number, trunk.sip_calling_format),
        allowed_addresses=tuple(trunk.allowed_inbound_ips or ()),
        auth_username="" if by_address else trunk.sip_username,
        auth_password=Secret("") if by_address else password,
        encryption=INBOUND_ENCRYPTION[trunk.media_encryption],
        metadata=_metadata(trunk, LegKind.INBOUND, installation_id),
    )


def _outbound(trunk: SipTrunk, password: Secret, installation_id: str) -> OutboundTrunk:
    return OutboundTrunk(
        name=_name(trunk),
        numbers=(caller_id(trunk.sip_trunk_type, trunk.phone_number, trunk.sip_calling_format),),
        address=trunk.sip_address if trunk.sip_port is None else f"{trunk.sip_address}:{trunk.sip_port}",
        transport=trunk.sip_transport,
        destination_country=trunk.country_code,
        auth_username=trunk.sip_username,
        auth_password=password,
        encryption=OUTBOUND_ENCRYPTION[trunk.media_encryption],
        metadata=_metadata(trunk, LegKind.OUTBOUND, installation_id),
    )


def _edge_route(trunk: SipTrunk, outbound: OutboundTrunk, key: Secret, installation_id: str) -> EdgeRoute:
    return EdgeRoute(
        edge_key=key,
        address=outbound.address,
        transport=outbound.transport,
        auth_username=outbound.auth_username,
        auth_password=outbound.auth_password,
        metadata=_metadata(trunk, LegKind.EDGE, installation_id),
    )


def dispatch_rule(trunk: SipTrunk, assistant: Assistant, inbound_id: str, installation_id: str) -> DispatchRule:
    """The rule that sends the calls of this one trunk to rooms of their own with the assistant's agent."""
    return DispatchRule(
        name=assistant.name,
        trunk_ids=(inbound_id,),
        agent_name=assistant.agent_name,
        room_prefix=ROOM_PREFIX,
        metadata=_metadata(trunk, LegKind.DISPATCH, installation_id),
    )


def content(leg: Leg) -> list[str | Secret]:
    """Everything that a leg says but its marker, for `Keyring.digest_of`: what makes two legs the same."""
    values = [getattr(leg, each.name) for each in fields(leg) if each.name != "metadata"]
    return [leg.kind, *(value if isinstance(value, Secret) else repr(value) for value in values if value is not None)]


def own_text_keys(trunk: SipTrunk) -> list[str]:
    """The texts that the trunk answers to as LiveKit compares them, each once, in one order for all."""
    return text_keys(called_texts(trunk.sip_trunk_type, trunk.phone_number, trunk.sip_calling_format))


def text_keys(texts: Iterable[str]) -> list[str]:
    """The texts as LiveKit compares them, each once, in one order for all, so that two writers cannot deadlock."""
    return sorted({called_text_key(text) for text in texts})


def _place(trunk: SipTrunk, column: str) -> Place:
    return Place(trunk.workspace_id, trunk.id, column)


def _name(trunk: SipTrunk) -> str:
    return trunk.nickname or trunk.phone_number


def _metadata(trunk: SipTrunk, kind: LegKind, installation_id: str) -> str:
    return Marker(installation_id, trunk.workspace_id, trunk.id, kind, trunk.revision).to_metadata()
