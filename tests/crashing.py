"""The process of the crash matrix that dies by SIGKILL at the n-th instant of a row.

Points are before and after every change at the voice backend, at every look, and before and after every commit. They
are counted, not listed: n = 1, 2, … until a run ends without dying. The product has no switch for this; the hooks are
put in here, by the tests' own composition root.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from multiprocessing.connection import Connection
from typing import Any, cast

import httpx
from tortoise.backends.asyncpg import client as asyncpg_client
from tortoise.backends.sqlite import client as sqlite_client

from models.secret import Keyring
from models.trunk_leg import LegKind
from tests.api import KEY, Api
from tests.crash_rows import ROWS, Row
from tests.faulty_voice import FaultyVoice
from tests.observing import Observer, UntrueError
from tests.steps import Payload, directory
from tests.worlds import World
from trunkline.asgi import OpenVoice, open_voice, served
from trunkline.settings import Settings, read_settings
from trunkline.voice import VoiceBackend, VoiceKind

Hook = Callable[[str], None]
Environment = dict[str, str]  # settings as a process gets them; a Settings holds secrets and does not travel
CHANGING = frozenset({"create", "replace", "delete"})
READING = frozenset({"list", "find"})  # before and after them are one instant: nothing is changed
SENT_SECONDS = 0.002  # a request is on its way to a real server then, and its answer is not here
CHANGED = ("after", "amid")
WRITES = ("INSERT", "UPDATE", "DELETE")
QUIET_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a row is played: a row by its name, the settings, and how all its numbers begin."""

    row_name: str
    environment: Environment
    base: str

    @property
    def row(self) -> Row:
        return ROWS[self.row_name]

    @property
    def settings(self) -> Settings:
        return read_settings(self.environment)

    @property
    def calm(self) -> Settings:
        """The same without passes in between, so that a row has the same points each time."""
        return read_settings(self.environment | {"TRUNKLINE_RECONCILE_INTERVAL": "60"})


@dataclass(slots=True)
class Dying:
    """Tells each point from the moment it is armed, counts instants, and dies at the fatal one.

    Between what is after one change and what is before the next one nothing changes: they are one instant. `each`: die
    at every point all the same.
    """

    report: Connection
    fatal: int
    each: bool
    armed: bool = False
    instants: int = field(default=0, init=False)

    def reach(self, name: str) -> None:
        if not self.armed:
            return
        new = self.each or not self.instants or name.startswith(CHANGED)
        self.instants += new
        self.report.send(("point", (name, self.instants)))
        if new and self.instants == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def prepare(scene: Scene) -> None:
    """Make what is there before the row begins."""
    asyncio.run(_prepared(scene))


async def _prepared(scene: Scene) -> None:
    made: list[VoiceBackend] = []

    def opened(settings: Settings, keyring: Keyring) -> VoiceBackend:
        made.append(open_voice(settings, keyring))
        return made[0]

    async with client_of(scene.settings, opened) as api:
        for step in scene.row.before:
            payload = await step.take(api.ask, await directory(api.ask, scene.base), scene.base)
            assert payload, step
            assert not payload["userErrors"], payload
        if scene.row.lost:
            await _lose(Observer(api.ask, made[0], scene.base), scene.row.lost)


async def _lose(observer: Observer, kinds: tuple[LegKind, ...]) -> None:
    """Somebody else removes objects, right before the process ends."""
    for voice_id, held in (await observer.objects()).items():
        if held.leg.kind in kinds:
            await observer.voice.delete(held.leg.kind, voice_id)


def victim(report: Connection, scene: Scene, fatal: int, *, fresh: bool) -> None:
    """Play the row and die at the fatal instant; tells points, answers and, if it lives, "done"."""
    dying = Dying(report, fatal, each=os.environ.get("TRUNKLINE_FULL") == "1")
    if fresh:
        prepare(scene)
    report.send(("prepared", None))
    report.recv()
    watch_commits(dying.reach)
    try:
        asyncio.run(_played(scene, dying))
    except UntrueError as error:
        report.send(("wrong", str(error)))
    report.send(("done", None))


