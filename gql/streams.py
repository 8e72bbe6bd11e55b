"""Subscriptions over whichever transport: who may open how many, and how one is run. Transports carry its results."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from strawberry.http import GraphQLRequestData
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from gql.documents import Schema
from gql.request_errors import RequestError
from trunkline.feed import Ending, Feed, Opened, Subscription
from trunkline.keys import Caller
from trunkline.metrics import Metrics
from trunkline.observation import Observation, observing
from trunkline.problems import Code

IN_ALL = 5_000  # subscriptions of this process: about 130 MB
PER_WORKSPACE = 2_000  # so that one workspace leaves room for others
CLOSE_SECONDS = 5.0  # for what is under way to end by itself; whoever sends to a client that reads nothing would not
SOCKETS_MOST = 5_000  # web sockets, also those that have not said yet who they are
SOCKETS_PER_WORKSPACE = 2_000


@dataclass(slots=True)
class Streams:
    """What the transports share.

    authenticate     gets what an Authorization header holds; None: no such caller
    still_works      whether the caller's key does
    make_context     gets the caller, the request id, and the subscription
    seconds_to_wait  counts a request of the caller; more than 0: it is refused
    metrics          tells how many are open
    feed             ends what a key opened
    """

    schema: Schema
    authenticate: Callable[[str | None], Awaitable[Caller | None]]
    still_works: Callable[[Caller], Awaitable[bool]]
    make_context: Callable[[Caller, str, Subscription], object]
    seconds_to_wait: Callable[[Caller], Awaitable[int]]
    metrics: Metrics
    feed: Feed
    sockets: int = 0
    introduced: Counter[str] = field(default_factory=Counter)  # sockets, by workspace
    open: Counter[str] = field(default_factory=Counter)

    def refusal(self, caller: Caller) -> RequestError | None:
        """Why the caller may not open one more right now, however few requests it sends."""
        if self.open.total() >= IN_ALL or self.open[caller.workspace_id] >= PER_WORKSPACE:
            return RequestError("Too many subscriptions are open.", extensions={"code": Code.LIMIT_REACHED})
        return None

    @contextmanager
    def seat(self, caller: Caller) -> Iterator[None]:
        """Count one subscription for as long as the block runs."""
        with _counted(self.open, caller), self.metrics.subscriptions.track_inprogress():
            yield

    def is_crowded(self, caller: Caller) -> bool:
        """Whether the caller's workspace has all the sockets it may have."""
        return self.introduced[caller.workspace_id] >= SOCKETS_PER_WORKSPACE

    @contextmanager
    def introducing(self, caller: Caller, on_end: Callable[[Ending], None]) -> Iterator[None]:
        """Count a socket as the caller's, and end it with the caller's key, for as long as the block runs."""
        with _counted(self.introduced, caller), self.feed.keeping(Opened(caller, on_end)):
            yield

    @contextmanager
    def observed(self) -> Iterator[Observation]:
        """Count how one operation ends of which no HTTP request tells."""
        with observing(Observation()) as seen:
            try:
                yield seen
            except Exception:
                seen.failed = True
                raise
            finally:
                self.count(seen)

    def count(self, seen: Observation) -> None:
        """Count what was told of an operation since the last time: a subscription may go on for days."""
        self.metrics.count(seen, seen.outcome())
        seen.refused = seen.failed = False

    async def results(
        self, request_id: str, asked: GraphQLRequestData, subscription: Subscription
    ) -> "AsyncIterator[ExecutionResult]":
        """Run a subscription; RequestError when its document is not trusted. Other refusals are its first result."""
        text = self.schema.documents.text_of({"query": asked.query, "extensions": asked.extensions})
        results: AsyncIterator[ExecutionResult] = await self.schema.stream(
            text,
            variable_values=asked.variables,
            context_value=self.make_context(subscription.caller, request_id, subscription),
            operation_name=asked.operation_name,
            allowed_operation_types=(OperationType.SUBSCRIPTION,),
        )
        return results


@contextmanager
def _counted(counter: Counter[str], caller: Caller) -> Iterator[None]:
    workspace_id = caller.workspace_id
    counter[workspace_id] += 1
    try:
        yield
    finally:
        counter[workspace_id] -= 1
        if not counter[workspace_id]:
            del counter[workspace_id]


def told(result: ExecutionResult) -> dict[str, Any]:
    """A result as a client reads it."""
    errors = {"errors": [error.formatted for error in result.errors]} if result.errors else {}
    return {"data": result.data, **errors}
