"""The composition root: settings, key ring, database, voice backend and the HTTP app are put together here only."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

import gql
from gql.context import Context, context_of
from gql.documents import Schema
from gql.endpoint import Endpoint
from gql.guard import Guard, request_id_of
from gql.schema import schema
from gql.streams import Streams
from gql.trusted import read_trusted
from models.secret import Keyring
from trunkline import calling, calls, database, following, names, probing, webhooks
from trunkline.feed import Feed, Subscription
from trunkline.key_use import KeyUse
from trunkline.keys import Caller, authenticate, still_works
from trunkline.limits import RequestLimit
from trunkline.metrics import Metrics
from trunkline.observation import current
from trunkline.process_edge import Edge
from trunkline.reconcile import Reconciler
from trunkline.resolver import Resolver
from trunkline.scrape import Scrape
from trunkline.services import Services
from trunkline.settings import SettingError, Settings, SipEdge
from trunkline.start import Started, ensure_keys, started, take_claims_over
from trunkline.tracing import UNTRACED, Tracer
from trunkline.voice import VoiceBackend, VoiceCause, VoiceError
from trunkline.voice.bounded import Bounded
from trunkline.voice.calls import NoCalls, VoiceCalls
from trunkline.voice.watch import Watch, watching
from trunkline.voice.with_edge import VoiceWithEdge

PAGE = Path(gql.__file__).parent / "graphiql" / "dist"
CALLS_PER_CREATION = 3  # two legs and one look after a doubt share the time of a creation
READY_SECONDS = 2.0  # a readiness answer is at most this old

OpenVoice = Callable[[Settings, Keyring], VoiceBackend]


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


def open_calls(settings: Settings, watch: Watch) -> VoiceCalls:
    """What places calls; the sandbox places none."""
    if settings.livekit is None:
        return NoCalls()
    from trunkline.voice.livekit_calls import LiveKitCalls

    return LiveKitCalls(settings.livekit, watch)


def _bounded_edge(edge: SipEdge, call_timeout: float, watch: Watch) -> VoiceBackend:
    from trunkline.voice.edge import EdgeVoice

    return Bounded(EdgeVoice(edge), call_timeout, watch=lambda method: watch(f"edge_{method}"))


@asynccontextmanager
async def services_of(
    settings: Settings, start: Started, voice: OpenVoice = open_voice, tracer: Tracer = UNTRACED
) -> AsyncIterator[Services]:
    """Everything the use cases need; what is under way is finished before it closes."""
    call_timeout, metrics = settings.provision_timeout / CALLS_PER_CREATION, Metrics()
    watch = watching(metrics, tracer)
    backend: VoiceBackend = Bounded(voice(settings, start.keyring), call_timeout, watch=watch)
    if settings.edge:
        backend = VoiceWithEdge(backend, _bounded_edge(settings.edge, call_timeout, watch))
    services = Services(
        settings,
        start.keyring,
        backend,
        Resolver(),
        start.installation_id,
        call_timeout,
        metrics=metrics,
        tracer=tracer,
        calls=open_calls(settings, watch),
    )
    try:
        yield services
    finally:
        await services.tasks.finish()
        await services.calls.aclose()
        await services.resolver.aclose()
        await backend.aclose()


@asynccontextmanager
async def opened_services(
    settings: Settings, start: Started, voice: OpenVoice, tracer: Tracer = UNTRACED
) -> AsyncIterator[Services]:
    """The same with the reconciler running."""
    async with services_of(settings, start, voice, tracer) as services:
        await take_claims_over(settings)
        watches = (names.watch, probing.watch, calls.watch, calling.watch, following.follow, following.watch_keys)
        works = (Reconciler(services).run(), *(watch(services) for watch in watches))
        loops = [asyncio.create_task(work) for work in works]
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
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # anybody may ask, and all wait for one look

    async def answer(self, _request: Request) -> Response:
        """GET /readyz: 200 or 503 with the reasons."""
        async with self.turn:
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
        except VoiceError as error:
            if error.cause is not VoiceCause.BUSY:  # with our own calls, so it is there
                yield "voice_backend"


@dataclass(frozen=True, slots=True)
class Served:
    """The running app, and the file of the key that the first start made, where there is one."""

    app: ASGIApp
    key_file: Path | None
    metrics: ASGIApp  # by itself, for an address of its own
    feed: Feed  # of the open subscriptions, which would keep the server from ending


@asynccontextmanager
async def served(settings: Settings, voice: OpenVoice = open_voice, tracer: Tracer = UNTRACED) -> AsyncIterator[Served]:
    """Start everything and yield the ASGI app. Tests hand in a voice backend of their own."""
    listed = settings.trusted_documents
    spoken = schema.trusting(read_trusted(listed)) if listed else schema
    async with AsyncExitStack() as stack:
        stack.enter_context(database.only_process(settings))
        start = await stack.enter_async_context(started(settings))
        key_file = await ensure_keys(settings, start)
        services = await stack.enter_async_context(opened_services(settings, start, voice, tracer))
        scrape = Scrape(services)
        yield Served(_app(services, spoken, scrape), key_file, scrape.alone(), services.feed)


def _app(services: Services, spoken: Schema, scrape: Scrape) -> ASGIApp:
    use = KeyUse(services.tasks)

    async def known(header: str | None) -> Caller | None:
        if caller := await authenticate(services.keyring, header):
            use.note(caller.key_id)
        return caller

    def context(caller: Caller, request_id: str, subscription: Subscription | None = None) -> Context:
        current().key_id = caller.key_id
        return context_of(services, caller, request_id, subscription)

    limit = RequestLimit(services.settings.limit_requests_per_minute)

    async def seconds_to_wait(caller: Caller) -> int:
        return await limit.seconds_to_wait(caller.workspace_id)

    async def works(caller: Caller) -> bool:
        return await still_works(caller.key_id)

    streams = Streams(spoken, known, works, context, seconds_to_wait, services.metrics, services.feed)
    readiness = Readiness(services)
    page = None if spoken.documents.trusted else PAGE / "index.html"  # which asks for what no list holds
    endpoint = Endpoint(
        spoken,
        page=page,
        authenticate=known,
        make_context=context,
        seconds_to_wait=seconds_to_wait,
        streams=streams,
    )
    routes: list[Route | WebSocketRoute | Mount] = [
        Route("/graphql", endpoint),
        WebSocketRoute("/graphql", endpoint),
        Mount("/graphiql", GZipMiddleware(StaticFiles(directory=PAGE))),
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/readyz", readiness.answer, methods=["GET"]),
        Route("/metrics", scrape.for_operators(known), methods=["GET"]),
        Route("/", _to_the_page, methods=["GET"]),
        *webhooks.routes(services),
    ]
    app = Starlette(routes=routes, exception_handlers={Exception: _masked})
    hosts, origins = services.settings.served_hosts, services.settings.allowed_origins
    guarded = Guard(app, hosts=hosts, origins=origins, signed_paths=(webhooks.PATH,))
    return Edge(guarded, services.metrics, services.tracer, [route.path for route in routes])


async def _masked(request: Request, _error: Exception) -> Response:
    message = f"Internal error. Please report the request id {request_id_of(request.scope)}."
    return JSONResponse({"errors": [{"message": message}]}, 500)


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _to_the_page(_request: Request) -> Response:
    return RedirectResponse("/graphql")
