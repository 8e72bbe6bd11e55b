"""The use case testCallSipTrunk: a real call that costs money, so it is checked, counted, written down and hung up."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from models.event import Action
from models.sip_trunk import SipTrunk
from models.trunk_leg import LegKind
from trunkline import events
from trunkline.call_outcomes import Outcome, likely_causes, outcome_of
from trunkline.call_rules import FIELD, destination_is_allowed, ring_seconds_are_in_range
from trunkline.causes import problem_of
from trunkline.dialling import DialPreview, preview
from trunkline.keys import Caller
from trunkline.log import outlived
from trunkline.pace import TEST_CALLS
from trunkline.problems import Code, Problem
from trunkline.services import Services
from trunkline.trunks import NOT_FOUND, find_living
from trunkline.voice import VoiceError
from trunkline.voice.calls import CallEnd, Dial

FAILED = "Failed to place the test call."
UNDER_WAY = Problem(
    Code.IN_USE,
    "A test of this SIP trunk is under way; try again when it has ended.",
    ("input", "id"),
    retryable=True,
)
NOT_THERE = Problem(
    Code.VOICE_UNAVAILABLE, f"{FAILED} The trunk is not in place at the voice backend yet.", None, retryable=True
)
LEFT_AFTER = 90.0  # seconds; longer than any test, so that only what a dead process left is closed


@dataclass(frozen=True, slots=True)
class CallReport:
    """How a test call went."""

    outcome: Outcome
    sip_status: int | None
    reason: str | None
    duration_ms: int
    dialled: DialPreview
    likely_causes: list[str]


async def place_test_call(
    services: Services, caller: Caller, trunk_id: str, destination: str, ring_seconds: int
) -> CallReport | tuple[Problem, ...]:
    """Call a destination through a trunk; a client that goes away does not stop it, and it is hung up all the same."""
    return await services.tasks.run(_place(services, caller, trunk_id, destination, ring_seconds))


async def _place(
    services: Services, caller: Caller, trunk_id: str, destination: str, ring_seconds: int
) -> CallReport | tuple[Problem, ...]:
    trunk = await find_living(caller.workspace_id, trunk_id)
    if trunk is None:
        return (NOT_FOUND,)
    dialled = preview(trunk, destination)
    if problems := _problems(services, trunk, destination, ring_seconds, dialled):
        return problems
    outbound = next((leg.voice_id for leg in trunk.legs if leg.kind is LegKind.OUTBOUND), None)
    if not outbound:
        return (NOT_THERE,)
    if trunk.id in services.testing:
        return (UNDER_WAY,)
    if problem := services.pace.take(TEST_CALLS, caller.workspace_id):
        return (problem,)
    with alone(services, trunk.id):
        room = room_of(services)
        dial = Dial(room=room, callee=dialled.to_user or "", ring_seconds=ring_seconds, by=outbound)
        return await _reported(services, caller, trunk, dial, dialled)


def _problems(
    services: Services, trunk: SipTrunk, destination: str, ring_seconds: int, dialled: DialPreview
) -> tuple[Problem, ...]:
    allowed = services.settings.test_call_destinations
    found = (destination_is_allowed(destination, allowed, trunk), ring_seconds_are_in_range(ring_seconds))
    problems = tuple(each for each in found if each)
    if not problems and dialled.problem:
        return (Problem(Code.INVALID_FORMAT, dialled.problem, FIELD),)
    return problems


async def _reported(
    services: Services, caller: Caller, trunk: SipTrunk, dial: Dial, dialled: DialPreview
) -> CallReport | tuple[Problem, ...]:
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        end = await services.calls.place(dial)
    except VoiceError as error:
        problem = problem_of(error, FAILED)
        await events.record(caller, Action.TRUNK_TEST_CALLED, trunk.id, trunk_id=trunk.id, outcome=problem.code)
        return (problem,)
    report = _report(end, trunk, dialled, round((clock() - began) * 1000))
    await events.record(caller, Action.TRUNK_TEST_CALLED, trunk.id, trunk_id=trunk.id, outcome=report.outcome)
    return report


def _report(end: CallEnd, trunk: SipTrunk, dialled: DialPreview, took: int) -> CallReport:
    return CallReport(outcome_of(end), end.sip_status, end.words or None, took, dialled, likely_causes(end, trunk))


@contextmanager
def alone(services: Services, trunk_id: str) -> Iterator[None]:
    """One test at a time per trunk."""
    services.testing.add(trunk_id)
    try:
        yield
    finally:
        services.testing.discard(trunk_id)


def room_of(services: Services) -> str:
    """A room's name that nobody else uses."""
    return f"{_prefix(services)}{uuid.uuid4().hex[:12]}"


def _prefix(services: Services) -> str:
    return f"trunkline-test-{services.installation_id}-"


async def watch(services: Services) -> None:
    """Close what a process left that died while it called, until this process ends."""
    while not services.stopping.is_set():
        with outlived(), suppress(VoiceError):
            await services.unless_stopping(services.calls.close(_prefix(services), LEFT_AFTER))
        await services.rest(services.settings.reconcile_interval)
