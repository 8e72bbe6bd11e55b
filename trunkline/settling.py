"""How an attempt at a trunk is written down: its status, what is taken back, its end, and the event of each.

Every write counts only as long as the lease is ours.
"""

import random
from datetime import datetime, timedelta
from typing import Any

from tortoise.exceptions import IntegrityError
from tortoise.transactions import in_transaction

from models.assistant import Assistant
from models.event import Action
from models.sip_trunk import CalledText, RetiredTrunk, SipTrunk, TrunkStatus
from models.trunk_leg import LegKind, LegState, TrunkLeg
from trunkline import database, history, leases
from trunkline.causes import CODES, DEFINITE
from trunkline.events import record
from trunkline.keys import Caller
from trunkline.legs import own_text_keys
from trunkline.services import Services
from trunkline.snapshots import changed_since, columns_of
from trunkline.voice import VoiceError

BACK_OFF_SECONDS = 1.0
BACK_OFF_MAX_SECONDS = 300.0
CLEAN: dict[str, Any] = {
    "attempts": 0,
    "error_code": None,
    "error_message": None,
    "error_retryable": False,
    "error_at": None,
    "next_attempt_at": None,
}


def pause(services: Services, attempts: int) -> timedelta:
    """Exponential back-off with full jitter, so that trunks which failed together do not return together."""
    longest = min(BACK_OFF_SECONDS * 2 ** min(attempts, 20), BACK_OFF_MAX_SECONDS)
    longest = min(longest, 10 * services.settings.reconcile_interval)
    return timedelta(seconds=random.uniform(longest / 4, longest))  # noqa: S311  # no secret depends on it


async def settle(services: Services, trunk: SipTrunk, error: VoiceError | None, by: Caller) -> None:
    """Write the trunk's status down; after a success it is ACTIVE, or gone."""
    if error is None and trunk.status is TrunkStatus.DELETING:
        await _forget(trunk, by)
    elif error is None or (error.cause in DEFINITE and trunk.status is not TrunkStatus.DELETING):
        await _measure(services, trunk, error)
        refused = TrunkStatus.FAILED if trunk.status in history.UNMADE else TrunkStatus.DEGRADED
        await _decide(services, trunk, refused if error else TrunkStatus.ACTIVE, error, by)
    else:
        was, next_attempt_at = trunk.status, await _next_attempt(services, trunk)
        status = TrunkStatus.DEGRADED if was is TrunkStatus.ACTIVE else was
        async with in_transaction():
            await _write(trunk, status=status, next_attempt_at=next_attempt_at)
            await history.trunk_settled(by, trunk, was, None, error)


async def _measure(services: Services, trunk: SipTrunk, error: VoiceError | None) -> None:
    """How long a trunk created in the background took until it was decided."""
    if trunk.status is TrunkStatus.PROVISIONING:
        seconds = (await database.now() - trunk.created_at).total_seconds()
        services.metrics.provision_seconds.labels("BACKGROUND", CODES[error.cause] if error else "OK").observe(seconds)


async def _decide(
    services: Services, trunk: SipTrunk, status: TrunkStatus, error: VoiceError | None, by: Caller
) -> None:
    """Nothing is open any more: texts that the inbound leg does not answer to are free again.

    A route that the edge could not remove yet waits for its own time.
    """
    inbound = await TrunkLeg.get_or_none(trunk_id=trunk.id, kind=LegKind.INBOUND)
    left = await TrunkLeg.get_or_none(trunk_id=trunk.id, state=LegState.REMOVING)
    was, changed = trunk.status, changed_since(trunk.previous, trunk, services.keyring)
    async with in_transaction():
        await _write(trunk, status=status, previous=None)
        # Whoever made it due again meanwhile has seen something that this attempt has not.
        unmoved = SipTrunk.filter(id=trunk.id, next_attempt_at=trunk.next_attempt_at)
        await unmoved.update(next_attempt_at=left and left.next_attempt_at)
        if inbound is None or inbound.voice_id is None or inbound.state is LegState.READY:
            await CalledText.filter(trunk_id=trunk.id).exclude(text__in=own_text_keys(trunk)).delete()
        await history.trunk_settled(by, trunk, was, changed, error)


async def _next_attempt(services: Services, trunk: SipTrunk) -> datetime:
    at = await database.now()  # a time that has passed is an older failure's
    noted = await TrunkLeg.filter(trunk_id=trunk.id, next_attempt_at__gt=at).order_by("next_attempt_at").first()
    return noted.next_attempt_at if noted and noted.next_attempt_at else at + pause(services, 1)


async def _write(trunk: SipTrunk, **columns: Any) -> None:  # noqa: ANN401  # columns of any type
    """Change the row as long as the lease is ours, and nobody wants the trunk gone meanwhile."""
    row = SipTrunk.filter(id=trunk.id, lease_owner=trunk.lease_owner)
    if trunk.status is not TrunkStatus.DELETING:
        row = row.exclude(status=TrunkStatus.DELETING)
    if not await row.update(**columns):
        raise leases.LeaseLostError
    trunk.update_from_dict(columns)


async def took_back(services: Services, trunk: SipTrunk, error: VoiceError, by: Caller) -> bool:
    """Return to what was before the changes that are not decided yet; False when there are none.

    The legs that they did not reach are as they were.
    """
    assistant = await Assistant.filter(answers_trunk_id=trunk.id).exclude(previous=None).first()
    changed = changed_since(trunk.previous, trunk, services.keyring)
    if changed is None and assistant is None:
        return False
    if trunk.previous is not None:
        async with in_transaction():
            await _write(trunk, **columns_of(trunk.previous), previous=None)
            await record(
                by, Action.TRUNK_UPDATED, trunk.id, changed_fields=changed or (), outcome=history.outcome_of(error)
            )
    if assistant:
        await _take_assistant_back(assistant, history.assistant_outcome(error), by)
    untouched = TrunkLeg.filter(trunk_id=trunk.id, state__in=(LegState.READY, LegState.REFUSED))
    await untouched.exclude(applied_fingerprint=None).update(state=LegState.READY, **CLEAN)
    return True


async def _take_assistant_back(assistant: Assistant, outcome: str, by: Caller) -> None:
    """To the agent and the trunk that it had, unless that number is answered by another one now; or to none at all."""
    trunk_id = assistant.previous["trunk_id"] if assistant.previous else None
    try:
        await _restore(assistant, trunk_id, outcome, by)
    except IntegrityError:
        await _restore(assistant, None, outcome, by)


async def _restore(assistant: Assistant, trunk_id: str | None, outcome: str, by: Caller) -> None:
    before = assistant.previous or {}
    async with in_transaction():
        await leases.lock_trunks([assistant.trunk_id, trunk_id])
        await history.assistant_decided(by, assistant, outcome)
        if not before:
            await assistant.delete()
            return
        await SipTrunk.filter(id=trunk_id).update(next_attempt_at=await database.now())
        updated_at = datetime.fromisoformat(before["updated_at"])
        kept = {"updated_at": updated_at, "previous": None, "trunk_id": trunk_id, "answers_trunk_id": trunk_id}
        await Assistant.filter(id=assistant.id).update(**before | kept)


async def _forget(trunk: SipTrunk, by: Caller) -> None:
    at = await database.now()
    async with in_transaction():
        if not await SipTrunk.filter(id=trunk.id, lease_owner=trunk.lease_owner).delete():
            raise leases.LeaseLostError
        await RetiredTrunk.create(id=trunk.id, retired_at=at)
        await record(by, Action.TRUNK_DELETED, trunk.id)
