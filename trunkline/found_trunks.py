"""Trunks that exist at the voice backend, read as trunks of ours: which belong together, and what would change.

Pure: asks nobody. What cannot be said by a trunk of ours shows as a change of a named setting, never silently.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from ipaddress import ip_network

from models.secret import Secret
from models.sip_trunk import (
    NICKNAME_MAX,
    InboundAuthorizationType,
    MediaEncryption,
    SipCallingFormat,
    SipTransport,
    SipTrunkType,
)
from models.trunk_leg import LegKind
from trunkline.phone import E164, NoForm, PhoneNumber, called_text_key, in_calling_format, parse_number
from trunkline.validation import TrunkDraft
from trunkline.voice import DispatchRule, EdgeRoute, Encryption, Held, InboundTrunk, Leg, OutboundTrunk

OTHER_SETTINGS = "other-settings"  # what no leg of ours can say: headers, allowed callers, codecs ...
HARMLESS = frozenset({"metadata", "name"})
ENCRYPTION = {
    Encryption.DISABLE: MediaEncryption.DISABLED,
    Encryption.ALLOW: MediaEncryption.ALLOWED,
    Encryption.REQUIRE: MediaEncryption.REQUIRED,
}


@dataclass(frozen=True, slots=True)
class Found:
    """An inbound trunk, the outbound one that shows the same number, its route at the edge, the rules of its calls."""

    inbound: Held
    outbound: Held | None
    rules: tuple[Held, ...] = ()
    route: Held | None = None

    @property
    def name(self) -> str:
        """What the inbound trunk is called."""
        return self.inbound.leg.name if isinstance(self.inbound.leg, InboundTrunk) else ""

    @property
    def trunks(self) -> tuple[Held, ...]:
        """What LiveKit calls trunks."""
        return (self.inbound, self.outbound) if self.outbound else (self.inbound,)

    @property
    def held(self) -> tuple[Held, ...]:
        """All that becomes a leg of the trunk, in the order of `wanted_legs`."""
        return tuple(filter(None, (self.inbound, self.route, self.outbound)))

    @property
    def edge_key(self) -> Secret | None:
        """The key by which the edge knows it."""
        return self.route.leg.edge_key if self.route and isinstance(self.route.leg, EdgeRoute) else None


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that would be another one afterwards. `what` names it, as in "inbound.ringing_timeout"."""

    what: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Said:
    """What the objects cannot tell, said by the operator."""

    country: str | None = None
    address: str | None = None


def paired(
    inbound: Iterable[Held], outbound: Iterable[Held], rules: Sequence[Held], routes: Sequence[Held]
) -> list[Found]:
    """Each inbound trunk with the outbound one that has its number, in whichever calling format; each is used once."""
    free = {held.voice_id: held for held in outbound}
    found = []
    for held in inbound:
        match = next((each for each in free.values() if _belongs(held, each)), None)
        found.append(found_of(held, match and free.pop(match.voice_id), rules, routes))
    return found


def found_of(inbound: Held, outbound: Held | None, rules: Iterable[Held], routes: Iterable[Held]) -> Found:
    """What goes with a pair of trunks."""
    keys = {outbound.leg.edge_key} if outbound and isinstance(outbound.leg, OutboundTrunk) else set()
    route = next((each for each in routes if isinstance(each.leg, EdgeRoute) and each.leg.edge_key in keys), None)
    return Found(inbound, outbound, rules_of(inbound.voice_id, rules), route)


def rules_of(inbound_id: str, rules: Iterable[Held]) -> tuple[Held, ...]:
    """The dispatch rules that name an inbound trunk."""
    return tuple(each for each in rules if isinstance(each.leg, DispatchRule) and inbound_id in each.leg.trunk_ids)


def _belongs(inbound: Held, outbound: Held) -> bool:
    if inbound.marker and outbound.marker:
        return inbound.marker.identity[:3] == outbound.marker.identity[:3]
    return not _forms(_numbers(inbound)).isdisjoint(_forms(_numbers(outbound)))


def _numbers(held: Held) -> tuple[str, ...]:
    return held.leg.numbers if isinstance(held.leg, InboundTrunk | OutboundTrunk) else ()


def _forms(texts: Iterable[str]) -> set[str]:
    """Every text that stands for one of the numbers, as the voice backend compares them."""
    forms = {called_text_key(text) for text in texts}
    for number in filter(None, map(_number, [*forms])):
        forms |= {called_text_key(form) for each in SipCallingFormat if isinstance(form := _form(number, each), str)}
    return forms


