"""The composition root: settings, key ring, database, voice backend and the HTTP app are put together here only."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import gql
from gql.context import Context, context_of
from gql.endpoint import Endpoint
from gql.guard import REQUEST_ID, Guard, request_id_of
from gql.schema import schema
from models.secret import Keyring
from trunkline import database, names
from trunkline.key_use import KeyUse
from trunkline.keys import Caller, authenticate
from trunkline.log import log_unexpected
from trunkline.reconcile import Reconciler
from trunkline.resolver import Resolver
from trunkline.services import Services
from trunkline.settings import SettingError, Settings
from trunkline.start import Started, ensure_keys, started, take_claims_over
from trunkline.voice import VoiceBackend, VoiceError
from trunkline.voice.bounded import Bounded

PAGE = Path(gql.__file__).parent / "graphiql" / "dist"
CALLS_PER_CREATION = 3  # two legs and one look after a doubt share the time of a creation
READY_SECONDS = 2.0  # a readiness answer is at most this old

OpenVoice = Callable[[Settings, Keyring], VoiceBackend]
log = structlog.get_logger(__name__)


def open_voice(settings: Settings, keyring: Keyring) -> VoiceBackend:
    """LiveKit when it is set, else the sandbox; imported only when it is used. Needs a running loop."""
    if settings.livekit:
        from trunkline.voice.livekit import LiveKitVoice

        return LiveKitVoice(settings.livekit)
    from trunkline.voice.sandbox import SandboxVoice
    from trunkline.voice.sandbox_file import SandboxFileError

    try:
        return SandboxVoice(settings.sandbox_path, keyring)
    except SandboxFileError as error:
        raise SettingError("TRUNKLINE_SANDBOX_FILE", str(error)) from None


@asynccontextmanager
async def services_of(settings: Settings, start: Started, voice: OpenVoice = open_voice) -> AsyncIterator[Services]:
    """Everything the use cases need; what is under way is finished before it closes."""
    call_timeout = settings.provision_timeout / CALLS_PER_CREATION
    backend = Bounded(voice(settings, start.keyring), call_timeout)
    services = Services(settings, start.keyring, backend, Resolver(), start.installation_id, call_timeout)
    try:
        yield services
    finally:
        await services.tasks.finish()
        await services.resolver.aclose()
        await backend.aclose()


@asynccontextmanager
async def opened_services(settings: Settings, start: Started, voice: OpenVoice) -> AsyncIterator[Services]:
    """The same with the reconciler running."""
    async with services_of(settings, start, voice) as services:
        await take_claims_over(settings)
        loops = [asyncio.create_task(Reconciler(services).run()), asyncio.create_task(names.watch(services))]
        try:
            yield services
        finally:
            await services.tasks.finish()
            services.stopping.set()  # not cancelled: a cancelled BEGIN keeps SQLite's one connection locked
            services.work.set()
            await asyncio.gather(*loops)


@dataclass(slots=True)
class Readiness:
    """Whether the app can do its work: fixed words only, never an exception's text."""

    services: Services
    checked_at: float = float("-inf")
    reasons: tuple[str, ...] = ()

    async def answer(self, _request: Request) -> Response:
        """GET /readyz: 200 or 503 with the reasons."""
        if time.monotonic() - self.checked_at > READY_SECONDS:
            self.reasons = tuple([reason async for reason in self._found()])
            self.checked_at = time.monotonic()
        status = "unready" if self.reasons else "ready"
        return JSONResponse({"status": status, "reasons": self.reasons}, 503 if self.reasons else 200)

    async def _found(self) -> AsyncIterator[str]:
        try:
            if await database.pending_migrations(self.services.settings):
                yield "migrations"
        except database.UNUSABLE:
            yield "database"
        try:
            await self.services.voice.ping()
        except VoiceError:
            yield "voice_backend"


@dataclass(frozen=True, slots=True)
class Served:
    """The running app, and the file of the key that the first start made, where there is one."""

    app: ASGIApp
    key_file: Path | None


@asynccontextmanager
async def served(settings: Settings, voice: OpenVoice = open_voice) -> AsyncIterator[Served]:
    """Start everything and yield the ASGI app. Tests hand in a voice backend of their own."""
    async with AsyncExitStack() as stack:
        stack.enter_context(database.only_process(settings))
        start = await stack.enter_async_context(started(settings))
        key_file = await ensure_keys(settings, start)
        services = await stack.enter_async_context(opened_services(settings, start, voice))
        yield Served(_app(services), key_file)


def _app(services: Services) -> ASGIApp:
    use = KeyUse(services.tasks)

    async def known(header: str | None) -> Caller | None:
        if caller := await authenticate(services.keyring, header):
            use.note(caller.key_id)
        return caller

    def context(caller: Caller, request_id: str) -> Context:
        return context_of(services, caller, request_id)

    readiness = Readiness(services)
    endpoint = Endpoint(schema, page=PAGE / "index.html", authenticate=known, make_context=context)
    app = Starlette(
        routes=[
            Route("/graphql", endpoint),
            Mount("/graphiql", GZipMiddleware(StaticFiles(directory=PAGE))),
            Route("/healthz", _healthz, methods=["GET"]),
            Route("/readyz", readiness.answer, methods=["GET"]),
            Route("/", _to_the_page, methods=["GET"]),
        ],
        exception_handlers={Exception: _masked},
    )
    return Edge(Guard(app, hosts=services.settings.served_hosts, origins=services.settings.allowed_origins))


async def _masked(request: Request, _error: Exception) -> Response:
    message = f"Internal error. Please report the request id {request_id_of(request.scope)}."
    return JSONResponse({"errors": [{"message": message}]}, 500)


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _to_the_page(_request: Request) -> Response:
    return RedirectResponse("/graphql")


class Edge:
    """The process edge: one log line per request, and whatever nobody expected becomes a masked 500.

    The line holds method, path without the query, status, duration and request id. An unexpected error is logged by its
    type and place alone: the texts of database drivers quote values.
    """

    def __init__(self, inner: ASGIApp) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and log how it ended."""
        if scope["type"] != "http":
            return await self.inner(scope, receive, send)
        began = time.perf_counter()
        told: dict[str, object] = {"status": 0}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                told.update(status=message["status"], request_id=Headers(raw=message["headers"]).get(REQUEST_ID))
            await send(message)

        try:
            return await self.inner(scope, receive, watched)
        except Exception as error:  # noqa: BLE001  # the one place for what nobody expected
            log_unexpected(error)  # Starlette has answered with _masked
        finally:
            took = round((time.perf_counter() - began) * 1000, 1)
            log.info("request", method=scope["method"], path=scope["path"], ms=took, **told)
