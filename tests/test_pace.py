"""pace.py: turns per workspace, and how long to wait."""

from limits import RateLimitItemPerHour, RateLimitItemPerMinute

from trunkline.pace import Limit, Pace
from trunkline.problems import Code

CALLS = Limit("calls", (RateLimitItemPerMinute(2), RateLimitItemPerHour(3)))


def test_who_waits_is_told_how_long_and_takes_no_turn() -> None:
    pace = Pace()
    assert [pace.take(CALLS, "ws_1") for _ in range(2)] == [None, None]
    told = [pace.take(CALLS, "ws_1") for _ in range(5)]
    for problem in told:
        assert problem
        assert (problem.code, problem.retryable) == (Code.RATE_LIMITED, True)
        assert 55 <= (problem.retry_after or 0) <= 60  # the minute, not the hour
        assert f"try again in {problem.retry_after} seconds" in problem.message


def test_workspaces_and_limits_do_not_disturb_each_other() -> None:
    pace = Pace()
    assert [pace.take(CALLS, "ws_1") for _ in range(3)][:2] == [None, None]
    assert pace.take(CALLS, "ws_2") is None
    assert pace.take(Limit("others", CALLS.windows), "ws_1") is None


def test_the_longest_wait_counts() -> None:
    pace = Pace()
    hourly = Limit("calls", (RateLimitItemPerMinute(3), RateLimitItemPerHour(1)))
    assert pace.take(hourly, "ws_1") is None
    problem = pace.take(hourly, "ws_1")
    assert problem
    assert (problem.retry_after or 0) > 3_500
