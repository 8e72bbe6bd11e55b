"""A real livekit-sip beside a running livekit-server: it takes and places calls on a free port of this machine.

Built once by way of requirements/livekit-sip, which names its version and holds the hashes of all that it is made of.
Nothing listens outside 127.0.0.1.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.daemon import LOOPBACK, Daemon, free_port
from scripts.voice_stack import LiveKitServer, cache, say

VERSION = "1.8.0"
COMMAND = "github.com/livekit/sip/cmd/livekit-sip"
SOURCE = Path(__file__).resolve().parent.parent / "requirements" / "livekit-sip"


@dataclass(frozen=True)
class SipServer:
    """A running livekit-sip; `address` is host:port for UDP and TCP."""

    address: str
    daemon: Daemon

    def close(self) -> None:
        """Stop it, cutting calls: on SIGTERM it would wait for them without end."""
        self.daemon.stop(signal.SIGINT, seconds=2, tries=5)


def binary() -> Path:
    """Where the built server is kept."""
    return cache() / "voice" / f"livekit-sip-{VERSION}"


def build() -> None:
    """Build livekit-sip, unless it is there: one to two minutes the first time."""
    target = binary()
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    say(f"Building livekit-sip {VERSION}; one to two minutes, once …")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        for name in ("go.mod", "go.sum"):
            shutil.copy(SOURCE / name, folder)
        # go.mod names livekit-sip alone; the versions of the rest follow from its own, and go.sum is held against them.
        command = ["go", "build", "-mod=mod", "-trimpath", "-o", "livekit-sip", COMMAND]
        if subprocess.run(command, cwd=folder, check=False).returncode:
            sys.exit(f"go could not build {COMMAND}; its reason is above.")
        (Path(folder) / "livekit-sip").replace(target)
    say(f"Built {target} in {time.monotonic() - started:.0f} s.")


def start(
    folder: Path,
    server: LiveKitServer,
    more: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> SipServer:
    """Start the built livekit-sip with its files in `folder`, and return when it answers an OPTIONS request.

    `more` is added to its configuration, `environment` to its variables.
    """
    port = _free_sip_port()
    config = folder / "sip.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps(sip_config(port, server) | dict(more or {})))  # JSON is YAML
    daemon = Daemon(
        [str(binary()), "--config", str(config)],
        folder / "sip.log",
        lambda: answers_options(port),
        {**os.environ, **(environment or {})},
        folder,
    )
    daemon.start()
    return SipServer(f"{LOOPBACK}:{port}", daemon)


def sip_config(port: int, server: LiveKitServer) -> dict[str, object]:
    """Loopback only, and no refusal of calls on a busy machine (`cpu exhausted`), as one that runs tests is."""
    loopback = {"listen_ip": LOOPBACK, "nat_1_to_1_ip": LOOPBACK, "media_nat_1_to_1_ip": LOOPBACK}
    return {
        "api_key": server.api_key,
        "api_secret": server.api_secret,
        "ws_url": server.url.replace("http", "ws", 1),
        "redis": {"address": server.redis_address},
        "sip_port": port,
        "rtp_port": "10000-19999",  # taken call by call, passing over taken ones: servers may share one range
        "max_cpu_utilization": 1.0,
        "use_external_ip": False,
        "logging": {"level": "debug", "json": True},
        **loopback,
    }


def answers_options(port: int) -> bool:
    """Whether a SIP server answers OPTIONS over UDP; livekit-sip's own health says nothing about calls."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        client.connect((LOOPBACK, port))
        client.send(_options(port, client.getsockname()[1]))
        return client.recv(2048).startswith(b"SIP/2.0 ")
    return False


def _options(port: int, own_port: int) -> bytes:
    lines = [
        f"OPTIONS sip:{LOOPBACK}:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP {LOOPBACK}:{own_port};rport;branch=z9hG4bK{uuid.uuid4().hex}",
        "Max-Forwards: 70",
        f"From: <sip:ready@{LOOPBACK}>;tag={uuid.uuid4().hex[:8]}",
        f"To: <sip:{LOOPBACK}:{port}>",
        f"Call-ID: {uuid.uuid4().hex}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _free_sip_port() -> int:
    """Free for TCP and for UDP."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((LOOPBACK, port))
            return port
