"""A call of a trunk as a client sees it."""

from datetime import datetime
from typing import cast

import strawberry

from gql.connection import First, page_size
from models import call as model
from models.call import CallDirection, CallOutcome
from models.sip_trunk import SipTrunk
from trunkline.calls import recent_calls

strawberry.enum(CallDirection, description="INBOUND: the carrier called. OUTBOUND: it was called.")
strawberry.enum(
    CallOutcome,
    description="Where a call stands, or how it ended. INBOUND: RINGING, then IN_PROGRESS; ANSWERED when it has ended "
    "after somebody in its room published audio, which is what LiveKit answers a call with; CALLER_HUNG_UP: the caller "
    "gave up within five seconds; NO_AGENT: nobody published audio until LiveKit or the caller gave up. OUTBOUND: "
    "IN_PROGRESS also while it rings, since LiveKit does not tell the answer; ANSWERED or NOT_ANSWERED at its end. "
    "UNKNOWN: what would tell did not arrive.",
)


def _duration_ms(root: strawberry.Parent[model.Call]) -> int | None:
    if root.answered_at is None or root.ended_at is None:
        return None
    return round((root.ended_at - root.answered_at).total_seconds() * 1000)


@strawberry.type(description="A call that reached a room, as LiveKit's webhooks told of it.")
class RecentCall:
    """Source: models.call.Call."""

    at: datetime = strawberry.field(description="When it reached the room.")
    direction: CallDirection = strawberry.field(description="Who called whom.")
    from_number: str = strawberry.field(name="from", description="Who calls: as the carrier told, or the own number.")
    to_number: str = strawberry.field(name="to", description="Who is called.")
    outcome: CallOutcome = strawberry.field(description="Where it stands, or how it ended.")
    duration_ms = strawberry.field(
        _duration_ms,
        description="From the answer to the end, within a second; null while it lasts, and and of an OUTBOUND "
        "call, whose answer LiveKit does not tell.",
    )
    agent_name: str | None = strawberry.field(description="The agent that joined the room; null when none did.")
    sip_call_id: str | None = strawberry.field(description='LiveKit\'s id of the call, "SCL_…".')

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Rows are served as they are."""
        return isinstance(source, model.Call)


async def resolve_recent_calls(root: strawberry.Parent[SipTrunk], first: First = 20) -> list[RecentCall]:
    """Fetch the newest calls of the trunk."""
    return cast("list[RecentCall]", await recent_calls(root.id, page_size(first, None)))
