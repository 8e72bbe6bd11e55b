"""What goes wrong in a seed, and how often: every seed draws another climate, so that no fault hides another one."""

from dataclasses import dataclass, replace
from enum import StrEnum

from tests.simulation.loop import chance


class Trouble(StrEnum):
    """What may happen to one voice call."""

    NONE = "none"
    REFUSED = "refused"  # no connection: nothing was done
    LIMITED = "limited"  # 429: nothing was done
    FAILED = "failed"  # 5xx without effect
    DROPPED = "dropped"  # the effect, then a broken connection
    SILENT = "silent"  # the effect, then no answer
    SLOW = "slow"  # in time, just so
    LATE = "late"  # lands when the caller has given up
    TWICE = "twice"  # a creation lands again, later


QUIET = (1, *(0 for _ in tuple(Trouble)[1:]))


@dataclass(frozen=True, slots=True)
class Climate:
    """Rates are per step of a replica, pauses in seconds; 0: never."""

    replicas: int = 2
    clients: int = 4
    busy: float = 60.0  # seconds of trouble before the quiet
    weights: tuple[int, ...] = QUIET  # of Trouble, in its order
    crashes: float = 0.0
    stalls: float = 0.0
    losses: float = 0.0  # the longest pause between two objects that somebody removes or edits
    outages: float = 0.0  # the longest pause between two outages of the whole backend
    short_lists: float = 0.0  # the share of lists that lack something

    def calmer(self) -> "Climate":
        """The same place on a good day."""
        return replace(self, weights=QUIET, crashes=0.0, stalls=0.0, losses=0.0, outages=0.0, short_lists=0.0)


def drawn_climate(seed: int) -> Climate:
    """The climate of a seed."""
    draw = chance(seed, "climate")
    return Climate(
        replicas=draw.choice((2, 3)),
        weights=(100, *(draw.choice((0, 0, 5, 15, 30)) for _ in tuple(Trouble)[1:])),
        crashes=draw.choice((0.0, 0.0003, 0.001, 0.002)),
        stalls=draw.choice((0.0, 0.0, 0.0003, 0.001)),
        losses=draw.choice((0.0, 0.0, 10.0, 30.0)),
        outages=draw.choice((0.0, 0.0, 40.0)),
        short_lists=draw.choice((0.0, 0.05)),
    )
