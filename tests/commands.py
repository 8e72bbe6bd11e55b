"""`python -m trunkline …` as a user types it: run to its end, several at once."""

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 60  # a command that hangs fails its test; a busy machine does not


@dataclass(frozen=True, slots=True)
class Command:
    """Arguments, and settings on top of a clean environment with a database of the folder."""

    folder: Path
    arguments: tuple[str, ...]
    settings: Mapping[str, str]

    def run(self) -> "subprocess.CompletedProcess[str]":
        foreign = {name: text for name, text in os.environ.items() if not name.startswith(("LIVEKIT_", "TRUNKLINE_"))}
        database = f"sqlite://{self.folder}/trunkline.db"
        return subprocess.run(
            [sys.executable, "-m", "trunkline", *self.arguments],
            cwd=ROOT,
            env={**foreign, "TRUNKLINE_DATABASE_URL": database, **self.settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )


def command(folder: Path, *arguments: str, **settings: str) -> Command:
    return Command(folder, arguments, settings)


def run(folder: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return command(folder, *arguments, **settings).run()


def output(folder: Path, *arguments: str, **settings: str) -> str:
    """What a command that succeeds prints."""
    done = run(folder, *arguments, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refusal(folder: Path, *arguments: str, **settings: str) -> str:
    """The one line of a command that is refused."""
    return refused(run(folder, *arguments, **settings))


def refused(done: "subprocess.CompletedProcess[str]") -> str:
    assert (done.returncode, done.stdout) == (1, ""), done
    (line,) = done.stderr.splitlines()
    return line


def all_of(commands: list[Command]) -> list["subprocess.CompletedProcess[str]"]:
    """Run commands side by side; their results in their order."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(Command.run, commands))
