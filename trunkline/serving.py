"""Serving for real: uvicorn, the lines a person sees first, and an end that cuts nothing off."""

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn

from trunkline.asgi import Served, served
from trunkline.log import configure_log
from trunkline.settings import SettingError, Settings
from trunkline.start import first_key

GRACE_SECONDS = 30  # longer than any creation, so that a stop cuts none off
REQUEST_HEAD_MAX = 32 * 1024  # bytes


class Server(uvicorn.Server):
    """uvicorn without its own signal handling, which ends the process before our own resources are closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C stop gently; a second one at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def serve_forever(settings: Settings) -> None:
    """Serve until told to stop."""
    configure_log()
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(_serve(settings))


def _loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on every platform
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve(settings: Settings) -> None:
    with _listening(settings) as listener:
        async with served(settings) as running:
            config = uvicorn.Config(
                running.app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                h11_max_incomplete_event_size=REQUEST_HEAD_MAX,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
            _greet(settings, running, listener.getsockname()[1])
            await Server(config).serve(sockets=[listener])


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # proto is named so that asyncio turns Nagle's algorithm off: 45 ms less per answer
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host.strip("[]"), settings.port))
            listener.listen(1024)
        except OSError as error:
            name = "TRUNKLINE_PORT" if error.errno in {errno.EADDRINUSE, errno.EACCES} else "TRUNKLINE_HOST"
            why = f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}"
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
