"""What the webhooks of a room say of a call, in whatever order they came and however often. Pure; guesses nothing.

LiveKit has no event for an answer: an inbound call is answered with the first audio of somebody else in its room, of an
outbound one the end tells whether it was. What it says of a caller that leaves is where the call stood: "ringing"
(LiveKit gave up), "hangup" (the other side did), "active" (the room was closed).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.call import CallDirection, CallOutcome, RoomFact, WebhookEvent

AGENT_PATIENCE = timedelta(seconds=5)  # an agent answers within one; a caller who gave up sooner proves nothing
HUNG_UP, ACTIVE = "hangup", "active"


@dataclass(frozen=True, slots=True)
class Told:
    """Columns of a Call."""

    outcome: CallOutcome
    answered_at: datetime | None
    ended_at: datetime | None
    agent_name: str | None


def told(direction: CallDirection, call_id: str, facts: Iterable[WebhookEvent]) -> Told:
    """Put together what is known of one call of a room."""
    ordered = _of_one_use(call_id, sorted(facts, key=lambda fact: (fact.at, fact.id)))
    own = [fact for fact in ordered if fact.subject == call_id]
    joined, left = _first(own, RoomFact.CALLER_JOINED), _first(own, RoomFact.CALLER_LEFT)
    end = left or _first(ordered, RoomFact.ROOM_FINISHED)
    meanwhile = [fact for fact in ordered if end is None or fact.at <= end.at]
    audio = _first(meanwhile, RoomFact.AUDIO) if direction is CallDirection.INBOUND else None
    agent = _first(meanwhile, RoomFact.AGENT_JOINED)
    if direction is CallDirection.OUTBOUND:
        outcome = _outbound(left, end)
    elif audio:
        outcome = CallOutcome.ANSWERED if end else CallOutcome.IN_PROGRESS
    else:
        outcome = _unanswered(joined, left, end)
    return Told(
        outcome=outcome,
        answered_at=max(fact.at for fact in (audio, joined) if fact) if audio else None,
        ended_at=end.at if end else None,
        agent_name=agent.subject if agent else None,
    )


def _of_one_use(call_id: str, ordered: Sequence[WebhookEvent]) -> list[WebhookEvent]:
    """Without what was before the call's room was made: the name of a room may be used again after its end."""
    began = next((fact.at for fact in ordered if fact.subject == call_id), None)
    ends = [fact.at for fact in ordered if fact.fact is RoomFact.ROOM_FINISHED and began and fact.at < began]
    return [fact for fact in ordered if not ends or fact.at > ends[-1]]


def _first(facts: Sequence[WebhookEvent], which: RoomFact) -> WebhookEvent | None:
    return next((fact for fact in facts if fact.fact is which), None)


def _outbound(left: WebhookEvent | None, end: WebhookEvent | None) -> CallOutcome:
    if left is None:
        return CallOutcome.UNKNOWN if end else CallOutcome.IN_PROGRESS
    return CallOutcome.ANSWERED if left.sip_status in {ACTIVE, HUNG_UP} else CallOutcome.NOT_ANSWERED


def _unanswered(joined: WebhookEvent | None, left: WebhookEvent | None, end: WebhookEvent | None) -> CallOutcome:
    """An inbound call without anybody's audio."""
    if end is None:
        return CallOutcome.RINGING
    if left and left.sip_status == ACTIVE:
        return CallOutcome.ANSWERED  # the webhook of the audio was lost
    if left and left.sip_status == HUNG_UP:
        if joined is None:
            return CallOutcome.UNKNOWN
        return CallOutcome.CALLER_HUNG_UP if left.at - joined.at < AGENT_PATIENCE else CallOutcome.NO_AGENT
    return CallOutcome.NO_AGENT
