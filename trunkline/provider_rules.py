"""The rules of provider: where a trunk differs from what is known of its carrier.

A difference is a notice and never a refusal: the lists age, and carriers make exceptions. A carrier that is recognised
by its host is compared in the same way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from models.sip_trunk import InboundAuthorizationType, MediaEncryption, SipCallingFormat, SipTransport
from trunkline.addresses import Network
from trunkline.hosts import BadHost
from trunkline.problems import Code, Notice, NoticeCode, Path, Problem
from trunkline.providers import Kind, Provider, Registration, Srtp, find, nearest, recognised

PROVIDER: Path = ("input", "provider")
RANGES_TOLD = 8
STANDARD_PORTS = {SipTransport.UDP: 5060, SipTransport.TCP: 5060, SipTransport.TLS: 5061}
ENCRYPTED = (MediaEncryption.ALLOWED, MediaEncryption.REQUIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What of a trunk is held against its provider. `ranges`: None when calls prove themselves by digest."""

    host: str | BadHost
    port: int | None
    transport: SipTransport
    encryption: MediaEncryption
    calling_format: SipCallingFormat
    authorization: InboundAuthorizationType
    ranges: Sequence[Network]


def provider_of(key: str | None, host: str | BadHost) -> Provider | None:
    """The provider that is named, else the carrier that the host belongs to."""
    if name := (key or "").strip():
        return find(name)
    return recognised(host) if isinstance(host, str) else None


def provider_is_known(key: str | None) -> Problem | None:
    """A key that is not in the list, with those that come near; the text itself is not quoted."""
    name = (key or "").strip()
    if not name or find(name):
        return None
    meant = " or ".join(nearest(name))
    hint = f"Did you mean {meant}?" if meant else "The query providers lists the keys."
    return Problem(
        Code.UNKNOWN_PROVIDER, f"There is no provider with this key. {hint} Leave it out for any other.", PROVIDER
    )


def differences(provider: Provider | None, trunk: Compared) -> Iterator[Notice | None]:
    """Everything worth knowing before the carrier's console is opened."""
    if provider is None:
        return
    yield livekit_need_not_register(provider)
    yield calls_to_it_are_taken(provider)
    yield host_is_the_providers(provider, trunk.host)
    yield port_is_the_providers(provider, trunk)
    yield transport_is_taken(provider, trunk.transport)
    yield encryption_is_taken(provider, trunk)
    yield calling_format_is_taken(provider, trunk.calling_format)
    yield digest_is_answered(provider, trunk.authorization)
    yield addresses_are_asked_for(provider, trunk)
    yield no_range_is_missing(provider, trunk)


def livekit_need_not_register(provider: Provider) -> Notice | None:
    """LiveKit sends no REGISTER, so such a carrier's calls never arrive, or it takes none."""
    if provider.registration is Registration.INBOUND:
        what = f"{provider.name} delivers calls only to what registers, and LiveKit does not: calls will not arrive."
    elif provider.registration is Registration.ALWAYS:
        what = (
            f"{provider.name} works only with what registers, and LiveKit does not: this trunk cannot work by itself."
        )
    else:
        return None
    advice = "Put a PBX or SBC that registers in front and give its address, or take another carrier."
    return Notice(NoticeCode.PROVIDER_NEEDS_REGISTRATION, f"{what} {advice}", PROVIDER)


def calls_to_it_are_taken(provider: Provider) -> Notice | None:
    """What it wants of calls and trunkline does not set."""
    return None if provider.outbound.refused is None else _mismatch(provider, "provider", provider.outbound.refused)


def host_is_the_providers(provider: Provider, host: str | BadHost) -> Notice | None:
    """Another carrier's host, or the wrong one of this carrier."""
    if provider.host_pattern is None or isinstance(host, BadHost) or provider.host_pattern.fullmatch(host):
        return None
    return _mismatch(provider, "sipAddress", f"its hosts are {', '.join(provider.outbound.hosts)}")


def port_is_the_providers(provider: Provider, trunk: Compared) -> Notice | None:
    """A PBX has the port that its owner gave it."""
    known = provider.port(trunk.transport)
    if known is None or provider.kind is Kind.PBX or known == (trunk.port or STANDARD_PORTS[trunk.transport]):
        return None
    return _mismatch(provider, "sipPort", f"its port for {trunk.transport} is {known}")


