"""Comparing what was applied with what the voice backend holds. Marks what is lost or differs; mends nothing itself.

A leg is known by its id, whatever became of its marker: one that lost the marker is ours and is mended in place, one
that bears another installation's marker is theirs now and is not touched again until somebody asks for it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog
from tortoise.expressions import Subquery

from models.sip_trunk import SipTrunk, TrunkStatus
from models.trunk_leg import LegKind, LegState, TrunkLeg
from trunkline import database, leases
from trunkline.causes import AT_THE_EDGE, CODES, TAKEN
from trunkline.history import outcome_of, trunk_degraded
from trunkline.legs import content
from trunkline.services import Services
from trunkline.voice import Held, Marker, VoiceCause, VoiceError

AT_ONCE = 100  # legs confirmed per turn, so that a backend which lost everything is refilled at a bounded rate
BETWEEN_BREATHS = 500  # objects compared before the requests of this process have their turn
COLUMNS = ("id", "trunk_id", "trunk__workspace_id", "kind", "voice_id", "applied_fingerprint")
UNSETTLED = (LegState.PENDING, LegState.MISSING, LegState.DRIFTED, LegState.REMOVING)
LIVING = (TrunkStatus.ACTIVE, TrunkStatus.DEGRADED)

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sighting:
    """An object of the voice backend with its marker, read once."""

    held: Held
    marker: Marker | None

    @property
    def trunk_id(self) -> str:
        """The trunk it says it belongs to; empty for foreign ones."""
        return self.marker.trunk if self.marker else ""

    def is_of(self, installation_id: str) -> bool:
        """Whether it carries the marker of this very installation."""
        return self.marker is not None and self.marker.installation == installation_id


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen, by id, and of which kinds everything was."""

    sightings: dict[str, Sighting]
    kinds: frozenset[LegKind]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A leg that is not in place as it was written, or that the list did not show."""

    leg_id: int
    trunk_id: str
    workspace_id: str
    kind: LegKind
    voice_id: str
    fingerprint: str | None


async def look(services: Services) -> Look:
    """Everything that the voice backend holds: one list per kind. An edge that is away hides its own routes only."""
    held: dict[LegKind, list[Held]] = {}
    for kind in LegKind:
        try:
            held[kind] = await services.voice.list(kind)
        except VoiceError as error:
            if error.cause not in AT_THE_EDGE:
                raise
            log.warning("edge_unseen", cause=error.cause, advice=error.detail)
    everything = [each for kind in held for each in held[kind]]
    sightings = {each.voice_id: Sighting(each, each.marker) async for each in _with_breaths(everything)}
    return Look(sightings, frozenset(held))


async def suspects_among(services: Services, seen: Look) -> list[Suspect]:
    """The legs in place that are not as they were written; to be called after the look, so that the rows are newer."""
    rows = await TrunkLeg.filter(state=LegState.READY, kind__in=seen.kinds).values_list(*COLUMNS)
    suspects = [Suspect(*row) async for row in _with_breaths(rows)]
    found = seen.sightings
    return [each async for each in _with_breaths(suspects) if _state(services, each, found.get(each.voice_id))]


async def confirm(services: Services, suspects: Iterable[Suspect]) -> None:
    """Ask for each suspect by its id, for a list may lie or be older than a write; what is confirmed is due at once."""
    for suspect in suspects:
        held = await services.voice.find(LegKind(suspect.kind), suspect.voice_id)
        if state := _state(services, suspect, Sighting(held, held.marker) if held else None):
            await _mark(services, suspect, state)


async def wake(services: Services) -> None:
    """Make due what is marked and waits for nobody: a mark may fall in between a worker's look and its last word."""
    free = SipTrunk.filter(leases.free_at(services, await database.now()))
    free_ids = free.filter(status__in=LIVING, next_attempt_at=None).values("id")
    idle = TrunkLeg.filter(trunk_id__in=Subquery(free_ids), state__in=UNSETTLED)
    found = await idle.values_list("trunk_id", "trunk__workspace_id", "state")
    waiting = {str(trunk_id): (str(workspace_id), LegState(state)) for trunk_id, workspace_id, state in found}
    refused = TrunkLeg.filter(trunk_id__in=list(waiting), state=LegState.REFUSED)  # asking again changes nothing
    for trunk_id in {str(each) for each in await refused.values_list("trunk_id", flat=True)}:
        del waiting[trunk_id]
    at = await database.now()
    for trunk_id, (workspace_id, state) in waiting.items():
        await trunk_degraded(trunk_id, workspace_id, state)
        await _make_due(trunk_id, at)


def _state(services: Services, leg: Suspect, seen: Sighting | None) -> LegState | None:
    """What is wrong with a leg; None when it is as it was written."""
    if seen is None:
        return LegState.MISSING
    if seen.marker and seen.marker.installation != services.installation_id:
        return LegState.REFUSED
    own = (services.installation_id, leg.workspace_id, leg.trunk_id, leg.kind)
    marked = seen.marker is not None and seen.marker.identity == own
    if marked and seen.held.exact and services.keyring.agrees(leg.fingerprint, content(seen.held.leg)):
        return None
    return LegState.DRIFTED


async def _mark(services: Services, suspect: Suspect, state: LegState) -> None:
    at, leg_is_theirs = await database.now(), state is LegState.REFUSED
    same = {"voice_id": suspect.voice_id, "applied_fingerprint": suspect.fingerprint}
    leg = TrunkLeg.filter(id=suspect.leg_id, state=LegState.READY, **same)
    if not await leg.update(state=state, checked_at=at, **(_taken(at) if leg_is_theirs else {})):
        return  # it was written meanwhile
    services.metrics.alarms.labels("leg_not_as_written").inc()
    log.warning("leg_not_as_written", trunk=suspect.trunk_id, leg=suspect.kind, state=state)
    await trunk_degraded(suspect.trunk_id, suspect.workspace_id, outcome_of(TAKEN) if leg_is_theirs else state)
    if not leg_is_theirs:
        await _make_due(suspect.trunk_id, at)


def _taken(at: datetime) -> dict[str, Any]:
    code = CODES[VoiceCause.REFUSED]
    return {"error_code": code, "error_message": TAKEN.detail, "error_retryable": False, "error_at": at}


async def _make_due(trunk_id: str, at: datetime) -> None:
    await SipTrunk.filter(id=trunk_id, status__in=LIVING, next_attempt_at=None).update(next_attempt_at=at)


async def _with_breaths(items: Sequence[T]) -> AsyncIterator[T]:
    for position, item in enumerate(items):
        if position % BETWEEN_BREATHS == 0:
            await asyncio.sleep(0)
        yield item
