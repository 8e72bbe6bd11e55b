"""The loop that keeps the voice backend true: makes what is due, mends what differs, removes what nobody owns.

Each pass costs one list per kind, however many trunks there are and whatever changed. It removes only objects with
this installation's own marker, and of those only what this database knows to be given up: remains of abandoned claims,
second objects of a leg, objects of trunks that are gone. An object whose trunk this database never knew is left alone
and reported: the database is older than the object.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from tortoise.expressions import Q

from models.sip_trunk import SipTrunk, TrunkStatus
from models.trunk_leg import TrunkLeg
from trunkline import claims, database, drift, idempotency, leases
from trunkline.causes import WIDE
from trunkline.claims import Claim
from trunkline.converge import converge
from trunkline.drift import Sighting, Suspect
from trunkline.log import log_unexpected, outlived
from trunkline.observation import Outcome
from trunkline.provisioning import living_among, remove, retired_among
from trunkline.services import Services
from trunkline.tracing import SpanKind
from trunkline.voice import VoiceError

SETTLED = (TrunkStatus.ACTIVE, TrunkStatus.DEGRADED, TrunkStatus.FAILED)
LEASE_SECONDS = 30.0
RETRY_SECONDS = 1.0  # after the voice backend or the database failed; doubled each time up to the interval
REFILL_SECONDS = 1.0  # between two helpings of legs that are lost or differ
LOOK_AGAIN_SECONDS = 1.0  # at a trunk that is due while somebody else works on it

UNKNOWN_ADVICE = "they were made with a newer copy of this database; `python -m trunkline adopt` takes them in"
STOPPED_ADVICE = "nothing was removed; raise TRUNKLINE_MAX_REMOVALS if so many are right, or restore the database"

log = structlog.get_logger(__name__)


def _clock() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class Reconciler:
    """The loop's memory: since when each unowned object is seen, by our own clock, and how often it failed in a row."""

    services: Services
    seen_since: dict[str, float] = field(default_factory=dict)
    suspects: list[Suspect] = field(default_factory=list)  # legs of the last pass that are still to be confirmed
    failures: int = 0
    next_pass: float = float("-inf")
    next_helping: float = float("-inf")
    told: dict[str, int] = field(default_factory=dict)  # what the operator was told last, so that it is told once

    async def run(self) -> None:
        """Until the process ends: a pass at every interval, and in between whatever is due."""
        while not self.services.stopping.is_set():
            pause = await self._turn_or_survive()
            if self.failures:  # the circuit is open, and nobody's request closes it early
                await self.services.rest(pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0 if self.failures else pause):
                    await self.services.work.wait()
            self.services.work.clear()

    async def _turn_or_survive(self) -> float:
        with outlived():
            return await self._turn()
        return self.services.settings.reconcile_interval

    async def _turn(self) -> float:
        """Do what is to be done now; the seconds until the next turn."""
        interval = self.services.settings.reconcile_interval
        self.services.keyring.refresh()
        try:
            if self.failures or _clock() >= self.next_pass or await claims.any_abandoned():
                again = await self._measured_pass()
                self.next_pass = _clock() + (min(interval, self._settle) if again else interval)
            elif self.suspects and _clock() >= self.next_helping:
                await self._confirm_some()
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
        longest = min(self.services.settings.reconcile_interval, RETRY_SECONDS * 2 ** min(self.failures - 1, 10))
        pause = random.uniform(min(leases.WAIT_SECONDS, longest), longest)  # noqa: S311  # no secret depends on it
        if not isinstance(error, VoiceError):
            return pause
        with contextlib.suppress(*database.UNUSABLE):
            self.services.health.seen(await database.now(), error)
        return pause + min(error.retry_after or 0, self.services.settings.reconcile_interval)

    async def _pause(self) -> float:
        """Until the next pass, the next helping or the next trunk that is due, whichever is first."""
        pause = max(0.0, self.next_pass - _clock())
        if self.suspects:
            pause = min(pause, max(0.0, self.next_helping - _clock()))
        at = await database.now()
        due = SipTrunk.exclude(next_attempt_at=None).order_by("next_attempt_at")
        first = await due.filter(leases.free_at(self.services, at)).only("id", "next_attempt_at").first()
        if first and first.next_attempt_at:
            return min(pause, max(leases.WAIT_SECONDS, (first.next_attempt_at - at).total_seconds()))
        return min(pause, LOOK_AGAIN_SECONDS) if await due.exists() else pause

    async def work_due(self) -> None:
        """Make the trunks true whose time has come, batch by batch; a failure of the whole backend ends it.

        After such a failure it begins with one trunk and doubles, so that a backend which returns is not trampled.
        """
        limit = 1 if self.failures else leases.BATCH
        while not self.services.stopping.is_set() and (due := await leases.take_due(self.services, limit)):
            errors = await asyncio.gather(*(self._converged(trunk) for trunk in due), return_exceptions=True)
            for trunk, error in zip(due, errors, strict=True):
                if isinstance(error, Exception) and not isinstance(error, VoiceError):
                    await self._postpone(trunk, error)
            wide = next((error for error in errors if isinstance(error, VoiceError) and error.cause in WIDE), None)
            if wide:
                raise wide
            limit = min(2 * limit, leases.BATCH)

    async def _postpone(self, trunk: SipTrunk, error: Exception) -> None:
        """What nobody expected of one trunk must not keep the others waiting."""
        log_unexpected(error)
        later = await database.now() + timedelta(seconds=self.services.settings.reconcile_interval)
        await SipTrunk.filter(id=trunk.id).update(next_attempt_at=later)

    async def _converged(self, trunk: SipTrunk) -> VoiceError | None:
        try:
            return await converge(self.services, trunk)
        except leases.LeaseLostError:
            self.services.metrics.alarms.labels("lease_lost").inc()
            log.warning("lease_lost", trunk=trunk.id)
            return None
        finally:
            await leases.give_back(trunk)

    async def _measured_pass(self) -> bool:
        metrics, began, outcome = self.services.metrics, _clock(), Outcome.FAILED
        try:
            with self.services.tracer.span("reconcile", SpanKind.INTERNAL, {}):
                again = await self.one_pass()
            outcome = Outcome.OK
        finally:
            metrics.reconcile_passes.labels(outcome).inc()
            metrics.reconcile_seconds.observe(_clock() - began)
        return again

    async def one_pass(self) -> bool:
        """Look at everything once; True when something has to be looked at again after the settle time."""
        await claims.abandon_expired()
        await idempotency.forget_expired()
        leased = await claims.lease_remains(LEASE_SECONDS)
        try:
            seen = await drift.look(self.services)
            ours = [each for each in seen.sightings.values() if each.is_of(self.services.installation_id)]
            releasing = [await self._tried(self._release(claim, ours), claim.trunk.id) for claim in leased]
        finally:
            await asyncio.shield(_give_back(leased))
        self.suspects = await drift.suspects_among(self.services, seen)
        unsettled = {each.trunk_id for each in self.suspects}
        await self._confirm_some()
        await drift.wake(self.services)
        at = await database.now()
        self.services.health.seen(at, None)
        self.services.health.reconciled_at = at
        self.services.metrics.reconciled_at.set(at.timestamp())
        unowned = await self._unowned(ours, unsettled)
        return await self._sweep(unowned) or any(releasing)

    async def _confirm_some(self) -> None:
        helping, self.suspects = self.suspects[: drift.AT_ONCE], self.suspects[drift.AT_ONCE :]
        self.next_helping = _clock() + REFILL_SECONDS
        await drift.confirm(self.services, helping)

    async def _release(self, claim: Claim, ours: Sequence[Sighting]) -> bool:
        """Clear what an abandoned claim left; it is forgotten after two looks apart found nothing. True: look again."""
        remains = [each.held for each in ours if each.trunk_id == claim.trunk.id]
        at = await database.now()
        still = claim.held.filter(lease_until__gt=at)
        if not await still.update(lease_until=at + timedelta(seconds=LEASE_SECONDS)):
            return True  # somebody took it over, and what is there may be theirs by now
        await remove(self.services.voice, remains)
        since = claim.trunk.absent_since
        if not remains and since is not None and at - since >= timedelta(seconds=self._settle):
            await claims.free(claim)
            return False
        if remains or since is None:
            await claim.held.update(absent_since=await database.now())
        return True

    async def _unowned(self, ours: Sequence[Sighting], unsettled: set[str]) -> list[Sighting]:
        """Our objects that no leg owns, of trunks at which nobody works: who works may be about to take one of them.

        Read after the list, so that the database is the newer; trunks before legs, for a claim turns into legs.
        `unsettled`: trunks whose legs were not found as written, for they may take one of these instead.
        """
        idle = leases.free_at(self.services, await database.now())
        settled = Q(status__in=SETTLED, next_attempt_at=None) & idle
        spared = unsettled | {row.id for row in await SipTrunk.exclude(settled).only("id")}
        owned = {str(each) for each in await TrunkLeg.exclude(voice_id=None).values_list("voice_id", flat=True)}
        return [each for each in ours if each.held.voice_id not in owned and each.trunk_id not in spared]

    async def _sweep(self, unowned: Sequence[Sighting]) -> bool:
        """Remove what is given up and was seen for the settle time; too much at once stops the sweep."""
        given_up = await _given_up(unowned)
        self._tell("unknown_objects", len(unowned) - len(given_up), UNKNOWN_ADVICE)
        now = _clock()
        self.seen_since = {each.held.voice_id: self.seen_since.get(each.held.voice_id, now) for each in given_up}
        doomed = [each for each in given_up if now - self.seen_since[each.held.voice_id] >= self._settle]
        too_many = len(doomed) > self.services.settings.max_removals
        self._tell("sweep_stopped", len(doomed) if too_many else 0, STOPPED_ADVICE)
        if too_many:
            return False
        for each in doomed:
            await self._tried(self._remove(each), each.trunk_id)
        return len(given_up) > len(doomed)

    async def _tried(self, removal: Awaitable[bool], trunk_id: str) -> bool:
        """One object that cannot be removed must not keep everything else waiting. True: look again."""
        try:
            return await removal
        except VoiceError as error:
            if error.cause in WIDE:
                raise
            self.services.metrics.alarms.labels("removal_failed").inc()
            log.warning("removal_failed", trunk=trunk_id, cause=error.cause)
            return True

    async def _remove(self, orphan: Sighting) -> bool:
        """Remove one object, unless a leg has taken it since we looked."""
        if not await TrunkLeg.exists(voice_id=orphan.held.voice_id):
            await remove(self.services.voice, [orphan.held])
            log.info("orphan_removed", voice_id=orphan.held.voice_id, trunk=orphan.trunk_id)
        return False

    def _tell(self, event: str, count: int, advice: str) -> None:
        if count and self.told.get(event) != count:
            self.services.metrics.alarms.labels(event).inc()
            log.error(event, count=count, advice=advice)
        self.told[event] = count


async def _given_up(unowned: Sequence[Sighting]) -> list[Sighting]:
    """Second objects of a living leg, and objects of trunks that are gone for good."""
    trunk_ids = {each.trunk_id for each in unowned}
    known = await living_among(trunk_ids) | await retired_among(trunk_ids)
    return [each for each in unowned if each.trunk_id in known]


async def _give_back(leased: Sequence[Claim]) -> None:
    for claim in leased:
        await claim.held.update(**leases.NO_LEASE)
