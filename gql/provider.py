"""Carriers and PBXs as a client sees them: what is known, as of when, and who says so."""

from typing import Annotated, cast

import strawberry

from gql.sip_trunk_enums import SipCallingFormat, SipTransport
from trunkline import providers as known
from trunkline.providers import Confidence, Kind

strawberry.enum(Kind, name="ProviderKind", description="Whether it sells the numbers or is your own PBX.")
strawberry.enum(
    Confidence,
    name="ProviderConfidence",
    description="Who says so: the carrier's own pages, other people's guides and configurations, or both.",
)

Source = strawberry.Parent[known.Provider]


def _hosts(root: Source) -> list[str]:
    return list(root.outbound.hosts)


def _transports(root: Source) -> list[SipTransport] | None:
    return None if root.outbound.transports is None else list(root.outbound.transports)


def _inbound_ips(root: Source) -> list[str] | None:
    return None if root.inbound.ranges is None else [str(network) for network in root.inbound.ranges]


def _answers_digest(root: Source) -> bool | None:
    return root.inbound.answers_digest


def _calling_format(root: Source) -> SipCallingFormat | None:
    return root.outbound.calling_formats[0] if root.outbound.calling_formats else None


def _as_of(root: Source) -> str:
    return root.as_of.isoformat()


def _sources(root: Source) -> list[str]:
    return [f"{each.where} ({each.dated})" if each.dated else each.where for each in root.sources]


@strawberry.type(description="A carrier or PBX as it is known. Null means that nobody said; nothing here is guessed.")
class Provider:
    """Source: trunkline.providers.Provider."""

    key: str = strawberry.field(description="What createSipTrunk takes as provider.")
    name: str = strawberry.field(description="Its name.")
    kind: Kind = strawberry.field(description="A carrier, or a PBX of your own.")
    as_of = strawberry.field(_as_of, description="When this was gathered, YYYY-MM-DD. Address lists age.")
    confidence: Confidence = strawberry.field(description="Who says so.")
    needs_registration: bool | None = strawberry.field(
        description="Whether it wants a REGISTER in one direction at least, which LiveKit does not send."
    )
    hosts = strawberry.field(
        _hosts, description="What sipAddress may be; {…} is your own label. Empty: told to each customer."
    )
    transports = strawberry.field(_transports, description="What it takes, the usual one first.")
    inbound_ips = strawberry.field(
        _inbound_ips, description="Where its calls come from, as CIDRs; null: no list is known."
    )
    answers_inbound_digest = strawberry.field(
        _answers_digest, description="Whether it answers LiveKit's challenge, so that AUTH works."
    )
    calling_format = strawberry.field(_calling_format, description="How it usually takes numbers.")
    notes: list[str] = strawberry.field(description="What else to know.")
    sources = strawberry.field(_sources, description="Where it was read, with the date of the page where it has one.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """What was read is served as it is."""
        return isinstance(source, known.Provider)


Key = Annotated[str, strawberry.argument(description="A provider's key, such as twilio.")]


def resolve_providers() -> list[Provider]:
    """All of them, by name."""
    return cast("list[Provider]", list(known.providers().values()))


def resolve_provider(key: Key) -> Provider | None:
    """One of them; null when the key is unknown."""
    return cast("Provider | None", known.find(key))
