"""The use cases of trunks that exist, and the dry run of createSipTrunk. Another workspace's trunk looks like none."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tortoise.functions import Count
from tortoise.queryset import QuerySet
from tortoise.transactions import in_transaction

from models.assistant import Assistant
from models.event import Action
from models.identifiers import is_id
from models.sip_trunk import HIDDEN, SipTrunk, TrunkStatus
from models.trunk_leg import LegState, TrunkLeg
from trunkline import claims, database, idempotency, leases
from trunkline.causes import problem_of
from trunkline.converge import converge
from trunkline.events import SUCCEEDED, record
from trunkline.history import assistant_bereft
from trunkline.keys import Caller
from trunkline.presets import filled
from trunkline.problems import Code, Problem
from trunkline.services import Services
from trunkline.validation import Examination, Policy, TrunkDraft, examine, name_to_resolve
from trunkline.voice import VoiceCause, VoiceError, VoiceKind

TRUNK = "trunk"
SHOWN_WITH = ("legs", "assistants")
NO_PROXY = "This installation has no outbound proxy: TRUNKLINE_OUTBOUND_PROXY is not set. Leave outboundProxy out."
NOT_FOUND = Problem(Code.NOT_FOUND, "SIP trunk not found.", ("input", "id"))
PROVISION_FAILED = "Failed to provision SIP trunk."
DELETE_FAILED = "Failed to delete SIP trunk."
STAYS_DELETING = "It stays DELETING and is finished by itself."
UNDECIDED = VoiceError(
    VoiceCause.OUTCOME_UNKNOWN, "The voice backend did not answer in time; the same request may be sent again."
)


@dataclass(frozen=True, slots=True)
class Removal:
    """How a removal ended. `unassigned`: the assistants that lost their number, also when it is not finished yet."""

    deleted_id: str | None
    unassigned: Sequence[Assistant]
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trunk as it stands after a use case, and what kept it from succeeding."""

    trunk: SipTrunk | None
    problem: Problem | None


def seen_trunks(workspace_id: str) -> QuerySet[SipTrunk]:
    """Every trunk that a workspace may see, the rows alone; the one entry for reading trunks."""
    return SipTrunk.filter(workspace_id=workspace_id).exclude(status__in=HIDDEN)


def visible_trunks(workspace_id: str) -> QuerySet[SipTrunk]:
    """The same with what is shown of them."""
    return seen_trunks(workspace_id).prefetch_related(*SHOWN_WITH)


async def find_trunk(workspace_id: str, trunk_id: str) -> SipTrunk | None:
    """A visible trunk by its id; a malformed id is an unknown one and never reaches the database."""
    return await visible_trunks(workspace_id).get_or_none(id=trunk_id) if is_id(TRUNK, trunk_id) else None


async def find_living(workspace_id: str, trunk_id: str) -> SipTrunk | None:
    """The same, unless it is being removed."""
    trunk = await find_trunk(workspace_id, trunk_id)
    return None if trunk is None or trunk.status is TrunkStatus.DELETING else trunk


async def status_counts(workspace_id: str) -> list[tuple[TrunkStatus, int]]:
    """How many visible trunks of a workspace have each status that occurs."""
    seen = seen_trunks(workspace_id)
    rows = await seen.annotate(count=Count("id")).group_by("status").order_by("status").values_list("status", "count")
    return [(TrunkStatus(status), int(count)) for status, count in rows]


async def validate_trunk(
    services: Services, caller: Caller, draft: TrunkDraft, idempotency_key: str | None
) -> Examination:
    """Say what createSipTrunk would say before it asks the voice backend; nothing is stored, nothing is sent."""
    examination = await examined(services, caller, filled(draft), idempotency_key)
    if examination.normalized is None:
        return examination
    found = await claims.obstacle(caller.workspace_id, examination.normalized)
    problems = (found,) if isinstance(found, Problem) else ()
    return Examination(examination.normalized, problems, examination.notices)


async def examined(
    services: Services, caller: Caller, draft: TrunkDraft, idempotency_key: str | None = None
) -> Examination:
    """Apply all rules, with the host name resolved."""
    name = name_to_resolve(draft)
    addresses = await services.resolver.resolve(name, caller.workspace_id) if name else None
    settings = services.settings
    proxy_problem = NO_PROXY if services.voice.kind is VoiceKind.LIVEKIT and settings.edge is None else None
    found = examine(draft, Policy(settings.allowed_networks, settings.phone_check, proxy_problem), addresses)
    bad_key = None if idempotency_key is None else idempotency.key_problem(idempotency_key)
    return Examination(None, (*found.problems, bad_key), found.notices) if bad_key else found


