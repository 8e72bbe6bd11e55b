"""What the use cases work with, put together once by the composition root."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import structlog

from models.secret import Keyring
from trunkline.feed import Feed
from trunkline.metrics import Metrics
from trunkline.pace import Pace
from trunkline.resolver import Resolver
from trunkline.settings import Settings
from trunkline.tracing import UNTRACED, Tracer
from trunkline.voice import VoiceBackend, VoiceError
from trunkline.voice.calls import NoCalls, VoiceCalls

PROBES = 32  # that may be under way
WAITING_PROBES = 1_000  # new trunks beyond this many are not probed by themselves

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Tasks:
    """Work that goes on when the client has gone away, and that the process waits for before it ends."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work in a task of its own and wait for it; cancelling the wait does not cancel the work."""
        return await asyncio.shield(self._started(work))

    async def within(self, deadline: float, work: Coroutine[Any, Any, T]) -> T:
        """The same, waiting until the deadline (of the loop's clock): TimeoutError, while the work goes on to its end.

        Work that writes to the database is never cancelled: a cancelled `BEGIN` keeps SQLite's one connection locked.
        """
        task = self._started(work)
        await asyncio.wait({task}, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        if not task.done():
            task.add_done_callback(_retrieve)
            raise TimeoutError
        return task.result()

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work beside everything else; nobody waits for it but the process's end."""
        self._started(work).add_done_callback(_retrieve)

    def _started(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def finish(self) -> None:
        """Wait for all that is under way, and for what that starts."""
        while self._running:
            await asyncio.gather(*self._running, return_exceptions=True)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Nobody waits for the result any more, so an error is logged here and not when the task is collected."""
    if not task.cancelled() and (error := task.exception()):
        log.error("late_failure", error=type(error).__qualname__)


@dataclass(slots=True)
class Health:
    """What the reconciler knows of the voice backend. `since`: how long it has been as it is."""

    reachable: bool = False
    since: datetime | None = None
    error: VoiceError | None = None
    error_at: datetime | None = None
    reconciled_at: datetime | None = None

    def seen(self, at: datetime, error: VoiceError | None) -> None:
        """Note whether it answered."""
        if self.since is None or self.reachable is not (error is None):
            self.since = at
        self.reachable = error is None
        if error:
            self.error, self.error_at = error, at


@dataclass(frozen=True, slots=True)
class Services:
    """Settings, secrets, the voice backend, name resolution, what is measured, and what runs beside the requests."""

    settings: Settings
    keyring: Keyring
    voice: VoiceBackend
    resolver: Resolver
    installation_id: str
    call_timeout: float  # seconds that one voice call may take
    tasks: Tasks = field(default_factory=Tasks)
    health: Health = field(default_factory=Health)
    metrics: Metrics = field(default_factory=Metrics)
    tracer: Tracer = UNTRACED
    feed: Feed = field(default_factory=Feed)
    work: asyncio.Event = field(default_factory=asyncio.Event)  # set: the reconciler has something to do at once
    stopping: asyncio.Event = field(default_factory=asyncio.Event)  # set: the loops end with what they are at
    pace: Pace = field(default_factory=Pace)
    probes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PROBES))
    calls: VoiceCalls = field(default_factory=NoCalls)
    testing: set[str] = field(default_factory=set)  # trunks of which a test call is under way
    unprobed: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(WAITING_PROBES))  # ids of new trunks

    async def unless_stopping(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do the work; None when the process is about to end, and then the work is cancelled: not for the database."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            stop.cancel()

    async def rest(self, seconds: float, until: asyncio.Event | None = None) -> None:
        """Wait, unless the process is about to end or the event is set."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await (self.unless_stopping(until.wait()) if until else self.stopping.wait())
