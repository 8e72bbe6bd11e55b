"""One assistant put in the place of another: the row and the trunks it answers, all or nothing.

The trunks' leases are held from before the row is written until their rules are as it says, so that no two changes of
one rule meet. What is refused is put back; what this process cannot finish the reconciler does, for the trunks are due
from the first commit on.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from tortoise.exceptions import IntegrityError
from tortoise.queryset import QuerySet
from tortoise.transactions import in_transaction

from models.assistant import Assistant
from models.sip_trunk import HIDDEN, SipTrunk, TrunkStatus
from models.trunk_leg import LegKind, LegState, TrunkLeg
from trunkline import database, history, leases
from trunkline.causes import CERTAIN
from trunkline.converge import converge
from trunkline.keys import Caller
from trunkline.legs import content, dispatch_rule
from trunkline.problems import Code, Path, Problem
from trunkline.services import Services
from trunkline.voice import VoiceCause, VoiceError

TRUNK_FIELD: Path = ("input", "phoneNumberId")
TRUNK_NOT_FOUND = Problem(Code.NOT_FOUND, "SIP trunk not found.", TRUNK_FIELD)
TRUNK_IN_USE = Problem(Code.IN_USE, "Another inbound assistant already answers this number.", TRUNK_FIELD)
UNDECIDED = VoiceError(VoiceCause.OUTCOME_UNKNOWN, "The voice backend did not answer in time.")
COLUMNS = ("name", "agent_name", "type", "trunk_id", "answers_trunk_id", "previous", "updated_at")

Failure = Problem | VoiceError
Tell = Callable[[], Awaitable[None]]  # writes the event of what was written


class ChangedMeanwhileError(Exception):
    """Somebody else changed the assistant since it was read; nothing was done."""


async def replace_assistant(
    services: Services, by: Caller, before: Assistant | None, after: Assistant | None
) -> Failure | None:
    """Put `after` in the place of `before` (None: no assistant), or change nothing and say why.

    Answers within the provision timeout; a change that takes longer is put back, by this process or by the reconciler.
    """
    deadline = asyncio.get_running_loop().time() + services.settings.provision_timeout
    try:
        return await services.tasks.within(deadline, _replace_leased(services, by, before, after, deadline))
    except (TimeoutError, leases.LeaseLostError):
        services.work.set()
        return UNDECIDED


async def _replace_leased(
    services: Services, by: Caller, before: Assistant | None, after: Assistant | None, deadline: float
) -> Failure | None:
    ended = partial(history.assistant_replaced, by, before, after)
    async with AsyncExitStack() as stack:
        trunks: dict[str, SipTrunk] = {}
        for trunk_id in sorted(_answered(before, after)):  # in one order for all, so that two moves cannot deadlock
            if trunk := await stack.enter_async_context(leases.held(services, trunk_id, deadline)):
                trunks[trunk_id] = trunk
        concerned = [trunks[trunk_id] for trunk_id in _answered(before, after) if trunk_id in trunks]
        at_once = partial(history.assistant_requested, by, before, after) if concerned else ended
        if problem := await _swap(before, after, concerned, at_once):
            return problem
        error = await _made_true(services, after, concerned, by)
        if error is None and asyncio.get_running_loop().time() >= deadline:
            error = UNDECIDED  # which is what the client was told
        if error:
            told = partial(ended, history.assistant_outcome(error))
            await _put_back(services, before, after, concerned, told, by)
        elif concerned and not (after and after.answers_trunk_id):  # else it ended with its rule
            await ended()
        return error


def _answered(before: Assistant | None, after: Assistant | None) -> list[str]:
    """The trunks whose rule changes. The one it comes to is first: until its rule is made, the old one stays."""
    both = [each.answers_trunk_id for each in (after, before) if each]
    return list(dict.fromkeys(trunk_id for trunk_id in both if trunk_id))


async def _swap(
    before: Assistant | None, after: Assistant | None, trunks: Sequence[SipTrunk], tell: Tell
) -> Problem | None:
    """Write the row and make its trunks due in one transaction, so that whatever becomes of us, they are made true."""
    at = await database.now()
    try:
        async with in_transaction():
            await leases.lock_trunks(each.trunk_id for each in (before, after) if each)
            if after and after.trunk_id and not await _lives(after.trunk_id):
                return TRUNK_NOT_FOUND
            for trunk in sorted(trunks, key=lambda each: each.id):  # trunks before assistants, as everybody locks
                await _make_due(trunk, at)
            await _write(before, after)
            await tell()
    except IntegrityError:
        return TRUNK_IN_USE
    return None


async def _lives(trunk_id: str) -> bool:
    """Locked, so that a removal, which takes the trunk from its assistants, comes before us or after us."""
    living = SipTrunk.filter(id=trunk_id).exclude(status__in=(TrunkStatus.DELETING, *HIDDEN))
    return bool(await living.select_for_update().only("id"))


async def _make_due(trunk: SipTrunk, at: Any) -> None:  # noqa: ANN401  # the database's time
    if not await SipTrunk.filter(id=trunk.id, lease_owner=trunk.lease_owner).update(next_attempt_at=at):
        raise leases.LeaseLostError
    trunk.next_attempt_at = at


async def _write(before: Assistant | None, after: Assistant | None) -> None:
    if before is None and after:
        await after.save(force_create=True)
        return
    if before is None:
        return
    change = {name: getattr(after, name) for name in COLUMNS} if after else None
    row = _row(before)
    if not await (row.update(**change) if change else row.delete()):
        raise ChangedMeanwhileError


def _row(assistant: Assistant) -> QuerySet[Assistant]:
    """The assistant's row, as long as it says the same."""
    same = {name: getattr(assistant, name) for name in COLUMNS if name != "previous"}
    return Assistant.filter(id=assistant.id, **same)


