"""Replicas on one PostgreSQL: never two at one leg at a time, and a dead one's work is taken over after its lease."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from models.secret import Keyring, Secret
from models.sip_trunk import SipTrunk
from models.trunk_leg import LegKind, LegState, TrunkLeg
from tests.api import House, codes, served_house, until
from tests.behind_our_back import is_settled
from tests.real.test_postgres_creates import postgres_settings
from tests.rotating import changes_run_beside
from trunkline import database
from trunkline.asgi import CALLS_PER_CREATION, open_voice, opened_services
from trunkline.rotation import rotate, uses
from trunkline.settings import Settings
from trunkline.start import Started, load_keyring
from trunkline.voice import Held, Leg, Marker, VoiceBackend, VoiceKind

OTHERS = 2
TRUNKS = 12
SLOW_SECONDS = 0.02  # so long that two at one leg would meet
LEASE_SECONDS = 0.6

T = TypeVar("T")


@dataclass
class Log:
    """Who writes which leg, over all replicas."""

    at_work: set[str] = field(default_factory=set)
    legs: dict[str, str] = field(default_factory=dict)
    writes: list[tuple[str, float]] = field(default_factory=list)
    met: list[str] = field(default_factory=list)


class Recording:
    """Fulfils VoiceBackend. Notes when two write one leg at the same time."""

    def __init__(self, inner: VoiceBackend, log: Log) -> None:
        self.inner = inner
        self.log = log

    @property
    def kind(self) -> VoiceKind:
        return self.inner.kind

    async def create(self, leg: Leg) -> str:
        voice_id = await self._alone(_leg_of(leg), lambda: self.inner.create(leg))
        self.log.legs[voice_id] = _leg_of(leg)
        return voice_id

    async def replace(self, voice_id: str, leg: Leg) -> None:
        await self._alone(_leg_of(leg), lambda: self.inner.replace(voice_id, leg))

    async def find(self, kind: LegKind, voice_id: str) -> Held | None:
        return await self.inner.find(kind, voice_id)

    async def list(self, kind: LegKind) -> list[Held]:
        return await self.inner.list(kind)

    async def delete(self, kind: LegKind, voice_id: str) -> None:
        await self._alone(self.log.legs[voice_id], lambda: self.inner.delete(kind, voice_id))

    async def ping(self) -> None:
        await self.inner.ping()

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def _alone(self, leg: str, write: Callable[[], Awaitable[T]]) -> T:
        if leg in self.log.at_work:
            self.log.met.append(leg)
        self.log.at_work.add(leg)
        self.log.writes.append((leg, asyncio.get_running_loop().time()))
        try:
            await asyncio.sleep(SLOW_SECONDS)
            return await write()
        finally:
            self.log.at_work.discard(leg)


def _leg_of(leg: Leg) -> str:
    marker = Marker.from_metadata(leg.metadata)
    assert marker
    return f"{marker.trunk} {leg.kind}"


@asynccontextmanager
async def replicas(settings: Settings, log: Log) -> AsyncIterator[House]:
    """One replica that serves and two more reconcilers, each with a voice backend of its own."""

    def voice(settings: Settings, keyring: Keyring) -> VoiceBackend:
        return Recording(open_voice(settings, keyring), log)

    async with served_house(settings) as house, AsyncExitStack() as stack:
        house.voice.inner = Recording(house.voice.inner, log)
        installation, workspace = await database.installation(), await database.default_workspace()
        for _ in range(OTHERS):
            start = Started(load_keyring(settings), installation.id, workspace.id)
            await stack.enter_async_context(opened_services(settings, start, voice))
        yield house


@pytest.fixture
def settings(tmp_path: Path, postgres_url: str) -> Settings:
    return postgres_settings(tmp_path, postgres_url)


async def many_trunks(house: House) -> list[str]:
    payloads = await asyncio.gather(*(house.api.create(phoneNumber=f"+407419260{n:02}") for n in range(TRUNKS)))
    assert all(codes(payload) == [] for payload in payloads)
    return [payload["sipTrunk"]["id"] for payload in payloads]


async def test_each_leg_is_written_by_one_replica_and_once(settings: Settings) -> None:
    log = Log()
    async with replicas(settings, log) as house:
        await many_trunks(house)
        log.writes.clear()
        await TrunkLeg.all().update(state=LegState.DRIFTED)
        await SipTrunk.all().update(next_attempt_at=await database.now())
        await until(is_settled)
        assert sorted(leg for leg, _ in log.writes) == sorted(set(log.legs.values()))
        assert log.met == []


async def test_replicas_and_requests_never_meet_at_a_leg(settings: Settings) -> None:
    log = Log()
    async with replicas(settings, log) as house:
        ids = await many_trunks(house)

        async def change(trunk_id: str) -> None:
            for number in range(3):
                await TrunkLeg.filter(trunk_id=trunk_id).update(state=LegState.DRIFTED)
                await SipTrunk.filter(id=trunk_id).update(next_attempt_at=await database.now())
                assert codes(await house.api.update(trunk_id, nickname=f"Name {number}")) == []

        await asyncio.gather(*map(change, ids))
        removed = await asyncio.gather(*(house.api.delete(trunk_id) for trunk_id in ids[:4]))
        assert all(codes(payload) == [] for payload in removed)
        await until(is_settled)
        assert {held["nickname"] for held in await house.api.trunks()} == {"Name 2"}
        assert len(await house.held()) == 2 * (TRUNKS - 4)
        assert log.met == []


async def test_a_dead_replicas_work_is_taken_over_after_its_lease(settings: Settings) -> None:
    """And one call's deadline later: what the dead one sent has ended by then."""
    settings = replace(settings, provision_timeout=1.5)
    log = Log()
    async with replicas(settings, log) as house:
        (trunk_id,) = [(await house.api.create())["sipTrunk"]["id"]]
        log.writes.clear()
        at = await database.now()
        died = asyncio.get_running_loop().time()
        await TrunkLeg.all().update(state=LegState.DRIFTED)
        ends = at + timedelta(seconds=LEASE_SECONDS)
        dead = {"lease_owner": "lease_of_the_dead", "lease_until": ends}
        await SipTrunk.filter(id=trunk_id).update(next_attempt_at=at, **dead)
        await until(is_settled)
        assert len(log.writes) == 2
        earliest = died + LEASE_SECONDS + settings.provision_timeout / CALLS_PER_CREATION
        assert all(when >= earliest - 0.05 for _, when in log.writes)


async def test_a_rotation_beside_replicas_and_requests(tmp_path: Path, postgres_url: str) -> None:
    """Two phases: every replica knows the new key before anybody writes with it."""
    old, new = Keyring.generate("old1"), Keyring.generate("new1")
    plain = postgres_settings(tmp_path, postgres_url)
    knowing, writing = (replace(plain, secret_keys=Secret(text)) for text in (f"{old} {new}", f"{new} {old}"))

    async def rotated() -> Keyring:
        ring = load_keyring(writing)
        await rotate(writing, Started(ring, (await database.installation()).id, ""), None)
        return ring

    async with replicas(knowing, Log()) as house:
        await changes_run_beside(house, rotated)
    async with replicas(writing, Log()) as house:
        await rotated()
        await house.api.trunks()
        assert {use.key_id for use in await uses(None)} == {"new1"}
        assert await is_settled()
