"""The environment of the real agent worker: made once in the cache, from requirements/agent.txt alone.

Run as a program it makes the environment and tells its Python: CI does so beside other work.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent.parent / "requirements" / "agent.txt"
FINISHED = "finished"


class UnavailableError(Exception):
    """The environment could not be made: one line that says why."""


def python() -> Path:
    """The environment's Python, made now when it is not there yet (about half a minute)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trunkline" / "agent"
    version = ".".join(str(part) for part in sys.version_info[:3])
    folder = cache / hashlib.sha256(version.encode() + LOCK.read_bytes()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / FINISHED).exists():
            _make(folder)
    return folder / "bin" / "python"


def _make(folder: Path) -> None:
    """Hashes are checked, and only wheels are taken: a source archive would run code of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    own, uv = folder / "bin" / "python", shutil.which("uv")
    base = getattr(sys, "_base_executable", sys.executable)
    _run([base, "-m", "venv", *(["--without-pip"] if uv else []), str(folder)])
    pip = [uv, "pip", "install", "--python", str(own)] if uv else [str(own), "-m", "pip", "install"]
    _run([*pip, "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)])
    (folder / FINISHED).touch()


def _run(command: list[str]) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise UnavailableError(f"the agent's environment ({LOCK.name}): {' '.join(reason)}")


if __name__ == "__main__":
    started = time.monotonic()
    try:
        print(python(), f"after {time.monotonic() - started:.0f} s")  # noqa: T201  # a program that prints
    except UnavailableError as error:
        sys.exit(str(error))
