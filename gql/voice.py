"""The voice backend as a client sees it: which one, whether it answers, how the trunks stand."""

from datetime import datetime

import strawberry

from gql.context import Info
from gql.sip_trunk_enums import SipTrunkStatus
from gql.sip_trunk_leg import LegError
from trunkline.causes import CODES, is_retryable
from trunkline.services import Health
from trunkline.trunks import status_counts
from trunkline.voice import VoiceKind

strawberry.enum(VoiceKind, name="VoiceBackendKind", description="SANDBOX is built in and places no real call.")


@strawberry.type(description="How many trunks have a status.")
class StatusCount:
    """Of the caller's workspace."""

    status: SipTrunkStatus = strawberry.field(description="The status.")
    count: int = strawberry.field(description="How many.")


@strawberry.type(description="The voice backend behind all trunks.")
class VoiceBackend:
    """What this process's reconciler last saw."""

    kind: VoiceKind = strawberry.field(description="Which backend.")
    reachable: bool = strawberry.field(description="Whether it answered last time.")
    since: datetime | None = strawberry.field(description="Since when it is as reachable as it is now.")
    last_error: LegError | None = strawberry.field(description="The last time it failed as a whole.")
    last_reconciled_at: datetime | None = strawberry.field(description="When everything was last compared.")

    @strawberry.field(description="The trunks of your workspace, counted by status; only when it is asked for.")
    async def trunks_by_status(self, info: Info) -> list[StatusCount]:
        """One query."""
        found = await status_counts(info.context.caller.workspace_id)
        return [StatusCount(status=SipTrunkStatus(status.value), count=count) for status, count in found]


async def resolve_voice(info: Info) -> VoiceBackend:
    """Tell what is known."""
    health = info.context.services.health
    return VoiceBackend(
        kind=info.context.services.voice.kind,
        reachable=health.reachable,
        since=health.since,
        last_error=_error(health),
        last_reconciled_at=health.reconciled_at,
    )


def _error(health: Health) -> LegError | None:
    if health.error is None or health.error_at is None:
        return None
    code = CODES[health.error.cause]
    return LegError(
        code=code, message=health.error.detail, retryable=is_retryable(health.error), occurred_at=health.error_at
    )
