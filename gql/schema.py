"""The schema: the one list of operations, and the scalars."""

from datetime import UTC, datetime

import strawberry
from strawberry.schema.config import StrawberryConfig

from gql import sip_trunk as trunks
from gql.context import Info
from gql.documents import Schema
from gql.node import Id, Node
from models.secret import Secret

DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="RFC 3339 in UTC with microseconds, ending in Z.",
    serialize=lambda at: at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    parse_value=datetime.fromisoformat,
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
    return await trunks.resolve_sip_trunk(info, id)


@strawberry.type(description="Reading.")
class Query:
    """Every query there is."""

    node = strawberry.field(node, description="Anything of your workspace by its id; null when unknown.")
    sip_trunk = strawberry.field(trunks.resolve_sip_trunk, description="A trunk of your workspace; null when unknown.")
    sip_trunks = strawberry.field(trunks.resolve_sip_trunks, description="The trunks of your workspace, oldest first.")


@strawberry.type(description="Changing.")
class Mutation:
    """Every mutation there is."""

    create_sip_trunk = strawberry.mutation(
        trunks.resolve_create,
        description="Check the data, create both trunks at the voice backend, and store it only when both exist. "
        "A failure leaves nothing behind; userErrors names its cause.",
    )
    validate_sip_trunk = strawberry.mutation(
        trunks.resolve_validate,
        description="Say what createSipTrunk would say, with the values as they would be stored. Nothing is stored and "
        "nothing is sent. A mutation, so that the password never meets a GET address or a client's query cache.",
    )


schema = Schema(
    query=Query,
    mutation=Mutation,
    types=[trunks.SipTrunk],
    config=StrawberryConfig(scalar_map={Secret: SECRET, datetime: DATE_TIME}),
)