def transport_is_taken(provider: Provider, transport: SipTransport) -> Notice | None:
    """What the carrier does not take, as far as its pages say."""
    taken = provider.outbound.transports
    if taken is None or transport in taken:
        return None
    return _mismatch(provider, "sipTransport", f"it takes {' and '.join(taken)} only")


def encryption_is_taken(provider: Provider, trunk: Compared) -> Notice | None:
    """Where one switch means TLS and SRTP together, one without the other is refused, or not answered."""
    if provider.outbound.srtp is not Srtp.WITH_TLS:
        return None
    if trunk.transport is SipTransport.TLS and trunk.encryption not in ENCRYPTED:
        return _mismatch(provider, "mediaEncryption", "with TLS it wants encrypted audio: REQUIRED")
    if trunk.transport is not SipTransport.TLS and trunk.encryption in ENCRYPTED:
        return _mismatch(provider, "mediaEncryption", "it encrypts audio only together with TLS")
    return None


def calling_format_is_taken(provider: Provider, calling_format: SipCallingFormat) -> Notice | None:
    """A number in another format is refused, or reaches somebody else."""
    taken = provider.outbound.calling_formats
    if taken is None or calling_format in taken:
        return None
    return _mismatch(provider, "sipCallingFormat", f"it takes numbers as {' or '.join(taken)}")


def digest_is_answered(provider: Provider, authorization: InboundAuthorizationType) -> Notice | None:
    """With AUTH each call is challenged; who does not answer is not let in."""
    if authorization is not InboundAuthorizationType.AUTH or provider.inbound.answers_digest:
        return None
    refuses = provider.inbound.answers_digest is False
    known = (
        "does not answer the challenge of calls to LiveKit: they will be refused"
        if refuses
        else ("is not known to answer the challenge of calls to LiveKit")
    )
    message = f"{provider.name} {known}. The safe choice is IP, with its addresses."
    return Notice(NoticeCode.PROVIDER_MISMATCH, message, ("input", "inboundAuthorizationType"))


def addresses_are_asked_for(provider: Provider, trunk: Compared) -> Notice | None:
    """Some carriers tell each customer, and a PBX has its owner's."""
    if trunk.authorization is not InboundAuthorizationType.IP or trunk.ranges or provider.inbound.ranges:
        return None
    own = (
        "the public address of your PBX goes here"
        if provider.kind is Kind.PBX
        else ("no list of its addresses is known: ask which ones your calls will come from")
    )
    return _mismatch(provider, "allowedInboundIps", own)


def no_range_is_missing(provider: Provider, trunk: Compared) -> Notice | None:
    """A subset loses calls, since they come from any of the ranges."""
    if trunk.authorization is not InboundAuthorizationType.IP or not trunk.ranges:
        return None
    missing = ranges_to_add(provider, trunk.ranges)
    if not missing:
        return None
    told = ", ".join(str(network) for network in missing[:RANGES_TOLD])
    more = f" and {len(missing) - RANGES_TOLD} more" if len(missing) > RANGES_TOLD else ""
    if provider.inbound.ranges_are_regional:
        what = f"by region calls come from some of {told}{more}, of which none is in the list"
    else:
        what = f"calls also come from {told}{more}, which are not in the list"
    return _mismatch(provider, "allowedInboundIps", what)


def ranges_to_add(provider: Provider, listed: Sequence[Network]) -> list[Network]:
    """The known ranges that a list lacks; of regional ones each customer needs only some."""
    known = provider.inbound.ranges or ()
    missing = missing_ranges(known, listed)
    return [] if provider.inbound.ranges_are_regional and len(missing) < len(known) else missing


def missing_ranges(known: Sequence[Network], listed: Sequence[Network]) -> list[Network]:
    """The known ranges that lie in none of those listed."""
    return [network for network in known if not any(_holds(each, network) for each in listed)]


def _holds(outer: Network, inner: Network) -> bool:
    if isinstance(outer, IPv4Network):
        return isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and inner.subnet_of(outer)


def _mismatch(provider: Provider, field: str, what: str) -> Notice:
    message = f"{provider.name}: {what} (as of {provider.as_of})."
    return Notice(NoticeCode.PROVIDER_MISMATCH, message, ("input", field))
