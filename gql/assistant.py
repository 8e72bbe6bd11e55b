"""Assistants as a client speaks of them: the type, pages, inputs, payloads, resolvers."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

import strawberry
from strawberry.types.unset import UNSET, UnsetType

from gql.connection import After, Connection, First, Pages
from gql.context import Info
from gql.errors import UserError
from gql.node import Id, Node
from gql.sip_trunk_creating import message_of
from gql.sip_trunk_leg import SipTrunkLeg, leg_of
from models import assistant as model
from models.assistant import AGENT_NAME_MAX, NAME_MAX, AssistantType
from models.keyset import Order
from models.trunk_leg import LegKind
from trunkline.assistants import (
    Outcome,
    create_assistant,
    delete_assistant,
    find_assistant,
    update_assistant,
    visible_assistants,
)

if TYPE_CHECKING:
    from gql.sip_trunk import SipTrunk
else:
    SipTrunk = Annotated["SipTrunk", strawberry.lazy("gql.sip_trunk")]  # the two nouns name each other

strawberry.enum(AssistantType, description="INBOUND takes the calls of its trunk, OUTBOUND places calls through it.")


async def _phone_number(root: strawberry.Parent[model.Assistant], info: Info) -> SipTrunk | None:
    found = await info.context.trunks.load(root.trunk_id) if root.trunk_id else None
    return cast("SipTrunk | None", found)


async def _dispatch(root: strawberry.Parent[model.Assistant], info: Info) -> SipTrunkLeg | None:
    trunk = await info.context.trunks.load(root.answers_trunk_id) if root.answers_trunk_id else None
    return leg_of(trunk, LegKind.DISPATCH, info.context.services.health) if trunk else None


async def _dispatch_rule_id(root: strawberry.Parent[model.Assistant], info: Info) -> str | None:
    leg = await _dispatch(root, info)
    return leg.voice_id if leg else None


@strawberry.type(description="An agent by its LiveKit name, and the trunk it works for.")
class Assistant(Node):
    """Source: models.assistant.Assistant."""

    name: str = strawberry.field(description="A name for people.")
    agent_name: str = strawberry.field(description="The name under which the agent's worker registers with LiveKit.")
    type: AssistantType = strawberry.field(description="Whether it takes calls or places them.")
    phone_number = strawberry.field(_phone_number, description="The trunk it works for; null when unassigned.")
    dispatch_rule_id = strawberry.field(_dispatch_rule_id, description='The dispatch rule in place, "SDR_…".')
    dispatch = strawberry.field(_dispatch, description="The dispatch rule's leg; null unless INBOUND and assigned.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Rows are served as they are."""
        return isinstance(source, model.Assistant)


@strawberry.type(description="A page of assistants, newest first.")
class AssistantConnection(Connection[Assistant]):
    """A page that can also tell how many there are."""

    @strawberry.field(description="How many assistants there are in all; counted only when it is asked for.")
    async def total_count(self, info: Info) -> int:
        """One COUNT over the workspace."""
        return await visible_assistants(info.context.caller.workspace_id).count()


@strawberry.input(description="What createAssistant needs.")
class CreateAssistantInput:
    """Texts are trimmed."""

    name: str = strawberry.field(description=f"1-{NAME_MAX} characters.")
    agent_name: str = strawberry.field(description=f"1-{AGENT_NAME_MAX} characters: the agent's name at LiveKit.")
    type: AssistantType = strawberry.field(description="Whether it takes calls or places them.")
    phone_number_id: strawberry.ID | None = strawberry.field(
        default=None, description="A SipTrunk's id. One INBOUND assistant per trunk."
    )


@strawberry.input(description="What is to change. Left out: unchanged.")
class UpdateAssistantInput:
    """Texts are trimmed."""

    id: strawberry.ID = strawberry.field(description="The assistant.")
    name: str | None = strawberry.field(default=UNSET, description=f"1-{NAME_MAX} characters.")
    agent_name: str | None = strawberry.field(default=UNSET, description=f"1-{AGENT_NAME_MAX} characters.")
    phone_number_id: strawberry.ID | None = strawberry.field(default=UNSET, description="Null unassigns.")

    def wish(self) -> dict[str, Any]:
        """The columns that are to change; null counts as blank where there is no null."""
        told = {"name": self.name, "agent_name": self.agent_name, "trunk_id": self.phone_number_id}
        given = {name: value for name, value in told.items() if not isinstance(value, UnsetType)}
        return {name: "" if value is None and name != "trunk_id" else value for name, value in given.items()}


