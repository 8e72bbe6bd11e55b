"""trunkline served by a process of its own, as a user starts it: for tests that stop it, kill it or read its log."""

import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from scripts.daemon import LOOPBACK, Daemon, answers_ok, free_port
from tests.laid_tables import lay_tables

ROOT = Path(__file__).resolve().parent.parent
KEY = "tl_a-key-of-the-tests-and-of-nobody-else"


@dataclass
class ServerProcess:
    """`python -m trunkline serve` with all its files in `folder`: SQLite and the sandbox, unless `settings` differ.

    `settings` are environment variables; those of this process named LIVEKIT_* and TRUNKLINE_* are not handed on.
    Leaving the `with` block stops it. A stopped or killed one can be started again: same port, same files.
    """

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    key: str = KEY

    def __post_init__(self) -> None:
        lay_tables(self.folder)
        command = [sys.executable, "-m", "trunkline", "serve", "--port", str(self.port)]
        self.daemon = Daemon(command, self.log, self.is_ready, self.environment(), ROOT)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "trunkline.log"

    @property
    def is_running(self) -> bool:
        return self.daemon.is_running

    def is_ready(self) -> bool:
        return answers_ok(self.port, "/readyz")

    def environment(self) -> dict[str, str]:
        foreign = {name: text for name, text in os.environ.items() if not name.startswith(("LIVEKIT_", "TRUNKLINE_"))}
        return foreign | {
            "TRUNKLINE_DATABASE_URL": f"sqlite://{self.folder}/trunkline.db",
            "TRUNKLINE_SANDBOX_FILE": f"{self.folder}/sandbox.db",
            "TRUNKLINE_SETTLE_TIME": "1",
            "TRUNKLINE_BOOTSTRAP_KEY": self.key,
            "TRUNKLINE_PROBE_NEW_TRUNKS": "no",  # the addresses belong to others
            **self.settings,
        }

    def start(self, seconds: float = 30) -> None:
        """Start and return when /readyz says so; DaemonError with the end of the log when it does not."""
        self.daemon.start(seconds)

    def launch(self) -> None:
        """Start without waiting, for a start that is meant to fail or to hang."""
        self.daemon.launch()

    def stop(self) -> int | None:
        """SIGTERM; returns the exit code."""
        return self.daemon.stop(signal.SIGTERM)

    def kill(self) -> int | None:
        """SIGKILL, as a machine that loses its power."""
        return self.daemon.stop(signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.stop()
