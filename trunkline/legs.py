"""What is wanted at the voice backend for one trunk: pure functions, one per leg (the mapping table of the README)."""

from collections.abc import Iterable
from dataclasses import fields

from models.assistant import Assistant
from models.secret import Keyring, Place, Secret
from models.sip_trunk import InboundAuthorizationType, MediaEncryption, SipTrunk
from models.trunk_leg import LegKind
from trunkline.phone import called_text_key, called_texts, caller_id
from trunkline.voice import DispatchRule, Encryption, InboundTrunk, Leg, Marker, OutboundTrunk

ROOM_PREFIX = "call-"
PASSWORD_COLUMN = "sip_password"  # noqa: S105  # a column's name

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
    return Place(trunk.workspace_id, trunk.id, PASSWORD_COLUMN)


def wanted_legs(trunk: SipTrunk, keyring: Keyring, installation_id: str) -> tuple[Leg, Leg]:
    """The inbound leg, which can be refused, and then the outbound one."""
    password = keyring.open(bytes(trunk.sip_password), password_place(trunk))
    return _inbound(trunk, password, installation_id), _outbound(trunk, password, installation_id)


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
    """Everything of a leg but its marker, for `Keyring.digest_of`: what makes two legs the same."""
    values = [getattr(leg, each.name) for each in fields(leg) if each.name != "metadata"]
    return [leg.kind, *(value if isinstance(value, Secret) else repr(value) for value in values)]


def own_text_keys(trunk: SipTrunk) -> list[str]:
    """The texts that the trunk answers to as LiveKit compares them, each once, in one order for all."""
    return text_keys(called_texts(trunk.sip_trunk_type, trunk.phone_number, trunk.sip_calling_format))


def text_keys(texts: Iterable[str]) -> list[str]:
    """The texts as LiveKit compares them, each once, in one order for all, so that two writers cannot deadlock."""
    return sorted({called_text_key(text) for text in texts})


def _name(trunk: SipTrunk) -> str:
    return trunk.nickname or trunk.phone_number


def _metadata(trunk: SipTrunk, kind: LegKind, installation_id: str) -> str:
    return Marker(installation_id, trunk.workspace_id, trunk.id, kind, trunk.revision).to_metadata()
