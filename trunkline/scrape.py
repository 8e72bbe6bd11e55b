"""What Prometheus reads: all workspaces counted, so for the operator's key, or keyless at an address of its own."""

import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from tortoise.functions import Count

from models.sip_trunk import HIDDEN, SipTrunk, TrunkStatus
from trunkline import database
from trunkline.keys import Caller
from trunkline.services import Services
from trunkline.workspaces import runs_the_installation

FRESH_SECONDS = 2.0  # what is read from the database is at most this old
UNAUTHORIZED, FORBIDDEN = 401, 403
NOT_ALLOWED = f'This needs an API key of the workspace "{database.DEFAULT_WORKSPACE}" with the scope OPERATOR.'

Authenticate = Callable[[str | None], Awaitable[Caller | None]]
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(slots=True)
class Scrape:
    """Answers with the metrics of this process, and with how all trunks of the installation stand."""

    services: Services
    read_at: float = float("-inf")

    def for_operators(self, authenticate: Authenticate) -> Handler:
        """GET /metrics beside the API."""

        async def answer(request: Request) -> Response:
            caller = await authenticate(request.headers.get("authorization"))
            if caller is None:
                return _refusal(UNAUTHORIZED, "An API key is required, as the header: Authorization: Bearer tl_…")
            if not await runs_the_installation(caller):
                return _refusal(FORBIDDEN, NOT_ALLOWED)
            return await self.answer(request)

        return answer

    def alone(self) -> ASGIApp:
        """The app of TRUNKLINE_METRICS_ADDRESS: whoever reaches it may read."""
        return Starlette(routes=[Route("/metrics", self.answer, methods=["GET"])])

    async def answer(self, request: Request) -> Response:
        """In the format that the Accept header asks for."""
        if time.monotonic() - self.read_at > FRESH_SECONDS:
            await self._read()
            self.read_at = time.monotonic()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        headers = {"content-type": content_type, "cache-control": "no-store"}
        return Response(encode(self.services.metrics.registry), headers=headers)

    async def _read(self) -> None:
        """A database that cannot be read now leaves these out, and no old ones in their place."""
        metrics = self.services.metrics
        metrics.trunks.clear()
        with contextlib.suppress(*database.UNUSABLE):
            shown = SipTrunk.exclude(status__in=HIDDEN).annotate(count=Count("id"))
            found = dict(await shown.group_by("status").values_list("status", "count"))
            at = await database.now()
            due = await SipTrunk.filter(next_attempt_at__lt=at).order_by("next_attempt_at").first()
            since = due and due.next_attempt_at
            metrics.reconcile_lag.set((at - since).total_seconds() if since else 0)
            for status in TrunkStatus:
                if status not in HIDDEN:
                    metrics.trunks.labels(status).set(found.get(status, 0))


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"errors": [{"message": message}]}, status, {"cache-control": "no-store"})