async def delete_trunk(services: Services, caller: Caller, trunk_id: str) -> Removal:
    """Remove a trunk from the voice backend first, then from the database; concurrent removals join."""
    return await services.tasks.run(_delete(services, caller, trunk_id))


async def _delete(services: Services, caller: Caller, trunk_id: str) -> Removal:
    deadline = asyncio.get_running_loop().time() + services.settings.provision_timeout
    if not await find_trunk(caller.workspace_id, trunk_id):
        return Removal(None, [], NOT_FOUND)
    unassigned = await _mark_deleting(caller, trunk_id)
    error = await converged_by(services, trunk_id, deadline, by=caller)
    if error is None:
        return Removal(trunk_id, unassigned, None)
    problem = problem_of(error, DELETE_FAILED)
    await record(caller, Action.TRUNK_DELETED, trunk_id, outcome=problem.code)
    told = replace(problem, message=f"{problem.message} {STAYS_DELETING}", field=None, retryable=True)
    return Removal(None, unassigned, told)


async def converged_by(
    services: Services, trunk_id: str, deadline: float, *, anew: bool = False, by: Caller | None = None
) -> VoiceError | None:
    """Make a trunk true, waiting at most until the deadline; what is not finished then goes on by itself.

    `anew`: every leg is written again, also where nothing differs.
    """
    try:
        error = await services.tasks.within(deadline, _converge_leased(services, trunk_id, deadline, by, anew=anew))
    except (TimeoutError, leases.LeaseLostError):
        error = UNDECIDED
    if error:
        services.work.set()  # what is left to do is the reconciler's
    return error


async def _converge_leased(
    services: Services, trunk_id: str, deadline: float, by: Caller | None, *, anew: bool
) -> VoiceError | None:
    async with leases.held(services, trunk_id, deadline) as trunk:
        if trunk and anew:
            await TrunkLeg.filter(trunk_id=trunk_id).update(state=LegState.PENDING, applied_fingerprint=None)
        return await converge(services, trunk, by=by) if trunk else None


async def _mark_deleting(caller: Caller, trunk_id: str) -> list[Assistant]:
    """From here on there is no way back: DELETING is visible, and the assistants have lost their number."""
    at = await database.now()
    async with in_transaction():
        await SipTrunk.filter(id=trunk_id).update(
            status=TrunkStatus.DELETING, previous=None, next_attempt_at=at, updated_at=at
        )
        assistants = await Assistant.filter(trunk_id=trunk_id).order_by("id")
        await Assistant.filter(trunk_id=trunk_id).update(
            trunk_id=None, answers_trunk_id=None, previous=None, updated_at=at
        )
        await record(caller, Action.TRUNK_DELETE_REQUESTED, trunk_id)
        for assistant in assistants:
            await assistant_bereft(caller, assistant)
    for assistant in assistants:
        assistant.update_from_dict({"trunk_id": None, "answers_trunk_id": None, "updated_at": at})
    return assistants


async def reprovision_trunk(services: Services, caller: Caller, trunk_id: str) -> Outcome:
    """Try again now, whatever was refused before."""
    return await services.tasks.run(_reprovision(services, caller, trunk_id))


async def _reprovision(services: Services, caller: Caller, trunk_id: str) -> Outcome:
    deadline = asyncio.get_running_loop().time() + services.settings.provision_timeout
    if not await find_living(caller.workspace_id, trunk_id):
        return Outcome(None, NOT_FOUND)
    async with in_transaction():
        await SipTrunk.filter(id=trunk_id).update(next_attempt_at=await database.now())
        await record(caller, Action.TRUNK_REPROVISION_REQUESTED, trunk_id)
    error = await converged_by(services, trunk_id, deadline, anew=True, by=caller)
    problem = problem_of(error, PROVISION_FAILED) if error else None
    await record(caller, Action.TRUNK_REPROVISIONED, trunk_id, outcome=problem.code if problem else SUCCEEDED)
    trunk = await find_living(caller.workspace_id, trunk_id)
    if trunk is None:  # it was deleted meanwhile
        return Outcome(None, NOT_FOUND)
    return Outcome(trunk, problem)
