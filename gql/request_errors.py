"""What a client and the log are told when a request fails: positions, names of the schema and our own words.

graphql-core's messages quote names and values that the client chose, and a client may send its password as any of them.
So its message is only ever read, by `gql.wording`; what is said is written here and there.
"""

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import structlog
from graphql import FieldNode, GraphQLError, GraphQLSchema
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from structlog.contextvars import get_contextvars

from gql.wording import INVALID, Wording
from trunkline.observation import current

ROOT = Path(__file__).resolve().parents[1]
ONLY_SUBSCRIPTIONS = "Only subscriptions are run here; send queries and mutations by POST."
NO_SUCH_OPERATION = "The document has no such operation."
INTERNAL = "Internal error. Please report the request id {}."
log = structlog.stdlib.get_logger("gql")


class RequestError(GraphQLError):
    """An error in our own words, safe to be shown as it is. Every other error is rebuilt or masked."""


def refuse(message: str) -> NoReturn:
    """Refuse the request in our own words."""
    raise RequestError(message)


def rate_limited(seconds: int) -> RequestError:
    """What a client is told whose workspace has used up its requests."""
    told = {"code": "RATE_LIMITED", "retryAfter": seconds}
    return RequestError(f"Too many requests of this workspace; go on in {seconds} s.", extensions=told)


class RequestErrors:
    """Rebuilds and logs the errors of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.wording = Wording(schema)

    def rebuilt(self, error: GraphQLError) -> GraphQLError:
        """Say the same in words that hold nothing of the client's, at the same place."""
        own = _own(error)
        message = self._said(error) or INTERNAL.format(get_contextvars().get("request_id", "unknown"))
        told = GraphQLError(message, path=error.path, extensions=own.extensions if own else None)
        told.locations = error.locations  # the place alone: `source` would bring the document along
        return told

    def log(self, error: GraphQLError) -> None:
        """Write what happened: of a bad request what the client is told, of a failure of ours the place and type."""
        place = error.locations[0] if error.locations else None
        where = {"line": place.line, "column": place.column} if place else {}
        if said := self._said(error):
            current().refused = True
            log.info("request_refused", problem=said, **where)
            return
        current().failed = True
        causes = list(_causes(error))
        log.error("request_failed", field=_field(error), error=_type_names(causes), at=_our_line(causes), **where)

    def _said(self, error: GraphQLError) -> str | None:
        """What a client may read; None when the failure is ours."""
        if own := _own(error):
            return own.message
        if isinstance(error.original_error, InvalidOperationTypeError):
            return ONLY_SUBSCRIPTIONS
        if isinstance(error.original_error, CannotGetOperationTypeError):
            return NO_SUCH_OPERATION
        unexpected = error.original_error is not None and not isinstance(error.original_error, GraphQLError)
        if error.path is not None:
            return None if unexpected else self.wording.of_argument(error.message)
        return self.wording.of(error.message) or (None if unexpected else INVALID)


def _own(error: GraphQLError) -> RequestError | None:
    candidates = (error, error.original_error)
    return next((candidate for candidate in candidates if isinstance(candidate, RequestError)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it wraps and what that was raised from: outermost first, each once."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        wrapped = current.original_error if isinstance(current, GraphQLError) else None
        current = wrapped or current.__cause__ or current.__context__


def _type_names(causes: list[BaseException]) -> list[str]:
    found = [f"{type(cause).__module__}.{type(cause).__qualname__}" for cause in causes]
    return [name for name in found if not name.startswith("graphql.")] or found[-1:]


def _our_line(causes: list[BaseException]) -> str | None:
    """The last line of our own that the innermost cause went through: `trunkline/trunks.py:123`. No text, no values."""
    lines = [
        f"{Path(frame.f_code.co_filename).relative_to(ROOT)}:{line}"
        for cause in causes
        for frame, line in traceback.walk_tb(cause.__traceback__)
        if _is_ours(Path(frame.f_code.co_filename))
    ]
    return lines[-1] if lines else None


def _is_ours(file: Path) -> bool:
    return file.is_relative_to(ROOT) and "site-packages" not in file.parts


def _field(error: GraphQLError) -> str | None:
    """The schema's name of the field that failed. The path would hold the client's aliases."""
    nodes = error.nodes or []
    return nodes[0].name.value if nodes and isinstance(nodes[0], FieldNode) else None
