"""The way to the voice backend: calls are slow, get lost, land late or twice. Behind it is the sandbox itself.

What was sent lands also when its sender is dead. `objects` mirrors what the sandbox holds.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from models.trunk_leg import LegKind
from tests.simulation.climate import Climate, Trouble
from tests.simulation.loop import PROCESS, SimLoop, chance, outside
from tests.simulation.trace import Trace
from trunkline.voice import (
    DispatchRule,
    EdgeRoute,
    Held,
    Leg,
    Marker,
    VoiceCause,
    VoiceError,
    VoiceKind,
)
from trunkline.voice.sandbox import SandboxVoice

NEVER_IN = "no inbound"  # names that the backend refuses for good, at one kind of leg
NEVER_OUT = "no outbound"
NEVER_RULE = "no rule"
REFUSED_NAMES = {LegKind.INBOUND: NEVER_IN, LegKind.OUTBOUND: NEVER_OUT, LegKind.DISPATCH: NEVER_RULE}
SHORT_APART = 20.0  # seconds between two lists that lack something
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Flight:
    """A writing call under way."""

    process: str
    method: str
    kind: LegKind
    trunk: str
    voice_id: str | None
    until: float  # when its caller gives up
    leg: Leg | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as the backend holds it. `excused`: brought about by the network or a stranger, not by us in time."""

    held: Held
    excused: bool = False
    marker: Marker | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "marker", self.held.marker)  # read once

    @property
    def trunk(self) -> str:
        return self.marker.trunk if self.marker else ""


class Witness(Protocol):
    """Who is told of what is sent and of what has landed."""

    def sent(self, flight: Flight) -> None: ...

    def is_excused(self, flight: Flight) -> bool: ...

    def landed(self) -> None: ...


@dataclass(slots=True)
class Network:
    """Fulfils VoiceBackend; who calls is told by PROCESS."""

    loop: SimLoop
    trace: Trace
    sandbox: SandboxVoice
    climate: Climate
    seed: int
    deadline: float  # of a call, which the caller keeps
    witness: Witness
    kind = VoiceKind.SANDBOX
    objects: dict[str, Stored] = field(default_factory=dict)
    flying: list[Flight] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)  # by method and kind
    down: VoiceCause | None = None  # the whole backend answers so
    last_short: float = 0.0
    rng: Any = None

    def __post_init__(self) -> None:
        self.rng = chance(self.seed, "network")

    @property
    def writes(self) -> int:
        return sum(count for name, count in self.calls.items() if name.startswith(("create", "replace", "delete")))

    async def create(self, leg: Leg) -> str:
        def effect() -> str:
            _refuse_by_name(leg)
            voice_id = at_once(self.sandbox.create(leg))
            self._keep(voice_id, leg, flight)
            return voice_id

        flight = self._flight("create", leg, None)
        return await self._write(flight, effect)

    async def replace(self, voice_id: str, leg: Leg) -> None:
        def effect() -> None:
            _refuse_by_name(leg)
            at_once(self.sandbox.replace(voice_id, leg))
            self._keep(voice_id, leg, flight)

        flight = self._flight("replace", leg, voice_id)
        await self._write(flight, effect)

    async def delete(self, kind: LegKind, voice_id: str) -> None:
        def effect() -> None:
            at_once(self.sandbox.delete(kind, voice_id))
            self.objects.pop(voice_id, None)

        flight = Flight(PROCESS.get(), "delete", kind, self.trunk_of(voice_id), voice_id, self._until())
        await self._write(flight, effect)

    async def find(self, kind: LegKind, voice_id: str) -> Held | None:
        return await self._send(f"find {kind}", lambda: at_once(self.sandbox.find(kind, voice_id)))

    async def list(self, kind: LegKind) -> list[Held]:
        return [*await self._send(f"list {kind}", lambda: self._listed(kind))]

    async def ping(self) -> None:
        await self._send("ping", lambda: at_once(self.sandbox.ping()))

    async def aclose(self) -> None:
        """The sandbox is the world's."""

    def trunk_of(self, voice_id: str) -> str:
        stored = self.objects.get(voice_id)
        return stored.trunk if stored else ""

    def excuse(self, voice_id: str) -> None:
        self.objects[voice_id] = replace(self.objects[voice_id], excused=True)

    def forget(self, voice_id: str) -> None:
        """Somebody removes an object behind our back."""
        at_once(self.sandbox.delete(self.objects.pop(voice_id).held.leg.kind, voice_id))

    def edit(self, voice_id: str) -> None:
        """Somebody changes an object behind our back."""
        leg = self.objects[voice_id].held.leg
        text = "edited by a stranger"
        edited = replace(leg, address=text) if isinstance(leg, EdgeRoute) else replace(leg, name=text)
        with contextlib.suppress(VoiceError):  # the backend refuses strangers too
            at_once(self.sandbox.replace(voice_id, edited))
            self.objects[voice_id] = Stored(Held(voice_id, edited), excused=True)

    def _keep(self, voice_id: str, leg: Leg, flight: Flight) -> None:
        late = flight not in self.flying or flight.process in self.loop.dead
        excused = late or self.witness.is_excused(flight)
        self.objects[voice_id] = Stored(Held(voice_id, leg), excused=excused)

    def _flight(self, method: str, leg: Leg, voice_id: str | None) -> Flight:
        marker = Held("", leg).marker
        return Flight(PROCESS.get(), method, leg.kind, marker.trunk if marker else "", voice_id, self._until(), leg)

    def _until(self) -> float:
        return self.loop.time() + self.deadline

    def _listed(self, kind: LegKind) -> Sequence[Held]:
        found = at_once(self.sandbox.list(kind))
        apart = self.loop.time() - self.last_short > SHORT_APART
        if not apart or self.rng.random() >= self.climate.short_lists:
            return found
        self.last_short = self.loop.time()
        kept = [held for held in found if self.rng.random() < 0.5]
        for held in found:
            if held not in kept:
                self.excuse(held.voice_id)
        self.trace.say(f"a short list: {len(kept)} of {len(found)}")
        return kept

    async def _write(self, flight: Flight, effect: Callable[[], T]) -> T:
        self.witness.sent(flight)
        self.flying.append(flight)
        try:
            return await self._send(f"{flight.method} {flight.kind} {flight.trunk}", effect, writing=True)
        finally:
            self.flying.remove(flight)

    async def _send(self, what: str, effect: Callable[[], T], *, writing: bool = False) -> T:
        name = " ".join(what.split()[:2])
        self.calls[name] = self.calls.get(name, 0) + 1
        trouble = self.rng.choices(tuple(Trouble), self.climate.weights)[0]
        self.trace.say(f"voice {what} {self.down or trouble}")
        answer: asyncio.Future[T] = self.loop.create_future()
        call = _Call(self, what, effect, answer, PROCESS.get(), writing)
        with outside():
            call.schedule(trouble)
        return await answer


