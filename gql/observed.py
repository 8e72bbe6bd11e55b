"""Each root field of the schema observed while it runs: how long, how it ended, with which codes of user errors."""

import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from graphql import GraphQLResolveInfo, GraphQLSchema, default_field_resolver

from gql.request_errors import RequestError
from trunkline.observation import Operation, Outcome, current
from trunkline.tracing import ERROR_TYPE, SpanKind

Resolve = Callable[..., Any]


def observe_operations(schema: GraphQLSchema) -> None:
    """Wrap the resolvers of every query and mutation, whatever comes to be added."""
    for kind in (schema.query_type, schema.mutation_type):
        for name, field in (kind.fields if kind else {}).items():
            field.resolve = _observed(name, field.resolve or default_field_resolver)


def _observed(name: str, resolve: Resolve) -> Resolve:
    async def resolving(source: object, info: GraphQLResolveInfo[Any], **arguments: object) -> object:
        began, seen, outcome = time.perf_counter(), current(), Outcome.FAILED
        codes: tuple[str, ...] = ()
        with seen.tracer.span(
            name, SpanKind.INTERNAL, {"graphql.operation.type": info.operation.operation.value}
        ) as note:
            try:
                answer = resolve(source, info, **arguments)
                answer = await answer if isawaitable(answer) else answer
                codes = tuple(problem.code for problem in getattr(answer, "user_errors", ()))
                outcome = Outcome.USER_ERRORS if codes else Outcome.OK
            except RequestError:
                outcome = Outcome.REQUEST_ERROR
                raise
            finally:
                seen.operations.append(Operation(name, outcome, time.perf_counter() - began, codes))
                failed = {ERROR_TYPE: outcome} if outcome is Outcome.FAILED else {}
                note({"trunkline.outcome": outcome, **failed})
        return answer

    return resolving
