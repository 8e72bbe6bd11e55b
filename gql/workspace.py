"""Workspaces and API keys as a client speaks of them: who asks, what it may, making and revoking keys."""

from datetime import datetime
from typing import Annotated, Any, cast

import strawberry

from gql.context import Info
from gql.errors import UserError
from gql.node import Id, Node
from gql.sip_trunk_creating import message_of
from models import workspace as model
from models.workspace import KEYS_MAX, NAME_MAX, ApiKeyScope
from trunkline.keys import scopes_of
from trunkline.workspaces import (
    KeyWish,
    Made,
    create_api_key,
    create_workspace,
    find_key,
    find_workspace,
    revoke_api_key,
    visible_keys,
)

strawberry.enum(
    ApiKeyScope,
    description="What an API key may do; none includes another. READ: queries and subscriptions. WRITE: mutations, "
    "whose answers show what they concern. OPERATOR: API keys and workspaces.",
)


def _scopes(root: strawberry.Parent[model.ApiKey]) -> list[ApiKeyScope]:
    return [scope for scope in ApiKeyScope if scope in scopes_of(root)]


@strawberry.type(description="A tenant: what belongs to it, no other workspace can see.")
class Workspace(Node):
    """Source: models.workspace.Workspace."""

    name: str = strawberry.field(description="Its name, unique in the installation.")
    created_at: datetime = strawberry.field(description="When it was made.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Rows are served as they are."""
        return isinstance(source, model.Workspace)


@strawberry.type(description="A key of the API that was not revoked. Its secret is told once, when it is made.")
class ApiKey(Node):
    """Source: models.workspace.ApiKey."""

    name: str = strawberry.field(description="A name for people.")
    prefix: str = strawberry.field(description="How the secret begins, to recognise it by.")
    scopes = strawberry.field(_scopes, description="What it may do.")
    expires_at: datetime | None = strawberry.field(description="When it stops working; null: never.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to about a minute.")
    created_at: datetime = strawberry.field(description="When it was made.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Rows are served as they are."""
        return isinstance(source, model.ApiKey)


@strawberry.type(description="How much your workspace may have and do. 0: no limit.")
class Limits:
    """From the settings TRUNKLINE_LIMIT_…."""

    sip_trunks: int = strawberry.field(description="Trunks, those being created included; over it LIMIT_REACHED.")
    requests_per_minute: int = strawberry.field(
        description="Requests in any minute, at each process; over it HTTP 429 with Retry-After."
    )
    provisions_in_flight: int = strawberry.field(description="Creations under way; over it RATE_LIMITED.")


@strawberry.type(description="Who asks: the API key of this request and its workspace.")
class Viewer:
    """Resolved field by field."""

    @strawberry.field(description="Your workspace.")
    async def workspace(self, info: Info) -> Workspace:
        """One query."""
        workspace_id = info.context.caller.workspace_id
        return cast("Workspace", await find_workspace(workspace_id, workspace_id))

    @strawberry.field(description="The API key of this request.")
    async def api_key(self, info: Info) -> ApiKey:
        """One query; a key that was revoked in this very instant still answers."""
        return cast("ApiKey", await model.ApiKey.get(id=info.context.caller.key_id))

    @strawberry.field(description=f"The API keys of your workspace, oldest first; at most {KEYS_MAX}.")
    async def api_keys(self, info: Info) -> list[ApiKey]:
        """One query."""
        keys = visible_keys(info.context.caller.workspace_id)
        return cast("list[ApiKey]", await keys.order_by("created_at", "id"))

    @strawberry.field(description="How much your workspace may have and do.")
    def limits(self, info: Info) -> Limits:
        """Of the settings."""
        settings = info.context.services.settings
        return Limits(
            sip_trunks=settings.limit_trunks,
            requests_per_minute=settings.limit_requests_per_minute,
            provisions_in_flight=settings.limit_provisions,
        )


@strawberry.input(description="The API key that is wanted.")
class CreateApiKeyInput:
    """The name is trimmed."""

    name: str = strawberry.field(description=f"1-{NAME_MAX} characters.")
    scopes: list[ApiKeyScope] = strawberry.field(description="At least one, and none that your own key lacks.")
    expires_at: datetime | None = strawberry.field(
        default=None,
        description="In the future; left out: never. A key that expires cannot make one that works longer.",
    )


@strawberry.type(description="How making an API key ended.")
class CreateApiKeyPayload:
    """Exactly one of apiKey and userErrors is filled."""

    message: str = strawberry.field(description="A sentence for a person.")
    api_key: ApiKey | None = strawberry.field(description="The key; null unless it was made.")
    secret: str | None = strawberry.field(description="The key's text, told this once: keep it.")
    user_errors: list[UserError] = strawberry.field(description="All problems at once.")


@strawberry.input(description="Which API key to revoke.")
class RevokeApiKeyInput:
    """By its id."""

    id: strawberry.ID = strawberry.field(description="The API key.")


@strawberry.type(description="How revoking ended.")
class RevokeApiKeyPayload:
    """revokedId is null when the key still works."""

    message: str = strawberry.field(description="A sentence for a person.")
    revoked_id: strawberry.ID | None = strawberry.field(description="The id of the key that works no more.")
    user_errors: list[UserError] = strawberry.field(description="Why it was not revoked.")


@strawberry.input(description="The workspace that is wanted.")
class CreateWorkspaceInput:
    """The name is trimmed."""

    name: str = strawberry.field(description=f"1-{NAME_MAX} characters, unique in the installation.")


@strawberry.type(description="How making a workspace ended.")
class CreateWorkspacePayload:
    """Exactly one of workspace and userErrors is filled."""

    message: str = strawberry.field(description="A sentence for a person.")
    workspace: Workspace | None = strawberry.field(description="The workspace; null unless it was made.")
    secret: str | None = strawberry.field(
        description="Its first API key, told this once: keep it. It has the scopes of the key that asked."
    )
    user_errors: list[UserError] = strawberry.field(description="All problems at once.")


CreateKey = Annotated[CreateApiKeyInput, strawberry.argument(description="The API key that is wanted.")]
RevokeKey = Annotated[RevokeApiKeyInput, strawberry.argument(description="The API key.")]
CreateSpace = Annotated[CreateWorkspaceInput, strawberry.argument(description="The workspace that is wanted.")]


async def resolve_viewer() -> Viewer:
    """Everything else is asked field by field."""
    return Viewer()


async def resolve_key(info: Info, id: Id) -> ApiKey | None:  # noqa: A002  # GraphQL's name
    """Find a key of the caller's workspace."""
    return cast("ApiKey | None", await find_key(info.context.caller.workspace_id, id))


async def resolve_workspace(info: Info, id: Id) -> Workspace | None:  # noqa: A002  # GraphQL's name
    """Find the caller's workspace."""
    return cast("Workspace | None", await find_workspace(info.context.caller.workspace_id, id))


async def resolve_create_key(info: Info, input: CreateKey) -> CreateApiKeyPayload:  # noqa: A002  # GraphQL's
    """Make a key."""
    wish = KeyWish(input.name, input.scopes, input.expires_at)
    made = await create_api_key(info.context.services, info.context.caller, wish)
    told = _told(made, "API key created successfully.")
    return CreateApiKeyPayload(api_key=cast("ApiKey | None", made.key), **told)


async def resolve_revoke_key(info: Info, input: RevokeKey) -> RevokeApiKeyPayload:  # noqa: A002  # as above
    """Revoke a key."""
    problem = await revoke_api_key(info.context.services, info.context.caller, input.id)
    return RevokeApiKeyPayload(
        message=problem.message if problem else "API key revoked.",
        revoked_id=None if problem else input.id,
        user_errors=cast("list[UserError]", [problem] if problem else []),
    )


async def resolve_create_workspace(info: Info, input: CreateSpace) -> CreateWorkspacePayload:  # noqa: A002  # as above
    """Make a workspace."""
    made = await create_workspace(info.context.services, info.context.caller, input.name)
    told = _told(made, "Workspace created successfully.")
    return CreateWorkspacePayload(workspace=cast("Workspace | None", made.workspace), **told)


def _told(made: Made, success: str) -> dict[str, Any]:
    """What both answers say, the new key's secret among it."""
    return {
        "message": message_of(made.problems, success, broke_rules=made.broke_rules),
        "secret": made.secret.reveal() if made.secret else None,
        "user_errors": made.problems,
    }