async def _made_true(
    services: Services, after: Assistant | None, trunks: Sequence[SipTrunk], by: Caller
) -> VoiceError | None:
    """Make each trunk's rule as the rows say; a trouble of its other legs is not the assistant's."""
    for trunk in trunks:
        error = await _converged(services, trunk, by)
        if error and not (await _still_wanted(after) and await _rule_stands(services, trunk)):
            return error
    return None


async def _converged(services: Services, trunk: SipTrunk, by: Caller) -> VoiceError | None:
    try:
        return await converge(services, trunk, CERTAIN, by)
    except leases.LeaseLostError:
        if await _lives(trunk.id):
            raise
        return None  # it is being removed, its rule first; the assistant has lost it already


async def _still_wanted(after: Assistant | None) -> bool:
    """False when the change was refused and has been taken back."""
    return after is None or await _row(after).exists()


async def _rule_stands(services: Services, trunk: SipTrunk) -> bool:
    legs = {leg.kind: leg for leg in await TrunkLeg.filter(trunk_id=trunk.id)}
    rule, inbound = legs.get(LegKind.DISPATCH), legs.get(LegKind.INBOUND)
    assistant = await Assistant.get_or_none(answers_trunk_id=trunk.id)
    if assistant is None or rule is None or inbound is None:
        return assistant is None and rule is None
    wanted = dispatch_rule(trunk, assistant, inbound.voice_id or "", services.installation_id)
    return rule.state is LegState.READY and services.keyring.agrees(rule.applied_fingerprint, content(wanted))


async def _put_back(  # noqa: PLR0913, PLR0917  # what was swapped, and who did it
    services: Services,
    before: Assistant | None,
    after: Assistant | None,
    trunks: Sequence[SipTrunk],
    tell: Tell,
    by: Caller,
) -> None:
    """Return to what was, at the voice backend too if it lets us now; the reconciler goes on with what is left."""
    try:
        if await _swap(after, before, trunks, tell) and before:  # its trunk is being removed, so it has none
            before.update_from_dict({"trunk_id": None, "answers_trunk_id": None})
            await _swap(after, before, trunks, tell)
    except ChangedMeanwhileError:  # it was taken back already, or somebody decided otherwise
        return
    services.work.set()
    with contextlib.suppress(leases.LeaseLostError):
        for trunk in trunks:
            await converge(services, trunk, by=by)
