"""The two commands: their environment is made once, repaired when half made, and they become the program."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STAND_IN = """import os, signal, sys, time
print(os.getpid(), os.getcwd(), *sys.argv[1:], flush=True)
if "--wait" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    print("waiting", flush=True)
    time.sleep(60)
"""
UV = """#!/bin/sh
echo "$*" >>"$FILLINGS"
sleep 0.2
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The scripts around a stand-in for trunkline, in a folder with spaces. A stand-in for uv notes each filling."""
    root = tmp_path / "check out"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    shutil.copytree(ROOT / "requirements", root / "requirements")
    (root / "trunkline").mkdir()
    (root / "trunkline" / "__main__.py").write_text(STAND_IN)
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(UV)
    uv.chmod(0o755)
    return root


def _environment(checkout: Path) -> Mapping[str, str]:
    path = f"{checkout.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "FILLINGS": str(checkout.parent / "fillings")}


def _start(checkout: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [str(checkout / "scripts" / "serve"), *arguments]
    return subprocess.Popen(command, cwd="/", env=_environment(checkout), stdout=subprocess.PIPE, text=True)


def _serve(checkout: Path, *arguments: str) -> str:
    with _start(checkout, *arguments) as process:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert output.startswith(f"{process.pid} ")
    return output.partition(" ")[2].strip()


def _fillings(checkout: Path) -> list[str]:
    return re.findall(r"\w+\.txt$", (checkout.parent / "fillings").read_text(), re.MULTILINE)


def test_a_start_fills_the_environment_once(checkout: Path) -> None:
    for _ in range(2):
        assert _serve(checkout, "--port", "1") == f"{checkout} serve --port 1"
    assert _fillings(checkout) == ["serve.txt"]


def test_a_changed_list_fills_it_again(checkout: Path) -> None:
    _serve(checkout)
    with (checkout / "requirements" / "serve.txt").open("a") as file:
        file.write("# another\n")
    _serve(checkout)
    assert _fillings(checkout) == ["serve.txt", "serve.txt"]


def test_what_was_filled_for_tests_serves(checkout: Path) -> None:
    command = [str(checkout / "scripts" / "python"), "scripts/prepare.py", "test"]
    subprocess.run(command, env=_environment(checkout), check=True)
    _serve(checkout)
    assert _fillings(checkout) == ["test.txt"]


def test_a_half_made_environment_is_made_anew(checkout: Path) -> None:
    _serve(checkout)
    half = checkout / ".venv" / "half-written"
    half.touch()
    (checkout / ".venv" / "filled-from").write_text("unfinished")
    _serve(checkout)
    assert not half.exists()


def test_an_environment_without_its_python_is_made_anew(checkout: Path) -> None:
    _serve(checkout)
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    _serve(checkout)
    assert len(_fillings(checkout)) == 2


def test_of_two_starts_at_once_one_fills(checkout: Path) -> None:
    with _start(checkout) as first, _start(checkout) as second:
        for process in (first, second):
            process.communicate(timeout=60)
            assert process.returncode == 0
    assert _fillings(checkout) == ["serve.txt"]


def test_a_signal_reaches_the_server(checkout: Path) -> None:
    with _start(checkout, "--wait") as process:
        assert process.stdout
        process.stdout.readline()
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 7


def test_an_old_python_is_told_in_one_line(checkout: Path) -> None:
    folder = checkout.parent / "old"
    folder.mkdir()
    for command in ("dirname", "sh"):
        (folder / command).symlink_to(str(shutil.which(command)))
    (folder / "python3").write_text('#!/bin/sh\n[ "$1" = -c ] || echo Python 3.9.2\n')
    (folder / "python3").chmod(0o755)
    done = subprocess.run(
        [checkout / "scripts" / "serve"], env={"PATH": str(folder)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "trunkline needs Python 3.11 or newer; found: Python 3.9.2. On Debian 12: apt-get install python3 python3-venv"
    ]


def test_the_lists_agree_and_name_no_index() -> None:
    serve, test = ((ROOT / "requirements" / f"{name}.txt").read_text() for name in ("serve", "test"))
    assert set(_blocks(serve)) <= set(_blocks(test))
    assert "://" not in serve + test


def _blocks(text: str) -> list[str]:
    """Each requirement with its hashes."""
    return re.findall(r"^\S.*(?:\n +\S.*)*", text, re.MULTILINE)


def test_a_missing_real_server_is_told_or_fails(tmp_path: Path) -> None:
    bare = {name: text for name, text in os.environ.items() if name not in {"TRUNKLINE_REQUIRE_REAL", "PYTEST_ADDOPTS"}}
    environment = {**bare, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "tests/real/test_stack.py", "-k", "livekit_keeps"]
    skipped = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert skipped.returncode == 0
    assert "NOT TESTED: A REAL SERVER IS MISSING" in skipped.stdout
    assert "scripts/voice --build" in skipped.stdout
    required = environment | {"TRUNKLINE_REQUIRE_REAL": "1"}
    failed = subprocess.run(command, cwd=ROOT, env=required, capture_output=True, text=True, check=False)
    assert failed.returncode == 1


def test_results_without_real_tests_fail(tmp_path: Path) -> None:
    results = tmp_path / "results.xml"
    results.write_text('<testsuite><testcase classname="tests.test_scripts" name="test_a"/></testsuite>')
    command = [sys.executable, "scripts/real_tests_ran.py", str(results)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Real tests did not run" in done.stderr
