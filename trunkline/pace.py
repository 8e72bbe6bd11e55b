"""How often a workspace may do what reaches others: calls that cost money, packets to a carrier. Kept by this process.

Several processes on one database each count for themselves.
"""

import functools
import math
import time
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from trunkline.problems import Code, Problem


@dataclass(frozen=True, slots=True)
class Limit:
    """What is limited, and how."""

    name: str
    windows: tuple[RateLimitItem, ...]


PROBES = Limit("probes", (RateLimitItemPerMinute(30),))
UNASKED_PROBES = Limit("probes of new SIP trunks", (RateLimitItemPerMinute(30),))
TEST_CALLS = Limit("test calls", (RateLimitItemPerMinute(6), RateLimitItemPerHour(60)))
SELF_TESTS = Limit("self tests", (RateLimitItemPerMinute(20),))


class Pace:
    """Moving windows, per workspace."""

    @functools.cached_property
    def _windows(self) -> MovingWindowRateLimiter:
        """Made at the first use: it tidies up in a thread of its own."""
        return MovingWindowRateLimiter(MemoryStorage())

    def take(self, limit: Limit, workspace_id: str) -> Problem | None:
        """Take a turn, or say how long to wait; who is told to wait has taken none."""
        key = (limit.name, workspace_id)
        full = [window for window in limit.windows if not self._windows.test(window, *key)]
        if not full:
            for window in limit.windows:
                self._windows.hit(window, *key)
            return None
        free_at = max(self._windows.get_window_stats(window, *key).reset_time for window in full)
        seconds = max(1, math.ceil(free_at - time.time()))
        message = f"Too many {limit.name} in a short time; try again in {seconds} seconds."
        return Problem(Code.RATE_LIMITED, message, None, retryable=True, retry_after=seconds)
