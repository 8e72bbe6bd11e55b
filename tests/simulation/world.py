"""One seed: replicas that crash and stall, clients, a network that fails; then quiet, and everything becomes true."""

import asyncio
import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tortoise.context import TortoiseContext, _current_context

from models.secret import Keyring, Secret
from models.sip_trunk import SipTransport
from models.trunk_leg import LegKind
from models.workspace import Installation, Workspace
from tests.simulation.book import Book
from tests.simulation.clients import Client
from tests.simulation.climate import Climate
from tests.simulation.database import Store
from tests.simulation.ending import FOREIGN_TRUNK, Ending, moves_at_rest
from tests.simulation.eye import Eye
from tests.simulation.invariants import Invariants
from tests.simulation.loop import START, SimLoop, chance, outside
from tests.simulation.network import Network, Stored, at_once, in_this_thread
from tests.simulation.requests import Front, Replica
from tests.simulation.stage import Ids, set_up
from tests.simulation.trace import Trace
from trunkline import database
from trunkline.keys import Caller
from trunkline.reconcile import Reconciler
from trunkline.resolver import Resolver
from trunkline.services import Services
from trunkline.settings import Settings
from trunkline.voice import Encryption, Held, InboundTrunk, Leg, Marker, OutboundTrunk, VoiceCause
from trunkline.voice.bounded import Bounded
from trunkline.voice.sandbox import SandboxVoice

PROVISION_SECONDS = 6.0
CALL_SECONDS = PROVISION_SECONDS / 3
QUIET_SECONDS = 150.0  # two intervals, the longest back-off, the latest landing
RING = "k1:" + "A" * 43 + "="
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # gone with the machine, as it should be
SETTINGS = Settings(provision_timeout=PROVISION_SECONDS, settle_time=6.0, reconcile_interval=5.0, max_removals=100)


