"""One trunk made true at the voice backend, leg by leg, under its lease. What is unknown is looked up, never guessed.

Level-triggered: only what is wanted now and what was applied last count, never which request brought it.
"""

from tortoise.transactions import in_transaction

from models.assistant import Assistant
from models.secret import KeyringError
from models.sip_trunk import SipTrunk, TrunkStatus
from models.trunk_leg import LegKind, LegState, TrunkLeg
from trunkline import database, leases
from trunkline.causes import CODES, DEFINITE, TAKEN, WIDE, is_retryable
from trunkline.events import by_itself
from trunkline.history import assistant_decided
from trunkline.keys import Caller
from trunkline.legs import content, dispatch_rule, wanted_legs
from trunkline.provisioning import make_leg, refuse_rivals, remove_unknown
from trunkline.services import Services
from trunkline.settling import CLEAN, pause, settle, took_back
from trunkline.voice import Leg, VoiceCause, VoiceError

# A rule must not outlive its trunk, nor an outbound trunk what it dials.
REMOVAL_ORDER = (LegKind.DISPATCH, LegKind.INBOUND, LegKind.OUTBOUND, LegKind.EDGE)
UNREADABLE = VoiceError(VoiceCause.REFUSED, "The stored password cannot be decrypted; set it again.")
CALLED_BY = ("phone_number", "sip_calling_format")  # what decides which texts the inbound leg answers to


async def converge(
    services: Services, trunk: SipTrunk, back_on: frozenset[VoiceCause] = DEFINITE, by: Caller | None = None
) -> VoiceError | None:
    """Make the trunk true and write down how far it came; the first failure, if there was one.

    A change that is refused for good is taken back, and the trunk made true to what it was; a request that waits for
    its change takes it back on every failure but an unknown outcome. `by`: whose request it is; nobody's unless told.
    """
    by = by or by_itself(trunk.workspace_id)
    error = await _attempt(services, trunk, by)
    if error and error.cause in back_on and await took_back(services, trunk, error, by):
        await settle(services, trunk, await _attempt(services, trunk, by), by)
        return error
    await settle(services, trunk, error, by)
    return error


async def _attempt(services: Services, trunk: SipTrunk, by: Caller) -> VoiceError | None:
    legs = {leg.kind: leg for leg in await TrunkLeg.filter(trunk_id=trunk.id)}
    try:
        if trunk.status is TrunkStatus.DELETING:
            for kind in REMOVAL_ORDER:
                await _unmake(services, trunk, kind, legs.get(kind))
        else:
            await _make_all(services, trunk, legs, by)
    except VoiceError as error:
        return error
    except KeyringError:  # one trunk's damage, told at that trunk; the others go on
        for leg in legs.values():
            await _note_failure(services, trunk, leg, UNREADABLE)
        return UNREADABLE
    return None


async def _make_all(services: Services, trunk: SipTrunk, legs: dict[LegKind, TrunkLeg], by: Caller) -> None:
    """The rule needs the inbound trunk alone: no trouble of the outbound one keeps it from being made or removed."""
    inbound, *outward = wanted_legs(services, trunk)
    assistant = await Assistant.get_or_none(answers_trunk_id=trunk.id)
    rule = legs.get(LegKind.DISPATCH)
    if assistant is None:
        await _unmake(services, trunk, LegKind.DISPATCH, rule)
    made = await _make(services, trunk, legs.get(LegKind.INBOUND), inbound)
    if assistant:
        wanted_rule = dispatch_rule(trunk, assistant, made.voice_id or "", services.installation_id)
        await _make(services, trunk, rule, wanted_rule)
        if assistant.previous is not None:
            await _decide(assistant, by)
    for wanted in outward:
        await _make(services, trunk, legs.get(wanted.kind), wanted)
    if LegKind.EDGE not in {wanted.kind for wanted in outward}:
        try:
            await _unmake(services, trunk, LegKind.EDGE, legs.get(LegKind.EDGE))
        except VoiceError:  # nothing leads there any more, so the trunk is as it should be
            services.work.set()


async def _decide(assistant: Assistant, by: Caller) -> None:
    """From here on there is no way back, unless somebody changed it meanwhile."""
    async with in_transaction():
        if await Assistant.filter(id=assistant.id, updated_at=assistant.updated_at).update(previous=None):
            await assistant_decided(by, assistant)


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
    if leg is None and (kind is LegKind.DISPATCH or (kind is LegKind.EDGE and trunk.edge_key is None)):
        return
    await leases.keep(services, trunk)
    try:
        if leg and leg.voice_id:
            if not await _is_taken(services, leg):
                await services.voice.delete(kind, leg.voice_id)
        else:
            await remove_unknown(services, trunk, kind)
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
    leg.next_attempt_at = None if error.cause in DEFINITE else at + pause(services, leg.attempts)
    await _save(trunk, leg)
