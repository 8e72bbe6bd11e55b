"""The loop that keeps the voice backend true: makes what is due, mends what differs, removes what nobody owns.

Each pass costs one list per kind, however many trunks there are and whatever changed. It removes only objects with
this installation's own marker, and of those only what this database knows to be given up: remains of abandoned claims,
second objects of a leg, objects of trunks that are gone. An object whose trunk this database never knew is left alone
and reported: the database is older than the object.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from tortoise.expressions import Q

from models.sip_trunk import SipTrunk, TrunkStatus
from models.trunk_leg import LegKind, TrunkLeg
from trunkline import claims, database, drift, idempotency, leases
from trunkline.causes import WIDE
from trunkline.claims import Claim
from trunkline.converge import converge
from trunkline.log import log_unexpected
from trunkline.provisioning import is_of, remove, retired_among, trunk_of
from trunkline.services import Services
from trunkline.voice import Held, VoiceError

SETTLED = (TrunkStatus.ACTIVE, TrunkStatus.DEGRADED, TrunkStatus.FAILED)
LEASE_SECONDS = 30.0
RETRY_SECONDS = 1.0  # after the voice backend or the database failed; doubled each time up to the interval

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Reconciler:
    """The loop's memory: since when each unowned object is seen, by our own clock, and how often it failed in a row."""

    services: Services
    seen_since: dict[str, float] = field(default_factory=dict)
    failures: int = 0
    next_pass: float = 0.0

    async def run(self) -> None:
        """Until cancelled: a pass at every interval, and in between whatever is due."""
        while True:
            pause = await self._turn_or_survive()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.services.work.wait()
            self.services.work.clear()

    async def _turn_or_survive(self) -> float:
        try:
            return await self._turn()
        except Exception as error:  # noqa: BLE001  # a process edge like the other: the loop outlives what nobody expected
            log_unexpected(error)
            return self.services.settings.reconcile_interval

    async def _turn(self) -> float:
        """Do what is to be done now; the seconds until the next turn."""
        interval = self.services.settings.reconcile_interval
        try:
            if self.failures or time.monotonic() >= self.next_pass or await claims.any_abandoned():
                again = await self.one_pass()
                self.next_pass = time.monotonic() + (min(interval, self._settle) if again else interval)
            await self.work_due()
        except (VoiceError, *database.UNUSABLE) as error:  # whichever failed, the loop goes on
            return await self._failed(error)
        self.failures = 0
        return await self._pause()

    @property
    def _settle(self) -> float:
        return self.services.settings.settle_time

    async def _failed(self, error: BaseException) -> float:
        """Open the circuit: until the pause is over no trunk is tried, so none of them pays for the outage."""
        self.failures += 1
        cause = error.cause if isinstance(error, VoiceError) else type(error).__name__
        log.warning("reconcile_failed", cause=cause, failures=self.failures)
        if isinstance(error, VoiceError):
            with contextlib.suppress(*database.UNUSABLE):
                self.services.health.seen(await database.now(), error)
        longest = min(self.services.settings.reconcile_interval, RETRY_SECONDS * 2 ** min(self.failures - 1, 10))
        return random.uniform(longest / 2, longest)  # noqa: S311  # no secret depends on it

    async def _pause(self) -> float:
        until_pass = max(0.0, self.next_pass - time.monotonic())
        due = await SipTrunk.exclude(next_attempt_at=None).order_by("next_attempt_at").first()
        if due is None or due.next_attempt_at is None:
            return until_pass
        wait = (due.next_attempt_at - await database.now()).total_seconds()
        return min(until_pass, max(leases.WAIT_SECONDS, wait))

    async def work_due(self) -> None:
        """Make the trunks true whose time has come, batch by batch; a failure of the whole backend ends it."""
        while due := await leases.take_due(self.services):
            errors = await asyncio.gather(*(self._converged(trunk) for trunk in due))
            wide = next((error for error in errors if error and error.cause in WIDE), None)
            if wide:
                raise wide

    async def _converged(self, trunk: SipTrunk) -> VoiceError | None:
        try:
            return await converge(self.services, trunk)
        except leases.LeaseLostError:
            log.warning("lease_lost", trunk=trunk.id)
            return None
        finally:
            await leases.give_back(trunk)

    async def one_pass(self) -> bool:
        """Look at everything once; True when something has to be looked at again after the settle time."""
        await claims.abandon_expired()
        await idempotency.forget_expired()
        leased = await claims.lease_remains(LEASE_SECONDS)
        try:
            held = await self._ours()
            releasing = [await self._release(claim, held) for claim in leased]
        finally:
            await asyncio.shield(_give_back(leased))
        await drift.mark(self.services, held)
        at = await database.now()
        self.services.health.seen(at, None)
        self.services.health.reconciled_at = at
        unowned = await self._unowned(held)
        return await self._sweep(unowned) or any(releasing)

    async def _ours(self) -> list[Held]:
        installation_id = self.services.installation_id
        kinds = [await self.services.voice.list(kind) for kind in LegKind]
        return [held for kind in kinds for held in kind if is_of(installation_id, held)]

    async def _release(self, claim: Claim, held: Sequence[Held]) -> bool:
        """Clear what an abandoned claim left; it is forgotten after two looks apart found nothing. True: look again."""
        remains = [each for each in held if trunk_of(each) == claim.trunk.id]
        await remove(self.services.voice, remains)
        at = await database.now()
        since = claim.trunk.absent_since
        if not remains and since is not None and at - since >= timedelta(seconds=self._settle):
            await claims.free(claim)
            return False
        if remains or since is None:
            await claim.held.update(absent_since=at)
        return True

    async def _unowned(self, held: Sequence[Held]) -> list[Held]:
        """Our objects that no leg owns, of trunks at which nobody works: who works may be about to take one of them.

        Read after the list, so that the database is the newer; trunks before legs, for a claim turns into legs.
        """
        settled = Q(status__in=SETTLED, next_attempt_at=None, lease_owner=None)
        busy = await SipTrunk.exclude(settled).only("id")
        spared = {row.id for row in busy}
        owned = {str(each) for each in await TrunkLeg.exclude(voice_id=None).values_list("voice_id", flat=True)}
        return [each for each in held if each.voice_id not in owned and trunk_of(each) not in spared]

    async def _sweep(self, unowned: Sequence[Held]) -> bool:
        """Remove what is given up and was seen for the settle time; too much at once stops the sweep."""
        given_up = await _given_up(unowned)
        now = time.monotonic()
        self.seen_since = {each.voice_id: self.seen_since.get(each.voice_id, now) for each in given_up}
        doomed = [each for each in given_up if now - self.seen_since[each.voice_id] >= self._settle]
        if len(doomed) > self.services.settings.max_removals:
            log.error("sweep_stopped", would_remove=len(doomed), advice="raise TRUNKLINE_MAX_REMOVALS if this is right")
            return False
        await remove(self.services.voice, doomed)
        for each in doomed:
            log.info("orphan_removed", voice_id=each.voice_id, trunk=trunk_of(each))
        if strangers := len(unowned) - len(given_up):
            log.error("unknown_objects", count=strangers, advice="they were made with a newer copy of this database")
        return len(given_up) > len(doomed)


async def _given_up(unowned: Sequence[Held]) -> list[Held]:
    """Second objects of a living leg, and objects of trunks that are gone for good."""
    trunk_ids = [trunk_of(each) for each in unowned]
    living = {row.id for row in await SipTrunk.filter(id__in=trunk_ids).only("id")}
    known = living | await retired_among(trunk_ids)
    return [each for each in unowned if trunk_of(each) in known]


async def _give_back(leased: Sequence[Claim]) -> None:
    for claim in leased:
        await claim.held.update(**leases.NO_LEASE)
