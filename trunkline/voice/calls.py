"""Calls that are placed to see how they go, seen from outside: what crosses the line, and the Protocol of it.

Beside VoiceBackend and not in it: nothing here is stored, and nothing of it is the reconciler's.
"""

from dataclasses import dataclass
from typing import Protocol

from models.secret import Secret
from models.sip_trunk import SipTransport
from trunkline.voice import Encryption
from trunkline.voice.verdicts import misconfigured

PLACES_NO_CALLS = "The sandbox places no calls. Set the three LIVEKIT_* variables to place them through LiveKit."


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a call goes that uses no stored trunk. `address` is host or host:port."""

    address: str
    transport: SipTransport
    username: str
    password: Secret
    caller: str
    encryption: Encryption


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """A call to be placed: through the outbound trunk of an id, or by a route. `room`: a name that nobody else uses."""

    room: str
    callee: str
    ring_seconds: int
    by: str | Route


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnd:
    """How a call went. It is over, whatever happened.

    sip_status  the carrier's final answer; None when there was none
    words       the carrier's words for it, or LiveKit's own where there was no answer; printable and short
    in_time     False: LiveKit itself did not answer before our own deadline
    """

    answered: bool = False
    rang: bool = False
    sip_status: int | None = None
    words: str = ""
    in_time: bool = True


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call that reached a room. `agents`: the names of the agents in it, each with whether it publishes audio."""

    room: str
    agents: tuple[tuple[str, bool], ...]


class VoiceCalls(Protocol):
    """Every method raises VoiceError and nothing else that is expected."""

    async def place(self, dial: Dial) -> CallEnd:
        """Place a call, let it ring, hang up when it is answered; leaves no room behind, also when cancelled."""

    async def arrivals(self, prefix: str) -> list[Arrival]:
        """The rooms whose name begins so."""

    async def close(self, prefix: str, older_than: float = 0.0) -> int:
        """Close the rooms whose name begins so and that are this many seconds old; how many that were."""

    async def aclose(self) -> None:
        """Let go of connections."""


class NoCalls:
    """Fulfils VoiceCalls for the sandbox: there are none."""

    async def place(self, dial: Dial) -> CallEnd:  # noqa: ARG002  # every call
        """Say that none are placed."""
        raise misconfigured(PLACES_NO_CALLS)

    async def arrivals(self, prefix: str) -> list[Arrival]:  # noqa: ARG002  # there are no rooms
        """None."""
        return []

    async def close(self, prefix: str, older_than: float = 0.0) -> int:  # noqa: ARG002  # the same
        """Nothing is to be closed."""
        return 0

    async def aclose(self) -> None:
        """Nothing is open."""
