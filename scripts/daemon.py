"""A server as a child process: started, awaited until it answers, stopped by its own process id; no blind sleep."""

import contextlib
import http.client
import itertools
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

LOOPBACK = "127.0.0.1"
# Below the ports from which Linux and macOS serve outgoing connections: a stopped server finds its port free again.
PORTS = itertools.cycle(random.sample(range(20_000, 32_000), 12_000))  # shuffled, so that none comes twice soon
POLL_SECONDS = 0.02


class DaemonError(Exception):
    """A server that did not start, with the end of its log."""

    def __init__(self, command: str, log: str) -> None:
        super().__init__(f"{command} did not start:\n{log}")


@dataclass
class Daemon:
    """A server of its own session, so that Ctrl-C reaches us first. Its output is appended to `log`."""

    arguments: Sequence[str]
    log: Path
    ready: Callable[[], bool]
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def is_running(self) -> bool:
        """Whether the process is there; it may not answer yet."""
        return self.process is not None and self.process.poll() is None

    def start(self, seconds: float = 30) -> None:
        """Start and return when it is ready; DaemonError when it ends or `seconds` pass before."""
        self.launch()
        deadline = time.monotonic() + seconds
        while not self.ready():
            if not self.is_running or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise DaemonError(self.arguments[0], self.last_lines())
            time.sleep(POLL_SECONDS)

    def launch(self) -> None:
        """Start without waiting."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
            )

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20, tries: int = 1) -> int | None:
        """Send a signal and wait for the end, `tries` times, then kill. Returns the exit code, -N for signal N."""
        if self.process is None:
            return None
        for each in [number] * tries:
            self.process.send_signal(each)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(seconds)
        self.process.kill()
        return self.process.wait()

    def last_lines(self, count: int = 30) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    return next(port for port in PORTS if is_free(port))


def is_free(port: int) -> bool:
    """Whether a server could listen on this port."""
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind((LOOPBACK, port))
        return True
    return False


def answers_ok(port: int, path: str = "/", headers: Mapping[str, str] = MappingProxyType({})) -> bool:
    """Whether GET on this machine is answered with 200; asked without any proxy."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", path, headers=dict(headers))
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
