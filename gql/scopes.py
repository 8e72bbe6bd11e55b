"""Which scope an operation needs, enforced around its resolver, so that nothing is done without it.

An operation says so beside itself with `metadata=needs(...)`; one that says nothing gets the scope of its kind. A
mutation that is refused answers with a userError, a query or subscription with a request error.
"""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, get_nullable_type
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryOptional, StrawberryType

from gql.request_errors import RequestError
from models.workspace import ApiKeyScope
from trunkline.problems import Code, Problem

Resolver = Callable[..., Any]
DECLARED = "scope"
DEFINITION = GraphQLCoreConverter.DEFINITION_BACKREF


def needs(scope: ApiKeyScope) -> Mapping[str, ApiKeyScope]:
    """Declare the scope of one operation."""
    return {DECLARED: scope}


def scope_of(field: GraphQLField, otherwise: ApiKeyScope) -> ApiKeyScope:
    """The scope that an operation needs."""
    scope: ApiKeyScope = field.extensions[DEFINITION].metadata.get(DECLARED, otherwise)
    return scope


def enforce_scopes(schema: GraphQLSchema) -> None:
    """Put the check before every operation of a Strawberry schema."""
    for name, field in fields_of(schema.query_type):
        scope = scope_of(field, ApiKeyScope.READ)
        field.resolve = _checked(field.resolve, scope, _raising(name, scope))
    for name, field in fields_of(schema.subscription_type):
        scope = scope_of(field, ApiKeyScope.READ)
        field.subscribe = _checked(field.subscribe, scope, _raising(name, scope))
    for name, field in fields_of(schema.mutation_type):
        scope = scope_of(field, ApiKeyScope.WRITE)
        field.resolve = _checked(field.resolve, scope, _answering(field, Problem(Code.FORBIDDEN, _told(name, scope))))


def fields_of(kind: GraphQLObjectType | None) -> list[tuple[str, GraphQLField]]:
    """The operations of one kind, by their names."""
    return list(kind.fields.items()) if kind else []


def _checked(inner: Resolver | None, scope: ApiKeyScope, refused: Callable[[], object]) -> Resolver:
    assert inner  # noqa: S101  # every operation has a resolver

    def checked(source: object, info: Any, /, **arguments: Any) -> Any:  # noqa: ANN401  # as graphql-core calls it
        return inner(source, info, **arguments) if scope in info.context.caller.scopes else refused()

    return checked


def _raising(name: str, scope: ApiKeyScope) -> Callable[[], object]:
    def refused() -> object:
        raise RequestError(_told(name, scope), extensions={"code": str(Code.FORBIDDEN)})

    return refused


def _told(name: str, scope: ApiKeyScope) -> str:
    return f"This API key may not use {name}: it lacks the scope {scope}."


def _answering(field: GraphQLField, problem: Problem) -> Callable[[], object]:
    """Answer with the payload of a mutation that did nothing: a message, the problem, and nothing else."""
    kind = get_nullable_type(field.type)
    assert isinstance(kind, GraphQLObjectType)  # noqa: S101  # a payload
    definition = kind.extensions[DEFINITION]
    told = {"message": problem.message, "user_errors": [problem]}
    payload = definition.origin(**{each.python_name: _empty(each.type) for each in definition.fields} | told)
    return lambda: payload


def _empty(kind: StrawberryType | type) -> object:
    if isinstance(kind, StrawberryOptional):
        return None
    return False if kind is bool else []
