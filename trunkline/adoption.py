"""The use case of moving in: trunks at the voice backend become trunks of ours, in place and without an outage.

The row, its called texts and its legs are stored first; then each object is written once, in place, with our marker.
That write is refused when it would change what the trunk does, unless the change was asked for by its name. Objects of
another installation, whose database is lost, are taken when that installation is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from tortoise.exceptions import IntegrityError
from tortoise.transactions import in_transaction

from models.assistant import Assistant, AssistantType
from models.event import Action
from models.identifiers import is_id, new_id
from models.sip_trunk import RetiredTrunk, SipTrunk, TrunkStatus
from models.trunk_leg import LegKind, LegState, TrunkLeg
from trunkline import claims, database
from trunkline.events import by_itself, record
from trunkline.found_trunks import Change, Found, Said, changes_between, draft_of, found_of, paired
from trunkline.keys import Caller
from trunkline.legs import edge_key_place, wanted_legs
from trunkline.problems import Problem
from trunkline.services import Services
from trunkline.snapshots import filled
from trunkline.trunks import TRUNK, examined
from trunkline.validation import NormalizedTrunk
from trunkline.voice import DispatchRule, Held

ADOPTER = "adopt"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be adopted, and what the operator says about it. `accepted`: changes by their names."""

    inbound_id: str
    outbound_id: str | None = None
    said: Said = field(default_factory=Said)
    accepted: frozenset[str] = frozenset()
    from_installation: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What could be adopted: `wanted` is there when nothing is missing."""

    found: Found
    wanted: NormalizedTrunk | None
    missing: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def installation(self) -> str | None:
        """Whose marker it carries."""
        return next((held.marker.installation for held in self.found.held if held.marker), None)


async def offers(services: Services, workspace_id: str) -> tuple[list[Offer], list[Held]]:
    """Everything that could be adopted, and the outbound trunks that belong to no inbound one."""
    free = {kind: await _free(services, kind) for kind in LegKind}
    found = paired(free[LegKind.INBOUND], free[LegKind.OUTBOUND], free[LegKind.DISPATCH], free[LegKind.EDGE])
    used = {held.voice_id for each in found for held in each.held}
    lonely = [held for held in free[LegKind.OUTBOUND] if held.voice_id not in used]
    return [await _offer(services, workspace_id, each, Said()) for each in found], lonely


async def adopt(services: Services, workspace_id: str, wish: Wish) -> str | list[str]:
    """Take a trunk over; its new id, or why not. It is due at once: whoever reconciles writes the markers."""
    found = await _looked_up(services, wish)
    if isinstance(found, list):
        return found
    offer = await _offer(services, workspace_id, found, wish.said)
    if offer.installation not in (None, services.installation_id, wish.from_installation):
        return [f"It carries the marker of {offer.installation}. If that is gone: --from-installation."]
    unasked = [change.what for change in offer.changes if change.what not in wish.accepted]
    if offer.wanted is None or unasked:
        return [*offer.missing, *(f"It would change {what}: --accept-changes {what}" for what in unasked)]
    try:
        return await _store(services, workspace_id, found, offer.wanted)
    except IntegrityError:
        return ["Somebody else was faster with this trunk or its number."]


async def _free(services: Services, kind: LegKind) -> list[Held]:
    """The objects that no leg and no living trunk of ours has to do with; read before the rows."""
    held = await services.voice.list(kind)
    owned = {str(each) for each in await TrunkLeg.filter(kind=kind).values_list("voice_id", flat=True)}
    known = await _known([each.marker.trunk for each in held if each.marker])
    return [each for each in held if each.voice_id not in owned and not (each.marker and each.marker.trunk in known)]


async def _known(trunk_ids: Sequence[str]) -> set[str]:
    """Trunks that this database has or had; what carries their marker is the reconciler's."""
    living = await SipTrunk.filter(id__in=trunk_ids).values_list("id", flat=True)
    retired = await RetiredTrunk.filter(id__in=trunk_ids).values_list("id", flat=True)
    return {str(each) for each in (*living, *retired)}


async def _looked_up(services: Services, wish: Wish) -> Found | list[str]:
    free = {kind: {held.voice_id: held for held in await _free(services, kind)} for kind in LegKind}
    inbound = free[LegKind.INBOUND].get(wish.inbound_id)
    if inbound is None:
        return [f"There is no inbound trunk {wish.inbound_id} that could be adopted."]
    rules, routes = [*free[LegKind.DISPATCH].values()], [*free[LegKind.EDGE].values()]
    if wish.outbound_id is None:
        return paired([inbound], free[LegKind.OUTBOUND].values(), rules, routes)[0]
    outbound = free[LegKind.OUTBOUND].get(wish.outbound_id)
    if outbound is None:
        return [f"There is no outbound trunk {wish.outbound_id} that could be adopted."]
    return found_of(inbound, outbound, rules, routes)


