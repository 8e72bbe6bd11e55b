"""Looking again at what the trunks' host names mean: a name that passed unresolved, or changed, may point inside.

LiveKit resolves names for itself, so this is no wall (SECURITY.md); it tells the owner and the operator.
"""

import asyncio

import structlog
from tortoise.expressions import Q

from models.sip_trunk import SipTrunk, TrunkStatus
from models.trunk_leg import LegKind, LegState, TrunkLeg
from trunkline import database
from trunkline.address_rules import address_is_allowed, needs_resolving
from trunkline.history import trunk_degraded
from trunkline.log import outlived
from trunkline.problems import Code, Problem
from trunkline.services import Services

BATCH = 100  # names per interval
ASKER = "reconciler"  # a share of its own of the resolver's places, so that no tenant's requests wait for it
WATCHED = (TrunkStatus.ACTIVE, TrunkStatus.DEGRADED)

log = structlog.get_logger(__name__)


async def watch(services: Services) -> None:
    """Batch after batch through all trunks, until the process ends."""
    last_id = ""
    while not services.stopping.is_set():
        await services.rest(services.settings.reconcile_interval)
        with outlived():
            last_id = await look_again(services, last_id)


async def look_again(services: Services, after: str) -> str:
    """Resolve the names of the next trunks; the id to go on after, empty when all have had their turn."""
    rows = await SipTrunk.filter(id__gt=after, status__in=WATCHED).order_by("id").limit(BATCH)
    await asyncio.gather(*(_look(services, trunk) for trunk in rows if needs_resolving(trunk.sip_address)))
    return rows[-1].id if len(rows) == BATCH else ""


async def _look(services: Services, trunk: SipTrunk) -> None:
    addresses = await services.resolver.resolve(trunk.sip_address, ASKER)
    problem = address_is_allowed(trunk.sip_address, addresses, services.settings.allowed_networks)
    if problem:
        await _degrade(services, trunk, problem)
    elif addresses:
        await _clear(services, trunk)


async def _degrade(services: Services, trunk: SipTrunk, problem: Problem) -> None:
    """Tell it at the outbound leg, which is the one that is dialled. An update of the address is the way out."""
    untold = Q(error_code=None) | ~Q(error_code=problem.code)
    leg = TrunkLeg.filter(untold, trunk_id=trunk.id, kind=LegKind.OUTBOUND)
    told = {"error_code": problem.code, "error_message": problem.message, "error_retryable": False}
    if await leg.update(state=LegState.REFUSED, error_at=await database.now(), **told):
        services.metrics.alarms.labels("address_not_allowed").inc()
        await trunk_degraded(trunk.id, trunk.workspace_id, problem.code)
        log.warning("address_not_allowed", trunk=trunk.id)


async def _clear(services: Services, trunk: SipTrunk) -> None:
    """The name is fine again: the leg is written once more, and with that the trunk is what it was."""
    marked = TrunkLeg.filter(trunk_id=trunk.id, kind=LegKind.OUTBOUND, error_code=Code.ADDRESS_NOT_ALLOWED)
    if await marked.update(state=LegState.PENDING):
        await SipTrunk.filter(id=trunk.id).update(next_attempt_at=await database.now())
        services.work.set()
