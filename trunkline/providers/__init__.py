"""Carriers and PBXs as they are known: one dated file each beside this one, with its sources. Unknown stays None.

docs/recipes/add-a-carrier.md tells what a file holds, docs/carriers.md is the page made of them. Address lists age:
show the date, and never change a stored list because a file changed.
"""

import difflib
import re
import tomllib
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache, cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from models.sip_trunk import SipCallingFormat, SipTransport
from trunkline.addresses import Network

FOLDER = Path(__file__).parent
GENERIC = "generic"  # the setup sheet for whoever is not listed; it is no provider
NEAREST = 3


class Kind(StrEnum):
    """Whether a carrier sells the numbers, or the trunk's owner runs the PBX."""

    CARRIER = "CARRIER"
    PBX = "PBX"


class Confidence(StrEnum):
    """Who says so."""

    VENDOR = "VENDOR"  # the carrier's own pages
    THIRD_PARTY = "THIRD_PARTY"  # other people's guides and configurations
    MIXED = "MIXED"


class Registration(StrEnum):
    """What the carrier wants a REGISTER for; LiveKit sends none."""

    NONE = "NONE"
    INBOUND = "INBOUND"
    ALWAYS = "ALWAYS"


class Srtp(StrEnum):
    """How the carrier encrypts audio."""

    WITH_TLS = "WITH_TLS"  # together with TLS, and not without
    OPTIONAL = "OPTIONAL"
    ON_REQUEST = "ON_REQUEST"


class NumberFormat(StrEnum):
    """What the carrier delivers as the called number."""

    PLUS_E164 = "PLUS_E164"
    E164 = "E164"
    AS_ENTERED = "AS_ENTERED"  # whatever the customer typed before the @
    SWITCH = "SWITCH"  # a setting in its console


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """Calls to the carrier. `hosts`: `{…}` is the customer's own label; none: each customer is told its own.

    `refused`: which calls it refuses for want of what trunkline does not set, in a part of a sentence.
    """

    hosts: tuple[str, ...]
    transports: tuple[SipTransport, ...] | None = None  # the first is the usual one
    ports: dict[SipTransport, int] | None = None
    srtp: Srtp | None = None
    authentication: tuple[str, ...] | None = None
    calling_formats: tuple[SipCallingFormat, ...] | None = None  # those that are taken; the first is the usual one
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """Calls from the carrier. `ranges`: where its signalling comes from; regional: each customer sees only some.

    `transport`: what it has to be told in the URI when the trunk is UDP.
    """

    authentication: tuple[str, ...] | None = None
    ranges: tuple[Network, ...] | None = None
    ranges_origin: Confidence | None = None
    ranges_are_regional: bool = False
    number_format: NumberFormat | None = None
    user_format: SipCallingFormat = SipCallingFormat.PLUS_E164  # how a number is typed into its console
    answers_digest: bool | None = None
    transport: SipTransport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to enter in the console. `only`: words that must all fit the trunk, such as AUTH or TLS."""

    where: str
    what: str
    value: str | None = None
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a fact was read, as of when that page says it is, and which fact if not all."""

    where: str
    dated: date | None = None
    about: str | None = None


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One file. `key` is its name."""

    key: str
    name: str
    kind: Kind
    as_of: date
    confidence: Confidence
    console: str
    outbound: Outbound
    inbound: Inbound
    registration: Registration | None = None
    notes: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    sources: tuple[Source, ...] = ()

    @cached_property
    def host_pattern(self) -> re.Pattern[str] | None:
        """What its host names look like; None when every customer has others, as with a PBX."""
        if not self.outbound.hosts or self.kind is Kind.PBX:
            return None
        parts = (re.sub(r"\\{.*?\\}", "[a-z0-9-]+", re.escape(host)) for host in self.outbound.hosts)
        return re.compile("|".join(parts))

    @property
    def needs_registration(self) -> bool | None:
        """Whether LiveKit alone cannot use it in both directions; None when nobody says."""
        return None if self.registration is None else self.registration is not Registration.NONE

    def usual_transport(self) -> SipTransport | None:
        """The transport of a trunk that names none."""
        return self.outbound.transports[0] if self.outbound.transports else None

    def port(self, transport: SipTransport) -> int | None:
        """The port of a transport, where it is known."""
        return (self.outbound.ports or {}).get(transport)


@cache
def providers() -> dict[str, Provider]:
    """Every provider by its key, in the order of the names."""
    found = (_read(path) for path in FOLDER.glob("*.toml") if path.stem != GENERIC)
    return {each.key: each for each in sorted(found, key=lambda each: each.name.casefold())}


@cache
def generic_steps() -> tuple[Step, ...]:
    """What to enter at a carrier that is not listed."""
    told = tomllib.loads((FOLDER / f"{GENERIC}.toml").read_text("utf8"))
    return tuple(_step(each) for each in told["steps"])


def find(key: str | None) -> Provider | None:
    """A provider by its key."""
    return providers().get(key) if key else None


def nearest(key: str) -> list[str]:
    """The keys that a mistyped one may have meant."""
    name = key.lower()
    return [each for each in providers() if name in each.split("_")] or difflib.get_close_matches(
        name, providers(), NEAREST
    )


def recognised(host: str) -> Provider | None:
    """The carrier that a host name belongs to."""
    return next(
        (each for each in providers().values() if each.host_pattern and each.host_pattern.fullmatch(host)), None
    )


def _read(path: Path) -> Provider:
    """Read a file; a key or word that is not known here is a TypeError or ValueError."""
    told = tomllib.loads(path.read_text("utf8"))
    return Provider(
        key=path.stem,
        name=told.pop("name"),
        kind=Kind(told.pop("kind")),
        as_of=told.pop("as_of"),
        confidence=Confidence(told.pop("confidence")),
        outbound=_outbound(told.pop("outbound")),
        inbound=_inbound(told.pop("inbound")),
        registration=_one(Registration, told, "registration"),
        notes=tuple(told.pop("notes", ())),
        steps=tuple(_step(each) for each in told.pop("steps")),
        sources=tuple(Source(**each) for each in told.pop("sources")),
        **told,
    )


def _outbound(told: dict[str, Any]) -> Outbound:
    ports = told.pop("ports", None)
    return Outbound(
        hosts=tuple(told.pop("hosts")),
        transports=_several(SipTransport, told, "transports"),
        ports=None if ports is None else {SipTransport(name): port for name, port in ports.items()},
        srtp=_one(Srtp, told, "srtp"),
        authentication=_several(str, told, "authentication"),
        calling_formats=_several(SipCallingFormat, told, "calling_formats"),
        **told,
    )


def _inbound(told: dict[str, Any]) -> Inbound:
    return Inbound(
        authentication=_several(str, told, "authentication"),
        ranges=_several(ip_network, told, "ranges"),
        ranges_origin=_one(Confidence, told, "ranges_origin"),
        number_format=_one(NumberFormat, told, "number_format"),
        user_format=_one(SipCallingFormat, told, "user_format") or SipCallingFormat.PLUS_E164,
        transport=_one(SipTransport, told, "transport"),
        **told,
    )


def _step(told: dict[str, Any]) -> Step:
    return Step(**told | {"only": tuple(told.get("only", ()))})


def _one(kind: Any, told: dict[str, Any], name: str) -> Any:  # noqa: ANN401  # whatever `kind` makes
    return kind(told.pop(name)) if name in told else None


def _several(kind: Any, told: dict[str, Any], name: str) -> Any:  # noqa: ANN401  # the same
    return tuple(kind(each) for each in told.pop(name)) if name in told else None
