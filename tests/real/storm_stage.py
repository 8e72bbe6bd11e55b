"""The fault storm's stage: two replicas on PostgreSQL, a LiveKit server behind a failing proxy, somebody who kills."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from models.secret import Keyring
from scripts.daemon import answers_ok
from tests.observing import Observer, UntrueError
from tests.real.fault_proxy import Answer, Delay, DropReply, DropRequest, Fault, FaultProxy, fault_proxy, passing
from tests.real.reaching import reaching
from tests.real.servers import LiveKitServer
from tests.server_process import ServerProcess
from tests.storm import Client, Slot, Tally, client_of, impossible
from trunkline import database
from trunkline.settings import read_settings

FAULTY_SHARE = 0.2
BASE = "+49301234"
INTERVAL = 1.0
PATIENCE_SECONDS = 120.0
TIMES = {
    "TRUNKLINE_PROVISION_TIMEOUT": "3",  # one call may take a second
    "TRUNKLINE_SETTLE_TIME": "1",
    "TRUNKLINE_RECONCILE_INTERVAL": str(INTERVAL),
    "TRUNKLINE_MAX_REMOVALS": "1000",
    "TRUNKLINE_PHONE_CHECK": "possible",
}


@dataclass(frozen=True, slots=True)
class Size:
    """How large a storm is."""

    trunks: int
    clients: int
    seconds: float


SHORT, FULL = Size(60, 8, 25), Size(500, 16, 120)


def chosen_size() -> Size:
    return FULL if os.environ.get("TRUNKLINE_FULL") == "1" else SHORT


def chosen_seed() -> int:
    return int(os.environ.get("TRUNKLINE_SEED") or secrets.randbelow(10**6))


async def storm(folder: Path, livekit: LiveKitServer, postgres_url: str, seed: int, size: Size) -> Tally:
    """Rage, then wait for quiet; AssertionError when something else is there than the clients may believe."""
    tally = Tally()
    keys = Keyring.generate("k1")
    async with fault_proxy(livekit.url) as proxy:
        given = livekit.environment | {"LIVEKIT_URL": proxy.url, "TRUNKLINE_SECRET_KEYS": keys}
        settings = TIMES | given | {"TRUNKLINE_DATABASE_URL": postgres_url}
        async with _replicas(folder, settings) as replicas, client_of() as http:
            urls = [replica.url for replica in replicas]
            clients = [
                Client(http, urls, BASE, slots, Random(f"{seed} client {number}"), tally)  # noqa: S311  # no secret
                for number, slots in enumerate(_slots(size))
            ]
            await _rage(proxy, replicas, clients, Random(f"{seed} faults"), size.seconds)  # noqa: S311  # as above
            environment = {name: text for name, text in replicas[0].environment().items() if "TRUNKLINE" in name}
            async with reaching(livekit) as voice, database.opened(read_settings(environment)):
                await _quiet(proxy, Observer(clients[0].ask, voice, BASE), clients, tally)
    return tally


def _slots(size: Size) -> list[list[Slot]]:
    share = size.trunks // size.clients
    return [[Slot(f"{share * client + number:04}") for number in range(share)] for client in range(size.clients)]


@asynccontextmanager
async def _replicas(folder: Path, settings: dict[str, str]) -> AsyncIterator[list[ServerProcess]]:
    replicas = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        replicas.append(ServerProcess(folder / name, settings))
    try:
        await asyncio.gather(*(asyncio.to_thread(replica.start, 60) for replica in replicas))
        yield replicas
    finally:
        await asyncio.gather(*(asyncio.to_thread(replica.stop) for replica in replicas))


async def _rage(
    proxy: FaultProxy, replicas: Sequence[ServerProcess], clients: Sequence[Client], random: Random, seconds: float
) -> None:
    tally = clients[0].tally
    over = asyncio.Event()
    proxy.plan = lambda method: _fault(method, random, tally)
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.run(over))
        killer = group.create_task(_kill(replicas, Random(random.random()), tally, over))  # noqa: S311  # no secret
        await asyncio.sleep(seconds)
        over.set()
        await killer
        proxy.plan = lambda method: _counted(method, tally)


def _counted(method: str, tally: Tally) -> Fault:
    tally.calls[method] += 1
    return passing(method)


def _fault(method: str, random: Random, tally: Tally) -> Fault:
    """A fault for every fifth call; some delays are longer than a call may take, so that its effect lands late."""
    _counted(method, tally)
    if random.random() >= FAULTY_SHARE:
        return passing(method)
    faults: list[tuple[str, Fault]] = [
        ("dropped before", DropRequest()),
        ("dropped after", DropReply(random.choice((0, 20)))),
        ("delayed before", Delay(before=random.uniform(0.05, 0.6))),
        ("delayed after", Delay(after=random.uniform(0.05, 0.6))),
        ("landed late", Delay(before=random.uniform(1.1, 2.5))),
        ("answered late", Delay(after=random.uniform(1.1, 2.5))),
        ("failed", Answer(500)),
        ("busy", Answer(429, headers={"Retry-After": "1"})),
    ]
    name, fault = random.choice(faults)
    tally.faults[name] += 1
    return fault


async def _kill(replicas: Sequence[ServerProcess], random: Random, tally: Tally, over: asyncio.Event) -> None:
    """One replica at a time dies, and starts again."""
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), random.uniform(1, 3))
            return
        victim = random.choice(replicas)
        await asyncio.to_thread(victim.kill)
        tally.kills += 1
        await asyncio.to_thread(victim.launch)
        while victim.is_running and not await asyncio.to_thread(answers_ok, victim.port, "/healthz"):
            await asyncio.sleep(0.05)
        assert victim.is_running, victim.log.read_text()[-3000:]


async def _quiet(proxy: FaultProxy, observer: Observer, clients: Sequence[Client], tally: Tally) -> None:
    """No faults any more: all that may be is soon all that is, and then nothing is written."""
    slots = [slot for client in clients for slot in client.slots]
    clock = asyncio.get_running_loop().time
    started = clock()
    while True:
        try:
            wrong = await impossible(observer, slots)
            break
        except UntrueError:
            if clock() - started > PATIENCE_SECONDS:
                raise
        await asyncio.sleep(0.1)
    tally.converged_seconds = clock() - started
    assert not wrong, "\n".join(wrong)
    seen = len(proxy.requests)
    await asyncio.sleep(2 * INTERVAL)
    written = [method for method in proxy.requests[seen:] if not method.startswith("List")]
    assert not written, written
