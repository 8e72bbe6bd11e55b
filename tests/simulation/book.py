"""What the clients know: of each trunk and assistant the set of states it may be in. Refuses to guess."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import permutations
from typing import Any

from models.sip_trunk import SipCallingFormat
from models.trunk_leg import LegKind

Wish = Mapping[str, Any]


class Fate(StrEnum):
    """What became of something by what the clients were told."""

    LIVE = "live"  # acknowledged, and nobody asked to delete it
    GOING = "going"  # a deletion was answered with a failure: it is finished by itself
    DOUBTFUL = "doubtful"  # a deletion was never answered
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Content:
    """What clients decide of a trunk here."""

    phone_number: str
    nickname: str
    sip_password: str
    sip_calling_format: SipCallingFormat

    def changed(self, wish: Wish) -> "Content":
        return replace(self, **wish)

    @property
    def legs(self) -> tuple[LegKind, ...]:
        """The legs that it has whether or not it is answered."""
        trunks = (LegKind.INBOUND, LegKind.OUTBOUND)
        return (*trunks, LegKind.EDGE) if goes_by_the_edge(self.sip_password) else trunks


def goes_by_the_edge(password: str) -> bool:
    """Here it is the password that tells: so it needs no draw of its own."""
    return password[-1] in "02468ace"


@dataclass(slots=True)
class KnownTrunk:
    """`may`: contents it may have. `late`: wishes that a stalled replica may still fulfil, whenever it likes."""

    owner: int
    may: set[Content]
    passwords: set[str]
    fate: Fate = Fate.LIVE
    late: list[dict[str, Any]] = field(default_factory=list)

    def possible(self) -> set[Content]:
        """Every content that the wishes on their way can lead to."""
        found = set(self.may)
        for count in range(1, len(self.late) + 1):
            for order in permutations(self.late, count):
                found |= {_through(content, order) for content in self.may}
        return found


@dataclass(frozen=True, slots=True)
class Post:
    """What clients decide of an assistant here."""

    agent_name: str
    trunk_id: str | None


@dataclass(slots=True)
class KnownAssistant:
    """`may`: where it may stand."""

    owner: int
    may: set[Post]
    fate: Fate = Fate.LIVE


@dataclass(slots=True)
class Book:
    """All that the clients know. `passwords`: whatever anybody asked for; `unanswered`: of creations never answered."""

    trunks: dict[str, KnownTrunk] = field(default_factory=dict)
    assistants: dict[str, KnownAssistant] = field(default_factory=dict)
    passwords: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)  # by their passwords, which are unique
    unanswered_agents: set[str] = field(default_factory=set)

    def living(self, owner: int) -> list[str]:
        """The trunks that a client may still work with."""
        return [key for key, known in self.trunks.items() if known.owner == owner and known.fate is Fate.LIVE]

    def staff(self, owner: int) -> list[str]:
        """The assistants that a client may still work with."""
        return [key for key, known in self.assistants.items() if known.owner == owner and known.fate is Fate.LIVE]

    def unassign(self, trunk_id: str, *, surely: bool) -> None:
        """A trunk goes: its assistants lose it, or may lose it."""
        for known in self.assistants.values():
            freed = {replace(post, trunk_id=None) for post in known.may if post.trunk_id == trunk_id}
            known.may = {post for post in known.may if post.trunk_id != trunk_id or not surely} | freed


def _through(content: Content, wishes: Iterable[Wish]) -> Content:
    for wish in wishes:
        content = content.changed(wish)
    return content