def _form(number: PhoneNumber, calling_format: SipCallingFormat) -> str | NoForm:
    return in_calling_format(number, calling_format)


def _number(text: str) -> PhoneNumber | None:
    key = called_text_key(text)
    return parse_number(key, "valid") if E164.fullmatch(key) else None


def draft_of(found: Found, said: Said) -> TrunkDraft:
    """The trunk of ours that comes nearest; the rules of createSipTrunk tell what it lacks."""
    inbound = found.inbound.leg
    outbound = found.outbound.leg if found.outbound else None
    assert isinstance(inbound, InboundTrunk)  # noqa: S101  # by its kind
    assert outbound is None or isinstance(outbound, OutboundTrunk)  # noqa: S101  # the same
    if outbound and found.route:
        outbound = _beyond_the_edge(outbound, found.route.leg)
    number = next(filter(None, map(_number, inbound.numbers)), None)
    stored = number.e164 if number else next(iter(inbound.numbers), "")
    host, port = _split(said.address or (outbound.address if outbound else ""))
    username, password = _credentials(inbound, outbound)
    by_address = bool(inbound.allowed_addresses) and not inbound.auth_username
    return TrunkDraft(
        sip_trunk_type=SipTrunkType.NUMBER if number else SipTrunkType.EXTENSION,
        phone_number=stored,
        nickname=_nickname(inbound.name, stored),
        sip_username=username,
        sip_password=password,
        sip_address=host,
        sip_port=port,
        sip_transport=outbound.transport if outbound else SipTransport.UDP,
        media_encryption=_encryption(inbound, outbound),
        sip_calling_format=_calling_format(number, outbound),
        inbound_authorization_type=InboundAuthorizationType.IP if by_address else InboundAuthorizationType.AUTH,
        allowed_inbound_ips=inbound.allowed_addresses if by_address else None,
        country_code=said.country or (outbound.destination_country if outbound else None),
        outbound_proxy=found.route is not None,
    )


def _beyond_the_edge(outbound: OutboundTrunk, route: Leg) -> OutboundTrunk:
    """What the carrier meets."""
    names = ("address", "transport", "auth_username", "auth_password")
    return replace(outbound, **{name: getattr(route, name) for name in names})


def _split(address: str) -> tuple[str, int | None]:
    host, colon, port = address.rpartition(":")
    return (host, int(port)) if colon and port.isdecimal() and port.isascii() else (address, None)


def _credentials(inbound: InboundTrunk, outbound: OutboundTrunk | None) -> tuple[str, Secret]:
    """Those towards the carrier; an inbound trunk that asks for others shows as a change."""
    if outbound and outbound.auth_username:
        return outbound.auth_username, outbound.auth_password
    return inbound.auth_username, inbound.auth_password


def _nickname(name: str, stored: str) -> str | None:
    return name if name.isprintable() and len(name) <= NICKNAME_MAX and name != stored else None


def _encryption(inbound: InboundTrunk, outbound: OutboundTrunk | None) -> MediaEncryption:
    plain_out = outbound is None or outbound.encryption is Encryption.DISABLE
    if plain_out and inbound.encryption is Encryption.ALLOW:
        return MediaEncryption.AUTO
    return ENCRYPTION[outbound.encryption if outbound else inbound.encryption]


def _calling_format(number: PhoneNumber | None, outbound: OutboundTrunk | None) -> SipCallingFormat:
    shown = next(iter(outbound.numbers), "") if outbound else ""
    matching = [each for each in SipCallingFormat if number and _form(number, each) == shown]
    return matching[0] if matching else SipCallingFormat.PLUS_E164


def changes_between(held: Held, wanted: Leg) -> list[Change]:
    """What writing the wanted leg over the object would change of what it does."""
    prefix = f"{held.leg.kind}."
    names = [each.name for each in fields(wanted) if each.name not in HARMLESS]
    pairs = [(name, getattr(held.leg, name), getattr(wanted, name)) for name in names]
    changed = [
        Change(prefix + name, before, after)
        for name, before, after in pairs
        if _meaning(wanted.kind, name, before) != _meaning(wanted.kind, name, after)
    ]
    return changed if held.exact else [*changed, Change(prefix + OTHER_SETTINGS, "set", "not set")]


def _meaning(kind: LegKind, name: str, value: object) -> object:
    """Two values with one meaning are one: numbers as the voice backend compares them, addresses as networks."""
    if name == "numbers" and kind is LegKind.INBOUND and isinstance(value, tuple):
        return {called_text_key(text) for text in value}
    if name == "allowed_addresses" and isinstance(value, tuple):
        return {_network(text) for text in value}
    return value


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return text
