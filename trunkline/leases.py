"""Leases: one worker at a trunk at a time, over all replicas. LiveKit cannot be fenced, so time is left on purpose.

A lease is a random token and an end by the database's clock. It is renewed right before each leg, for longer than the
most calls that a leg can need, and a lease that ran out is free only one call's deadline later: whatever its dead
holder sent has ended by then.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from tortoise.expressions import Q
from tortoise.transactions import in_transaction

from models.identifiers import new_id
from models.sip_trunk import HIDDEN, SipTrunk
from trunkline import database
from trunkline.services import Services

WAIT_SECONDS = 0.05
CALLS_PER_LEASE = 12  # a lease lasts this many call deadlines
BATCH = 8  # half of the slots of trunkline.voice.bounded: requests have the other half
NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}


class LeaseLostError(Exception):
    """The lease ran out, or somebody else has it: stop at once and change nothing."""


def free_at(services: Services, at: datetime) -> Q:
    """The trunks that nobody works on, and that nobody's late call can still reach."""
    return Q(lease_owner=None) | Q(lease_until__lt=at - timedelta(seconds=services.call_timeout))


async def take(services: Services, trunk_id: str) -> SipTrunk | None:
    """Lease one visible trunk, if it is there and free."""
    at = await database.now()
    token = new_id("lease")
    rows = SipTrunk.filter(free_at(services, at), id=trunk_id).exclude(status__in=HIDDEN)
    await rows.update(lease_owner=token, lease_until=_end(services, at))
    return await SipTrunk.get_or_none(id=trunk_id, lease_owner=token)


async def take_due(services: Services, limit: int = BATCH) -> list[SipTrunk]:
    """Lease the trunks whose next attempt is due, the longest waiting first; other replicas skip them."""
    at = await database.now()
    token = new_id("lease")
    async with in_transaction():
        due = SipTrunk.filter(free_at(services, at), next_attempt_at__lte=at).exclude(status__in=HIDDEN)
        rows = await due.order_by("next_attempt_at").limit(limit).select_for_update(skip_locked=True).only("id")
        ids = [row.id for row in rows]
        await SipTrunk.filter(id__in=ids).update(lease_owner=token, lease_until=_end(services, at))
    return await SipTrunk.filter(lease_owner=token)


async def keep(services: Services, trunk: SipTrunk) -> None:
    """Make sure, right before a call, that the lease outlasts it; LeaseLostError if it is not ours any more."""
    at = await database.now()
    mine = SipTrunk.filter(id=trunk.id, lease_owner=trunk.lease_owner, lease_until__gt=at)
    if not await mine.update(lease_until=_end(services, at)):
        raise LeaseLostError


async def give_back(trunk: SipTrunk) -> None:
    """End the lease."""
    await SipTrunk.filter(id=trunk.id, lease_owner=trunk.lease_owner).update(**NO_LEASE)


async def end_all() -> None:
    """At the start of the only process of a database: nobody else works on anything."""
    await SipTrunk.exclude(lease_owner=None).update(**NO_LEASE)


@asynccontextmanager
async def held(services: Services, trunk_id: str, deadline: float) -> AsyncIterator[SipTrunk | None]:
    """Hold the lease of a visible trunk; None when it is gone. LeaseLostError when somebody else keeps it too long."""
    while (trunk := await take(services, trunk_id)) is None:
        if not await SipTrunk.exclude(status__in=HIDDEN).filter(id=trunk_id).exists():
            break
        if asyncio.get_running_loop().time() > deadline:
            raise LeaseLostError
        await asyncio.sleep(WAIT_SECONDS)
    try:
        yield trunk
    finally:
        if trunk:
            await give_back(trunk)


def _end(services: Services, at: datetime) -> datetime:
    return at + timedelta(seconds=CALLS_PER_LEASE * services.call_timeout)


async def lock_trunks(trunk_ids: Iterable[str | None]) -> None:
    """Lock the rows of trunks until the transaction ends, in one order for all.

    Whoever writes an assistant does so first: the database notes at its trunks whether they are assigned, and whoever
    removes a trunk locks it before its assistants.
    """
    known = sorted({trunk_id for trunk_id in trunk_ids if trunk_id})
    if known:
        await SipTrunk.filter(id__in=known).order_by("id").select_for_update().only("id")
