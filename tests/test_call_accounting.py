"""How often the voice backend is asked, counted over minutes of virtual time: by the clock, not by the trunks."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from models.secret import Secret
from models.sip_trunk import InboundAuthorizationType, SipCallingFormat, SipTrunkType
from models.trunk_leg import LegKind
from tests.simulation.climate import Climate
from tests.simulation.network import NEVER_IN
from tests.simulation.world import SETTINGS, World
from trunkline.creation import Manner, create_trunk
from trunkline.validation import TrunkDraft
from trunkline.voice import VoiceCause
from trunkline.voice.bounded import SLOTS

COUNTS = (3, 40)
LISTS = {f"list {kind}" for kind in LegKind}
Act = Callable[["Ledger"], Awaitable[None]]


class Ledger(World):
    """Some trunks, one replica, and a plot told by the test; every call's time is noted."""

    latest, patience, rest = 1.0, 5.0, 1.0

    def __init__(self, trunks: int, act: Act) -> None:
        super().__init__(1, Climate(replicas=1, clients=1), keep_trace=True)
        self.trunks = trunks
        self.act = act

    async def plot(self) -> None:
        self.is_quiet = True
        for number in range(self.trunks):
            await self.create(str(1000 + number))
        await self.act(self)

    async def create(self, extension: str, nickname: str = "Desk") -> None:
        draft = TrunkDraft(
            sip_trunk_type=SipTrunkType.EXTENSION,
            phone_number=extension,
            nickname=nickname,
            sip_username="alice",
            sip_password=Secret("a long enough password"),
            sip_address="8.8.4.4",
            sip_calling_format=SipCallingFormat.PLUS_E164,
            inbound_authorization_type=InboundAuthorizationType.AUTH,
            country_code="RO",
        )
        caller, manner = self.clients[0].caller, Manner(background=True)
        self.book.passwords.add("a long enough password")
        self.book.unanswered.add("a long enough password")
        creation = await self.front.ask("create", lambda services: create_trunk(services, caller, draft, manner))
        assert creation.trunk

    async def calls_in(self, seconds: float) -> Counter[str]:
        """What is asked from now on."""
        before = Counter(self.network.calls)
        await asyncio.sleep(seconds)
        return Counter(self.network.calls) - before

    def times(self, *methods: str) -> list[float]:
        """When these methods were called."""
        lines = [line.split(" ", 4) for line in self.trace.lines]
        return [float(each[0]) for each in lines if each[3] == "voice" and each[4].startswith(methods)]


def seen(trunks: int, act: Act) -> Ledger:
    """Run the plot to its end, where everything is true."""
    ledger = Ledger(trunks, act)
    ledger.run()
    assert ledger.broken is None, ledger.broken
    return ledger


@pytest.mark.parametrize("trunks", COUNTS)
def test_a_pass_is_one_list_per_kind_and_no_write_however_many_trunks(trunks: int) -> None:
    async def rest(ledger: Ledger) -> None:
        await asyncio.sleep(30)
        calls = await ledger.calls_in(20 * SETTINGS.reconcile_interval)
        assert set(calls) == LISTS
        assert max(calls.values()) - min(calls.values()) <= 1, "the last pass may be under way"
        assert 15 <= calls.total() / len(LISTS) <= 20  # the interval begins when a pass ends

    seen(trunks, rest)


@pytest.mark.parametrize("trunks", COUNTS)
def test_a_backend_that_lets_nobody_in_gets_one_probe_per_breaker_period(trunks: int) -> None:
    async def outage(ledger: Ledger) -> None:
        await asyncio.sleep(30)
        for voice_id in [key for key in ledger.network.objects if key not in ledger.invariants.foreign]:
            ledger.network.edit(voice_id)
        ledger.network.down = VoiceCause.MISCONFIGURED
        await asyncio.sleep(30)
        calls = await ledger.calls_in(100 * SETTINGS.reconcile_interval)
        assert set(calls) == {"list inbound"}
        assert 100 <= calls["list inbound"] <= 300  # a period is at most the interval, half of it on average
        ledger.network.down = None

    seen(trunks, outage)


def test_a_backend_that_returns_is_not_trampled() -> None:
    """It begins with one trunk, and never has more calls at once than a replica has slots."""
    returned = 0.0

    async def outage(ledger: Ledger) -> None:
        nonlocal returned
        await asyncio.sleep(30)
        for voice_id in [key for key in ledger.network.objects if key not in ledger.invariants.foreign]:
            ledger.network.forget(voice_id)
        ledger.network.down = VoiceCause.UNAVAILABLE
        await asyncio.sleep(60)
        ledger.network.down = None
        returned = float(ledger.trace.lines[-1].split(" ", 1)[0])
        most = 0
        for _ in range(2000):
            await asyncio.sleep(0.01)
            most = max(most, len(ledger.network.flying))
        assert 0 < most <= SLOTS

    ledger = seen(40, outage)
    writes = [at - returned for at in ledger.times("create", "replace") if at > returned]
    assert len(writes) >= 80, "everything was made again"
    assert len([at for at in writes if at < writes[0] + 0.2]) <= SLOTS


def test_what_is_refused_for_good_costs_one_call() -> None:
    async def refused(ledger: Ledger) -> None:
        calls = asyncio.create_task(ledger.calls_in(60 * SETTINGS.reconcile_interval))
        await asyncio.sleep(0)
        await ledger.create("1000", NEVER_IN)
        writes = {name: count for name, count in (await calls).items() if name not in LISTS}
        assert writes == {"create inbound": 1}

    seen(0, refused)
