"""Scopes: each operation needs one, and without it nothing is done and nothing is told."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import strawberry

from gql.scopes import enforce_scopes, scope_of
from models.event import Event
from models.secret import Keyring
from models.sip_trunk import SipTrunk
from models.workspace import ApiKey, ApiKeyScope, Workspace
from tests.api import CREATE, Api, House, codes, given, quick_settings, served_house
from tests.whole_schema import Operation, operations
from trunkline import database
from trunkline.keys import create_key

OF_KIND = {"query": ApiKeyScope.READ, "subscription": ApiKeyScope.READ, "mutation": ApiKeyScope.WRITE}
OPERATORS = {"createApiKey", "revokeApiKey", "createWorkspace"}
HTTP = operations("query", "mutation")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path)) as house:
        yield house


async def api_with(house: House, *scopes: ApiKeyScope) -> Api:
    """A client of the default workspace that may do no more than this."""
    workspace = await database.default_workspace()
    ring = Keyring.parse((house.settings.data_folder / "secret-keys").read_text())
    _key, secret = await create_key(ring, workspace.id, "some", scopes=scopes)
    return house.holding(secret.reveal())


def needed(operation: Operation) -> ApiKeyScope:
    return scope_of(operation.field, OF_KIND[operation.kind])


def test_an_operation_needs_the_scope_of_its_kind_but_for_the_listed() -> None:
    others = {each.name for each in operations() if needed(each) is not OF_KIND[each.kind]}
    assert others == OPERATORS
    assert {needed(each) for each in operations("mutation") if each.name in OPERATORS} == {ApiKeyScope.OPERATOR}


async def counts() -> list[int]:
    return [await rows.all().count() for rows in (Workspace, SipTrunk, Event)]


async def test_without_its_scope_an_operation_does_and_tells_nothing(house: House) -> None:
    before = await counts()
    for operation in HTTP:
        api = await api_with(house, *(each for each in ApiKeyScope if each is not needed(operation)))
        answer = (await api.raw(operation.document(), operation.variables())).json()
        told = f"This API key may not use {operation.name}: it lacks the scope {needed(operation)}."
        if operation.kind == "mutation":
            assert "errors" not in answer, operation
            payload = answer["data"][operation.name]
            assert (payload.pop("message"), codes(payload)) == (told, ["FORBIDDEN"])
            left = {name: each for name, each in payload.items() if name not in {"userErrors", "__typename"}}
            assert not any(left.values()), operation
        else:
            (error,) = answer["errors"]
            assert (error["message"], error["extensions"]) == (told, {"code": "FORBIDDEN"})
            assert not any((answer["data"] or {}).values()), operation
    assert await counts() == before
    assert await ApiKey.all().count() == 1 + len(HTTP)
    assert house.voice.count("create") == 0


async def test_with_its_scope_alone_an_operation_is_let_in(house: House) -> None:
    for operation in HTTP:
        api = await api_with(house, needed(operation))
        answer = (await api.raw(operation.document(), operation.variables())).json()
        assert "may not use" not in str(answer), operation


async def test_the_answer_of_a_mutation_shows_what_it_concerns(house: House) -> None:
    api = await api_with(house, ApiKeyScope.WRITE)
    payload = (await api.ask(CREATE, {"input": given()}))["createSipTrunk"]
    assert payload["sipTrunk"]["status"] == "ACTIVE"


async def test_a_document_is_refused_field_by_field(house: House) -> None:
    api = await api_with(house, ApiKeyScope.READ)
    document = "mutation ($id: ID!) { a: deleteSipTrunk(input: {id: $id}) { userErrors { code } } }"
    answer = await api.ask(document, {"id": "trunk_01h455vb4pex5vsknk084sn02q"})
    assert codes(answer["a"]) == ["FORBIDDEN"]
    assert await api.ask("{ __typename }") == {"__typename": "Query"}


async def test_what_says_nothing_of_a_scope_gets_that_of_its_kind() -> None:
    """The check stands around the resolver, so that an operation which forgot it is not open."""
    done: list[str] = []

    @strawberry.type
    class Ended:
        message: str
        user_errors: list[str]
        made: str | None
        items: list[int]
        valid: bool

    @strawberry.type
    class Query:
        @strawberry.field
        def found(self) -> str | None:
            done.append("found")
            return "it"

    @strawberry.type
    class Mutation:
        @strawberry.mutation
        async def make(self) -> Ended:
            done.append("make")
            return Ended(message="", user_errors=[], made="it", items=[1], valid=True)

    built = strawberry.Schema(Query, Mutation)
    enforce_scopes(built._schema)  # noqa: SLF001  # as gql.schema does

    class Nobody:
        class caller:  # noqa: N801  # a context's attribute
            scopes: frozenset[ApiKeyScope] = frozenset()

    read = await built.execute("{ found }", context_value=Nobody)
    assert read.data == {"found": None}
    assert read.errors
    document = "mutation { make { message made items valid } }"
    written: dict[str, Any] = (await built.execute(document, context_value=Nobody)).data["make"]  # type: ignore[index]
    assert written.pop("message") == "This API key may not use make: it lacks the scope WRITE."
    assert written == {"made": None, "items": [], "valid": False}
    assert done == []
