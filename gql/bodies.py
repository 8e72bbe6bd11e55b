"""From the bytes of a request to one GraphQL operation. Whatever is not exactly that is a BodyError, nothing else."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from strawberry.http import GraphQLRequestData

from gql.trusted import document_id_in


class BodyError(ValueError):
    """The request does not hold one GraphQL operation. Its text never quotes the request."""


def operation_in_body(body: bytes) -> GraphQLRequestData:
    """Read a POST body: one JSON object in UTF-8 with query, variables, operationName and extensions."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        _refuse("The request body is not UTF-8.")
    return operation_of(json_object(text, "request body") or {})


def operation_in_address(parameters: Mapping[str, str]) -> GraphQLRequestData:
    """Read a GET address: the same members as query parameters, variables and extensions as JSON."""
    members: dict[str, object] = {name: parameters.get(name) for name in ("query", "operationName", "documentId")}
    for name in ("variables", "extensions"):
        members[name] = json_object(parameters[name], f"{name} parameter") if parameters.get(name) else None
    return operation_of(members)


def operation_of(members: Mapping[str, object]) -> GraphQLRequestData:
    """Read the members that every transport has."""
    query, name = members.get("query"), members.get("operationName")
    variables, extensions = members.get("variables"), members.get("extensions")
    if not isinstance(query, str | None) or (not (query or "").strip() and document_id_in(members) is None):
        _refuse("The request needs a GraphQL document in query.")
    if not isinstance(name, str | None):
        _refuse("operationName must be a string or null.")
    if not isinstance(variables, dict | None):
        _refuse("variables must be an object or null.")
    if not isinstance(extensions, dict | None):
        _refuse("extensions must be an object or null.")
    if document_id := document_id_in(members):  # one form from here on
        extensions = {**(extensions or {}), "persistedQuery": {"sha256Hash": document_id}}
    return GraphQLRequestData(query, variables, name, extensions)


def json_object(text: str, what: str) -> dict[str, Any] | None:
    """Read one JSON object, or null; `what` names it in the refusal."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        if "\\u" in text:
            _refuse_lone_surrogates(value)
    except RecursionError:
        _refuse(f"The {what} is nested too deeply.")
    except ValueError:
        _refuse(f"The {what} is not valid JSON.")
    if isinstance(value, list):
        _refuse(f"The {what} must be one JSON object; batches are not supported.")
    if not isinstance(value, dict | None):
        _refuse(f"The {what} must be a JSON object.")
    return value


def _refuse(message: str) -> NoReturn:
    raise BodyError(message) from None


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are Python's, not JSON's


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError  # 1e999
    return number


def _refuse_lone_surrogates(value: object) -> None:
    """JSON can escape half of a surrogate pair, which no answer, log or database could ever hold."""
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # raises UnicodeEncodeError, a ValueError
