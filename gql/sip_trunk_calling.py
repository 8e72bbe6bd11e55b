"""Test calls and self tests of a trunk as a client speaks of them: inputs, reports, payloads, resolvers."""

from typing import Annotated, cast

import strawberry

from gql.context import Info
from gql.dial_preview import WHOM, DialPreview
from gql.errors import UserError
from trunkline import call_outcomes, calling
from trunkline import self_test as testing
from trunkline.call_rules import RING_MAX, RING_MIN
from trunkline.problems import Problem

CALLED = "The call was placed and has ended: {}."
RING_SECONDS = 15

strawberry.enum(
    call_outcomes.Outcome, name="TestCallOutcome", description="How a test call went, decided by the carrier's status."
)
strawberry.enum(testing.Outcome, name="SelfTestOutcome", description="What a self test found.")


@strawberry.input(description="Whom to call through which trunk.")
class TestCallSipTrunkInput:
    """A real call."""

    __test__ = False  # no test of pytest's

    id: strawberry.ID = strawberry.field(description="The trunk.")
    destination: str = strawberry.field(
        description=f"{WHOM} Only what TRUNKLINE_TEST_CALL_DESTINATIONS lists; premium-rate, shared-cost, satellite "
        "and emergency numbers never."
    )
    ring_seconds: int = strawberry.field(
        default=RING_SECONDS, description=f"How long it may ring: {RING_MIN}-{RING_MAX}."
    )


@strawberry.type(description="A call that was placed and has ended.")
class TestCall:
    """Source: trunkline.calling.CallReport."""

    __test__ = False

    outcome: call_outcomes.Outcome = strawberry.field(description="How it went.")
    sip_status: int | None = strawberry.field(description="The carrier's final status; null: none, or it was answered.")
    reason: str | None = strawberry.field(description="The carrier's words, or LiveKit's where the carrier said none.")
    duration_ms: int = strawberry.field(description="Milliseconds until it was over, hanging up included.")
    dialled: DialPreview = strawberry.field(description="What went out.")
    likely_causes: list[str] = strawberry.field(
        description="The most likely causes, each with what to do, the likeliest first."
    )

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Reports are served as they are."""
        return isinstance(source, calling.CallReport)


@strawberry.type(description="How a test call ended.")
class TestCallSipTrunkPayload:
    """A call that fails is a result, not an error."""

    __test__ = False

    message: str = strawberry.field(description="A sentence for a person.")
    call: TestCall | None = strawberry.field(description="The call; null when none was placed.")
    user_errors: list[UserError] = strawberry.field(description="Why none was placed.")


@strawberry.input(description="Which trunk to test.")
class SelfTestSipTrunkInput:
    """By its id."""

    id: strawberry.ID = strawberry.field(description="The trunk.")


@strawberry.type(description="A call to the trunk's own number through our own livekit-sip, without a carrier.")
class SelfTest:
    """Source: trunkline.self_test.SelfTest."""

    outcome: testing.Outcome = strawberry.field(description="What was found.")
    agent_name: str | None = strawberry.field(description="The agent that answers, or should.")
    sip_status: int | None = strawberry.field(description="livekit-sip's final status where it refused.")
    duration_ms: int = strawberry.field(description="Milliseconds in all.")
    explanation: str = strawberry.field(description="What that means and what to do: a sentence for a person.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Self tests are served as they are."""
        return isinstance(source, testing.SelfTest)


@strawberry.type(description="How a self test ended.")
class SelfTestSipTrunkPayload:
    """A test that fails is a result, not an error."""

    message: str = strawberry.field(description="A sentence for a person.")
    self_test: SelfTest | None = strawberry.field(description="What was found; null when nothing was called.")
    user_errors: list[UserError] = strawberry.field(description="Why nothing was called.")


CallInput = Annotated[TestCallSipTrunkInput, strawberry.argument(description="The trunk, and whom to call.")]
SelfInput = Annotated[SelfTestSipTrunkInput, strawberry.argument(description="The trunk.")]


async def resolve_test_call(info: Info, input: CallInput) -> TestCallSipTrunkPayload:  # noqa: A002  # GraphQL's name
    """Place a call."""
    services, caller = info.context.services, info.context.caller
    ended = await calling.place_test_call(services, caller, input.id, input.destination, input.ring_seconds)
    if isinstance(ended, tuple):
        problems = cast("list[UserError]", list(ended))
        return TestCallSipTrunkPayload(message=ended[0].message, call=None, user_errors=problems)
    return TestCallSipTrunkPayload(message=CALLED.format(ended.outcome), call=cast("TestCall", ended), user_errors=[])


async def resolve_self_test(info: Info, input: SelfInput) -> SelfTestSipTrunkPayload:  # noqa: A002  # the same
    """Call ourselves."""
    found = await testing.self_test(info.context.services, info.context.caller, input.id)
    if isinstance(found, Problem):
        return SelfTestSipTrunkPayload(
            message=found.message, self_test=None, user_errors=cast("list[UserError]", [found])
        )
    return SelfTestSipTrunkPayload(message=found.explanation, self_test=cast("SelfTest", found), user_errors=[])