@dataclass(frozen=True, slots=True)
class _Call:
    """One call on its way."""

    network: Network
    what: str
    effect: Callable[[], Any]
    answer: asyncio.Future[Any]
    process: str
    writing: bool

    def schedule(self, trouble: Trouble) -> None:
        network, rng = self.network, self.network.rng
        later, pause = network.loop.call_later, rng.uniform(0.01, 0.2)
        if network.down:
            later(pause, self._fail, network.down)
        elif trouble is Trouble.REFUSED:
            later(pause, self._fail, VoiceCause.UNAVAILABLE)
        elif trouble is Trouble.LIMITED:
            later(pause, self._fail, VoiceCause.RATE_LIMITED)
        elif trouble is Trouble.FAILED:
            later(pause, self._fail, VoiceCause.OUTCOME_UNKNOWN if self.writing else VoiceCause.UNAVAILABLE)
        elif trouble is Trouble.SLOW:
            later(rng.uniform(0.5, 1.9), self._land, trouble)
        elif trouble is Trouble.LATE:
            later(rng.uniform(network.deadline + 0.1, 15), self._land, trouble)
        else:
            later(pause, self._land, trouble)
        if trouble is Trouble.TWICE and self.what.startswith("create"):
            later(rng.uniform(network.deadline + 0.1, 15), self._land, Trouble.LATE)

    def _land(self, trouble: Trouble) -> None:
        result, error = None, None
        try:
            result = self.effect()
        except VoiceError as refusal:
            error = refusal
        told = error or (result if isinstance(result, str) else "")
        self.network.trace.say(f"landed {self.what} {told}")
        if self.writing:
            self.network.witness.landed()
        if trouble is Trouble.SILENT or self._is_gone():
            return
        if trouble is Trouble.DROPPED:
            self._fail(VoiceCause.OUTCOME_UNKNOWN if self.writing else VoiceCause.UNAVAILABLE)
        elif error:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(result)

    def _fail(self, cause: VoiceCause) -> None:
        if not self._is_gone():
            retry_after = 1 if cause is VoiceCause.RATE_LIMITED else None
            self.answer.set_exception(VoiceError(cause, "The simulated network says so.", retry_after))

    def _is_gone(self) -> bool:
        return self.answer.done() or self.process in self.network.loop.dead


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, as those of a sandbox without a thread."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("the sandbox waited")


async def in_this_thread(work: Callable[[], T], /) -> T:
    """How the sandbox runs its work here."""
    return work()


def _refuse_by_name(leg: Leg) -> None:
    if isinstance(leg, EdgeRoute):
        return
    told = leg.agent_name if isinstance(leg, DispatchRule) else leg.name
    if told.startswith(REFUSED_NAMES[leg.kind]):
        raise VoiceError(VoiceCause.REFUSED, "The backend does not like this name.")


def password_of(leg: Leg) -> str:
    return "" if isinstance(leg, DispatchRule) else leg.auth_password.reveal()
