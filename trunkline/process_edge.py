"""The process edge: each request observed from outside, and whatever nobody expected becomes a masked 500."""

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gql.event_stream import MEDIA_TYPE
from gql.guard import REQUEST_ID
from trunkline.log import log_unexpected
from trunkline.metrics import Metrics
from trunkline.observation import Observation, Outcome, observing
from trunkline.tracing import ERROR_TYPE, Note, SpanKind, Tracer

METHODS = {"GET", "POST", "OPTIONS", "HEAD", "PUT", "PATCH", "DELETE"}
OTHER_METHOD, OTHER_ROUTE = "_OTHER", "other"  # a label is never a client's text

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Answer:
    """What was answered, as far as the edge looks at it."""

    status: int = 0  # none, the client went away
    is_stream: bool = False
    request_id: str | None = None

    def noting(self, send: Send) -> Send:
        """Send on, and note the head as it passes."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                headers = Headers(raw=message["headers"])
                self.request_id = headers.get(REQUEST_ID)
                self.is_stream = headers.get("content-type", "").startswith(MEDIA_TYPE)
            await send(message)

        return sending


class Edge:
    """Wraps the whole app: one log line, one span and its share of the metrics per HTTP request.

    The line holds method, path without the query, status, duration, request id, the API key's id, the root fields that
    were run by their names in the schema, and how it ended. An unexpected error is logged by its type and place alone:
    the texts of database drivers quote values. `routes`: the paths that are served.
    """

    def __init__(self, inner: ASGIApp, metrics: Metrics, tracer: Tracer, routes: Iterable[str]) -> None:
        self.inner, self.metrics, self.tracer = inner, metrics, tracer
        self.routes = sorted(routes, key=len, reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and tell how it ended."""
        if scope["type"] != "http":
            return await self.inner(scope, receive, send)
        began, seen, answer = time.perf_counter(), Observation(self.tracer), Answer()
        with self._span(scope) as note, observing(seen):
            try:
                return await self.inner(scope, receive, answer.noting(send))
            except Exception as error:  # noqa: BLE001  # the one place for what nobody expected
                log_unexpected(error)  # Starlette has answered with a masked 500
            finally:
                _note(note, answer, seen)
                self._tell(scope, answer, seen, time.perf_counter() - began)

    def _span(self, scope: Scope) -> AbstractContextManager[Note]:
        method, route = scope["method"] if scope["method"] in METHODS else OTHER_METHOD, self._route(scope["path"])
        attributes = {"http.request.method": method, "http.route": route}
        caller = Headers(scope=scope).get("traceparent")
        return self.tracer.span(f"{method} {route}", SpanKind.SERVER, attributes, caller)

    def _tell(self, scope: Scope, answer: Answer, seen: Observation, seconds: float) -> None:
        route, outcome = self._route(scope["path"]), seen.outcome(answer.status)
        self.metrics.requests.labels(route, str(answer.status)).inc()
        if not answer.is_stream:  # it stays open for as long as its client likes
            self.metrics.request_seconds.labels(route).observe(seconds)
        self.metrics.count(seen, outcome)
        log.info(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=answer.status,
            outcome=outcome,
            ms=round(seconds * 1000, 1),
            request_id=answer.request_id,
            **seen.told(),
        )

    def _route(self, path: str) -> str:
        return next((each for each in self.routes if path == each or path.startswith(f"{each}/")), OTHER_ROUTE)


def _note(note: Note, answer: Answer, seen: Observation) -> None:
    note({"http.response.status_code": answer.status, "trunkline.request_id": answer.request_id or ""})
    if seen.outcome(answer.status) is Outcome.FAILED:
        note({ERROR_TYPE: Outcome.FAILED})
