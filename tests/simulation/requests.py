"""A client's requests: served by one replica, answered, lost when that dies, or late when it stalls."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any

from tortoise.context import TortoiseContext, _current_context

from tests.simulation.loop import SimLoop
from tests.simulation.trace import Trace
from trunkline.services import Services

PATIENCE_SECONDS = 45.0


class Unanswered(StrEnum):
    """Why there is no answer."""

    LOST = "lost"  # the replica died: done before, or never
    LATE = "late"  # a stalled replica may still do it, at any time from now on


@dataclass(frozen=True, slots=True)
class Replica:
    """A running process."""

    name: str
    services: Services
    context: TortoiseContext


Work = Callable[[Services], Coroutine[Any, Any, Any]]


class Front:
    """Where clients send their requests. `fail` is told of what no use case may raise."""

    def __init__(self, loop: SimLoop, trace: Trace, draw: Random, fail: Callable[[str], None]) -> None:
        self.loop = loop
        self.trace = trace
        self.draw = draw
        self.fail = fail
        self.replicas: dict[str, Replica] = {}
        self.waiting: dict[str, list[asyncio.Future[Any]]] = {}

    async def ask(self, what: str, work: Work) -> Any:
        """The result of the work at some replica, or Unanswered."""
        while not self.replicas:  # a client knocks again and again
            await asyncio.sleep(0.5)
        replica = self.replicas[self.draw.choice(list(self.replicas))]
        answer: asyncio.Future[Any] = self.loop.create_future()
        self.waiting.setdefault(replica.name, []).append(answer)
        self.loop.spawn(replica.name, self._served(replica, what, work, answer))
        try:
            return await asyncio.wait_for(answer, PATIENCE_SECONDS)
        except TimeoutError:
            self.trace.say(f"no answer to {what}")
            return Unanswered.LATE

    def dies(self, name: str) -> None:
        """Whoever waits for this replica is told that the connection broke."""
        self.replicas.pop(name, None)
        for answer in self.waiting.pop(name, ()):
            if not answer.done():
                answer.set_result(Unanswered.LOST)

    async def _served(self, replica: Replica, what: str, work: Work, answer: asyncio.Future[Any]) -> None:
        _current_context.set(replica.context)
        self.trace.say(f"asked {what}")
        try:
            result = await work(replica.services)
        except Exception as error:  # noqa: BLE001  # whatever a use case raises is a finding
            self.fail(f"{what} raised {error!r}")
            return
        self.trace.say(f"answer {what}: {told(result)}")
        if not answer.done():
            answer.set_result(result)


def told(result: Any) -> str:
    """An answer in one line, without secrets."""
    problem = getattr(result, "problem", None)
    problems = getattr(result, "problems", None) or ((problem,) if problem else ())
    return " ".join(each.code for each in problems) or "done"