async def _offer(services: Services, workspace_id: str, found: Found, said: Said) -> Offer:
    examination = await examined(services, Caller(workspace_id, ADOPTER), draft_of(found, said))
    missing = [*_gaps(found, said), *map(_told, examination.problems)]
    wanted = examination.normalized
    if wanted is None:
        return Offer(found, None, tuple(missing), ())
    if obstacle := await claims.obstacle(workspace_id, wanted):
        missing.append(obstacle.message if isinstance(obstacle, Problem) else claims.BEING_CREATED.message)
    changes = _changes(services, workspace_id, found, wanted)
    return Offer(found, None if missing else wanted, tuple(missing), tuple(changes))


def _gaps(found: Found, said: Said) -> list[str]:
    without = "It has no outbound trunk: name one, or say --address and a new one is made."
    return [without] if found.outbound is None and said.address is None else []


def _told(problem: Problem) -> str:
    return f"{problem.field[1]}: {problem.message}" if problem.field else problem.message


def _changes(services: Services, workspace_id: str, found: Found, wanted: NormalizedTrunk) -> list[Change]:
    trunk = _row(services, new_id(TRUNK), workspace_id, found, wanted)
    legs = wanted_legs(services, trunk)
    return [change for held, leg in zip(found.held, legs, strict=False) for change in changes_between(held, leg)]


async def _store(services: Services, workspace_id: str, found: Found, wanted: NormalizedTrunk) -> str:
    """The trunk as one whose legs differ from what is wanted, by their markers; the same id when they carry one."""
    at = await database.now()
    marker = found.inbound.marker
    same_id = marker.trunk if marker and is_id(TRUNK, marker.trunk) else new_id(TRUNK)
    trunk = _row(services, same_id, workspace_id, found, wanted)
    times = {"created_at": at, "updated_at": at, "next_attempt_at": at}
    trunk.update_from_dict({"status": TrunkStatus.DEGRADED, **times})
    async with in_transaction():
        await trunk.save(force_create=True)
        await claims.write_texts(trunk, wanted)
        for held in found.held:
            await _store_leg(trunk, held)
        by = by_itself(workspace_id, ADOPTER)
        await record(by, Action.TRUNK_ADOPTED, trunk.id, changed_fields=filled(trunk))
        for rule in found.rules:
            await _store_rule(trunk, rule, by)
    log.info("adopted", trunk=trunk.id, voice_ids=[held.voice_id for held in found.held])
    services.work.set()
    return trunk.id


def _row(services: Services, trunk_id: str, workspace_id: str, found: Found, wanted: NormalizedTrunk) -> SipTrunk:
    """The trunk as it is stored; the key that the edge knows it by stays."""
    trunk = SipTrunk(id=trunk_id, workspace_id=workspace_id)
    if found.edge_key:
        trunk.edge_key = services.keyring.seal(found.edge_key, edge_key_place(trunk))
    return trunk.update_from_dict(claims.wanted_columns(services, trunk, wanted))


async def _store_leg(trunk: SipTrunk, held: Held) -> None:
    await TrunkLeg.create(trunk_id=trunk.id, kind=held.leg.kind, state=LegState.DRIFTED, voice_id=held.voice_id)


async def _store_rule(trunk: SipTrunk, held: Held, by: Caller) -> None:
    """A rule with a marker was made for an assistant, which comes back with it; another one stays as it is."""
    rule = held.leg
    if held.marker is None or not isinstance(rule, DispatchRule) or await Assistant.exists(answers_trunk_id=trunk.id):
        return
    at = trunk.created_at
    assistant = await Assistant.create(
        id=new_id("asst"),
        workspace_id=trunk.workspace_id,
        name=rule.name or rule.agent_name,
        agent_name=rule.agent_name,
        type=AssistantType.INBOUND,
        trunk_id=trunk.id,
        answers_trunk_id=trunk.id,
        created_at=at,
        updated_at=at,
    )
    await _store_leg(trunk, held)
    await record(by, Action.ASSISTANT_ADOPTED, assistant.id, trunk_id=trunk.id)
