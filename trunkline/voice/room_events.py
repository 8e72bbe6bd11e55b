"""What LiveKit's webhooks tell of a call's room, as it crosses the line: no LiveKit types, no more than is used."""

from dataclasses import dataclass
from datetime import datetime

from models.call import RoomFact


@dataclass(frozen=True, slots=True)
class SipParty:
    """The SIP participant of a room: who calls in, or who is called.

    call_id   LiveKit's, "SCL_…"
    trunk_id  the inbound or outbound trunk, "ST_…"
    status    sip.callStatus: "ringing", "dialing", "active", "hangup"; "" when it is not told
    number    of the carrier's side
    own       the trunk's number
    forged    From's host is a range, as no real one is: LiveKit believes a From that names an allowed range
    """

    call_id: str
    trunk_id: str
    status: str
    number: str
    own: str
    forged: bool = False


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """One webhook. `party` is set for callers that join or leave, `agent_name` for agents that join."""

    id: str
    at: datetime
    room: str
    fact: RoomFact
    party: SipParty | None = None
    agent_name: str | None = None