@strawberry.input(description="Which assistant to delete.")
class DeleteAssistantInput:
    """By its id."""

    id: strawberry.ID = strawberry.field(description="The assistant.")


@strawberry.type(description="How a creation ended.")
class CreateAssistantPayload:
    """Exactly one of assistant and userErrors is filled."""

    message: str = strawberry.field(description="A sentence for the person at the form.")
    assistant: Assistant | None = strawberry.field(description="The assistant; null unless it was created.")
    user_errors: list[UserError] = strawberry.field(description="All problems at once.")


@strawberry.type(description="How a change ended.")
class UpdateAssistantPayload:
    """A refused change leaves the assistant as it was."""

    message: str = strawberry.field(description="A sentence for the person at the form.")
    assistant: Assistant | None = strawberry.field(description="The assistant as it stands now; null when unknown.")
    user_errors: list[UserError] = strawberry.field(description="All problems at once.")


@strawberry.type(description="How a removal ended.")
class DeleteAssistantPayload:
    """deletedId is null when it is still there."""

    message: str = strawberry.field(description="A sentence for a person.")
    deleted_id: strawberry.ID | None = strawberry.field(description="The id that is gone now.")
    user_errors: list[UserError] = strawberry.field(description="Why it is not gone.")


CreateInput = Annotated[CreateAssistantInput, strawberry.argument(description="The assistant that is wanted.")]
UpdateInput = Annotated[UpdateAssistantInput, strawberry.argument(description="The assistant and what changes.")]
DeleteInput = Annotated[DeleteAssistantInput, strawberry.argument(description="The assistant.")]


async def resolve_create(info: Info, input: CreateInput) -> CreateAssistantPayload:  # noqa: A002  # GraphQL's
    """Make an assistant and its rule."""
    wish = {"name": input.name, "agent_name": input.agent_name, "type": input.type, "trunk_id": input.phone_number_id}
    ended = await create_assistant(info.context.services, info.context.caller, wish)
    return CreateAssistantPayload(**_told(ended, "Assistant created successfully."))


async def resolve_update(info: Info, input: UpdateInput) -> UpdateAssistantPayload:  # noqa: A002  # GraphQL's
    """Change an assistant and its rule."""
    ended = await update_assistant(info.context.services, info.context.caller, input.id, input.wish())
    return UpdateAssistantPayload(**_told(ended, "Assistant updated successfully."))


async def resolve_delete(info: Info, input: DeleteInput) -> DeleteAssistantPayload:  # noqa: A002  # GraphQL's
    """Remove an assistant and its rule."""
    ended = await delete_assistant(info.context.services, info.context.caller, input.id)
    told = _told(ended, "Assistant deleted successfully.")
    del told["assistant"]
    return DeleteAssistantPayload(deleted_id=None if ended.problems else input.id, **told)


def _told(ended: Outcome, success: str) -> dict[str, Any]:
    message = message_of(ended.problems, success, broke_rules=ended.broke_rules)
    return {"message": message, "assistant": ended.assistant, "user_errors": ended.problems}


async def resolve_assistant(info: Info, id: Id) -> Assistant | None:  # noqa: A002  # GraphQL's name
    """Find an assistant of the caller's workspace."""
    return cast("Assistant | None", await find_assistant(info.context.caller.workspace_id, id))


async def resolve_assistants(info: Info, first: First = None, after: After = None) -> AssistantConnection:
    """Fetch one page of the caller's workspace."""
    workspace_id = info.context.caller.workspace_id
    pages = Pages(info.context.services.keyring, f"assistants\x00{workspace_id}", Order("created_at", descending=True))
    return AssistantConnection(fetched=await pages.fetch(visible_assistants(workspace_id), first, after))
