"""A served trunkline whose standard output is a terminal, as a person sees it."""

import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.server_process import ROOT, ServerProcess

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Terminal:
    """The process, and our end of its terminal."""

    process: "subprocess.Popen[bytes]"
    ours: int

    def shown(self) -> str:
        """What is on the screen once the server is ready: it writes its lines at once, before it serves."""
        return os.read(self.ours, 65_536).decode().replace("\r\n", "\n")

    def stop(self, number: signal.Signals) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def on_a_terminal(server: ServerProcess) -> Iterator[Terminal]:
    """Start what `server` describes on a terminal of its own and wait until it is ready. Errors go to its log."""
    ours, theirs = pty.openpty()
    with server.log.open("ab") as log:
        process = subprocess.Popen(
            server.daemon.arguments,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=log,
            env=server.environment(),
            cwd=ROOT,
            start_new_session=True,
        )
    os.close(theirs)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not server.is_ready():
            assert process.poll() is None, server.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
