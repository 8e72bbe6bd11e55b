"""A real edge beside a running livekit-sip: LiveKit's calls go to it on one loopback address and leave from another.

Needs Linux, where all of 127.0.0.0/8 is there. Nothing listens outside of it.
"""

import contextlib
import os
import secrets
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.daemon import LOOPBACK, Daemon, answers_ok, free_port

START = Path(__file__).resolve().parent.parent / "edge" / "start"
OUTER = "127.0.0.2"
PACKAGES = "kamailio kamailio-postgres-modules kamailio-sqlite-modules kamailio-tls-modules sqlite3 openssl"
COMMANDS, MODULES = ("kamailio", "sqlite3", "openssl"), ("db_postgres", "db_sqlite", "tls")


def is_installed() -> bool:
    """Whether all of an edge is there. Debian keeps Kamailio where only root looks, and its modules by architecture."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    modules = {file.stem for file in Path("/usr/lib").glob("*/kamailio/modules/*.so")}
    return all(shutil.which(command, path=path) for command in COMMANDS) and modules.issuperset(MODULES)


@dataclass(frozen=True)
class EdgeServer:
    """A running edge. What it knows is in its database, so a stop and a start lose nothing."""

    inner: str  # host:port, UDP
    outer: str  # host:port, UDP and TCP
    rpc_url: str
    rpc_token: str
    database: str
    daemon: Daemon

    @property
    def environment(self) -> dict[str, str]:
        """What trunkline reads."""
        return {
            "TRUNKLINE_OUTBOUND_PROXY": self.inner,
            "TRUNKLINE_EDGE_DATABASE": self.database,
            "TRUNKLINE_EDGE_RPC_URL": self.rpc_url,
            "TRUNKLINE_EDGE_RPC_TOKEN": self.rpc_token,
            "TRUNKLINE_EDGE_OUTER_ADDRESS": OUTER,
        }

    def kill(self) -> None:
        """End it and its children at once, as a crash of the machine does."""
        if self.daemon.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.daemon.process.pid, signal.SIGKILL)
        self.daemon.stop(signal.SIGKILL)

    def close(self) -> None:
        """Stop it; children that outlived it are ended."""
        self.daemon.stop(seconds=5)
        self.kill()


def start(folder: Path, changes: Mapping[str, str] | None = None) -> EdgeServer:
    """Start the edge with its files in `folder`, and return when it answers. `changes`: of its environment."""
    inner, rpc, outer, tls = (free_port() for _ in range(4))
    token, database = secrets.token_urlsafe(24), f"sqlite://{folder}/edge.db"
    told = {
        "EDGE_DATABASE": database,
        "EDGE_FOLDER": str(folder),
        "EDGE_INNER_ADDRESS": LOOPBACK,
        "EDGE_INNER_PORT": str(inner),
        "EDGE_LIVEKIT": f"{LOOPBACK}/32",
        "EDGE_OUTER_ADDRESS": OUTER,
        "EDGE_OUTER_PORT": str(outer),
        "EDGE_OUTER_TLS_PORT": str(tls),
        "EDGE_RPC_PORT": str(rpc),
        "EDGE_RPC_TOKEN": token,
    } | dict(changes or {})
    ready = {"Authorization": f"Bearer {told['EDGE_RPC_TOKEN']}"}
    daemon = Daemon([str(START)], folder / "edge.log", lambda: answers_ok(rpc, headers=ready), {**os.environ, **told})
    server = EdgeServer(
        f"{LOOPBACK}:{inner}",
        f"{OUTER}:{outer}",
        f"http://{LOOPBACK}:{rpc}/",
        told["EDGE_RPC_TOKEN"],
        told["EDGE_DATABASE"],
        daemon,
    )
    try:
        daemon.start()
    except BaseException:
        server.kill()
        raise
    return server
