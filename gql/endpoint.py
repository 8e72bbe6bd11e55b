"""GraphQL over HTTP as its specification wants it (https://graphql.github.io/graphql-over-http/draft/), and the page.

Everything it refuses it refuses as JSON, and before it reads the body where it can. No batches and no uploads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from cross_web import AsyncHTTPRequestAdapter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import MissingQueryError
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from gql import event_stream
from gql.bodies import BodyError, operation_in_address, operation_in_body
from gql.documents import Schema
from gql.event_stream import EventStream
from gql.guard import POLICY_VIOLATION, request_id_of
from gql.request_errors import RequestError, rate_limited
from gql.socket import Socket
from gql.streams import Streams
from trunkline import keys

MODERN = "application/graphql-response+json"
PLAIN = "application/json"
MAX_BODY = 64 * 1024
BODY_TIMEOUT = 30.0  # seconds for a whole body to arrive
BAD_REQUEST, UNAUTHORIZED, NOT_ALLOWED, TIMEOUT, TOO_LARGE, UNSUPPORTED, TOO_MANY = 400, 401, 405, 408, 413, 415, 429
NO_STORE = {"cache-control": "no-store"}
CLOSE = {"connection": "close"}  # what is left of the body is not worth reading
UTF_8 = {"", "utf-8", "utf8"}

Caller = TypeVar("Caller")
# Who takes one of these beside event streams, as urql does by itself, gets them for queries and mutations.
JSON_TYPES = frozenset({MODERN, PLAIN, "application/*", "*/*"})
SUBSCRIBE_BY = "Subscriptions need graphql-transport-ws, or Accept: text/event-stream."


class RefusedError(Exception):
    """A request that is answered without running anything."""

    def __init__(
        self,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.error = {"message": message} | ({"extensions": extensions} if extensions else {})


class SubscriptionError(Exception):
    """A subscription where queries and mutations are run: a stream, for a client that takes one."""

    def __init__(self, asked: GraphQLRequestData) -> None:
        super().__init__()
        self.asked = asked


class Endpoint(GraphQL[Any, None], Generic[Caller]):
    """One URL: POST and GET run operations for who is authenticated, a browser's GET shows the page to everyone.

    authenticate   gets the Authorization header; None: no such caller, 401
    make_context   gets the caller and the request id; what it makes is `info.context`
    seconds_to_wait  counts a request of the caller; more than 0: it is refused with 429; None: no limit
    streams        carries subscriptions over web sockets and server-sent events; None: there are none
    page           the HTML file shown to browsers; None: no page
    """

    def __init__(  # noqa: PLR0913  # each by its name
        self,
        schema: Schema,
        *,
        authenticate: Callable[[str | None], Awaitable[Caller | None]],
        make_context: Callable[[Caller, str], object],
        seconds_to_wait: Callable[[Caller], Awaitable[int]] | None = None,
        page: Path | None = None,
        streams: Streams | None = None,
        max_body: int = MAX_BODY,
        body_timeout: float = BODY_TIMEOUT,
    ) -> None:
        super().__init__(schema, graphql_ide=None, subscription_protocols=(), multipart_uploads_enabled=False)
        self.documents = schema.documents
        self.authenticate, self.make_context, self.page = authenticate, make_context, page
        self.seconds_to_wait, self.streams = seconds_to_wait, streams
        self.max_body, self.body_timeout = max_body, body_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            if self.streams is None:
                return await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return await Socket(WebSocket(scope, receive, send), self.streams).serve()
        request = Request(scope, bounded(receive, self.max_body, self.body_timeout))
        try:
            response = await self._respond(request)
        except RefusedError as refused:
            body = {"errors": [refused.error]}
            headers = {**NO_STORE, **refused.headers}
            response = JSONResponse(body, refused.status, headers, f"{media_type_for(request)}; charset=utf-8")
        except ClientDisconnect:
            return None
        return await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.method not in {"GET", "POST"}:
            raise RefusedError(NOT_ALLOWED, "GraphQL is spoken by GET and POST.", {"allow": "GET, POST"})
        if self.page and asks_for_page(request):
            return FileResponse(self.page, headers={"cache-control": "no-cache"}, media_type="text/html")
        caller = await self.authenticate(request.headers.get("authorization"))
        if caller is None:
            message = "An API key is required, as the header: Authorization: Bearer tl_…"
            raise RefusedError(UNAUTHORIZED, message, {"www-authenticate": "Bearer"})
        if self.seconds_to_wait and (seconds := await self.seconds_to_wait(caller)):
            raise too_many(rate_limited(seconds), {"retry-after": str(seconds)})
        streams = self.streams if event_stream.MEDIA_TYPE in accepted(request) else None
        if streams and not JSON_TYPES.intersection(accepted(request)):
            asked = await self.parse_http_body(self.request_adapter_class(request))
            return self._streamed(streams, cast("keys.Caller", caller), asked)
        context = self.make_context(caller, request_id_of(request.scope))
        try:
            return await self.run(request, context=context, root_value=None)
        except SubscriptionError as subscription:
            if streams is None:
                raise RefusedError(BAD_REQUEST, SUBSCRIBE_BY) from None
            return self._streamed(streams, cast("keys.Caller", caller), subscription.asked)

    @staticmethod
    def _streamed(streams: Streams, caller: keys.Caller, asked: GraphQLRequestData) -> Response:
        if refusal := streams.refusal(caller):
            raise too_many(refusal)
        return EventStream(streams, caller, asked)

    def should_render_graphql_ide(self, request: object) -> bool:  # noqa: ARG002  # Strawberry's signature
        """Never Strawberry's page: it loads from elsewhere."""
        return False

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData:
        """Read the one operation a request holds."""
        try:
            if request.method == "GET":
                read = operation_in_address({name: value or "" for name, value in request.query_params.items()})
            else:
                refuse_other_media_types(request.content_type or "")
                read = operation_in_body(await request.get_body())
            return replace(read, query=self.documents.text_of({"query": read.query, "extensions": read.extensions}))
        except (BodyError, RequestError) as error:
            raise RefusedError(BAD_REQUEST, str(error)) from None

    async def execute_single(  # noqa: PLR0913, PLR0917  # Strawberry's signature
        self,
        request: Request,  # noqa: ARG002  # the same
        request_adapter: AsyncHTTPRequestAdapter,
        sub_response: Response,  # noqa: ARG002  # the same
        context: Any,  # noqa: ANN401  # the same
        root_value: None,
        request_data: GraphQLRequestData,
    ) -> ExecutionResult:
        """Run the operation; Strawberry's own refusals would quote the operation's name."""
        try:
            return await self.schema.execute(
                request_data.query,
                root_value=root_value,
                variable_values=request_data.variables,
                context_value=context,
                operation_name=request_data.operation_name,
                allowed_operation_types=OperationType.from_http(request_adapter.method) - {OperationType.SUBSCRIPTION},
            )
        except (MissingQueryError, CannotGetOperationTypeError):
            raise RefusedError(BAD_REQUEST, "The document has no such operation.") from None
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.MUTATION:
                raise RefusedError(NOT_ALLOWED, "Mutations are sent by POST.", {"allow": "POST"}) from None
            raise SubscriptionError(request_data) from None

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        """Carry the negotiated media type to where the answer is made."""
        response = await super().get_sub_response(request)
        response.media_type = media_type_for(request)
        return response

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """Leave `data` out of a request error: nothing was executed."""
        answer = await super().process_result(request, result)
        if result.data is None and result.errors and all(error.path is None for error in result.errors):
            answer.pop("data", None)
        return answer

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        """Answer 200, or 400 to a request error where the client knows the modern media type."""
        modern_error = sub_response.media_type == MODERN and "data" not in response_data
        body = self.encode_json(response_data)
        headers = {**NO_STORE, "content-type": f"{sub_response.media_type}; charset=utf-8"}
        return Response(body, BAD_REQUEST if modern_error else 200, headers)


