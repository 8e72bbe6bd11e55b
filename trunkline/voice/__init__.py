"""The voice backend seen from outside: what crosses the line, and the Protocol that every backend fulfils."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from models.secret import Secret
from models.sip_trunk import SipTransport
from models.trunk_leg import LegKind

APP = "trunkline"
RINGING_TIMEOUT_SECONDS = 30


class Encryption(StrEnum):
    """LiveKit's SIPMediaEncryption."""

    DISABLE = "DISABLE"
    ALLOW = "ALLOW"
    REQUIRE = "REQUIRE"


@dataclass(frozen=True, slots=True)
class Marker:
    """What we write into an object's metadata, so that we know it again: compact JSON under 300 bytes."""

    installation: str
    workspace: str
    trunk: str
    leg: LegKind
    revision: int

    def to_metadata(self) -> str:
        """Write the metadata text."""
        marked = {"app": APP, "installation": self.installation, "workspace": self.workspace}
        return json.dumps(
            marked | {"trunk": self.trunk, "leg": self.leg, "revision": self.revision}, separators=(",", ":")
        )

    @property
    def identity(self) -> tuple[str, str, str, LegKind]:
        """What names the leg, whatever its revision."""
        return self.installation, self.workspace, self.trunk, self.leg

    @classmethod
    def from_metadata(cls, text: str) -> Self | None:
        """Read a marker; None for whatever is not one of ours, well-formed or not."""
        try:
            marked = json.loads(text)
            if marked["app"] != APP:
                return None
            installation, workspace, trunk, revision = (
                marked[name] for name in ("installation", "workspace", "trunk", "revision")
            )
            if not all(isinstance(each, str) for each in (installation, workspace, trunk)):
                return None
            return cls(installation, workspace, trunk, LegKind(marked["leg"]), int(revision))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class InboundTrunk:
    """An inbound trunk of the voice backend; LiveKit's SIPInboundTrunkInfo. Credentials come both or not at all."""

    kind = LegKind.INBOUND
    name: str
    numbers: tuple[str, ...]
    allowed_addresses: tuple[str, ...]
    auth_username: str
    auth_password: Secret
    encryption: Encryption
    metadata: str
    ringing_timeout: int = RINGING_TIMEOUT_SECONDS  # seconds


@dataclass(frozen=True, slots=True)
class OutboundTrunk:
    """An outbound trunk of the voice backend; LiveKit's SIPOutboundTrunkInfo. `address` is host or host:port.

    With an `edge_key` the address is the edge's, which knows the trunk by that key and answers the carrier's digest.
    """

    kind = LegKind.OUTBOUND
    name: str
    numbers: tuple[str, ...]
    address: str
    transport: SipTransport
    destination_country: str
    auth_username: str
    auth_password: Secret
    encryption: Encryption
    metadata: str
    edge_key: Secret | None = None


@dataclass(frozen=True, slots=True)
class EdgeRoute:
    """Where the edge sends the calls of one trunk, and what it answers the carrier's digest with."""

    kind = LegKind.EDGE
    edge_key: Secret
    address: str
    transport: SipTransport
    auth_username: str
    auth_password: Secret
    metadata: str


@dataclass(frozen=True, slots=True)
class DispatchRule:
    """A dispatch rule of the voice backend; LiveKit's SIPDispatchRuleInfo: one room per call, joined by the agent.

    `trunk_ids` names exactly one inbound trunk: LiveKit lets a rule without any take the calls of every trunk
    (livekit/sip#460), so no backend here sends such a rule, nor one without an agent's name.
    """

    kind = LegKind.DISPATCH
    name: str
    trunk_ids: tuple[str, ...]
    agent_name: str
    room_prefix: str
    metadata: str


Leg = InboundTrunk | OutboundTrunk | EdgeRoute | DispatchRule


@dataclass(frozen=True, slots=True)
class Held:
    """An object that the voice backend holds, ours or not. `marker` is None unless trunkline wrote it.

    Not `exact`: it also holds what no Leg says (headers, allowed callers, an automatic transport), so writing it again
    would change it whatever `leg` shows.
    """

    voice_id: str
    leg: Leg
    exact: bool = True

    @property
    def marker(self) -> Marker | None:
        """The marker, where there is one."""
        return Marker.from_metadata(self.leg.metadata)


class VoiceCause(StrEnum):
    """Why a call to the voice backend failed. Only for OUTCOME_UNKNOWN may it have had its effect all the same."""

    CONFLICT = "CONFLICT"  # another object owns the number
    REFUSED = "REFUSED"  # a field was refused; permanent
    MISSING = "MISSING"  # no object has this id
    MISCONFIGURED = "MISCONFIGURED"  # credentials, URL, no Redis: concerns all trunks, nothing was done
    UNAVAILABLE = "UNAVAILABLE"  # never reached; nothing was done
    BUSY = "BUSY"  # too much of our own under way; nothing was sent
    RATE_LIMITED = "RATE_LIMITED"  # nothing was done
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"  # timeout, 5xx, dropped or undecodable reply
    EDGE_MISCONFIGURED = "EDGE_MISCONFIGURED"  # as above, but it concerns the trunks behind the edge only
    EDGE_UNAVAILABLE = "EDGE_UNAVAILABLE"  # the same


class VoiceError(Exception):
    """A call to the voice backend that failed.

    `detail` is a sentence made by us for the person at the form: it holds no text of another trunk and no secret.
    `retry_after` is in seconds and set for RATE_LIMITED.
    """

    def __init__(self, cause: VoiceCause, detail: str, retry_after: int | None = None) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail
        self.retry_after = retry_after


class VoiceKind(StrEnum):
    """Which voice backend."""

    SANDBOX = "SANDBOX"
    LIVEKIT = "LIVEKIT"


class VoiceBackend(Protocol):
    """Every method raises VoiceError and nothing else that is expected. Both backends pass tests/voice_contract.py."""

    @property
    def kind(self) -> VoiceKind:
        """Which backend this is."""

    async def create(self, leg: Leg) -> str:
        """Make an object and return its id; CONFLICT when an inbound number is taken, REFUSED for a bad field."""

    async def replace(self, voice_id: str, leg: Leg) -> None:
        """Set every field of an object, clearing what is left out; MISSING when no object of that kind has the id."""

    async def find(self, kind: LegKind, voice_id: str) -> Held | None:
        """Look one object up by its id."""

    async def list(self, kind: LegKind) -> list[Held]:
        """Every object of a kind, ours or not, each once."""

    async def delete(self, kind: LegKind, voice_id: str) -> None:
        """Remove an object; one that is not there is removed already."""

    async def ping(self) -> None:
        """Prove that the backend is reachable and accepts us."""

    async def aclose(self) -> None:
        """Let go of connections and files."""
