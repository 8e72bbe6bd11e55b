"""The environment of the example agent: made once in the cache, from requirements/agent.txt alone.

LiveKit's agents pin other versions than trunkline does. Run as a program it becomes the agent: scripts/agent.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from scripts.voice_stack import cache, say

ROOT = Path(__file__).resolve().parent.parent
AGENT = ROOT / "examples" / "agent" / "agent.py"
LOCK = ROOT / "requirements" / "agent.txt"
FINISHED = "finished"


class UnavailableError(Exception):
    """The environment could not be made: one line that says why."""


def python() -> Path:
    """The environment's Python, made now when it is not there yet (about half a minute)."""
    home = cache() / "agent"
    version = ".".join(str(part) for part in sys.version_info[:3])
    folder = home / hashlib.sha256(version.encode() + LOCK.read_bytes()).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / FINISHED).exists():
            _make(folder)
    return folder / "bin" / "python"


def _make(folder: Path) -> None:
    """Hashes are checked, and only wheels are taken: a source archive would run code of its own."""
    say("Making the agent's environment; about half a minute, once …")
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    own, uv = folder / "bin" / "python", shutil.which("uv")
    base = getattr(sys, "_base_executable", sys.executable)
    _run([base, "-m", "venv", *(["--without-pip"] if uv else []), str(folder)])
    pip = [uv, "pip", "install", "--python", str(own)] if uv else [str(own), "-m", "pip", "install"]
    _run([*pip, "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)])
    (folder / FINISHED).touch()
    say(f"Made {folder} in {time.monotonic() - started:.0f} s.")


def _run(command: list[str]) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise UnavailableError(f"the agent's environment ({LOCK.name}): {' '.join(reason)}")


def main(arguments: list[str]) -> None:
    """Make the environment; then become the agent, unless only that was asked for."""
    try:
        own = str(python())
    except UnavailableError as error:
        sys.exit(str(error))
    if arguments != ["--build"]:
        # the same process, so that signals reach the agent
        os.execv(own, [own, str(AGENT), *(arguments or ["start"])])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