class World:
    """`broken`: what went wrong first, or None. `trace.digest` is equal for equal seeds."""

    latest = 75.0  # seconds until whatever was on its way has landed, and the longest back-off is over
    patience = 10.0  # between two looks whether all is true
    rest = 20.0

    def __init__(self, seed: int, climate: Climate, *, keep_trace: bool = False) -> None:
        self.seed = seed
        self.climate = climate
        self.loop = SimLoop(seed)
        self.trace = Trace(self.loop, keep=keep_trace)
        self.keyring = Keyring.parse(RING)
        self.ids = Ids()
        self.book = Book()
        self.broken: str | None = None
        self.is_quiet = False
        self.crashes = self.stalls = self.births = 0
        self.rng = chance(seed, "world")
        self.front = Front(self.loop, self.trace, chance(seed, "front"), self.fail)
        self.invariants = Invariants(self.loop, self.book, self.ids.makers.get, self.fail)
        self.clients: list[Client] = []
        self.network: Network
        self.store: Store
        self.eye: Eye

    def run(self) -> "World":
        with _folder() as folder, set_up(self.loop, self.seed, self.ids), self.trace.hearing_the_log():
            asyncio.set_event_loop(self.loop)
            self._open(folder)
            try:
                with contextlib.suppress(_StoppedError):
                    self.loop.run_until_complete(self._stoppable())
            finally:
                self._close()
        if self.broken is None and self.loop.unhandled:
            self.broken = f"nobody caught {self.loop.unhandled[0]}"
        return self

    def fail(self, what: str) -> None:
        if self.broken is None:
            self.broken = f"at {self.loop.now - START:.3f} s, step {self.loop.steps}: {what}"
            self.trace.say(f"BROKEN {what}")
            self.stopped.set()

    async def _stoppable(self) -> None:
        self.stopped = asyncio.Event()
        life = self.loop.create_task(self.life())
        stop = self.loop.create_task(self.stopped.wait())
        await asyncio.wait({life, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not life.done():
            raise _StoppedError
        life.result()

    def _open(self, folder: Path) -> None:
        path = folder / "trunkline.db"
        path.write_bytes(_template())
        self.store = Store(path, self.loop, self.seed)
        self.eye = Eye(path, self.keyring)
        draw = chance(self.seed, "sandbox")
        sandbox = SandboxVoice(folder / "sandbox.db", self.keyring, run=in_this_thread, random=draw)
        self.network = Network(self.loop, self.trace, sandbox, self.climate, self.seed, CALL_SECONDS, self.invariants)
        self.invariants.network, self.invariants.eye = self.network, self.eye
        self.store.on_commit = self._committed
        self._put_foreign_objects()

    def _committed(self) -> None:
        self.invariants.hold()
        if self.trace.unexpected:
            self.fail(f"the log says unexpected: {self.trace.unexpected[0]}")

    def _put_foreign_objects(self) -> None:
        for leg in _foreign_legs():
            voice_id = at_once(self.network.sandbox.create(leg))
            held = Held(voice_id, leg)
            self.invariants.foreign[voice_id] = held
            self.network.objects[voice_id] = Stored(held)

    def _close(self) -> None:
        self.loop.close()
        self.store.close()
        self.eye.close()
        at_once(self.network.sandbox.aclose())
        asyncio.set_event_loop(None)

    # The machines

    def start(self, number: int) -> None:
        self.births += 1
        name = f"r{number}.{self.births}"
        with outside():
            self.loop.spawn(name, self._replica(name)).add_done_callback(self._ended)

    async def _replica(self, name: str) -> None:
        context = await opened_context(self.store)
        installation = await database.installation()
        self.invariants.installation = installation.id
        voice = Bounded(self.network, CALL_SECONDS)
        services = Services(SETTINGS, self.keyring, voice, Resolver(), installation.id, CALL_SECONDS)
        self.front.replicas[name] = Replica(name, services, context)
        self.trace.say("serves")
        await Reconciler(services).run()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.fail(f"a replica ended by itself: {task.exception()!r}")

    def before_step(self, process: str) -> None:
        if self.is_quiet or not process.startswith("r"):
            return
        draw = self.rng.random()
        if draw < self.climate.crashes:
            self.kill(process)
        elif draw < self.climate.crashes + self.climate.stalls:
            self.stalls += 1
            seconds = self.rng.uniform(1, 25)
            self.trace.say(f"STALL {process} {seconds:.3f}")
            self.loop.freeze(process, seconds)
            self.invariants.thawed[process] = self.loop.time() + seconds

    def kill(self, process: str) -> None:
        self.crashes += 1
        self.trace.say(f"KILL {process}")
        self.loop.kill(process)
        self.store.kill(process)
        with outside():
            self.front.dies(process)
            number = int(process[1 : process.index(".")])
            self.loop.call_later(self.rng.uniform(0.5, 8), self.start, number)

    # The plot

    async def life(self) -> None:
        context = await opened_context(self.store)
        _current_context.set(context)
        workspace = await database.default_workspace()
        for number in range(self.climate.clients):
            caller = Caller(workspace.id, "key")
            rng = chance(self.seed, f"client{number}")
            self.clients.append(Client(number, self.front, self.book, caller, self.invariants, rng))
        self.invariants.watching = True
        self.loop.before_step = self.before_step
        for number in range(self.climate.replicas):
            self.start(number)
        await self.plot()
        self.is_quiet, self.network.climate, self.network.down = True, self.climate.calmer(), None
        self.trace.say("quiet")
        await self._end()

    async def _end(self) -> None:
        """Wait for the truth as long as it may take, then see that nothing moves any more."""
        until = self.loop.now + QUIET_SECONDS
        await asyncio.sleep(self.latest)
        while (problems := Ending(self.book, self.network, self.eye).problems) and self.loop.now < until:
            await asyncio.sleep(self.patience)
        if problems:
            self.fail(f"not true after {QUIET_SECONDS:.0f} s: {'; '.join(problems)}")
        elif moved := await moves_at_rest(self.network, self.rest):
            self.fail(moved)

    async def plot(self) -> None:
        """The trouble; `every_await` has another one."""
        kinds = (self._strangers(), self._outages(), *(self._busy(client) for client in self.clients))
        acts = [self.loop.create_task(each) for each in kinds]
        await asyncio.sleep(self.climate.busy)
        self.is_quiet = True
        await asyncio.gather(*acts)

    async def _busy(self, client: Client) -> None:
        while not self.is_quiet:
            await asyncio.sleep(client.rng.uniform(0.1, 3))
            await client.act()

    async def _strangers(self) -> None:
        """Somebody removes or edits objects behind our back, or the backend loses everything."""
        rng = chance(self.seed, "strangers")
        while self.climate.losses and not self.is_quiet:
            await asyncio.sleep(rng.uniform(1, self.climate.losses))
            ours = [key for key in self.network.objects if key not in self.invariants.foreign]
            touched = ours if rng.random() < 0.1 else ours and [rng.choice(ours)]
            for voice_id in touched:
                edited = rng.random() < 0.3
                self.trace.say(f"a stranger {'edits' if edited else 'removes'} {voice_id}")
                self.invariants.robbed[self.network.trunk_of(voice_id)] = self.loop.now
                (self.network.edit if edited else self.network.forget)(voice_id)

    async def _outages(self) -> None:
        rng = chance(self.seed, "outages")
        while self.climate.outages and not self.is_quiet:
            await asyncio.sleep(rng.uniform(5, self.climate.outages))
            self.network.down = rng.choice((VoiceCause.UNAVAILABLE, VoiceCause.MISCONFIGURED))
            self.trace.say(f"outage: {self.network.down}")
            await asyncio.sleep(rng.uniform(1, 15))
            self.network.down = None


class _StoppedError(Exception):
    """The run was stopped at a finding."""


async def opened_context(store: Store) -> TortoiseContext:
    """Tortoise for this process alone."""
    context = TortoiseContext()
    _current_context.set(context)
    await context.init(store.config())
    return context


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="trunkline-sim-", dir=place) as folder:
        yield Path(folder)


def _foreign_legs() -> list[Leg]:
    """Objects of others: without a marker, and of another installation."""
    other = Marker("inst_other", "ws_other", FOREIGN_TRUNK, LegKind.INBOUND, 1).to_metadata()
    secret = Secret("foreign")
    texts: Any = {"allowed_addresses": (), "auth_username": "bob", "auth_password": secret}
    return [
        InboundTrunk(name="a", numbers=("+40741999999",), encryption=Encryption.ALLOW, metadata="", **texts),
        InboundTrunk(name="b", numbers=("+40741999998",), encryption=Encryption.ALLOW, metadata=other, **texts),
        OutboundTrunk("c", ("1",), "9.9.9.9", SipTransport.UDP, "RO", "bob", secret, Encryption.DISABLE, ""),
    ]


@cache
def _template() -> bytes:
    """An empty database of the product's models, made once per process."""
    with _folder() as folder:
        path = folder / "empty.db"
        loop = SimLoop(0)
        store = Store(path, loop, 0)
        loop.run_until_complete(_make_empty(store))
        store.close()
        loop.close()
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


async def _make_empty(store: Store) -> None:
    context = await opened_context(store)
    await context.generate_schemas()
    await Installation.create(id=f"inst_{0:026d}", created_at="2023-11-14T00:00:00+00:00")
    await Workspace.create(id=f"ws_{0:026d}", name="default", created_at="2023-11-14T00:00:00+00:00")
