"""The schema: the one list of operations, and the scalars."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import strawberry
from graphql import GraphQLSchema, default_field_resolver
from strawberry.schema.config import StrawberryConfig

from gql import assistant as assistants
from gql import event as events
from gql import inbound_explanation, voice
from gql import provider as known_providers
from gql import sip_trunk as trunks
from gql import sip_trunk_change as changes
from gql import sip_trunk_changing as changing
from gql import sip_trunk_creating as creating
from gql import workspace as workspaces
from gql.context import Info
from gql.dial_preview import resolve_dial_preview
from gql.documents import Schema
from gql.node import Id, Node
from gql.scopes import enforce_scopes, fields_of, needs
from gql.sip_trunk_calling import resolve_self_test, resolve_test_call
from gql.sip_trunk_list import resolve_sip_trunks
from gql.sip_trunk_probe import resolve_probe
from gql.wall import BehindTheWall
from models.secret import Secret
from models.workspace import ApiKeyScope


def _date_time(value: object) -> datetime:
    if not isinstance(value, str):
        message = "DateTime must be a string."
        raise TypeError(message)
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        message = "DateTime must say its offset from UTC."
        raise ValueError(message)
    return at.astimezone(UTC)


DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="RFC 3339 in UTC with microseconds, ending in Z.",
    serialize=lambda at: at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    parse_value=_date_time,
)


def _secret(value: object) -> Secret:
    if not isinstance(value, str):
        message = "Secret must be a string."
        raise TypeError(message)
    return Secret(value)


def _never(_value: object) -> str:
    message = "A Secret is never part of an answer."
    raise TypeError(message)


SECRET = strawberry.scalar(
    name="Secret",
    description="Write-only text: it never appears in an answer, a log line or an error message.",
    serialize=_never,
    parse_value=_secret,
)


async def node(info: Info, id: Id) -> Node | None:  # noqa: A002  # GraphQL's name
    """Find whatever has the id."""
    finders = (
        trunks.resolve_sip_trunk,
        assistants.resolve_assistant,
        workspaces.resolve_key,
        workspaces.resolve_workspace,
        events.resolve_event,
    )
    for find in finders:
        if found := await find(info, id):
            return found
    return None


@strawberry.type(description="Reading.")
class Query:
    """Every query there is. They need the scope READ."""

    node = strawberry.field(node, description="Anything of your workspace by its id; null when unknown.")
    sip_trunk = strawberry.field(trunks.resolve_sip_trunk, description="A trunk of your workspace; null when unknown.")
    sip_trunks = strawberry.field(
        resolve_sip_trunks, description="The trunks of your workspace, narrowed and ordered, forwards and backwards."
    )
    assistant = strawberry.field(
        assistants.resolve_assistant, description="An assistant of your workspace; null when unknown."
    )
    assistants = strawberry.field(
        assistants.resolve_assistants, description="The assistants of your workspace, newest first."
    )
    dial_preview = strawberry.field(
        resolve_dial_preview,
        description="How a call would go out to the carrier, for a trunk that is not stored; nobody is called.",
    )
    explain_inbound_call = strawberry.field(
        inbound_explanation.resolve_explain,
        description="Say which trunk of your workspace takes a call, or which rule refuses it and what the caller "
        "hears. A pure replay of LiveKit's rules on what is stored here: trunks that others made at the same LiveKit "
        "are not looked at, and a number of another workspace is an unknown one.",
    )
    providers = strawberry.field(
        known_providers.resolve_providers, description="The carriers and PBXs whose facts are known, by name."
    )
    provider = strawberry.field(
        known_providers.resolve_provider, description="One of them by its key; null when unknown."
    )
    events = strawberry.field(
        events.resolve_events, description="What happened in your workspace, newest first; of deleted trunks too."
    )
    voice = strawberry.field(voice.resolve_voice, description="The voice backend, and how your trunks stand.")
    viewer = strawberry.field(workspaces.resolve_viewer, description="Who asks, and what it may.")


@strawberry.type(description="Changing.")
class Mutation:
    """Every mutation there is. They need the scope WRITE, unless they say otherwise."""

    create_sip_trunk = strawberry.mutation(
        creating.resolve_create,
        description="Check the data, create both trunks at the voice backend, and store it only when both exist. "
        "A failure leaves nothing behind; userErrors names its cause.",
    )
    validate_sip_trunk = strawberry.mutation(
        creating.resolve_validate,
        description="Say what createSipTrunk would say, with the values as they would be stored. Nothing is stored and "
        "nothing is sent. A mutation, so that the password never meets a GET address or a client's query cache.",
    )
    update_sip_trunk = strawberry.mutation(
        changing.resolve_update,
        description="Change a trunk in place: the voice backend's ids stay. A refused change leaves it as it was.",
    )
    delete_sip_trunk = strawberry.mutation(
        changing.resolve_delete,
        description="Remove a trunk from the voice backend, then from here. What cannot be finished now is finished "
        "by itself.",
    )
    reprovision_sip_trunk = strawberry.mutation(
        changing.resolve_reprovision, description="Write a trunk to the voice backend again, now."
    )
    probe_sip_trunk = strawberry.mutation(
        resolve_probe,
        description="Ask with SIP OPTIONS whether anybody is at the trunk's address, over its transport. It takes a "
        "few seconds at most, proves what trunkline's own address reaches, and is remembered as lastProbe.",
    )
    test_call_sip_trunk = strawberry.mutation(
        resolve_test_call,
        description="Place a real call through the trunk, from livekit-sip's own address, and hang up when it is "
        "answered or has rung long enough. It costs what a call costs: a workspace gets 6 a minute and 60 an hour, one "
        "at a time per trunk, and only to what TRUNKLINE_TEST_CALL_DESTINATIONS lists.",
    )
    self_test_sip_trunk = strawberry.mutation(
        resolve_self_test,
        description="Call the trunk's own number through our own livekit-sip, at TRUNKLINE_SIP_HOST, with the trunk's "
        "credentials. It proves number, credentials, dispatch rule and agent without a carrier, and costs nothing.",
    )
    create_assistant = strawberry.mutation(
        assistants.resolve_create, description="Make an assistant; INBOUND with a trunk makes the dispatch rule."
    )
    update_assistant = strawberry.mutation(
        assistants.resolve_update, description="Change an assistant; its dispatch rule follows."
    )
    delete_assistant = strawberry.mutation(
        assistants.resolve_delete, description="Remove an assistant and its dispatch rule."
    )
    create_api_key = strawberry.mutation(
        workspaces.resolve_create_key,
        metadata=needs(ApiKeyScope.OPERATOR),
        description="Make an API key of your workspace; its secret is told once. Needs the scope OPERATOR; no key "
        "gives a scope that it lacks.",
    )
    revoke_api_key = strawberry.mutation(
        workspaces.resolve_revoke_key,
        metadata=needs(ApiKeyScope.OPERATOR),
        description="Revoke an API key of your workspace for good, at once on every replica. Needs the scope OPERATOR; "
        "the last working key that has it stays.",
    )
    create_workspace = strawberry.mutation(
        workspaces.resolve_create_workspace,
        metadata=needs(ApiKeyScope.OPERATOR),
        description="Make a workspace and its first API key. Needs the scope OPERATOR in the workspace that was there "
        "from the start.",
    )


@strawberry.type(description="Watching: over graphql-transport-ws, or as server-sent events.")
class Subscription:
    """Every subscription there is."""

    sip_trunk_changed = strawberry.subscription(
        changes.resolve_changed,
        description="Each change of a trunk, or of every trunk of your workspace, as it happens. Subscribe first, then "
        "query: nothing is repeated of what happened before.",
    )


def _prepare(made: GraphQLSchema) -> None:
    for _, field in fields_of(made.mutation_type):
        field.resolve = _reading_anew(field.resolve or default_field_resolver)
    enforce_scopes(made)


def _reading_anew(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """What the mutation before it in the same document loaded, it may have changed."""

    def resolving(source: object, info: Any, /, **arguments: Any) -> Any:  # noqa: ANN401  # as graphql-core calls it
        info.context.trunks.clear_all()
        return resolve(source, info, **arguments)

    return resolving


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[trunks.SipTrunk, assistants.Assistant, workspaces.Workspace, workspaces.ApiKey, events.SipTrunkEvent],
    config=StrawberryConfig(scalar_map={Secret: SECRET, datetime: DATE_TIME}),
    extensions=[BehindTheWall],
    prepare=_prepare,
)
