"""One subscription as server-sent events: GraphQL over SSE, distinct connections mode.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md. A stream that we end without `complete` is one to be
opened again: what was missed meanwhile a query shows.
"""

import asyncio
import contextlib
import json
from contextlib import aclosing
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.http import GraphQLRequestData

from gql.guard import request_id_of
from gql.request_errors import RequestError
from gql.streams import CLOSE_SECONDS, Streams, told
from trunkline.feed import Ending, Subscription
from trunkline.keys import Caller

MEDIA_TYPE = "text/event-stream"
BEAT_SECONDS = 12.0  # below the idle time-outs of proxies
BEAT = ":\n\n"
HEADERS = {"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}
KEY_ENDED = RequestError("The API key does not work any more.", extensions={"code": "FORBIDDEN"})
COMPLETE = "event: complete\ndata:\n\n"


class EventStream(Response):
    """Runs the subscription while it is sent. Its head is not sent before the subscription stands, or is refused."""

    def __init__(self, streams: Streams, caller: Caller, asked: GraphQLRequestData) -> None:
        super().__init__(headers=HEADERS, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self.streams, self.asked = streams, asked
        self.subscription = Subscription(caller, self.end)
        self.turn, self.is_open = asyncio.Lock(), False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the subscription ends, we end it, or the client goes away."""
        self.send = send
        with self.streams.seat(self.subscription.caller):
            # One task for the whole subscription: what it sets in its context must hold for every event.
            sending = asyncio.create_task(self._send_results(request_id_of(scope)))
            gone = asyncio.create_task(_disconnected(receive))
            try:
                async with asyncio.timeout(None) as self.until:
                    await self._beat({sending, gone})
            except TimeoutError:
                pass  # it is ended
            finally:
                gone.cancel()
                self.subscription.leave()
                await asyncio.wait({sending}, timeout=CLOSE_SECONDS)  # not cancelled while it asks the database
                sending.cancel()  # it sends to a client that reads nothing
                ended = await asyncio.gather(sending, gone, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._close()
        if isinstance(ended[0], Exception):
            raise ended[0]

    async def _beat(self, others: set["asyncio.Task[None]"]) -> None:
        """Show that it stands, and from then on that it lives."""
        stands = asyncio.create_task(self.subscription.stands.wait())
        await asyncio.wait({stands, *others}, return_when=asyncio.FIRST_COMPLETED)
        stands.cancel()
        while not any(other.done() for other in others):
            await self._say(BEAT)
            await asyncio.wait(others, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)

    async def _send_results(self, request_id: str) -> None:
        try:
            results = await self.streams.results(request_id, self.asked, self.subscription)
            async with aclosing(results):  # type: ignore[type-var]  # it is a generator
                async for result in results:
                    if self.subscription.ended is None:
                        await self._say(_next(told(result)))
        except RequestError as error:
            await self._say(_next({"errors": [error.formatted]}))
        if self.subscription.ended is None:
            await self._say(COMPLETE)

    async def _close(self) -> None:
        if self.subscription.ended is Ending.KEY:
            await self._say(_next({"errors": [KEY_ENDED.formatted]}) + COMPLETE)
        await self._say("", more=False)

    async def _say(self, text: str, *, more: bool = True) -> None:
        async with self.turn:
            if not self.is_open:
                self.is_open = True
                await self.send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self.send({"type": "http.response.body", "body": text.encode(), "more_body": more})

    def end(self, _ending: Ending) -> None:
        """End the stream soon, whatever it is waiting for."""
        with contextlib.suppress(RuntimeError):  # it has just ended by itself
            self.until.reschedule(asyncio.get_running_loop().time())


def _next(payload: dict[str, Any]) -> str:
    return f"event: next\ndata: {json.dumps(payload, separators=(',', ':'))}\n\n"


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
