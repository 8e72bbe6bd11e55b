"""How much a workspace may have and ask for: trunks and creations by the database's count, requests at each process."""

import math
import time
from dataclasses import dataclass, field

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from models.sip_trunk import SipTrunk, TrunkStatus
from trunkline import database
from trunkline.problems import Code, Problem
from trunkline.settings import Settings

UNDER_WAY = (TrunkStatus.CLAIMED, TrunkStatus.PROVISIONING)
RETRY_AFTER_SECONDS = 1  # a creation takes about that long


@dataclass(slots=True)
class RequestLimit:
    """Requests of each workspace in any minute, counted in this process. 0: no limit."""

    per_minute: int
    _limiter: MovingWindowRateLimiter = field(default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()))

    async def seconds_to_wait(self, workspace_id: str) -> int:
        """Count a request; 0: go on, else how long until there is room for one."""
        item = RateLimitItemPerMinute(self.per_minute)
        if not self.per_minute or await self._limiter.hit(item, workspace_id):
            return 0
        window = await self._limiter.get_window_stats(item, workspace_id)
        return max(1, math.ceil(window.reset_time - time.time()))


async def no_room(settings: Settings, workspace_id: str) -> Problem | None:
    """Why a workspace may not make one more trunk; to be called in the transaction that stores it.

    Trunks that are being made or cleared away count too. Other creations of the workspace wait until the transaction
    ends, so that both limits hold over all replicas.
    """
    trunks, creations = settings.limit_trunks, settings.limit_provisions
    if not trunks and not creations:
        return None
    await database.take_turns(f"trunks of {workspace_id}")
    own = SipTrunk.filter(workspace_id=workspace_id)
    if trunks and await own.count() >= trunks:
        return Problem(Code.LIMIT_REACHED, f"A workspace has at most {trunks} SIP trunks; delete one first.")
    if creations and await own.filter(status__in=UNDER_WAY).count() >= creations:
        why = f"{creations} SIP trunks are being created already; try again in a moment."
        return Problem(Code.RATE_LIMITED, why, retryable=True, retry_after=RETRY_AFTER_SECONDS)
    return None
