"""POST /webhooks/livekit: LiveKit's own word on calls. Refuses whoever cannot sign; tells nobody what it holds."""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gql.endpoint import BAD_REQUEST, NO_STORE, UNAUTHORIZED, RefusedError, bounded
from trunkline import database
from trunkline.calls import take
from trunkline.services import Services
from trunkline.settings import LiveKit
from trunkline.voice.webhooks import MalformedError, event_in, is_signed

PATH = "/webhooks/livekit"
MAX_BODY = 64 * 1024
BODY_TIMEOUT = 10.0  # seconds for a whole body to arrive
UNSIGNED = "The request is not signed with the secret of this server's LIVEKIT_API_KEY, or its time is over."
MALFORMED = "The body is no webhook of LiveKit."


def routes(services: Services) -> list[Route]:
    """The route, where there is a LiveKit to speak there."""
    server = services.settings.livekit
    return [Route(PATH, Webhooks(services, server).answer, methods=["POST"])] if server else []


class Webhooks:
    """Takes the webhooks of one LiveKit server."""

    def __init__(self, services: Services, server: LiveKit) -> None:
        self.services, self.server = services, server

    async def answer(self, request: Request) -> Response:
        """Take one: 200 also when it tells nothing of a call, so that LiveKit does not send it again."""
        bounded_request = Request(request.scope, bounded(request.receive, MAX_BODY, BODY_TIMEOUT))
        try:
            await self._take(await bounded_request.body(), request.headers.get("authorization", ""))
        except RefusedError as refused:
            body = {"errors": [refused.error]}
            return JSONResponse(body, refused.status, {**NO_STORE, **refused.headers})
        except ClientDisconnect:
            return Response(status_code=BAD_REQUEST)
        return JSONResponse({"status": "ok"}, headers=NO_STORE)

    async def _take(self, body: bytes, authorization: str) -> None:
        if not is_signed(self.server, body, authorization.removeprefix("Bearer ")):
            raise RefusedError(UNAUTHORIZED, UNSIGNED)
        try:
            event = event_in(body, await database.now())
        except MalformedError:
            raise RefusedError(BAD_REQUEST, MALFORMED) from None
        if event:
            await take(self.services, event)
