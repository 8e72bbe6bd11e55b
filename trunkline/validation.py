"""What a trunk must be: every rule of createSipTrunk in the order of its input. Asks no network and no database."""

from collections.abc import Iterator, Sequence
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
from trunkline import address_rules, ip_rules, number_rules, provider_rules, text_rules
from trunkline.countries import country_code
from trunkline.hosts import BadHost, read_host
from trunkline.phone import called_texts, caller_id
from trunkline.problems import Code, Notice, Path, Problem
from trunkline.providers import Provider
from trunkline.setting_values import Network, PhoneCheck

Address = IPv4Address | IPv6Address
OUTBOUND_PROXY: Path = ("input", "outboundProxy")


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
    provider: str | None = None


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
    provider: str | None  # named, or recognised by the host
    provider_as_of: str | None  # the date of what is known of it
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """A draft with its texts trimmed and its number, host and address list read, once for all rules."""

    own: number_rules.OwnNumber
    nickname: str
    username: str
    host: str | BadHost
    transport: SipTransport
    encryption: MediaEncryption
    allowed_ips: ip_rules.AllowedIps
    country: str | None
    provider: Provider | None


def name_to_resolve(draft: TrunkDraft) -> str | None:
    """The host name whose addresses `examine` needs; None for a literal address or one that is refused anyway."""
    host = read_host(draft.sip_address)
    return host if isinstance(host, str) and address_rules.needs_resolving(host) else None


def examine(draft: TrunkDraft, policy: Policy, addresses: Sequence[Address] | None) -> Examination:
    """Tell all problems at once, in the order of the input. `addresses`: what the name resolved to; None: no answer."""
    reading = _read(draft, policy)
    findings = list(_findings(draft, reading, policy, addresses))
    problems = tuple(each for each in findings if isinstance(each, Problem))
    notices = tuple(each for each in findings if isinstance(each, Notice))
    return Examination(None if problems else _normalized(draft, reading), problems, notices)


def outbound_proxy_is_available(wanted: bool, policy: Policy) -> Problem | None:
    """The reason comes from whoever knows which voice backend there is."""
    if not wanted or policy.outbound_proxy_problem is None:
        return None
    return Problem(Code.VOICE_MISCONFIGURED, policy.outbound_proxy_problem, OUTBOUND_PROXY)


def _findings(
    draft: TrunkDraft, reading: _Reading, policy: Policy, addresses: Sequence[Address] | None
) -> Iterator[Problem | Notice | None]:
    """Every rule, in the order of the input type: this list is the order in which problems are told."""
    own, username, password = reading.own, reading.username, draft.sip_password.reveal()
    yield number_rules.phone_number_is_given(own)
    yield number_rules.extension_is_not_too_long(own)
    yield number_rules.extension_is_dialable(own)
    yield number_rules.number_is_international(own)
    yield number_rules.number_exists(own)
    yield text_rules.nickname_is_not_too_long(reading.nickname)
    yield text_rules.nickname_has_no_control_characters(reading.nickname)
    yield text_rules.username_is_given(username)
    yield text_rules.username_is_not_too_short(username)
    yield text_rules.username_is_not_too_long(username)
    yield text_rules.username_is_plain_text(username)
    yield text_rules.password_is_given(password)
    yield text_rules.password_is_not_too_short(password)
    yield text_rules.password_is_not_too_long(password)
    yield text_rules.password_has_no_control_characters(password)
    yield text_rules.password_is_strong(password)
    yield address_rules.address_is_a_host(reading.host)
    yield address_rules.address_is_allowed(reading.host, addresses, policy.allowed_networks)
    yield address_rules.address_is_resolved(reading.host, addresses, policy.allowed_networks)
    yield text_rules.port_is_in_range(draft.sip_port)
    yield text_rules.srtp_keys_travel_encrypted(reading.encryption, reading.transport)
    yield number_rules.calling_format_has_a_form(own, draft.sip_calling_format)
    yield from ip_rules.problems_of(reading.allowed_ips)
    yield number_rules.country_is_known(reading.country)
    yield number_rules.country_is_given_or_detected(own, reading.country)
    yield number_rules.country_has_the_numbers_calling_code(own, reading.country)
    yield number_rules.detected_country_is_the_one_given(own, reading.country)
    yield outbound_proxy_is_available(draft.outbound_proxy, policy)
    yield provider_rules.provider_is_known(draft.provider)
    yield from provider_rules.differences(reading.provider, _compared(draft, reading))


def _compared(draft: TrunkDraft, reading: _Reading) -> provider_rules.Compared:
    return provider_rules.Compared(
        host=reading.host,
        port=draft.sip_port,
        transport=reading.transport,
        encryption=reading.encryption,
        calling_format=draft.sip_calling_format,
        authorization=draft.inbound_authorization_type,
        ranges=reading.allowed_ips.networks,
    )


def _read(draft: TrunkDraft, policy: Policy) -> _Reading:
    host = read_host(draft.sip_address)
    return _Reading(
        own=number_rules.read_own_number(draft.sip_trunk_type, draft.phone_number, policy.phone_check),
        nickname=(draft.nickname or "").strip(),
        username=draft.sip_username.strip(),
        host=host,
        transport=draft.sip_transport or SipTransport.UDP,
        encryption=draft.media_encryption or MediaEncryption.AUTO,
        allowed_ips=ip_rules.read_allowed_ips(draft.inbound_authorization_type, draft.allowed_inbound_ips),
        country=country_code(draft.country_code or "") or None,
        provider=provider_rules.provider_of(draft.provider, host),
    )


def _normalized(draft: TrunkDraft, reading: _Reading) -> NormalizedTrunk:
    """What is stored, once no rule objects."""
    return NormalizedTrunk(
        sip_trunk_type=draft.sip_trunk_type,
        phone_number=reading.own.stored,
        nickname=reading.nickname or None,
        sip_username=reading.username,
        sip_password=draft.sip_password,
        sip_address=str(reading.host),
        sip_port=draft.sip_port,
        sip_transport=reading.transport,
        media_encryption=reading.encryption,
        sip_calling_format=draft.sip_calling_format,
        inbound_authorization_type=draft.inbound_authorization_type,
        allowed_inbound_ips=reading.allowed_ips.stored,
        country_code=number_rules.country_of(reading.own, reading.country) or "",
        outbound_proxy=draft.outbound_proxy,
        provider=reading.provider.key if reading.provider else None,
        provider_as_of=reading.provider.as_of.isoformat() if reading.provider else None,
        called_texts=called_texts(draft.sip_trunk_type, reading.own.stored, draft.sip_calling_format),
        caller_id=caller_id(draft.sip_trunk_type, reading.own.stored, draft.sip_calling_format),
    )
