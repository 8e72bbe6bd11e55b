"""What stands in for the parts of the machine that the product asks by itself: clocks, chance and ids.

The product has no switch for this: the names are replaced in its modules while a run lasts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from types import SimpleNamespace

import pytest

import models.identifiers
import trunkline.database
import trunkline.reconcile
import trunkline.settling
from tests.simulation.loop import PROCESS, SimLoop, chance


class Ids:
    """Ids in the order in which they are made. Remembers which process made each."""

    def __init__(self) -> None:
        self.count = 0
        self.makers: dict[str, str] = {}

    def made(self, prefix: str) -> str:
        self.count += 1
        made = f"{prefix}_{self.count:026d}"
        self.makers[made] = PROCESS.get()
        return made


@contextmanager
def set_up(loop: SimLoop, seed: int, ids: Ids) -> Iterator[None]:
    """Virtual time, seeded chance and counted ids for the product."""
    clock = SimpleNamespace(now=_now(loop))
    draw = chance(seed, "product")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.identifiers, "TypeID", ids.made)
        patch.setattr(trunkline.database, "datetime", clock)
        patch.setattr(trunkline.reconcile, "random", draw)
        patch.setattr(trunkline.settling, "random", draw)
        yield


def _now(loop: SimLoop) -> Callable[[tzinfo], datetime]:
    return lambda _zone: datetime.fromtimestamp(loop.time(), UTC)
