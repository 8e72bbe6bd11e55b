"""Making and removing the legs of one trunk at the voice backend. Never meets its own remains, never doubles.

A creation whose outcome is unknown is looked for by its marker: found, it is taken; not found, it may still arrive, so
nothing is made in its place and the claim stays until the absence is proven (trunkline.reconcile).
"""

import contextlib
import itertools
from collections.abc import Iterable, Iterator

from models.sip_trunk import RetiredTrunk, SipTrunk
from models.trunk_leg import LegKind
from trunkline.phone import called_text_key
from trunkline.services import Services
from trunkline.voice import DispatchRule, Held, InboundTrunk, Leg, Marker, VoiceBackend, VoiceCause, VoiceError
from trunkline.voice.verdicts import conflict, rule_conflict

CHUNK = 1000


async def make_leg(services: Services, leg: Leg, *, continued: bool) -> str:
    """Make one leg and return its voice id, or raise VoiceError. `continued`: an earlier attempt may have made it."""
    if continued and (voice_id := await _adopt(services.voice, leg)):
        return voice_id
    try:
        return await services.voice.create(leg)
    except VoiceError as error:
        if error.cause is VoiceCause.OUTCOME_UNKNOWN:
            with contextlib.suppress(VoiceError):  # then it stays unknown
                if voice_id := await _adopt(services.voice, leg):
                    return voice_id
        if error.cause is VoiceCause.CONFLICT:
            return await _settle_conflict(services, leg, error)
        raise


async def remove(voice: VoiceBackend, objects: Iterable[Held]) -> None:
    """Remove objects from the voice backend; the first failure is raised."""
    for held in objects:
        await voice.delete(held.leg.kind, held.voice_id)


async def remove_unknown(services: Services, trunk: SipTrunk, kind: LegKind) -> None:
    """Remove what an attempt of unknown outcome may have left of one leg, found by its marker."""
    marker = Marker(services.installation_id, trunk.workspace_id, trunk.id, kind, trunk.revision)
    await remove(services.voice, await own_objects(services.voice, marker))


async def _settle_conflict(services: Services, leg: Leg, conflict: VoiceError) -> str:
    """A number is taken: by this very trunk (an earlier request arrived late), by remains, or by somebody else."""
    if voice_id := await _adopt(services.voice, leg):
        return voice_id
    remains = await _retired_remains(services, leg)
    if not remains:
        raise conflict
    await remove(services.voice, remains)
    return await services.voice.create(leg)


async def _adopt(voice: VoiceBackend, leg: Leg) -> str | None:
    """Find the leg by its marker and make it equal to what is wanted; more than one: the sweep removes the others."""
    marker = Marker.from_metadata(leg.metadata)
    found = await own_objects(voice, marker) if marker else []
    if not found:
        return None
    held = min(found, key=lambda each: each.voice_id)
    if held.leg != leg or not held.exact:
        await voice.replace(held.voice_id, leg)
    return held.voice_id


async def own_objects(voice: VoiceBackend, marker: Marker) -> list[Held]:
    """What the voice backend holds of one leg, whatever its revision."""
    everything = await voice.list(marker.leg)
    return [held for held in everything if held.marker and held.marker.identity == marker.identity]


async def refuse_rivals(voice: VoiceBackend, leg: Leg, voice_id: str | None) -> None:
    """Raise CONFLICT when another object has the leg's number or trunk: LiveKit lets it move there, then both fail.

    `voice_id`: the leg's own id, which tells it when its marker was overwritten.
    """
    marker, wanted = Marker.from_metadata(leg.metadata), _exclusive(leg)
    for held in await voice.list(leg.kind):
        own = held.voice_id == voice_id or (held.marker and marker and held.marker.identity == marker.identity)
        if not own and not wanted.isdisjoint(_exclusive(held.leg)):
            raise rule_conflict() if leg.kind is LegKind.DISPATCH else conflict()


def _exclusive(leg: Leg) -> set[str]:
    """What only one object of its kind may have: the texts of an inbound trunk, the trunk of a rule."""
    if isinstance(leg, DispatchRule):
        return set(leg.trunk_ids)
    return {called_text_key(number) for number in leg.numbers} if isinstance(leg, InboundTrunk) else set()


async def _retired_remains(services: Services, leg: Leg) -> list[Held]:
    """What arrived late of trunks of this installation that are gone for good: it may hold the leg's number."""
    if leg.kind is not LegKind.INBOUND:
        return []
    marked = [(held, held.marker) for held in await services.voice.list(leg.kind)]
    ours = [(held, mark.trunk) for held, mark in marked if mark and mark.installation == services.installation_id]
    retired = await retired_among(trunk_id for _, trunk_id in ours)
    return [held for held, trunk_id in ours if trunk_id in retired]


async def retired_among(trunk_ids: Iterable[str]) -> set[str]:
    """Which of these trunks are gone for good."""
    return await _among(RetiredTrunk, trunk_ids)


async def living_among(trunk_ids: Iterable[str]) -> set[str]:
    """Which of these trunks have a row."""
    return await _among(SipTrunk, trunk_ids)


async def _among(rows: type[SipTrunk] | type[RetiredTrunk], ids: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for some in _chunks(ids):
        found |= {row.id for row in await rows.filter(id__in=some).only("id")}
    return found


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """Each id once, in helpings that both databases take as parameters."""
    rest = iter(sorted(set(ids)))
    while some := list(itertools.islice(rest, CHUNK)):
        yield some
