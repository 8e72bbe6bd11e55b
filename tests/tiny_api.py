"""A small API of the tests' own, with everything that can be asked wrongly, served as the real one is."""

import enum
from pathlib import Path
from typing import Any

import httpx
import strawberry
from starlette.applications import Starlette
from starlette.routing import Route
from strawberry.schema.config import StrawberryConfig

from gql.documents import Schema
from gql.endpoint import Endpoint
from gql.guard import Guard
from gql.request_errors import refuse

KEY = "Bearer tl_test"
NEEDLE = "hunter2Needle"


class Password:
    def __init__(self, text: str) -> None:
        self.text = text


def parse_password(value: object) -> Password:
    if not isinstance(value, str):
        message = f"{value!r} is not text"
        raise TypeError(message)
    return Password(value)


@strawberry.enum
class SipCallingFormat(enum.Enum):
    PLUS_E164 = "PLUS_E164"
    E164 = "E164"
    NATIONAL = "NATIONAL"


@strawberry.input
class Credentials:
    sip_username: str
    sip_password: Password


@strawberry.input
class CreateInput:
    nickname: str
    credentials: Credentials
    sip_calling_format: SipCallingFormat
    sip_port: int | None = None
    allowed_ips: list[str] | None = None


@strawberry.type
class Trunk:
    name: str

    @strawberry.field
    def child(self) -> "Trunk":
        return Trunk(name="child")

    @strawberry.field
    def children(self, first: int | None = None, last: int | None = None) -> "TrunkConnection":
        return TrunkConnection(nodes=[Trunk(name="child")] * max(first or 0, last or 0))


@strawberry.type
class TrunkConnection:
    nodes: list[Trunk]


@strawberry.type
class Query:
    @strawberry.field
    def echo(self, text: str = "hello", count: int = 1) -> str:
        return text * count

    @strawberry.field
    def request_id(self, info: strawberry.Info[Any, None]) -> str:
        return str(info.context["request_id"])

    @strawberry.field
    def trunk(self) -> Trunk:
        return Trunk(name="one")

    @strawberry.field
    def trunks(self, first: int | None = None, last: int | None = None) -> TrunkConnection:
        if first is not None and last is not None:
            refuse("Give either first or last, not both.")
        return TrunkConnection(nodes=[Trunk(name="one")])

    @strawberry.field
    def boom(self, text: str = "") -> str | None:
        message = f"DETAIL: Key (password)=({text}) already exists."
        raise LookupError(message)

    @strawberry.field
    def broken_number(self) -> int | None:
        return NEEDLE  # type: ignore[return-value]  # what graphql-core then refuses, quoting it


@strawberry.type
class Mutation:
    @strawberry.mutation
    def create(self, input: CreateInput) -> str:  # noqa: A002  # its name in the schema
        return input.nickname


def tiny_schema() -> Schema:
    password = strawberry.scalar(name="Secret", serialize=lambda _: None, parse_value=parse_password)
    return Schema(Query, Mutation, config=StrawberryConfig(scalar_map={Password: password}))


async def authenticate(header: str | None) -> str | None:
    return "caller" if header == KEY else None


def make_context(caller: str, request_id: str) -> dict[str, str]:
    return {"caller": caller, "request_id": request_id}


def tiny_app(schema: Schema | None = None, *, page: Path | None = None, **bounds: Any) -> Guard:
    endpoint = Endpoint(
        schema or tiny_schema(), authenticate=authenticate, make_context=make_context, page=page, **bounds
    )
    routes = [Route("/graphql", endpoint)]
    return Guard(Starlette(routes=routes), hosts={"127.0.0.1", "[::1]"}, origins={"https://dashboard.example.com"})


def client(app: Guard | None = None, **headers: str) -> httpx.AsyncClient:
    given = {"authorization": KEY, "accept": "application/graphql-response+json", **headers}
    transport = httpx.ASGITransport(app=app or tiny_app())
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=given)


async def ask(query: str, variables: Any = None, *, app: Guard | None = None, **members: Any) -> httpx.Response:
    async with client(app) as http:
        return await http.post("/graphql", json={"query": query, "variables": variables, **members})
