"""Serving for real: uvicorn, the lines a person sees first, and an end that cuts nothing off."""

import asyncio
import contextlib
import errno
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping

import uvicorn
from starlette.types import ASGIApp

from gql.endpoint import MAX_BODY
from trunkline.asgi import Served, served
from trunkline.feed import Ending, Feed
from trunkline.log import configure_log
from trunkline.setting_values import Address
from trunkline.settings import SettingError, Settings
from trunkline.start import first_key
from trunkline.tracing import UNTRACED, Tracer
from trunkline.web_sockets import WebSocketProtocol

PING_SECONDS = 20  # between two pings, and for the answer to one: below the idle time-outs of proxies
UNREAD_SECONDS = 30  # a client that takes nothing for so long is cut off, by the kernel
GRACE_SECONDS = 30  # longer than any creation, so that a stop cuts none off
REQUEST_HEAD_MAX = 32 * 1024  # bytes
FILES_WANTED = 16_384  # all web sockets and event streams that there may be, requests, the database; 1,024 is usual
MAIN_SETTINGS = ("TRUNKLINE_HOST", "TRUNKLINE_PORT")
METRICS_SETTINGS = ("TRUNKLINE_METRICS_ADDRESS",) * 2
TRACE_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
TRACE_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class Server(uvicorn.Server):
    """uvicorn without its own signal handling, which ends the process before our own resources are closed.

    The subscriptions are ended first: it would wait for streams that never end by themselves.
    """

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self.feed = feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then everything as usual."""
        self.feed.end(Ending.STOPPING)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C stop gently; a second one at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


class Beside(uvicorn.Server):
    """One that ends when the main one has ended."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the main one's."""
        yield


def serve_forever(settings: Settings) -> None:
    """Serve until told to stop."""
    configure_log(settings.log_format)
    _take_room_for_sockets()
    tracer = open_tracer(os.environ)
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(_serve(settings, tracer))
    tracer.close()


def _take_room_for_sockets() -> None:
    """Ask the system for as many open files as the bounds of subscriptions need, or for what it grants."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    granted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < granted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))


def open_tracer(environ: Mapping[str, str]) -> Tracer:
    """Trace when a standard variable says where to or how; SettingError for a way that is not built in."""

    def read(name: str) -> str:
        return environ.get(name, "").strip().lower()

    exporter = read("OTEL_TRACES_EXPORTER")
    asked = exporter or any(map(read, TRACE_ENDPOINTS))
    if not asked or exporter == "none" or read("OTEL_SDK_DISABLED") == "true":
        return UNTRACED
    if exporter not in {"", "otlp"}:
        raise SettingError("OTEL_TRACES_EXPORTER", "must be otlp or none: others are not built in")
    for name in TRACE_PROTOCOLS:
        if read(name) not in {"", "http/protobuf"}:
            raise SettingError(name, "must be http/protobuf: others are not built in")
    from trunkline.otlp import OtlpTracer

    return OtlpTracer(environ)


def _loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on every platform
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve(settings: Settings, tracer: Tracer) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listening(Address(settings.host, settings.port), *MAIN_SETTINGS))
        beside = settings.metrics_address
        metrics_listener = stack.enter_context(_listening(beside, *METRICS_SETTINGS)) if beside else None
        async with served(settings, tracer=tracer) as running:
            _greet(settings, running, listener.getsockname()[1])
            async with _beside(running.metrics, metrics_listener):
                await Server(_config(running.app), running.feed).serve(sockets=[listener])


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=REQUEST_HEAD_MAX,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws=WebSocketProtocol,
        ws_max_size=MAX_BODY,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,  # messages are short, and its state would be most of what a socket needs
    )


@contextlib.asynccontextmanager
async def _beside(app: ASGIApp, listener: socket.socket | None) -> AsyncIterator[None]:
    """Serve the metrics at an address of their own as long as the API is served."""
    if listener is None:
        yield
        return
    server = Beside(_config(app))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


@contextlib.contextmanager
def _listening(address: Address, host_setting: str, port_setting: str) -> Iterator[socket.socket]:
    """Listen, or name the setting that is in the way."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # proto is named so that asyncio turns Nagle's algorithm off: 45 ms less per answer
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux, where accepted sockets inherit it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000)
        try:
            listener.bind((address.host.strip("[]"), address.port))
            listener.listen(1024)
        except OSError as error:
            name = port_setting if error.errno in {errno.EADDRINUSE, errno.EACCES} else host_setting
            why = f"{address} cannot be listened on: {error.strerror}"
            raise SettingError(name, why) from None
        yield listener


def _greet(settings: Settings, running: Served, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host and "[" not in settings.host else settings.host
    page = f"http://{host}:{port}/graphql"
    backend = f"LiveKit at {settings.livekit.url}" if settings.livekit else "SANDBOX (built in; no real call is made)"
    lines = [f"trunkline is serving {page}", f"Voice backend: {backend}"]
    if running.key_file and sys.stdout.isatty():
        lines.append(f"Open {page}#key={first_key(running.key_file).reveal()}")
    elif running.key_file:
        lines.append(f"The API key is in {running.key_file}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
