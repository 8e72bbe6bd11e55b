"""One web socket that speaks graphql-transport-ws, for subscriptions only. Queries and mutations are sent by POST.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. The older protocol of Apollo is not spoken. Reasons of
closing are fixed words: nothing that the client said is in them.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

import structlog
from graphql import GraphQLError
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.http import GraphQLRequestData
from strawberry.types.execution import PreExecutionError

from gql.bodies import BodyError, json_object, operation_of
from gql.guard import request_id_of
from gql.request_errors import RequestError, rate_limited
from gql.streams import CLOSE_SECONDS, SOCKETS_MOST, Streams, told
from trunkline.feed import Ending, Subscription
from trunkline.keys import Caller
from trunkline.log import log_unexpected, outlived
from trunkline.observation import current

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0  # to say who one is
PER_SOCKET = 50  # subscriptions: a dashboard has a handful
ID_MAX = 128  # characters of an operation's id; the npm client sends a UUID

log = structlog.get_logger(__name__)


class Close(NamedTuple):
    """A code and its fixed words."""

    code: int
    reason: str


BAD_MESSAGE = Close(4400, "Bad message")
UNAUTHORIZED = Close(4401, "Unauthorized")
FORBIDDEN = Close(4403, "Forbidden")
NOT_SPOKEN = Close(4406, "Subprotocol not acceptable")
NO_INIT = Close(4408, "Connection initialisation timeout")
TAKEN = Close(4409, "Subscriber already exists")
INIT_TWICE = Close(4429, "Too many initialisation requests")
FULL = Close(1013, "Too many connections")
TOO_MANY_REQUESTS = Close(1013, "Too many requests")
ENDINGS = {
    Ending.SLOW: Close(1013, "Too slow: subscribe again, then query"),
    Ending.MISSED: Close(1013, "Something was missed: subscribe again, then query"),
    Ending.KEY: Close(4401, "The API key does not work any more"),
    Ending.STOPPING: Close(1012, "Service restart"),
}


class ClosingError(Exception):
    """The socket is to be closed."""

    def __init__(self, close: Close) -> None:
        super().__init__(close.reason)
        self.close = close


class Socket:
    """One connection, from its opening to its end."""

    def __init__(self, websocket: WebSocket, streams: Streams) -> None:
        self.websocket, self.streams = websocket, streams
        self.caller: Caller | None = None
        self.introduction = contextlib.ExitStack()  # holds from the acknowledgement to the end
        self.running: dict[str, Subscription] = {}  # by the ids that the client gave
        self.tasks: set[asyncio.Task[None]] = set()
        self.ending: Ending | None = None

    async def serve(self) -> None:
        """Speak until one side closes."""
        began = time.perf_counter()
        close: Close | None = ENDINGS[Ending.MISSED]  # unless it ends as expected
        self.streams.sockets += 1
        try:
            with outlived():
                close = await self._spoken()
        finally:
            self.streams.sockets -= 1
            self.introduction.close()
            await self._finish()
            took = round((time.perf_counter() - began) * 1000, 1)
            log.info("socket", ms=took, code=close.code if close else None, request_id=self._request_id)
        if close:
            with contextlib.suppress(TimeoutError, OSError, RuntimeError):  # it is closed already, or reads nothing
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self.websocket.close(*close)

    @property
    def _request_id(self) -> str:
        return request_id_of(self.websocket.scope)

    async def _spoken(self) -> Close | None:
        """Why we close; None when the client did."""
        if PROTOCOL not in self.websocket["subprotocols"]:
            await self.websocket.accept()
            return NOT_SPOKEN
        await self.websocket.accept(PROTOCOL)
        if self.streams.sockets > SOCKETS_MOST:  # a refusal before the handshake would reach nobody as this code
            return FULL
        try:
            async with asyncio.timeout(INIT_SECONDS) as self.until:
                async for message in self._messages():
                    await self._handle(message)
        except TimeoutError:
            return ENDINGS[self.ending] if self.ending else NO_INIT
        except ClosingError as closing:
            return closing.close
        except WebSocketDisconnect:
            pass
        return None

    async def _messages(self) -> AsyncIterator[Mapping[str, Any]]:
        while (message := await self.websocket.receive())["type"] != "websocket.disconnect":
            try:
                text = message.get("text")
                yield (json_object(text, "message") if text else None) or {}
            except BodyError:
                raise ClosingError(BAD_MESSAGE) from None

    async def _handle(self, message: Mapping[str, Any]) -> None:
        match message.get("type"):
            case "connection_init":
                await self._init(message.get("payload"))
            case "ping":
                await self._send({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(message.get("id"), message.get("payload"))
            case "complete":
                if isinstance(message.get("id"), str) and (subscription := self.running.pop(message["id"], None)):
                    subscription.leave()
            case _:
                raise ClosingError(BAD_MESSAGE)

    async def _init(self, payload: object) -> None:
        """The key comes as `authorization` in the payload, or in the header of the handshake."""
        if self.caller is not None:
            raise ClosingError(INIT_TWICE)
        if not isinstance(payload, dict | None):
            raise ClosingError(BAD_MESSAGE)
        named = {str(name).lower(): value for name, value in (payload or {}).items()}
        given = named.get("authorization", self.websocket.headers.get("authorization"))
        self.caller = await self.streams.authenticate(given if isinstance(given, str) else None)
        if self.caller is None:
            raise ClosingError(FORBIDDEN)
        if await self.streams.seconds_to_wait(self.caller):
            raise ClosingError(TOO_MANY_REQUESTS)
        if self.streams.is_crowded(self.caller):
            raise ClosingError(FULL)
        self.until.reschedule(None)
        self.introduction.enter_context(self.streams.introducing(self.caller, self.end))
        await self._send({"type": "connection_ack"})

    async def _subscribe(self, name: object, payload: object) -> None:
        if self.caller is None or not await self.streams.still_works(self.caller):
            raise ClosingError(UNAUTHORIZED)
        if not isinstance(name, str) or not 0 < len(name) <= ID_MAX or not isinstance(payload, dict):
            raise ClosingError(BAD_MESSAGE)
        if name in self.running:
            raise ClosingError(TAKEN)
        try:
            asked = operation_of(payload)
        except BodyError as error:
            await self._refuse(name, RequestError(str(error)))
            return
        if refusal := await self._refusal(self.caller):
            await self._refuse(name, refusal)
            return
        subscription = self.running[name] = Subscription(self.caller, self.end)
        task = asyncio.create_task(self._run(name, subscription, asked))
        self.tasks.add(task)
        task.add_done_callback(self._ran)
        await self._standing(task, subscription)

    async def _refuse(self, name: str, error: RequestError) -> None:
        with self.streams.observed() as seen:
            seen.refused = True
        await self._send(self._error(name, error))

    @staticmethod
    async def _standing(task: "asyncio.Task[None]", subscription: Subscription) -> None:
        """Read no further before it stands, or is refused: the answer to a later ping says that it does."""
        stands = asyncio.create_task(subscription.stands.wait())
        await asyncio.wait({task, stands}, return_when=asyncio.FIRST_COMPLETED)
        stands.cancel()

    async def _refusal(self, caller: Caller) -> RequestError | None:
        if len(self.running) >= PER_SOCKET:
            return RequestError("Too many subscriptions of one connection.", extensions={"code": "LIMIT_REACHED"})
        if seconds := await self.streams.seconds_to_wait(caller):
            return rate_limited(seconds)
        return self.streams.refusal(caller)

    async def _run(self, name: str, subscription: Subscription, asked: GraphQLRequestData) -> None:
        """One subscription. What ends before the client says so is told to it, unless the whole socket is closing."""
        with self.streams.observed() as seen, contextlib.suppress(WebSocketDisconnect):
            try:
                with self.streams.seat(subscription.caller):
                    done = await self._results(name, subscription, asked)
            except RequestError as error:
                seen.refused, done = True, self._error(name, error)
            if subscription.ended is None:
                self.running.pop(name, None)
                await self._send(done)

    async def _results(self, name: str, subscription: Subscription, asked: GraphQLRequestData) -> dict[str, Any]:
        results = await self.streams.results(self._request_id, asked, subscription)
        async with aclosing(results):  # type: ignore[type-var]  # it is a generator
            async for result in results:
                if isinstance(result, PreExecutionError):
                    return self._error(name, *(result.errors or ()))
                if subscription.ended is None:
                    await self._send({"id": name, "type": "next", "payload": told(result)})
                self.streams.count(current())
        return {"id": name, "type": "complete"}

    def _ran(self, task: "asyncio.Task[None]") -> None:
        """What nobody expected of one subscription closes the socket: its client subscribes again."""
        self.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            log_unexpected(error)
            self.end(Ending.MISSED)

    def end(self, ending: Ending) -> None:
        """Close the socket soon, whatever it is waiting for."""
        if self.ending is None:
            self.ending = ending
            with contextlib.suppress(RuntimeError):  # it has just ended by itself
                self.until.reschedule(asyncio.get_running_loop().time())

    async def _finish(self) -> None:
        """Let what runs end by itself; who is stuck in sending to a client that reads nothing is stopped."""
        for subscription in self.running.values():
            subscription.leave()
        if tasks := {*self.tasks}:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    def _error(name: str, *errors: GraphQLError) -> dict[str, Any]:
        return {"id": name, "type": "error", "payload": [error.formatted for error in errors]}

    async def _send(self, message: Mapping[str, Any]) -> None:
        await self.websocket.send_text(json.dumps(message, separators=(",", ":")))
