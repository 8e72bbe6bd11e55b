"""An event loop of virtual time: several "processes" in one thread, seeded order, death and stalls at any await.

A process is a name in the PROCESS context variable; tasks, callbacks and timers inherit it. Inside one process order is
first in, first out, as asyncio promises; which process steps next is drawn. Refuses sockets, threads and executors.
"""
# ruff: noqa: SLF001  # an event loop is made of the private parts of asyncio's

import asyncio
import contextvars
import heapq
import itertools
import random
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

WORLD = "world"
PROCESS: contextvars.ContextVar[str] = contextvars.ContextVar("process", default=WORLD)
GRAVEYARD: list[object] = []  # of killed processes: never resumed and never freed, since freeing runs finally blocks
START = 1_700_000_000.0
MAX_STEPS = 1_000_000
KEPT_TASKS = 400
T = TypeVar("T")


def chance(seed: int, name: str) -> random.Random:
    """A stream of chance of its own for each name, so that one more draw here changes nothing there."""
    return random.Random(f"{seed}:{name}")  # noqa: S311  # a seed is the point


class SimTask(asyncio.Task[Any]):
    """Hashed by its number: asyncio walks over sets of tasks, which are else ordered by address."""

    def __init__(self, coro: Coroutine[Any, Any, Any], *, number: int, **named: Any) -> None:
        self.number = number
        super().__init__(coro, **named)

    def __hash__(self) -> int:
        return self.number


class SimFuture(asyncio.Future[Any]):
    """Hashed by its number, as SimTask is."""

    def __init__(self, *, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number


class SimLoop(asyncio.BaseEventLoop):
    """`before_step` is told the process of each step, and may kill it. `unhandled`: what nobody caught."""

    _ready: "_Router"
    _scheduled: list[Any]
    _timer_cancelled_count: int
    _stopping: bool

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.order = chance(seed, "order")
        self.now = START
        self.steps = 0
        self.queues: dict[str, list[Any]] = {}
        self._ready = _Router(self)  # where BaseEventLoop puts what is ready
        self.dead: set[str] = set()
        self.frozen: dict[str, float] = {}
        self.tasks: dict[str, dict[int, SimTask]] = {}
        self.before_step: Callable[[str], None] = lambda _process: None
        self.numbers = itertools.count(1)
        self.unhandled: list[str] = []
        self.set_task_factory(self._made)
        self.set_exception_handler(self._note)

    def time(self) -> float:
        return self.now

    def create_future(self) -> SimFuture:
        return SimFuture(number=next(self.numbers), loop=self)

    def spawn(self, process: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work in a process."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, process)
        return context.run(self.create_task, work)

    def kill(self, process: str) -> None:
        """As SIGKILL: nothing of the process runs again, no finally, no except, no cancellation."""
        self.dead.add(process)
        GRAVEYARD.extend(self.queues.pop(process, ()))
        for task in self.tasks.pop(process, {}).values():
            setattr(task, "_log_destroy_pending", False)  # noqa: B010  # known to C only
            GRAVEYARD.append(task)

    def freeze(self, process: str, seconds: float) -> None:
        """Let nothing of the process run for a while: a garbage collection, a paused machine."""
        self.frozen[process] = self.now + seconds

    def close(self) -> None:
        """Stop for good: whatever was left to do is buried."""
        for process in [*self.tasks, *self.queues]:
            self.kill(process)
        GRAVEYARD.extend(self._scheduled)
        super().close()

    def run_forever(self) -> None:
        start = threading.Thread.start
        setattr(threading.Thread, "start", _refuse)  # noqa: B010  # who starts threads does not ask the loop
        try:
            super().run_forever()
        finally:
            setattr(threading.Thread, "start", start)  # noqa: B010  # mypy refuses assignment

    def _made(self, _loop: object, coro: Any, context: contextvars.Context | None = None) -> SimTask:
        number = next(self.numbers)
        process = context.get(PROCESS, WORLD) if context else PROCESS.get()
        named: dict[str, Any] = {"context": context} if context else {}
        task = SimTask(coro, number=number, loop=self, name=f"t{number}", **named)
        kept = self.tasks.setdefault(process, {})
        kept[number] = task
        if len(kept) > KEPT_TASKS:
            self.tasks[process] = {each: one for each, one in kept.items() if not one.done()}
        return task

    def _note(self, _loop: object, context: dict[str, Any]) -> None:
        self.unhandled.append(repr(context.get("exception") or context["message"]))

    def _run_once(self) -> None:
        """One callback of one process; when nothing is ready the clock jumps to the next timer."""
        names = self._awake()
        if not names:
            self._advance()
        self._ring()
        names = self._awake()
        if not names:
            if not self._scheduled and not self.frozen and not self._stopping:
                raise RuntimeError("the simulation is stuck: nothing is ready, and no timer")
            return
        self._step(names[self.order.randrange(len(names))])

    def _step(self, name: str) -> None:
        queue = self.queues[name]
        handle = queue.pop(0)
        if not queue:
            del self.queues[name]
        if handle._cancelled:
            return
        self.before_step(name)
        if name in self.dead:
            GRAVEYARD.append(handle)
            return
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise RuntimeError(f"more than {MAX_STEPS} steps: a busy loop in {name}, {handle!r}")
        handle._run()

    def _ring(self) -> None:
        while self._scheduled and self._scheduled[0]._when <= self.now:
            handle = heapq.heappop(self._scheduled)
            handle._scheduled = False
            self._ready.append(handle)

    def _awake(self) -> list[str]:
        if self.frozen:
            self.frozen = {name: until for name, until in self.frozen.items() if until > self.now}
        return [name for name in self.queues if name not in self.frozen]

    def _advance(self) -> None:
        while self._scheduled and self._scheduled[0]._cancelled:
            heapq.heappop(self._scheduled)._scheduled = False
            self._timer_cancelled_count -= 1
        times = [until for name, until in self.frozen.items() if name in self.queues]
        if self._scheduled:
            times.append(self._scheduled[0]._when)
        if times:
            self.now = max(self.now, min(times))

    def _process_events(self, _events: object) -> None: ...

    def _write_to_self(self) -> NoReturn:
        raise RuntimeError("another thread spoke to the simulation")

    def run_in_executor(self, *_given: object) -> NoReturn:
        raise RuntimeError("threads do not exist in the simulation")

    async def getaddrinfo(self, *_given: object, **_named: object) -> NoReturn:
        raise RuntimeError("the network does not exist in the simulation")


def _refuse(_thread: object) -> NoReturn:
    raise RuntimeError("threads do not exist in the simulation")


@contextmanager
def outside() -> Iterator[None]:
    """What is scheduled here survives the death of the process that asked for it: the network, the other side."""
    token = PROCESS.set(WORLD)
    try:
        yield
    finally:
        PROCESS.reset(token)


class _Router:
    """Stands where BaseEventLoop keeps its queue: sorts what is ready by process and drops what is of the dead."""

    def __init__(self, loop: SimLoop) -> None:
        self.loop = loop

    def append(self, handle: Any) -> None:
        name = handle._context.get(PROCESS, WORLD)
        if name in self.loop.dead:
            GRAVEYARD.append(handle)
        else:
            self.loop.queues.setdefault(name, []).append(handle)

    def __len__(self) -> int:
        return sum(map(len, self.loop.queues.values()))

    def clear(self) -> None:
        self.loop.queues.clear()
