"""The use case createSipTrunk: check, claim, make both legs, and only then show the trunk. A failure leaves nothing."""

import asyncio
from dataclasses import dataclass, fields

from models.event import Action
from models.secret import Secret
from models.sip_trunk import SipTrunk
from models.trunk_leg import LegKind, LegState, TrunkLeg
from trunkline import claims, database, idempotency, probing
from trunkline.causes import problem_of
from trunkline.claims import Busy, Claim, Order
from trunkline.events import record
from trunkline.idempotency import BoundKey
from trunkline.keys import Caller
from trunkline.legs import content, wanted_legs
from trunkline.presets import filled
from trunkline.problems import Notice, Problem
from trunkline.provisioning import make_leg, remove_unknown
from trunkline.services import Services
from trunkline.trunks import examined, visible_trunks
from trunkline.validation import NormalizedTrunk, TrunkDraft
from trunkline.voice import VoiceCause, VoiceError

BUSY_WAIT_SECONDS = 0.05
APART = frozenset({"sip_password", "provider_as_of"})  # the date is no part of what was asked for
FAILED = "Failed to create SIP trunk."
UNDECIDED = "The voice backend did not answer in time; the same request may be sent again at once."
TAKEN_OVER = "Another process took this creation over; the same request may be sent again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a trunk is to be created."""

    background: bool = False
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Creation:
    """How a creation ended: a trunk, or problems. Notices come with both."""

    trunk: SipTrunk | None
    problems: tuple[Problem, ...]
    notices: tuple[Notice, ...]
    broke_rules: bool = False  # the problems are those of the fields; nothing was asked of anybody


async def create_trunk(services: Services, caller: Caller, draft: TrunkDraft, manner: Manner) -> Creation:
    """Create a trunk; a client that goes away does not stop it."""
    return await services.tasks.run(_create(services, caller, draft, manner))


async def _create(services: Services, caller: Caller, draft: TrunkDraft, manner: Manner) -> Creation:
    deadline = asyncio.get_running_loop().time() + services.settings.provision_timeout
    examination = await examined(services, caller, filled(draft), manner.idempotency_key)
    if examination.normalized is None:
        return Creation(None, examination.problems, examination.notices, broke_rules=True)
    ended = await _with_key(services, caller, examination.normalized, manner, deadline)
    if isinstance(ended, Problem):
        return Creation(None, (ended,), examination.notices)
    probing.soon(services, ended)
    trunk = await visible_trunks(caller.workspace_id).get_or_none(id=ended)
    return Creation(trunk, () if trunk else (idempotency.DELETED,), examination.notices)


async def _with_key(
    services: Services, caller: Caller, wanted: NormalizedTrunk, manner: Manner, deadline: float
) -> str | Problem:
    """Run the creation once for its key; the trunk's id, or the problem, which binds nothing."""
    if manner.idempotency_key is None:
        return await _run(services, Order(caller, wanted, manner.background), deadline)
    parts = canonical(wanted, manner)
    name = manner.idempotency_key.strip()
    key = await idempotency.obtain(services, caller.workspace_id, name, parts, deadline)
    if not isinstance(key, BoundKey):
        return key
    ended: str | Problem | None = None
    try:
        ended = await _run(services, Order(caller, wanted, manner.background, key), deadline)
    finally:
        await key.end(ended if isinstance(ended, Problem) else None)
    return ended


def canonical(wanted: NormalizedTrunk, manner: Manner) -> list[str | Secret]:
    """The input as it counts for idempotency: after normalisation, the password included."""
    return [
        wanted.sip_password,
        repr(manner.background),
        *(repr(getattr(wanted, each.name)) for each in fields(wanted) if each.name not in APART),
    ]


async def _run(services: Services, order: Order, deadline: float) -> str | Problem:
    began = asyncio.get_running_loop().time()
    claim = await _claim(services, order, deadline)
    if isinstance(claim, Problem):
        return claim
    if order.background:
        services.work.set()
        return claim.trunk.id
    problem = await _provision(services, claim, order, deadline)
    seconds = asyncio.get_running_loop().time() - began
    services.metrics.provision_seconds.labels("WAIT", problem.code if problem else "OK").observe(seconds)
    return problem or claim.trunk.id


async def _claim(services: Services, order: Order, deadline: float) -> Claim | Problem:
    """Claim the number; the clean-up of our own remains is waited for, since it takes an instant."""
    while True:
        taken = await claims.take(services, order)
        if not isinstance(taken, Busy):
            return taken
        if asyncio.get_running_loop().time() + BUSY_WAIT_SECONDS > deadline:
            return claims.BEING_CREATED
        await asyncio.sleep(BUSY_WAIT_SECONDS)


async def _provision(services: Services, claim: Claim, order: Order, deadline: float) -> Problem | None:
    """Make both legs and show the trunk, or undo what was made; the claim ends here in one way or the other."""
    made: list[TrunkLeg] = []
    error = await _tried(services, claim, made, deadline)
    if error:
        await _undo(services, claim, made, error.cause, deadline)
    elif not await claims.activate(claim, made, order):
        services.work.set()
        error = VoiceError(VoiceCause.OUTCOME_UNKNOWN, TAKEN_OVER)
    if error is None:
        return None
    problem = problem_of(error, FAILED)
    await record(order.caller, Action.TRUNK_CREATED, claim.trunk.id, outcome=problem.code)
    return problem


async def _tried(services: Services, claim: Claim, made: list[TrunkLeg], deadline: float) -> VoiceError | None:
    try:
        async with asyncio.timeout_at(deadline):
            await _make_legs(services, claim, made)
    except VoiceError as error:
        return error
    except TimeoutError:
        return VoiceError(VoiceCause.OUTCOME_UNKNOWN, UNDECIDED)
    return None


async def _make_legs(services: Services, claim: Claim, made: list[TrunkLeg]) -> None:
    if claim.continued and claim.trunk.edge_key and not claim.trunk.outbound_proxy:
        await remove_unknown(services, claim.trunk, LegKind.EDGE)  # the others are taken, this one is not wanted
    for wanted in wanted_legs(services, claim.trunk):
        voice_id = await make_leg(services, wanted, continued=claim.continued)
        leg = TrunkLeg(trunk_id=claim.trunk.id, kind=wanted.kind, state=LegState.READY, voice_id=voice_id)
        leg.applied_revision = claim.trunk.revision
        leg.applied_fingerprint = services.keyring.digest_of(content(wanted))
        leg.checked_at = await database.now()
        made.append(leg)


async def _undo(services: Services, claim: Claim, made: list[TrunkLeg], cause: VoiceCause, deadline: float) -> None:
    """Remove what was made. What cannot be removed now, or may exist without our knowing, is left to the clean-up."""
    certain = cause is not VoiceCause.OUTCOME_UNKNOWN and not claim.continued
    if certain and await _all_removed(services, made, deadline):
        await claims.free(claim)
    else:
        await claims.abandon(claim)
        services.work.set()


async def _all_removed(services: Services, made: list[TrunkLeg], deadline: float) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            for leg in made:
                await services.voice.delete(LegKind(leg.kind), leg.voice_id or "")
    except (VoiceError, TimeoutError):
        return False
    return True