async def _played(scene: Scene, dying: Dying) -> None:
    row = scene.row
    made: list[FaultyVoice] = []

    def opened(settings: Settings, keyring: Keyring) -> VoiceBackend:
        made.append(FaultyVoice(open_voice(settings, keyring), row.plan))
        return cast("VoiceBackend", _Watched(made[0], dying.reach))

    dying.armed = bool(row.lost)  # then the reconciler is what is watched, from its first look on
    async with client_of(scene.calm, opened) as api:
        if not row.lost:
            await _first_pass(api)
            made[0].forget()
            dying.armed = True
        await steps_taken(scene, api, lambda payload: dying.report.send(("told", payload)))
        await settled(Observer(api.ask, made[0].inner, scene.base), QUIET_SECONDS if row.settles else 0)
        dying.armed = False


async def _first_pass(api: Api) -> None:
    """It is not part of the operation."""
    async with asyncio.timeout(QUIET_SECONDS):
        while not (await api.ask("{ voice { lastReconciledAt } }"))["voice"]["lastReconciledAt"]:
            await asyncio.sleep(0.01)


async def steps_taken(scene: Scene, api: Api, tell: Callable[[Payload], None]) -> None:
    for step in scene.row.steps:
        tell(await step.take(api.ask, await directory(api.ask, scene.base), scene.base))


async def settled(observer: Observer, seconds: float) -> World:
    """The world, as soon as there is one; UntrueError with what is wrong with it when that takes too long."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await observer.observed()
        except UntrueError:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.02)


@asynccontextmanager
async def client_of(settings: Settings, voice: OpenVoice) -> AsyncIterator[Api]:
    async with served(settings, voice) as running:
        transport = httpx.ASGITransport(running.app)
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers) as client:
            yield Api(client)


class _Watched:
    """A voice backend whose calls are points; on a real server there is one more while a request is under way."""

    def __init__(self, inner: FaultyVoice, reach: Hook) -> None:
        self._inner = inner
        self._reach = reach

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name in READING:
            self._reach(name)
        if name not in CHANGING:
            return method
        return _between(self._reach, name, method, sent=self._inner.kind is VoiceKind.LIVEKIT)


def _between(
    reach: Hook, name: str, method: Callable[..., Awaitable[Any]], *, sent: bool = False
) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def watched(*args: Any, **named: Any) -> Any:
        reach(f"before {name}")
        call = method(*args, **named)
        try:
            return await (_sent(reach, name, call) if sent else call)
        finally:
            reach(f"after {name}")

    return watched


async def _sent(reach: Hook, name: str, call: Awaitable[Any]) -> Any:
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait({task}, timeout=SENT_SECONDS)
        reach(f"amid {name}")
        return await task
    finally:
        task.cancel()


def watch_commits(reach: Hook) -> None:
    """Every commit is a point: of transactions, and of single writing statements outside of one."""
    for wrapper in (sqlite_client.SqliteTransactionWrapper, asyncpg_client.TransactionWrapper):
        setattr(wrapper, "commit", _between(reach, "commit", wrapper.commit))  # noqa: B010  # mypy refuses assignment
    for client in (sqlite_client.SqliteClient, asyncpg_client.AsyncpgDBClient):
        for name in ("execute_query", "execute_insert"):
            setattr(client, name, _single_write(reach, getattr(client, name)))


def _single_write(reach: Hook, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    in_transaction = (sqlite_client.SqliteTransactionWrapper, asyncpg_client.TransactionWrapper)

    @wraps(method)
    async def watched(self: object, query: str, *args: Any) -> Any:
        if isinstance(self, in_transaction) or not query.startswith(WRITES):
            return await method(self, query, *args)
        return await _between(reach, "write", method)(self, query, *args)

    return watched
