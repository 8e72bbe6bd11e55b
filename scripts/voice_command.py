"""The command scripts/voice: a real LiveKit that takes calls, for trying trunkline out, until Ctrl-C.

Standard output is for a shell: `scripts/voice >voice.env`, then `. ./voice.env` before scripts/serve.
"""

import argparse
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from scripts import voice_edge, voice_sip, voice_stack
from scripts.daemon import Daemon, DaemonError
from scripts.voice_edge import EdgeServer
from scripts.voice_sip import SipServer
from scripts.voice_stack import LiveKitServer, missing, say

WEBHOOK = "http://127.0.0.1:8000/webhooks/livekit"  # trunkline as scripts/serve starts it


@dataclass(frozen=True)
class Voice:
    """What was started."""

    livekit: LiveKitServer
    sip: SipServer | None = None
    edge: EdgeServer | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What trunkline and an agent read; a carrier on this machine is let in, too."""
        sip = self.sip
        calls = {"TRUNKLINE_SIP_HOST": sip.address, "TRUNKLINE_ALLOWED_NETWORKS": "127.0.0.0/8"} if sip else {}
        return self.livekit.environment | calls | (self.edge.environment if self.edge else {})

    @property
    def daemons(self) -> list[Daemon]:
        """All of it."""
        more = [each.daemon for each in (self.sip, self.edge) if each]
        return [self.livekit.redis, self.livekit.livekit, *more]


def stay(voice: Voice) -> str:
    """Say how to reach the servers and wait; returns only when one of them ended by itself."""
    for name, value in voice.environment.items():
        print(f"export {name}={value}")
    print("# ready", flush=True)
    daemons = voice.daemons
    while all(daemon.is_running for daemon in daemons):
        time.sleep(0.2)
    ended = next(daemon for daemon in daemons if not daemon.is_running)
    return f"{ended.arguments[0]} ended by itself:\n{ended.last_lines()}"


def end(number: int, _frame: FrameType | None) -> None:
    """Leave by way of what must be stopped first; a second signal does not disturb that."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    say(f"{signal.Signals(number).name}: stopping …")
    sys.exit(0)


def needed(*, only_build: bool, sip: bool) -> list[str]:
    """The commands without which it cannot be done."""
    commands = [] if voice_stack.binary().exists() else ["go"]
    if sip and not voice_sip.binary().exists():
        commands += ["go", "pkg-config"]
    return list(dict.fromkeys(commands + ([] if only_build else ["redis-server"])))


def serve(*, sip: bool, edge: bool, webhook: str) -> None:
    """Start the servers in a folder of their own and stay; all of them are stopped however it ends."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trunkline-voice-")))
        try:
            voice = started(stack, folder, webhook, sip=sip, edge=edge)
        except DaemonError as error:
            sys.exit(str(error))
        if voice.sip:
            say(f"Calls are taken at sip:{voice.sip.address}, UDP and TCP.")
        if voice.edge:
            say(f"With outboundProxy calls leave from {voice.edge.outer}.")
        say(f"LiveKit tells what happens in rooms to {webhook or 'nobody'}.")
        sys.exit(stay(voice))


def started(stack: ExitStack, folder: Path, webhook: str, *, sip: bool, edge: bool) -> Voice:
    """Start one after the other; whatever was started is stopped with the stack."""
    livekit = voice_stack.start(folder, webhook)
    stack.callback(livekit.close)
    voice = Voice(livekit)
    if sip:
        calls = voice_sip.start(folder, livekit)
        stack.callback(calls.close)
        voice = replace(voice, sip=calls)
    if sip and edge:
        before = voice_edge.start(folder)
        stack.callback(before.close)
        voice = replace(voice, edge=before)
    return voice


def main() -> None:
    """Build, start, stay."""
    parser = argparse.ArgumentParser(prog="scripts/voice", description=__doc__.partition("\n")[0])
    parser.add_argument("--build", action="store_true", help="only build what is to be started, then end")
    sip_help = "with livekit-sip, which takes and places calls (the default), or without"
    parser.add_argument("--sip", action=argparse.BooleanOptionalAction, default=True, help=sip_help)
    edge_help = "with an edge before the carriers (the default where Kamailio is installed), or without"
    parser.add_argument(
        "--edge", action=argparse.BooleanOptionalAction, default=voice_edge.is_installed(), help=edge_help
    )
    webhook_help = f"where livekit-server posts its events, '' for nowhere; {WEBHOOK} unless told"
    parser.add_argument("--webhook", metavar="URL", default=WEBHOOK, help=webhook_help)
    told = parser.parse_args()
    if lacking := missing(*needed(only_build=told.build, sip=told.sip)):
        sys.exit(f"scripts/voice needs {' and '.join(lacking)}.")
    if told.edge and not voice_edge.is_installed():
        sys.exit(f"scripts/voice --edge needs Kamailio (apt-get install {voice_edge.PACKAGES}).")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    voice_stack.build()
    if told.sip:
        voice_sip.build()
    if not told.build:
        serve(sip=told.sip, edge=told.edge, webhook=told.webhook)


if __name__ == "__main__":
    main()
