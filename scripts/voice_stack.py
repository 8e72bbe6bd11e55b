"""A real LiveKit server with Redis on free ports of this machine: for people who try trunkline, and for its tests.

The binary is built once and kept outside the checkout by its version. Nothing listens outside 127.0.0.1.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from scripts.daemon import LOOPBACK, Daemon, answers_ok, free_port

VERSION = "1.13.5"
MODULE = f"github.com/livekit/livekit-server/cmd/server@v{VERSION}"
API_KEY = "trunkline"
HOW_TO_GET = {
    "go": "go 1.26 or newer (https://go.dev/dl)",
    "redis-server": "redis-server (apt-get install redis-server)",
    "pkg-config": "pkg-config and the libraries of livekit-sip (apt-get install pkg-config libopus-dev libopusfile-dev "
    "libsoxr-dev)",
}


@dataclass(frozen=True)
class LiveKitServer:
    """A running livekit-server. What it stores is kept by its Redis, so a stop and a start lose nothing."""

    url: str
    api_key: str
    api_secret: str
    redis_address: str
    redis: Daemon
    livekit: Daemon

    @property
    def environment(self) -> dict[str, str]:
        """The three variables that trunkline and LiveKit's own tools read."""
        return {"LIVEKIT_URL": self.url, "LIVEKIT_API_KEY": self.api_key, "LIVEKIT_API_SECRET": self.api_secret}

    def start(self) -> None:
        """Start livekit-server again, on the same port."""
        self.livekit.start()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop livekit-server or kill it; Redis goes on. It forgets a signal of its first 0.1 s: told again."""
        self.livekit.stop(number, seconds=0.5, tries=20)

    def close(self) -> None:
        """Stop both."""
        self.stop()
        self.redis.stop()


def cache() -> Path:
    """Where what is made once is kept, outside the checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trunkline"


def binary() -> Path:
    """Where the built server is kept."""
    return cache() / "voice" / f"livekit-server-{VERSION}"


def missing(*commands: str) -> list[str]:
    """Which of these commands this machine lacks, each with how to get it."""
    return [HOW_TO_GET[command] for command in commands if not shutil.which(command)]


def build() -> None:
    """Build livekit-server, unless it is there: about two minutes the first time."""
    target = binary()
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    say(f"Building livekit-server {VERSION}; about two minutes, once …")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = ["go", "install", MODULE]
        if subprocess.run(command, cwd=folder, env={**os.environ, "GOBIN": folder}, check=False).returncode:
            sys.exit(f"go could not build {MODULE}; its reason is above.")
        (Path(folder) / "server").replace(target)
    say(f"Built {target} in {time.monotonic() - started:.0f} s.")


def start(folder: Path, webhook: str = "") -> LiveKitServer:
    """Start Redis and the built livekit-server with their files in `folder`, and return when both answer.

    livekit-server posts its events to `webhook`, signed with its API key; without it they go nowhere.
    """
    redis_port, port, secret = free_port(), free_port(), secrets.token_urlsafe(32)
    redis = Daemon(
        ["redis-server", *redis_options(redis_port, folder)], folder / "redis.log", lambda: pongs(redis_port)
    )
    config = folder / "livekit.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps(livekit_config(port, redis_port, secret, webhook)))  # JSON is YAML
    livekit = Daemon(
        [str(binary()), "--config", str(config)], folder / "livekit.log", lambda: answers_ok(port), folder=folder
    )
    server = LiveKitServer(f"http://{LOOPBACK}:{port}", API_KEY, secret, f"{LOOPBACK}:{redis_port}", redis, livekit)
    try:
        redis.start()
        livekit.start()
    except BaseException:  # Ctrl-C too
        server.close()
        raise
    return server


def redis_options(port: int, folder: Path) -> list[str]:
    """Redis that keeps every write."""
    options = {"port": port, "bind": LOOPBACK, "dir": folder, "save": "", "appendonly": "yes", "appendfsync": "always"}
    return [text for name, value in options.items() for text in (f"--{name}", str(value))]


def livekit_config(port: int, redis_port: int, secret: str, webhook: str = "") -> dict[str, object]:
    """Loopback only. Media ports are taken call by call, passing over taken ones: servers may share one range."""
    media: dict[str, object] = {
        "tcp_port": 0,
        "port_range_start": 50_000,
        "port_range_end": 60_000,
        "use_external_ip": False,
    }
    # Without a STUN server of their own, clients (a worker too) would look for public ones.
    media["stun_servers"] = [f"{LOOPBACK}:3478"]
    loopback = {"node_ip": LOOPBACK, "enable_loopback_candidate": True, "interfaces": {"includes": ["lo"]}}
    return {
        "port": port,
        "bind_addresses": [LOOPBACK],
        "rtc": media | loopback,
        "redis": {"address": f"{LOOPBACK}:{redis_port}"},
        "keys": {API_KEY: secret},
        "logging": {"level": "info", "json": False},
        **({"webhook": {"api_key": API_KEY, "urls": [webhook]}} if webhook else {}),
    }


def pongs(port: int) -> bool:
    """Whether a Redis answers on this port."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=2) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False


def say(text: str) -> None:
    """Speak to the person; the output proper is for a shell."""
    print(text, file=sys.stderr, flush=True)
