"""Why an inbound call is taken or refused, as a client asks and is told. No rules, no SQL."""

from typing import Annotated, cast

import strawberry

from gql.assistant import Assistant
from gql.context import Info
from gql.request_errors import refuse
from gql.sip_trunk import SipTrunk
from trunkline.inbound import Rule, explain, read_call

RULES = (
    "NUMBER: no trunk of your workspace answers to the called text. SOURCE_ADDRESS: the call comes from elsewhere than "
    "allowedInboundIps. CREDENTIALS: they are missing or wrong. NO_ASSISTANT: nobody is to answer. NOT_PROVISIONED: "
    "LiveKit does not have the trunk or its dispatch rule. NOT_APPLIED: LiveKit has them as they were. DELETING: the "
    "trunk is being removed. ACCEPTED: none refuses."
)


@strawberry.input(description="A call as it reaches LiveKit: SIP's To, From and the packet's source.")
class ExplainInboundCallInput:
    """Nothing of it is stored or sent."""

    to: str = strawberry.field(
        description="The user part of the INVITE's To header, as the carrier wrote it. LiveKit does not look at the "
        "Request-URI."
    )
    from_: str = strawberry.field(
        name="from", description="The user part of its From header. No trunk made here refuses a caller by it."
    )
    source_ip: str = strawberry.field(
        description="The address that LiveKit's SIP service gets the packet from; behind a proxy or NAT, theirs."
    )
    with_credentials: bool = strawberry.field(
        default=True, description="Whether the caller answers a challenge with the trunk's user name and password."
    )


@strawberry.type(description="What LiveKit does with such a call, by your workspace's stored trunks.")
class InboundExplanation:
    """Made from trunkline.inbound.Verdict."""

    accepted: bool = strawberry.field(description="Whether the call reaches a room; answering it is the agent's part.")
    sip_trunk: SipTrunk | None = strawberry.field(
        description="The trunk that takes the call; of a refused one the trunk that was meant, when that can be told."
    )
    assistant: Assistant | None = strawberry.field(description="The assistant whose agent is sent to the room.")
    rule: str = strawberry.field(description=f"The rule that decided, for programs. {RULES}")
    explanation: str = strawberry.field(description="Why, and what the caller hears: sentences for a person.")


Input = Annotated[ExplainInboundCallInput, strawberry.argument(description="The call.")]


async def resolve_explain(info: Info, input: Input) -> InboundExplanation:  # noqa: A002  # GraphQL's
    """Tell which rule decides."""
    call = read_call(input.to, input.from_, input.source_ip, with_credentials=input.with_credentials)
    if isinstance(call, str):
        refuse(call)
    verdict = await explain(info.context.caller.workspace_id, call)
    return InboundExplanation(
        accepted=verdict.rule is Rule.ACCEPTED,
        sip_trunk=cast("SipTrunk | None", verdict.trunk),
        assistant=cast("Assistant | None", verdict.assistant),
        rule=verdict.rule,
        explanation=verdict.explanation,
    )
