"""Probing a trunk's address as a client speaks of it: what was seen, input, payload, resolver."""

from datetime import datetime
from typing import Annotated, cast

import strawberry

from gql.context import Info
from gql.errors import UserError
from models.sip_trunk import SipTrunk
from trunkline import probing
from trunkline.problems import Problem

PROVES = "It proves what trunkline's own address reaches; calls leave from livekit-sip's address"
REACHED = f"The server answered. {PROVES}, so testCallSipTrunk proves more."
NOT_REACHED = "The server gave no SIP answer: {}"


@strawberry.type(
    description=f"What a SIP OPTIONS request to the trunk's address met. {PROVES}. Any SIP answer counts as reachable, "
    "a refusal too."
)
class ProbeResult:
    """Source: trunkline.probing.Probe."""

    at: datetime = strawberry.field(description="When.")
    reachable: bool = strawberry.field(description="Whether a SIP answer came, whatever its status.")
    address: str | None = strawberry.field(description="The IP address and port that were asked; null: none was found.")
    round_trip_ms: float | None = strawberry.field(description="Milliseconds from sending the request to its answer.")
    sip_status: int | None = strawberry.field(
        description="200, or what the server says to strangers: 401, 403, 404, 405, 407 … A redirect is not followed."
    )
    reason: str | None = strawberry.field(description="The server's words for the status.")
    server: str | None = strawberry.field(description="What the server calls itself (Server, else User-Agent).")
    problem: str | None = strawberry.field(
        description="Why there was no SIP answer, a TLS certificate that is not trusted among it: a sentence for a "
        "person."
    )

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Probes are served as they are."""
        return isinstance(source, probing.Probe)


@strawberry.input(description="Which trunk to probe.")
class ProbeSipTrunkInput:
    """By its id."""

    id: strawberry.ID = strawberry.field(description="The trunk.")


@strawberry.type(description="How a probe ended.")
class ProbeSipTrunkPayload:
    """A server that does not answer is a result, not an error."""

    message: str = strawberry.field(description="A sentence for a person.")
    probe: ProbeResult | None = strawberry.field(description="What was seen; null when nothing was asked.")
    user_errors: list[UserError] = strawberry.field(description="Why nothing was asked.")


Input = Annotated[ProbeSipTrunkInput, strawberry.argument(description="The trunk.")]


async def resolve_probe(info: Info, input: Input) -> ProbeSipTrunkPayload:  # noqa: A002  # GraphQL's name
    """Probe now."""
    seen = await probing.probe_trunk(info.context.services, info.context.caller, input.id)
    if isinstance(seen, Problem):
        return ProbeSipTrunkPayload(message=seen.message, probe=None, user_errors=cast("list[UserError]", [seen]))
    message = REACHED if seen.reachable else NOT_REACHED.format(seen.problem)
    return ProbeSipTrunkPayload(message=message, probe=cast("ProbeResult", seen), user_errors=[])


def resolve_last_probe(root: strawberry.Parent[SipTrunk]) -> ProbeResult | None:
    """What was seen last."""
    return cast("ProbeResult | None", probing.last_probe(root))