def too_many(refusal: RequestError, headers: Mapping[str, str] | None = None) -> RefusedError:
    """What a client is told whose workspace has used up its requests, or its subscriptions."""
    return RefusedError(TOO_MANY, refusal.message, headers, refusal.extensions)


def media_type_for(request: Request | WebSocket) -> str:
    """Choose the modern type when the client asks for it by name, else JSON (the draft's rule for a missing Accept)."""
    return MODERN if MODERN in accepted(request) else PLAIN


def accepted(request: Request | WebSocket) -> list[str]:
    """The media types that a client names."""
    return [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]


def asks_for_page(request: Request) -> bool:
    """Tell a browser that opens the address from a client that queries."""
    wants_html = "text/html" in request.headers.get("accept", "").lower()
    return request.method == "GET" and wants_html and "query" not in request.query_params


def refuse_other_media_types(content_type: str) -> None:
    """Take JSON only: a page of another origin can send forms and plain text without being asked whether it may."""
    media_type, _, parameters = content_type.lower().partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if media_type.strip() != PLAIN or charset not in UTF_8:
        raise RefusedError(UNSUPPORTED, f"The request body must be {PLAIN} in UTF-8.", CLOSE)


def bounded(receive: Receive, most: int, seconds: float) -> Receive:
    """Hand on a body that is neither too long nor too slow, by what arrives and not by what it says of itself."""
    size, deadline = 0, None

    async def receive_bounded() -> Message:
        nonlocal size, deadline
        deadline = deadline or asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise RefusedError(TIMEOUT, "The request body did not arrive in time.", CLOSE) from None
        size += len(message.get("body", b""))
        if size > most:
            raise RefusedError(TOO_LARGE, f"The request body is longer than {most} bytes.", CLOSE)
        return message

    return receive_bounded
