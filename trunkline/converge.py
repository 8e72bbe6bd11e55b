"""One trunk made true at the voice backend, leg by leg, under its lease. What is unknown is looked up, never guessed.

Level-triggered: only what is wanted now and what was applied last count, never which request brought it.
"""

import random
from datetime import datetime, timedelta
from typing import Any

from tortoise.exceptions import IntegrityError
from tortoise.transactions import in_transaction

from models.assistant import Assistant
from models.secret import KeyringError
from models.sip_trunk import CalledText, RetiredTrunk, SipTrunk, TrunkStatus
from models.trunk_leg import LegKind, LegState, TrunkLeg
from trunkline import database, leases
from trunkline.causes import CODES, DEFINITE, TAKEN, WIDE, is_retryable
from trunkline.legs import content, dispatch_rule, own_text_keys, wanted_legs
from trunkline.provisioning import make_leg, own_objects, refuse_rivals, remove
from trunkline.services import Services
from trunkline.snapshots import columns_of
from trunkline.voice import Leg, Marker, VoiceCause, VoiceError

REMOVAL_ORDER = (LegKind.DISPATCH, LegKind.INBOUND, LegKind.OUTBOUND)  # a rule must not outlive its trunk
UNREADABLE = VoiceError(VoiceCause.REFUSED, "The stored password cannot be decrypted; set it again.")
CALLED_BY = ("phone_number", "sip_calling_format")  # what decides which texts the inbound leg answers to
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


async def converge(services: Services, trunk: SipTrunk, back_on: frozenset[VoiceCause] = DEFINITE) -> VoiceError | None:
    """Make the trunk true and write down how far it came; the first failure, if there was one.

    A change that is refused for good is taken back, and the trunk made true to what it was; a request that waits for
    its change takes it back on every failure but an unknown outcome.
    """
    error = await _attempt(services, trunk)
    if error and error.cause in back_on and await _took_back(trunk):
        await _settle(services, trunk, await _attempt(services, trunk))
        return error
    await _settle(services, trunk, error)
    return error


async def _attempt(services: Services, trunk: SipTrunk) -> VoiceError | None:
    legs = {leg.kind: leg for leg in await TrunkLeg.filter(trunk_id=trunk.id)}
    try:
        if trunk.status is TrunkStatus.DELETING:
            for kind in REMOVAL_ORDER:
                await _unmake(services, trunk, kind, legs.get(kind))
        else:
            await _make_all(services, trunk, legs)
    except VoiceError as error:
        return error
    except KeyringError:  # one trunk's damage, told at that trunk; the others go on
        for leg in legs.values():
            await _note_failure(services, trunk, leg, UNREADABLE)
        return UNREADABLE
    return None


async def _make_all(services: Services, trunk: SipTrunk, legs: dict[LegKind, TrunkLeg]) -> None:
    """The rule needs the inbound trunk alone: no trouble of the outbound one keeps it from being made or removed."""
    inbound, outbound = wanted_legs(trunk, services.keyring, services.installation_id)
    assistant = await Assistant.get_or_none(answers_trunk_id=trunk.id)
    rule = legs.get(LegKind.DISPATCH)
    if assistant is None:
        await _unmake(services, trunk, LegKind.DISPATCH, rule)
    made = await _make(services, trunk, legs.get(LegKind.INBOUND), inbound)
    if assistant:
        wanted_rule = dispatch_rule(trunk, assistant, made.voice_id or "", services.installation_id)
        await _make(services, trunk, rule, wanted_rule)
        if assistant.previous is not None:  # decided: from here on there is no way back
            await Assistant.filter(id=assistant.id, updated_at=assistant.updated_at).update(previous=None)
    await _make(services, trunk, legs.get(LegKind.OUTBOUND), outbound)


async def _make(services: Services, trunk: SipTrunk, leg: TrunkLeg | None, wanted: Leg) -> TrunkLeg:
    """Make one leg equal to what is wanted; nothing is sent when it is already."""
    if leg is None:  # written down before the first call: who removes the trunk must know that a leg may exist
        leg = TrunkLeg(trunk_id=trunk.id, kind=wanted.kind, state=LegState.PENDING)
        await _save(trunk, leg)
    if leg.state is LegState.READY and services.keyring.agrees(leg.applied_fingerprint, content(wanted)):
        return leg
    await leases.keep(services, trunk)
    try:
        await _refuse_what_is_others(services, trunk, leg, wanted)
        leg.voice_id = await _written(services, leg, wanted)
    except VoiceError as error:
        await _note_failure(services, trunk, leg, error)
        raise
    at = await database.now()
    fingerprint = services.keyring.digest_of(content(wanted))
    applied = {"applied_revision": trunk.revision, "applied_fingerprint": fingerprint, "checked_at": at}
    await _save(trunk, leg.update_from_dict({**CLEAN, **applied, "state": LegState.READY}))
    return leg


