"""The rules of allowedInboundIps: which addresses the carrier's calls may come from."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_interface
from itertools import islice

from models.sip_trunk import ALLOWED_IPS_MAX, InboundAuthorizationType
from trunkline.addresses import Network, is_publicly_routable_network, without_mapping
from trunkline.problems import Code, Notice, NoticeCode, Path, Problem

FIELD: Path = ("input", "allowedInboundIps")
ENTRY = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:/(?:0|[1-9][0-9]{0,2}))?")  # no zone, no mask, no blank
WIDEST = {4: 8, 6: 16}  # prefix lengths
WIDE = {4: 24, 6: 48}
UNSPECIFIED_AND_MULTICAST = (
    IPv4Network("0.0.0.0/32"),
    IPv4Network("224.0.0.0/4"),
    IPv6Network("::/128"),
    IPv6Network("ff00::/8"),
)
READ_MAX = 3 * ALLOWED_IPS_MAX  # different texts; a list of more is refused without reading the rest
QUOTED_MAX = 45


@dataclass(frozen=True, slots=True)
class BadEntry:
    """Why an entry is refused."""

    code: Code
    message: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the list, the first one of its kind, and what it was read as."""

    field: Path
    read: Network | BadEntry


@dataclass(frozen=True, slots=True)
class AllowedIps:
    """The list as it was given, without duplicates. With AUTH nothing in it is read."""

    authorization: InboundAuthorizationType
    given: int  # entries
    texts: int  # different ones
    entries: tuple[Entry, ...]

    @property
    def stored(self) -> tuple[str, ...] | None:
        """Canonical CIDRs; None with AUTH."""
        if self.authorization is InboundAuthorizationType.AUTH:
            return None
        return tuple(str(network) for network in self.networks)

    @property
    def networks(self) -> tuple[Network, ...]:
        """What could be read."""
        return tuple(entry.read for entry in self.entries if not isinstance(entry.read, BadEntry))


def read_allowed_ips(authorization: InboundAuthorizationType, texts: Sequence[str] | None) -> AllowedIps:
    """Read a list once, for all of its rules."""
    if authorization is not InboundAuthorizationType.IP or not texts:
        return AllowedIps(authorization, len(texts or ()), 0, ())
    positions: dict[str, int] = {}
    for position, text in enumerate(texts):
        positions.setdefault(text.strip(), position)
    return AllowedIps(authorization, len(texts), len(positions), tuple(_distinct(positions)))


def _distinct(positions: Mapping[str, int]) -> Iterator[Entry]:
    seen = set[Network]()
    for text, position in islice(positions.items(), READ_MAX):
        read = read_entry(text)
        if isinstance(read, BadEntry):
            yield Entry((*FIELD, str(position)), read)
        elif read not in seen:
            seen.add(read)
            yield Entry((*FIELD, str(position)), read)


def problems_of(allowed: AllowedIps) -> Iterator[Problem | Notice | None]:
    """Everything about the list, then everything about each entry."""
    yield ip_authorization_needs_addresses(allowed)
    yield digest_authorization_takes_no_addresses(allowed)
    yield allowed_addresses_are_not_too_many(allowed)
    for entry in allowed.entries:
        yield entry_is_acceptable(entry)
        yield entry_is_narrow(entry)
        yield entry_is_public(entry)


def ip_authorization_needs_addresses(allowed: AllowedIps) -> Problem | None:
    """Without an address nobody could call in."""
    if allowed.authorization is not InboundAuthorizationType.IP or allowed.given:
        return None
    message = "At least one allowed IP address is required when authorization type is IP."
    return Problem(Code.IP_REQUIRED, message, FIELD)


def digest_authorization_takes_no_addresses(allowed: AllowedIps) -> Problem | None:
    """Addresses beside AUTH would be dropped in silence; the client meant something else."""
    if allowed.authorization is not InboundAuthorizationType.AUTH or not allowed.given:
        return None
    message = "Allowed IP addresses are only used when authorization type is IP: leave them out, or change the type."
    return Problem(Code.CONFLICTING_FIELDS, message, FIELD)


def allowed_addresses_are_not_too_many(allowed: AllowedIps) -> Problem | None:
    """Duplicates do not count."""
    if len(allowed.entries) <= ALLOWED_IPS_MAX and allowed.texts <= READ_MAX:
        return None
    message = f"At most {ALLOWED_IPS_MAX} allowed IP addresses or ranges fit. Join neighbouring addresses to ranges."
    return Problem(Code.LIMIT_REACHED, message, FIELD)


def entry_is_acceptable(entry: Entry) -> Problem | None:
    """What `read_entry` refused."""
    return Problem(entry.read.code, entry.read.message, entry.field) if isinstance(entry.read, BadEntry) else None


def entry_is_narrow(entry: Entry) -> Notice | None:
    """A wide range is seldom what a carrier published."""
    if isinstance(entry.read, BadEntry) or entry.read.prefixlen >= WIDE[entry.read.version]:
        return None
    message = f"{entry.read} is a wide range: everybody in it may call in. Carriers publish narrower ones."
    return Notice(NoticeCode.WIDE_IP_RANGE, message, entry.field)


def entry_is_public(entry: Entry) -> Notice | None:
    """Calls from the internet never come from a private address."""
    if isinstance(entry.read, BadEntry) or is_publicly_routable_network(entry.read):
        return None
    message = f"{entry.read} is not a public range: calls from a carrier on the internet never come from there."
    return Notice(NoticeCode.PUBLIC_IP_EXPECTED, message, entry.field)


def read_entry(text: str) -> Network | BadEntry:
    """Read a trimmed entry as a network, or tell the one thing that is wrong with it."""
    try:
        interface = ip_interface(text) if ENTRY.fullmatch(text) else None
    except ValueError:
        interface = None
    if interface is None:
        message = f"“{_quoted(text)}” is not an IP address or CIDR range, such as 203.0.113.10 or 203.0.113.0/28."
        return BadEntry(Code.INVALID_IP, message)
    network: Network = without_mapping(interface.network)
    if interface.ip != interface.network.network_address:
        return _with_host_bits(without_mapping(type(interface.network)(interface.ip)), network)
    return _too_much(network) or network


def _with_host_bits(address: Network, network: Network) -> BadEntry:
    message = f"Write {address} for the one address, or {network} for the whole range: as it stands it could be either."
    return BadEntry(Code.INVALID_IP, message)


def _too_much(network: Network) -> BadEntry | None:
    widest = WIDEST[network.version]
    if network.prefixlen < widest:
        return BadEntry(Code.IP_NOT_ALLOWED, f"{network} is too wide: a range may be /{widest} at most.")
    if any(network.version == block.version and network.overlaps(block) for block in UNSPECIFIED_AND_MULTICAST):
        return BadEntry(
            Code.IP_NOT_ALLOWED, f"{network} holds the unspecified or a multicast address: no call comes from it."
        )
    return None


def _quoted(text: str) -> str:
    """Client text for a message: short, and nothing in it that does not print."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:QUOTED_MAX])
    return shown + "…" if len(text) > QUOTED_MAX else shown
