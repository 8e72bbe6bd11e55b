"""examples/web, built and used in a real browser: errors beside fields, warnings, dial preview, live status."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.daemon import LOOPBACK, Daemon, answers_ok, free_port
from tests.server_process import ROOT, ServerProcess

WEB = ROOT / "examples" / "web"
FORM = Path(__file__).parent / "node" / "form.mjs"

Needs = Callable[[str], str]


def built(needs: Needs) -> None:
    """Generate the types, check them and bundle, as `npm run build` does for whoever copies the example."""
    needs("vite")
    done = subprocess.run(
        [needs("npm"), "run", "--silent", "build"], cwd=WEB, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A trunkline of its own: others would have trunks with the numbers that are typed in."""
    with ServerProcess(tmp_path_factory.mktemp("web")) as server:
        yield server


@pytest.fixture(scope="module")
def page(needs: Needs, served: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The built example behind Vite's own server, which passes the API on."""
    built(needs)
    port = free_port()
    command = [needs("vite"), "preview", "--host", LOOPBACK, "--port", str(port), "--strictPort"]
    log = tmp_path_factory.mktemp("web") / "vite.log"
    vite = Daemon(command, log, lambda: answers_ok(port), os.environ | {"TRUNKLINE_URL": served.url}, WEB)
    vite.start()
    yield f"http://{LOOPBACK}:{port}"
    vite.stop()


@pytest.fixture(scope="module")
def seen(needs: Needs, page: str, served: ServerProcess) -> dict[str, Any]:
    """What a person saw."""
    needs("playwright-core")
    environment = os.environ | {"CHROMIUM": needs("chromium")}
    command = [needs("node"), str(FORM), page, served.key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_each_problem_stands_beside_its_field_and_goes_when_it_is_mended(seen: dict[str, Any]) -> None:
    assert set(seen["errors"]) == {"Number or extension", "SIP password", "SIP server"}
    assert seen["errors"]["SIP server"] == "The port goes in sipPort."
    assert seen["errorsAfterwards"] == {}


def test_a_port_that_is_no_number_is_not_left_out_in_silence(seen: dict[str, Any]) -> None:
    assert seen["port"] == "A port is a number."


def test_warnings_stand_beside_their_fields(seen: dict[str, Any]) -> None:
    assert set(seen["warnings"]) == {"SIP password"}


def test_the_preview_shows_what_is_dialled_or_why_nothing_is(seen: dict[str, Any]) -> None:
    assert seen["preview"].startswith("sip:0212345678@8.8.4.4")
    assert "from 0741926265" in seen["preview"]
    assert "no national form" in seen["noPreview"]


def test_the_created_trunk_is_listed_with_both_its_ids(seen: dict[str, Any]) -> None:
    assert "ACTIVE" in seen["created"]
    assert seen["created"].count("ST_") == 2


def test_what_others_change_shows_by_itself(seen: dict[str, Any]) -> None:
    assert seen["live"] is True


def test_a_key_that_was_revoked_is_told(seen: dict[str, Any]) -> None:
    assert re.search("The API key does not work any more|An API key is required", seen["revoked"])


def test_what_happened_while_it_was_cut_off_shows_when_it_is_back(seen: dict[str, Any]) -> None:
    assert seen["cutOff"] is True


def test_the_browser_keeps_nothing_and_complains_of_nothing(seen: dict[str, Any]) -> None:
    assert (seen["kept"], seen["passwordAfterwards"], seen["problems"]) == ("", "", [])
