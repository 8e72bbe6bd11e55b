"""A voice backend that fails on purpose: it wraps another one, a plan decides call by call, and every call is noted.

voice = FaultyVoice(sandbox, at("create", LegKind.OUTBOUND, Fail(error, after=True), nth=1))
voice.count("create")
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeVar

from models.trunk_leg import LegKind
from trunkline.voice import Held, Leg, VoiceBackend, VoiceError, VoiceKind

Method = Literal["create", "replace", "find", "list", "delete", "ping"]
WRITES: frozenset[Method] = frozenset({"create", "replace", "delete"})
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One call; `nth` counts from 1 among the calls of this method and kind. `ping` has no kind."""

    method: Method
    kind: LegKind | None
    nth: int


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise this error, before the effect or after it."""

    error: VoiceError
    after: bool = False


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer (until cancelled), having had no effect or after the effect."""

    after: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """Never answer; the effect lands this many seconds after the caller gave up. `landed()` waits for it."""

    seconds: float = 0.05


Fault = Fail | Hang | Late
Plan = Callable[[Call], Fault | None]


def faultless(_call: Call) -> Fault | None:
    """Let every call pass."""
    return None


def at(method: Method, kind: LegKind | None, fault: Fault, *, nth: int | None = None) -> Plan:
    """Plan a fault for the n-th call of a method and kind; without `nth` for each of them."""

    def plan(call: Call) -> Fault | None:
        return fault if (call.method, call.kind) == (method, kind) and nth in {None, call.nth} else None

    return plan


def first_of(*plans: Plan) -> Plan:
    """Join plans: the first one that wants a fault gets it."""
    return lambda call: next((fault for plan in plans if (fault := plan(call))), None)


class FaultyVoice:
    """Fulfils VoiceBackend. `plan` may be exchanged at any time."""

    def __init__(self, inner: VoiceBackend, plan: Plan = faultless) -> None:
        self.inner = inner
        self.plan = plan
        self.calls: list[Call] = []
        self._counts: Counter[tuple[Method, LegKind | None]] = Counter()
        self._late: dict[asyncio.Task[None], asyncio.Event] = {}

    @property
    def kind(self) -> VoiceKind:
        return self.inner.kind

    @property
    def writes(self) -> list[Call]:
        """The calls that were meant to change something."""
        return [call for call in self.calls if call.method in WRITES]

    def count(self, method: Method, kind: LegKind | None = None) -> int:
        """How often a method was called; all kinds unless told."""
        return sum(call.method == method and kind in {None, call.kind} for call in self.calls)

    def forget(self) -> None:
        """Count from 1 again."""
        self.calls.clear()
        self._counts.clear()

    async def landed(self) -> None:
        """Wait until every late effect whose caller gave up has landed."""
        await asyncio.gather(*(task for task, gave_up in self._late.items() if gave_up.is_set()))

    async def create(self, leg: Leg) -> str:
        return await self._call("create", leg.kind, lambda: self.inner.create(leg))

    async def replace(self, voice_id: str, leg: Leg) -> None:
        await self._call("replace", leg.kind, lambda: self.inner.replace(voice_id, leg))

    async def find(self, kind: LegKind, voice_id: str) -> Held | None:
        return await self._call("find", kind, lambda: self.inner.find(kind, voice_id))

    async def list(self, kind: LegKind) -> list[Held]:
        return await self._call("list", kind, lambda: self.inner.list(kind))

    async def delete(self, kind: LegKind, voice_id: str) -> None:
        await self._call("delete", kind, lambda: self.inner.delete(kind, voice_id))

    async def ping(self) -> None:
        await self._call("ping", None, self.inner.ping)

    async def aclose(self) -> None:
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        await self.inner.aclose()

    async def _call(self, method: Method, kind: LegKind | None, effect: Callable[[], Awaitable[T]]) -> T:
        self._counts[method, kind] += 1
        call = Call(method, kind, self._counts[method, kind])
        self.calls.append(call)
        match self.plan(call):
            case None:
                return await effect()
            case Fail(error, after):
                if after:
                    await effect()
                raise error
            case Hang(after):
                if after:
                    await effect()
            case Late(seconds):
                return await self._hang_until_late(effect, seconds)
        return await _for_ever()

    async def _hang_until_late(self, effect: Callable[[], Awaitable[T]], seconds: float) -> T:
        gave_up = asyncio.Event()
        self._late[asyncio.create_task(_land(effect, gave_up, seconds))] = gave_up
        try:
            return await _for_ever()
        finally:
            gave_up.set()


async def _land(effect: Callable[[], Awaitable[object]], gave_up: asyncio.Event, seconds: float) -> None:
    await gave_up.wait()
    await asyncio.sleep(seconds)
    try:
        await effect()
    except VoiceError:
        return  # nobody is there any more to hear of it


async def _for_ever() -> NoReturn:
    while True:
        await asyncio.Event().wait()