async def _save(trunk: SipTrunk, leg: TrunkLeg) -> None:
    """Write the leg down as long as the lease is ours: who has lost it knows less than the row."""
    async with in_transaction():
        await _hold(trunk)
        await leg.save()


async def _hold(trunk: SipTrunk) -> None:
    """Lock the trunk's row for the rest of the transaction, if the lease is ours."""
    if not await SipTrunk.filter(id=trunk.id, lease_owner=trunk.lease_owner).update(lease_owner=trunk.lease_owner):
        raise leases.LeaseLostError


async def _refuse_what_is_others(services: Services, trunk: SipTrunk, leg: TrunkLeg, wanted: Leg) -> None:
    """LiveKit checks nothing when an object is written again: neither whose it is now, nor what others hold already."""
    if await _is_taken(services, leg):
        raise TAKEN
    kept = trunk.previous or {}
    moved = any(kept.get(name, getattr(trunk, name)) != getattr(trunk, name) for name in CALLED_BY)
    if leg.kind is LegKind.DISPATCH or (leg.kind is LegKind.INBOUND and (moved or leg.state is LegState.DRIFTED)):
        await refuse_rivals(services.voice, wanted, leg.voice_id)


async def _is_taken(services: Services, leg: TrunkLeg) -> bool:
    """Whether another installation has put its marker on the object of a leg that was marked for it."""
    if leg.state is not LegState.REFUSED or not leg.voice_id:
        return False
    held = await services.voice.find(leg.kind, leg.voice_id)
    return held is not None and held.marker is not None and held.marker.installation != services.installation_id


async def _written(services: Services, leg: TrunkLeg, wanted: Leg) -> str:
    if leg.voice_id and leg.state is not LegState.MISSING:
        try:
            await services.voice.replace(leg.voice_id, wanted)
        except VoiceError as error:
            if error.cause is not VoiceCause.MISSING:
                raise
        else:
            return leg.voice_id
    if leg.voice_id and await services.voice.find(wanted.kind, leg.voice_id):
        await services.voice.replace(leg.voice_id, wanted)  # it was missed by mistake: absence is confirmed by id
        return leg.voice_id
    return await make_leg(services, wanted, continued=True)


async def _unmake(services: Services, trunk: SipTrunk, kind: LegKind, leg: TrunkLeg | None) -> None:
    """Remove one leg and its row; what an unknown outcome may have left is looked for by its marker."""
    if leg is None and kind is LegKind.DISPATCH:
        return
    await leases.keep(services, trunk)
    try:
        if leg and leg.voice_id:
            if not await _is_taken(services, leg):
                await services.voice.delete(kind, leg.voice_id)
        else:
            marker = Marker(services.installation_id, trunk.workspace_id, trunk.id, kind, trunk.revision)
            await remove(services.voice, await own_objects(services.voice, marker))
    except VoiceError as error:
        if leg:
            leg.state = LegState.REMOVING
            await _note_failure(services, trunk, leg, error)
        raise
    if leg:
        async with in_transaction():
            await _hold(trunk)
            await leg.delete()


async def _note_failure(services: Services, trunk: SipTrunk, leg: TrunkLeg, error: VoiceError) -> None:
    """Write the failure down. What concerns the whole backend is not counted against the trunk."""
    at = await database.now()
    leg.attempts += error.cause not in WIDE
    if leg.state is not LegState.READY or error.cause is VoiceCause.OUTCOME_UNKNOWN:
        leg.applied_fingerprint = None  # what is in place is not known any more
    if leg.state is LegState.READY and error.cause is VoiceCause.OUTCOME_UNKNOWN:
        leg.state = LegState.PENDING
    if error.cause in DEFINITE and leg.state is not LegState.REMOVING:
        leg.state = LegState.REFUSED
    leg.error_code, leg.error_message = CODES[error.cause], error.detail
    leg.error_retryable, leg.error_at = is_retryable(error), at
    leg.next_attempt_at = None if error.cause in DEFINITE else at + _pause(services, leg.attempts)
    await _save(trunk, leg)


def _pause(services: Services, attempts: int) -> timedelta:
    """Exponential back-off with full jitter, so that trunks which failed together do not return together."""
    longest = min(BACK_OFF_SECONDS * 2 ** min(attempts, 20), BACK_OFF_MAX_SECONDS)
    longest = min(longest, 10 * services.settings.reconcile_interval)
    return timedelta(seconds=random.uniform(longest / 4, longest))  # noqa: S311  # no secret depends on it


