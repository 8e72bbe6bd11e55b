"""Comparing what was applied with what the voice backend holds. Marks what is lost or differs; mends nothing itself."""

from collections.abc import Iterable, Sequence

import structlog

from models.sip_trunk import SipTrunk, TrunkStatus
from models.trunk_leg import LegKind, LegState, TrunkLeg
from trunkline import database
from trunkline.legs import content
from trunkline.services import Services
from trunkline.voice import Held

AT_ONCE = 200  # legs marked per pass, so that a backend which lost everything is refilled at a bounded rate

log = structlog.get_logger(__name__)


async def mark(services: Services, held: Sequence[Held]) -> None:
    """Mark the legs that are not as they were written; their trunks are DEGRADED and due at once."""
    objects = {each.voice_id: each for each in held}
    columns = ("id", "trunk_id", "kind", "voice_id", "applied_fingerprint")
    # Read after the list, so that the database is the newer of the two.
    rows = await TrunkLeg.filter(state=LegState.READY).values_list(*columns)
    suspects = [row for row in rows if not _is_as_written(services, objects.get(row[3]), row[4])]
    for leg_id, trunk_id, kind, voice_id, fingerprint in suspects[:AT_ONCE]:
        # The list may be older than a write of this instant: what is asked by its id is not.
        now_held = await services.voice.find(LegKind(kind), voice_id)
        if _is_as_written(services, now_held, fingerprint):
            continue
        state = LegState.DRIFTED if now_held else LegState.MISSING
        leg = TrunkLeg.filter(id=leg_id, state=LegState.READY, voice_id=voice_id, applied_fingerprint=fingerprint)
        if await leg.update(state=state, checked_at=await database.now()):
            log.warning("leg_not_as_written", trunk=trunk_id, leg=kind, state=state)
            await _due([trunk_id])


def _is_as_written(services: Services, held: Held | None, fingerprint: str | None) -> bool:
    return held is not None and held.exact and services.keyring.agrees(fingerprint, content(held.leg))


async def _due(trunk_ids: Iterable[str]) -> None:
    at = await database.now()
    rows = SipTrunk.filter(id__in=list(trunk_ids))
    await rows.filter(status=TrunkStatus.ACTIVE).update(status=TrunkStatus.DEGRADED)
    await rows.exclude(status__in=(TrunkStatus.FAILED, TrunkStatus.DELETING)).update(next_attempt_at=at)
