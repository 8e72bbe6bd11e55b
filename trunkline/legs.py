"""What is wanted at the voice backend for one trunk: pure functions, one per leg (the mapping table of the README)."""

from models.secret import Keyring, Place, Secret
from models.sip_trunk import InboundAuthorizationType, MediaEncryption, SipTrunk
from models.trunk_leg import LegKind
from trunkline.phone import called_texts, caller_id
from trunkline.voice import Encryption, InboundTrunk, Leg, Marker, OutboundTrunk

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


def _name(trunk: SipTrunk) -> str:
    return trunk.nickname or trunk.phone_number


def _metadata(trunk: SipTrunk, kind: LegKind, installation_id: str) -> str:
    return Marker(installation_id, trunk.workspace_id, trunk.id, kind, trunk.revision).to_metadata()
