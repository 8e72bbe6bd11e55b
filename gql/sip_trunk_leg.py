"""A leg of a trunk as a client sees it: its id at the voice backend, its state, the last error."""

from datetime import datetime

import strawberry

from models.sip_trunk import SipTrunk
from models.trunk_leg import LegKind, LegState, TrunkLeg
from trunkline.problems import Code
from trunkline.services import Health

strawberry.enum(LegState, description="Where a leg stands at the voice backend.")


@strawberry.type(description="Why something could not be done at the voice backend.")
class LegError:
    """The last failure, typed like a UserError."""

    code: Code = strawberry.field(description="The cause, for programs.")
    message: str = strawberry.field(description="A sentence for a person.")
    retryable: bool = strawberry.field(description="Whether it is tried again by itself.")
    occurred_at: datetime = strawberry.field(description="When.")


@strawberry.type(description="One object that is wanted at the voice backend.")
class SipTrunkLeg:
    """Made by `leg_of`."""

    voice_id: str | None = strawberry.field(description='The voice backend\'s id, "ST_…", "SDR_…" or "EDGE_…".')
    state: LegState = strawberry.field(description="Where the leg stands.")
    attempts: int = strawberry.field(description="How often it failed since the last success.")
    last_error: LegError | None = strawberry.field(description="The last failure since the last success.")
    next_attempt_at: datetime | None = strawberry.field(description="When it is tried again.")
    checked_at: datetime | None = strawberry.field(description="When it was last compared with the voice backend.")


def leg_of(trunk: SipTrunk, kind: LegKind, health: Health) -> SipTrunkLeg:
    """The leg of a kind; one without a row is only wanted."""
    leg = next((each for each in trunk.legs if each.kind is kind), None)
    if leg is None:
        return SipTrunkLeg(
            voice_id=None, state=LegState.PENDING, attempts=0, last_error=None, next_attempt_at=None, checked_at=None
        )
    return SipTrunkLeg(
        voice_id=leg.voice_id,
        state=leg.state,
        attempts=leg.attempts,
        last_error=_error(leg),
        next_attempt_at=leg.next_attempt_at,
        checked_at=_checked_at(leg, health),
    )


def _error(leg: TrunkLeg) -> LegError | None:
    if leg.error_code is None or leg.error_at is None:
        return None
    code = Code(leg.error_code)
    return LegError(code=code, message=leg.error_message or "", retryable=leg.error_retryable, occurred_at=leg.error_at)


def _checked_at(leg: TrunkLeg, health: Health) -> datetime | None:
    """Every pass compares every leg in place, so its time counts for all of them."""
    if leg.state is not LegState.READY or leg.checked_at is None or health.reconciled_at is None:
        return leg.checked_at
    return max(leg.checked_at, health.reconciled_at)
