"""(interface only: to be written)"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from models.secret import Secret
from models.sip_trunk import (
    InboundAuthorizationType,
    MediaEncryption,
    SipCallingFormat,
    SipTransport,
    SipTrunkType,
)
from trunkline.problems import Notice, Problem
from trunkline.settings import Network, PhoneCheck

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkDraft:
    """A trunk as the client wrote it."""

    sip_trunk_type: SipTrunkType
    phone_number: str
    nickname: str | None = None
    sip_username: str
    sip_password: Secret
    sip_address: str
    sip_port: int | None = None
    sip_transport: SipTransport | None = None
    media_encryption: MediaEncryption | None = None
    sip_calling_format: SipCallingFormat
    inbound_authorization_type: InboundAuthorizationType
    allowed_inbound_ips: Sequence[str] | None = None
    country_code: str | None = None
    outbound_proxy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizedTrunk:
    """A trunk as it is stored."""

    sip_trunk_type: SipTrunkType
    phone_number: str
    nickname: str | None
    sip_username: str
    sip_password: Secret
    sip_address: str
    sip_port: int | None
    sip_transport: SipTransport
    media_encryption: MediaEncryption
    sip_calling_format: SipCallingFormat
    inbound_authorization_type: InboundAuthorizationType
    allowed_inbound_ips: tuple[str, ...] | None
    country_code: str
    outbound_proxy: bool
    called_texts: tuple[str, ...]  # what the inbound trunk answers to
    caller_id: str  # the own number in the calling format


@dataclass(frozen=True, slots=True)
class Policy:
    """What the installation allows."""

    allowed_networks: tuple[Network, ...] = ()
    phone_check: PhoneCheck = "valid"
    outbound_proxy_problem: str | None = None  # why outboundProxy is refused; None: it is accepted


@dataclass(frozen=True, slots=True)
class Examination:
    """All that was found: `normalized` is there exactly when there are no problems."""

    normalized: NormalizedTrunk | None
    problems: tuple[Problem, ...]
    notices: tuple[Notice, ...]


def name_to_resolve(draft: TrunkDraft) -> str | None:
    """The host name whose addresses `examine` needs; None for a literal address or one that is refused anyway."""
    raise NotImplementedError


def examine(draft: TrunkDraft, policy: Policy, addresses: Sequence[Address] | None) -> Examination:
    """Tell all problems at once, in the order of the input type. `addresses`: what the name resolved to; None: no answer."""
    raise NotImplementedError
