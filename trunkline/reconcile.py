"""The loop that keeps the voice backend free of what nobody owns: remains of failed creations, and what arrives late.

Each pass lists every kind once. It removes only objects with this installation's own marker, and of those only what
this database knows to be given up: remains of abandoned claims, second objects of a leg, objects of trunks that are
gone. An object whose trunk this database never knew is left alone and reported: the database is older than the object.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from models.sip_trunk import HIDDEN, SipTrunk
from models.trunk_leg import LegKind, TrunkLeg
from trunkline import claims, database
from trunkline.claims import Claim
from trunkline.provisioning import is_of, remove, retired_among, trunk_of
from trunkline.services import Services
from trunkline.voice import Held, VoiceError

LEASE_SECONDS = 30.0
RETRY_SECONDS = 1.0  # after the voice backend or the database failed; doubled each time up to the interval

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Reconciler:
    """The loop's memory: since when each unowned object is seen, by our own clock, and how often it failed in a row."""

    services: Services
    seen_since: dict[str, float] = field(default_factory=dict)
    failures: int = 0

    async def run(self) -> None:
        """Pass after pass, until cancelled: at the interval, when there is work, and when something is due."""
        while True:
            pause = await self._pass_or_retry()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.services.work.wait()
            self.services.work.clear()

    async def _pass_or_retry(self) -> float:
        interval = self.services.settings.reconcile_interval
        try:
            due = await self.one_pass()
        except (VoiceError, *database.UNUSABLE) as error:  # whichever failed, the loop goes on
            self.failures += 1
            cause = error.cause if isinstance(error, VoiceError) else type(error).__name__
            log.warning("reconcile_failed", cause=cause, failures=self.failures)
            return float(min(interval, RETRY_SECONDS * 2 ** min(self.failures - 1, 10)))
        self.failures = 0
        return min(interval, self.services.settings.settle_time) if due else interval

    async def one_pass(self) -> bool:
        """Look at everything once; True when something has to be looked at again after the settle time."""
        await claims.abandon_expired()
        leased = await claims.lease_remains(LEASE_SECONDS)
        try:
            held = await self._ours()
            releasing = [await self._release(claim, held) for claim in leased]
        finally:
            await asyncio.shield(_give_back(leased))
        unowned = await self._unowned(held)
        return any(releasing) or await self._sweep(unowned)

    async def _ours(self) -> list[Held]:
        installation_id = self.services.installation_id
        kinds = [await self.services.voice.list(kind) for kind in LegKind]
        return [held for kind in kinds for held in kind if is_of(installation_id, held)]

    async def _release(self, claim: Claim, held: Sequence[Held]) -> bool:
        """Clear what an abandoned claim left; it is forgotten after two looks apart found nothing. True: look again."""
        remains = [each for each in held if trunk_of(each) == claim.trunk.id]
        await remove(self.services.voice, remains)
        at = await database.now()
        settled = timedelta(seconds=self.services.settings.settle_time)
        since = claim.trunk.absent_since
        if not remains and since is not None and at - since >= settled:
            await claims.free(claim)
            return False
        if remains or since is None:
            await claim.held.update(absent_since=at)
        return True

    async def _unowned(self, held: Sequence[Held]) -> list[Held]:
        """Our objects that no claim and no leg owns.

        Read after the list, so that the database is the newer; claims before legs, for a claim turns into legs.
        """
        claimed = {row.id for row in await SipTrunk.filter(status__in=HIDDEN).only("id")}
        owned = {row.voice_id for row in await TrunkLeg.all().only("voice_id")}
        return [each for each in held if each.voice_id not in owned and trunk_of(each) not in claimed]

    async def _sweep(self, unowned: Sequence[Held]) -> bool:
        """Remove what is given up and was seen for the settle time; too much at once stops the sweep."""
        given_up = await _given_up(unowned)
        now = time.monotonic()
        self.seen_since = {each.voice_id: self.seen_since.get(each.voice_id, now) for each in given_up}
        settle = self.services.settings.settle_time
        doomed = [each for each in given_up if now - self.seen_since[each.voice_id] >= settle]
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
        await claim.held.update(**claims.NO_LEASE)