async def _settle(services: Services, trunk: SipTrunk, error: VoiceError | None) -> None:
    """Write the trunk's status down; after a success it is ACTIVE, or gone."""
    if error is None and trunk.status is TrunkStatus.DELETING:
        await _forget(trunk)
    elif error is None or (error.cause in DEFINITE and trunk.status is not TrunkStatus.DELETING):
        await _measure(services, trunk, error)
        failed = trunk.status in (TrunkStatus.PROVISIONING, TrunkStatus.FAILED)
        refused = TrunkStatus.FAILED if failed else TrunkStatus.DEGRADED
        await _decide(trunk, refused if error else TrunkStatus.ACTIVE)
    else:
        status = TrunkStatus.DEGRADED if trunk.status is TrunkStatus.ACTIVE else trunk.status
        await _write(trunk, status=status, next_attempt_at=await _next_attempt(services, trunk))


async def _measure(services: Services, trunk: SipTrunk, error: VoiceError | None) -> None:
    """How long a trunk created in the background took until it was decided."""
    if trunk.status is TrunkStatus.PROVISIONING:
        seconds = (await database.now() - trunk.created_at).total_seconds()
        services.metrics.provision_seconds.labels("BACKGROUND", CODES[error.cause] if error else "OK").observe(seconds)


async def _decide(trunk: SipTrunk, status: TrunkStatus) -> None:
    """Nothing is open any more: texts that the inbound leg does not answer to are free again."""
    inbound = await TrunkLeg.get_or_none(trunk_id=trunk.id, kind=LegKind.INBOUND)
    async with in_transaction():
        await _write(trunk, status=status, previous=None)
        # Whoever made it due again meanwhile has seen something that this attempt has not.
        unmoved = SipTrunk.filter(id=trunk.id, next_attempt_at=trunk.next_attempt_at)
        await unmoved.update(next_attempt_at=None)
        if inbound is None or inbound.voice_id is None or inbound.state is LegState.READY:
            await CalledText.filter(trunk_id=trunk.id).exclude(text__in=own_text_keys(trunk)).delete()


async def _next_attempt(services: Services, trunk: SipTrunk) -> datetime:
    at = await database.now()  # a time that has passed is an older failure's
    noted = await TrunkLeg.filter(trunk_id=trunk.id, next_attempt_at__gt=at).order_by("next_attempt_at").first()
    return noted.next_attempt_at if noted and noted.next_attempt_at else at + _pause(services, 1)


async def _write(trunk: SipTrunk, **columns: Any) -> None:  # noqa: ANN401  # columns of any type
    """Change the row as long as the lease is ours, and nobody wants the trunk gone meanwhile."""
    row = SipTrunk.filter(id=trunk.id, lease_owner=trunk.lease_owner)
    if trunk.status is not TrunkStatus.DELETING:
        row = row.exclude(status=TrunkStatus.DELETING)
    if not await row.update(**columns):
        raise leases.LeaseLostError
    trunk.update_from_dict(columns)


async def _took_back(trunk: SipTrunk) -> bool:
    """Return to what was before the changes that are not decided yet; False when there are none.

    The legs that they did not reach are as they were.
    """
    assistant = await Assistant.filter(answers_trunk_id=trunk.id).exclude(previous=None).first()
    if trunk.previous is None and assistant is None:
        return False
    if trunk.previous is not None:
        await _write(trunk, **columns_of(trunk.previous), previous=None)
    if assistant:
        await _take_assistant_back(assistant)
    untouched = TrunkLeg.filter(trunk_id=trunk.id, state__in=(LegState.READY, LegState.REFUSED))
    await untouched.exclude(applied_fingerprint=None).update(state=LegState.READY, **CLEAN)
    return True


async def _take_assistant_back(assistant: Assistant) -> None:
    """To the agent and the trunk that it had, unless that number is answered by another one now; or to none at all."""
    if not assistant.previous:
        await assistant.delete()
        return
    trunk_id = assistant.previous["trunk_id"]
    updated_at = datetime.fromisoformat(assistant.previous["updated_at"])
    assistant.update_from_dict(assistant.previous | {"updated_at": updated_at, "previous": None})
    try:
        async with in_transaction():
            await SipTrunk.filter(id=trunk_id).update(next_attempt_at=await database.now())
            assistant.answers_trunk_id = trunk_id
            await assistant.save()
    except IntegrityError:
        assistant.update_from_dict({"trunk_id": None, "answers_trunk_id": None})
        await assistant.save()


async def _forget(trunk: SipTrunk) -> None:
    at = await database.now()
    async with in_transaction():
        if not await SipTrunk.filter(id=trunk.id, lease_owner=trunk.lease_owner).delete():
            raise leases.LeaseLostError
        await RetiredTrunk.create(id=trunk.id, retired_at=at)
