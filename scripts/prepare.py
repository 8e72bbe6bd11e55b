"""Make .venv, fill it from a hash-locked list and become its Python. Needs only the standard library.

usage: prepare.py serve|test [ARGUMENT...]     without arguments it only prepares

Cut short at any instant, the next start repairs what is half made; of two at once, one waits for the other.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "filled-from"
UNFINISHED = "unfinished"
# requirements/test.txt holds all of serve.txt with equal pins, so what is filled for tests serves too.
FILES = {"serve": ("serve.txt",), "test": ("serve.txt", "test.txt")}
VERSION = "import sys; print(sys.version if sys.version_info >= (3, 11) else '')"


def prepare(name: str) -> None:
    """Leave .venv filled from requirements/NAME.txt; returns at once when it is."""
    if is_filled(name):
        return
    with (LOCKS / "serve.txt").open("rb+") as lock:
        wait_for(lock)
        if is_filled(name):  # by the one we waited for
            return
        uv = shutil.which("uv")
        if uv is None and importlib.util.find_spec("ensurepip") is None:
            sys.exit(f"Python's venv module is missing. On Debian: apt-get install {debian_package()}")
        fill(name, uv, lock)


def is_filled(name: str) -> bool:
    """Whether the last filling was finished, from these lists, for a Python that still runs."""
    version = venv_version()
    return bool(version) and stamp() in {digest(name, version), digest("test", version)}


def fill(name: str, uv: str | None, lock: IO[bytes]) -> None:
    """Install what the list names, hashes checked, wheels only: a source archive would run code of its own."""
    if stamp() == UNFINISHED or not venv_version() or not (uv or any(VENV.glob("lib/*/site-packages/pip"))):
        shutil.rmtree(VENV, ignore_errors=True)
    say(f"Filling .venv for {name} with Python {sys.version.split()[0]}; this is done once …")
    started = time.monotonic()
    VENV.mkdir(exist_ok=True)
    STAMP.write_text(UNFINISHED)
    if not PYTHON.exists():
        run([sys.executable, "-m", "venv", *(["--without-pip"] if uv else []), str(VENV)], lock)
    pip = [uv, "pip", "install", "--python", str(PYTHON)] if uv else [str(PYTHON), "-m", "pip", "install"]
    options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    run([*pip, *options, "-r", str(LOCKS / f"{name}.txt")], lock)
    finished = STAMP.with_suffix(".new")
    finished.write_text(digest(name, venv_version()))
    finished.replace(STAMP)
    say(f"Filled in {time.monotonic() - started:.1f} s.")


def run(command: list[str], lock: IO[bytes]) -> None:
    """Run a step. It inherits the lock: when we are killed, the next start waits for what still writes into .venv."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, cwd=LOCKS, env=environment, stdout=sys.stderr, pass_fds=[lock.fileno()], check=False)
    if done.returncode:
        sys.exit(f"Could not fill .venv: {Path(command[0]).name} ended with {done.returncode}; its reason is above.")


def wait_for(lock: IO[bytes]) -> None:
    """Take the lock; the system gives it back when the last process that holds it ends, however it ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another start is filling .venv; waiting for it …")
        fcntl.flock(lock, fcntl.LOCK_EX)


def digest(name: str, version: str) -> str:
    """What a filled .venv depends on."""
    texts = [(LOCKS / file).read_bytes() for file in FILES[name]]
    return f"{name} {hashlib.sha256(version.encode() + b''.join(texts)).hexdigest()}"


def venv_version() -> str:
    """The version of the Python in .venv; empty where there is none, or none that runs, or an old one."""
    try:
        asked = subprocess.run([PYTHON, "-I", "-S", "-c", VERSION], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return asked.stdout.strip()


def stamp() -> str:
    """What .venv was last filled from."""
    try:
        return STAMP.read_text()
    except OSError:
        return ""


def debian_package() -> str:
    """The package that brings the venv module."""
    major, minor = sys.version_info[:2]
    return f"python{major}.{minor}-venv (or python3-venv)"


def say(text: str) -> None:
    """Speak to the person; the output proper belongs to the program that we become."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    chosen, *arguments = sys.argv[1:]
    try:
        prepare(chosen)
    except KeyboardInterrupt:
        sys.exit(130)
    if arguments:
        os.execv(PYTHON, [str(PYTHON), *arguments])  # noqa: S606  # the same process, so that signals reach the program
