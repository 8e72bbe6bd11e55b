"""The real servers of the tests: LiveKit as scripts/voice starts it, and a private PostgreSQL cluster."""

import itertools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts import voice_edge, voice_sip, voice_stack
from scripts.daemon import LOOPBACK, Daemon, free_port
from scripts.voice_edge import EdgeServer
from scripts.voice_sip import SipServer
from scripts.voice_stack import LiveKitServer

__all__ = [
    "LiveKitServer",
    "Postgres",
    "VoiceStack",
    "running_edge",
    "running_livekit",
    "running_postgres",
    "running_sip",
]

USER = "trunkline"
DEBIAN_BINARIES = "/usr/lib/postgresql"


@contextmanager
def running_livekit(webhook: str = "") -> Iterator[LiveKitServer]:
    with TemporaryDirectory(prefix="trunkline-livekit-") as folder:
        server = voice_stack.start(Path(folder), webhook)
        try:
            yield server
        finally:
            server.close()


@dataclass(frozen=True)
class VoiceStack:
    """A livekit-server and the livekit-sip that takes its calls; it posts its events to a trunkline at `port`."""

    livekit: LiveKitServer
    sip: SipServer
    port: int


@contextmanager
def running_sip(more: Mapping[str, object] | None = None, **environment: str) -> Iterator[VoiceStack]:
    """`more`: of livekit-sip's configuration, `environment`: of its variables."""
    port = free_port()
    webhook = f"http://{LOOPBACK}:{port}/webhooks/livekit"
    with running_livekit(webhook) as server, TemporaryDirectory(prefix="trunkline-sip-") as folder:
        sip = voice_sip.start(Path(folder), server, more, environment)
        try:
            yield VoiceStack(server, sip, port)
        finally:
            sip.close()


@contextmanager
def running_edge(folder: Path, **changes: str) -> Iterator[EdgeServer]:
    server = voice_edge.start(folder, changes)
    try:
        yield server
    finally:
        server.close()


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL that asks for a password and writes through to the disk."""

    binaries: Path
    port: int
    password: str
    daemon: Daemon
    names: Iterator[int] = field(default_factory=itertools.count)

    def new_database(self) -> str:
        """The URL of a database that nobody has used."""
        name = f"test_{next(self.names)}"
        where = ["--host", LOOPBACK, "--port", str(self.port), "--username", USER]
        environment = {**os.environ, "PGPASSWORD": self.password}
        subprocess.run([str(self.binaries / "createdb"), *where, name], env=environment, check=True)
        return f"postgres://{USER}:{self.password}@{LOOPBACK}:{self.port}/{name}"

    def start(self) -> None:
        self.daemon.start()

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is PostgreSQL's fast stop: it ends the connections itself."""
        self.daemon.stop(number)


def postgres_binaries() -> Path | None:
    """The folder of initdb and postgres: Debian keeps it off PATH, by version."""
    found = sorted(Path(DEBIAN_BINARIES).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    initdb = Path(on_path).resolve() if on_path else next(reversed(found), None)
    return initdb.parent if initdb else None


@contextmanager
def running_postgres(binaries: Path) -> Iterator[Postgres]:
    with TemporaryDirectory(prefix="trunkline-postgres-") as folder:
        server = _new_cluster(binaries, Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _new_cluster(binaries: Path, folder: Path) -> Postgres:
    data, port, password = folder / "data", free_port(), secrets.token_urlsafe(12)
    secret = folder / "password"
    secret.write_text(password)
    become = _become_unprivileged(folder, secret)
    options = ["--username", USER, "--pwfile", str(secret), "--auth", "scram-sha-256", "--encoding", "UTF8"]
    command = [*become, str(binaries / "initdb"), "--no-locale", "--no-sync", *options, "--pgdata", str(data)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    settings = {"port": port, "listen_addresses": LOOPBACK, "unix_socket_directories": "", "fsync": "on"}
    flags = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
    is_ready = [str(binaries / "pg_isready"), "--quiet", "--host", LOOPBACK, "--port", str(port)]
    daemon = Daemon(
        [*become, str(binaries / "postgres"), "-D", str(data), *flags],
        folder / "postgres.log",
        lambda: subprocess.run(is_ready, check=False).returncode == 0,
        folder=folder,
    )
    return Postgres(binaries, port, password, daemon)


def _become_unprivileged(*paths: Path) -> list[str]:
    """PostgreSQL refuses root: hand it the paths and a user that Debian's package made."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    for path in paths:
        os.chown(path, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]
