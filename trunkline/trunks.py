"""The use cases of trunks: validate, create, read. A failed creation leaves nothing behind."""

import asyncio
from dataclasses import dataclass

from tortoise.queryset import QuerySet

from models.sip_trunk import HIDDEN, SipTrunk
from models.trunk_leg import LegKind
from trunkline import claims
from trunkline.claims import Busy, Claim
from trunkline.keys import Caller
from trunkline.legs import wanted_legs
from trunkline.problems import Code, Notice, Problem
from trunkline.provisioning import make_leg
from trunkline.services import Services
from trunkline.validation import Examination, NormalizedTrunk, Policy, TrunkDraft, examine, name_to_resolve
from trunkline.voice import VoiceCause, VoiceError, VoiceKind

BUSY_WAIT_SECONDS = 0.05
NO_PROXY = "This installation has no outbound proxy: TRUNKLINE_OUTBOUND_PROXY is not set. Leave outboundProxy out."
UNDECIDED = "The voice backend did not answer in time"

CODES = {
    VoiceCause.CONFLICT: Code.NUMBER_IN_USE,
    VoiceCause.REFUSED: Code.VOICE_REFUSED,
    VoiceCause.MISSING: Code.OUTCOME_UNKNOWN,
    VoiceCause.MISCONFIGURED: Code.VOICE_MISCONFIGURED,
    VoiceCause.UNAVAILABLE: Code.VOICE_UNAVAILABLE,
    VoiceCause.RATE_LIMITED: Code.RATE_LIMITED,
    VoiceCause.OUTCOME_UNKNOWN: Code.OUTCOME_UNKNOWN,
}
RETRYABLE = {Code.VOICE_UNAVAILABLE, Code.RATE_LIMITED, Code.OUTCOME_UNKNOWN}


@dataclass(frozen=True, slots=True)
class Creation:
    """How a creation ended: a trunk, or problems. Notices come with both."""

    trunk: SipTrunk | None
    problems: tuple[Problem, ...]
    notices: tuple[Notice, ...]
    broke_rules: bool = False  # the problems are those of the fields; nothing was asked of anybody


def visible_trunks(workspace_id: str) -> QuerySet[SipTrunk]:
    """Every trunk that a workspace may see; the one entry for reading trunks."""
    return SipTrunk.filter(workspace_id=workspace_id).exclude(status__in=HIDDEN).prefetch_related("legs")


async def validate_trunk(services: Services, caller: Caller, draft: TrunkDraft) -> Examination:
    """Say what createSipTrunk would say before it asks the voice backend; nothing is stored, nothing is sent."""
    examination = await _examined(services, caller, draft)
    if examination.normalized is None:
        return examination
    found = await claims.obstacle(caller.workspace_id, examination.normalized)
    problems = (found,) if isinstance(found, Problem) else ()
    return Examination(examination.normalized, problems, examination.notices)


async def create_trunk(services: Services, caller: Caller, draft: TrunkDraft) -> Creation:
    """Check, claim, make both legs, and only then show the trunk; a client that goes away does not stop it."""
    return await services.tasks.run(_create(services, caller, draft))


async def _create(services: Services, caller: Caller, draft: TrunkDraft) -> Creation:
    deadline = asyncio.get_running_loop().time() + services.settings.provision_timeout
    examination = await _examined(services, caller, draft)
    if examination.normalized is None:
        return Creation(None, examination.problems, examination.notices, broke_rules=True)
    claim = await _claim(services, caller, examination.normalized, deadline)
    if isinstance(claim, Problem):
        return Creation(None, (claim,), examination.notices)
    problem = await _provision(services, claim, deadline)
    if problem:
        return Creation(None, (problem,), examination.notices)
    trunk = await visible_trunks(caller.workspace_id).get(id=claim.trunk.id)
    return Creation(trunk, (), examination.notices)


async def _examined(services: Services, caller: Caller, draft: TrunkDraft) -> Examination:
    name = name_to_resolve(draft)
    addresses = await services.resolver.resolve(name, caller.workspace_id) if name else None
    settings = services.settings
    proxy_problem = NO_PROXY if services.voice.kind is VoiceKind.LIVEKIT else None
    return examine(draft, Policy(settings.allowed_networks, settings.phone_check, proxy_problem), addresses)


async def _claim(services: Services, caller: Caller, wanted: NormalizedTrunk, deadline: float) -> Claim | Problem:
    """Claim the number; the clean-up of our own remains is waited for, since it takes an instant."""
    while True:
        taken = await claims.take(services, caller.workspace_id, wanted)
        if not isinstance(taken, Busy):
            return taken
        if asyncio.get_running_loop().time() + BUSY_WAIT_SECONDS > deadline:
            return claims.BEING_CREATED
        await asyncio.sleep(BUSY_WAIT_SECONDS)


async def _provision(services: Services, claim: Claim, deadline: float) -> Problem | None:
    """Make both legs and show the trunk, or undo what was made; the claim ends here in one way or the other."""
    made: dict[LegKind, str] = {}
    try:
        async with asyncio.timeout_at(deadline):
            for leg in wanted_legs(claim.trunk, services.keyring, services.installation_id):
                made[leg.kind] = await make_leg(services, leg, continued=claim.continued)
    except VoiceError as error:
        await _undo(services, claim, made, error.cause, deadline)
        return _problem(error)
    except TimeoutError:
        await claims.abandon(claim)
        services.work.set()
        return _problem(VoiceError(VoiceCause.OUTCOME_UNKNOWN, UNDECIDED))
    if await claims.activate(claim, made):
        return None
    services.work.set()
    return _problem(VoiceError(VoiceCause.OUTCOME_UNKNOWN, "Another process took this creation over"))


async def _undo(services: Services, claim: Claim, made: dict[LegKind, str], cause: VoiceCause, deadline: float) -> None:
    """Remove what was made. What cannot be removed now, or may exist without our knowing, is left to the clean-up."""
    certain = cause is not VoiceCause.OUTCOME_UNKNOWN and not claim.continued
    if certain and await _all_removed(services, made, deadline):
        await claims.free(claim)
        return
    await claims.abandon(claim)
    services.work.set()


async def _all_removed(services: Services, made: dict[LegKind, str], deadline: float) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            for kind, voice_id in made.items():
                await services.voice.delete(kind, voice_id)
    except (VoiceError, TimeoutError):
        return False
    return True


def _problem(error: VoiceError) -> Problem:
    code = CODES[error.cause]
    if code is Code.NUMBER_IN_USE:
        return claims.NUMBER_IN_USE
    message = f"Failed to create SIP trunk. {error.detail}"
    return Problem(code, message, None, code in RETRYABLE, error.retry_after)
