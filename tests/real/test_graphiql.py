"""The page a browser gets, driven in a real one: its examples work, nothing goes elsewhere, nothing stays behind."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server_process import ServerProcess

PAGE = Path(__file__).parent / "node" / "page.mjs"
POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
NOTHING = {
    "localStorage": [],
    "sessionStorage": [],
    "cookies": "",
    "databases": [],
    "caches": [],
    "serviceWorkers": 0,
}

Needs = Callable[[str], str]
Seen = dict[str, Any]


def look(needs: Needs, url: str, screenshot: str = "") -> Seen:
    """Open the address in Chromium, run every tab, and tell what was seen."""
    needs("playwright-core")
    command = [needs("node"), str(PAGE), url, *filter(None, [screenshot])]
    environment = os.environ | {"CHROMIUM": needs("chromium")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    seen: Seen = json.loads(done.stdout)
    return seen


@pytest.fixture(scope="module")
def seen(needs: Needs, served: ServerProcess) -> Seen:
    """What the first minute shows. TRUNKLINE_SCREENSHOT=docs/graphiql.png makes the README's picture on the way."""
    return look(needs, f"{served.url}/graphql#key={served.key}", os.environ.get("TRUNKLINE_SCREENSHOT", ""))


def test_the_example_creates_a_trunk_and_shows_both_its_ids(seen: Seen) -> None:
    created = seen["answers"]["CreateSipTrunk"]["data"]["createSipTrunk"]
    assert (created["message"], created["userErrors"]) == ("SIP trunk created successfully.", [])
    for leg in ("inboundTrunkId", "outboundTrunkId"):
        assert created["sipTrunk"][leg].startswith("ST_")
        assert created["sipTrunk"][leg] in seen["shown"]


def test_the_other_examples_show_every_mistake_and_the_created_trunk(seen: Seen) -> None:
    refused = seen["answers"]["ValidateSipTrunk"]["data"]["validateSipTrunk"]
    assert [error["code"] for error in refused["userErrors"]] == ["INVALID_FORMAT", "ADDRESS_HAS_PORT", "IP_REQUIRED"]
    created = seen["answers"]["CreateSipTrunk"]["data"]["createSipTrunk"]["sipTrunk"]
    listed = seen["answers"]["SipTrunks"]["data"]["sipTrunks"]["nodes"]
    assert created["id"] in [trunk["id"] for trunk in listed]


def test_the_subscription_shows_a_change(seen: Seen) -> None:
    change = seen["answers"]["SipTrunkChanged"]["data"]["sipTrunkChanged"]
    created = seen["answers"]["CreateSipTrunk"]["data"]["createSipTrunk"]["sipTrunk"]
    assert (change["kind"], change["sipTrunk"]["id"]) == ("UPDATED", created["id"])


def test_the_key_goes_from_the_address_to_the_headers_before_the_page_loads(seen: Seen, served: ServerProcess) -> None:
    assert seen["addressAtFirst"] == seen["address"] == f"{served.url}/graphql"
    assert json.loads(seen["headers"]) == {"Authorization": f"Bearer {served.key}"}
    assert seen["openEditor"] == "Variables"


def test_documentation_explorer_and_history_open(seen: Seen) -> None:
    assert "createSipTrunk(" in seen["documentation"]
    assert "createSipTrunk" in seen["explorer"]
    assert seen["history"] == len(seen["answers"])


def test_the_page_works_under_the_policy_and_asks_no_other_host(seen: Seen) -> None:
    assert seen["policy"] == POLICY
    assert seen["problems"] == []
    assert seen["foreign"] == []
    assert seen["workers"] == len(["editor", "json", "graphql"])


def test_the_browser_keeps_nothing_of_it(seen: Seen) -> None:
    assert seen["kept"] == NOTHING


def test_without_a_key_the_page_says_how_to_give_one_and_asks_the_server_nothing(
    needs: Needs, served: ServerProcess
) -> None:
    seen = look(needs, f"{served.url}/graphql")
    assert seen["openEditor"] == "Headers"
    assert '"Authorization": "Bearer "' in seen["headers"]
    assert "This page has no API key" in seen["answers"]["CreateSipTrunk"]["errors"][0]["message"]
    assert (seen["posts"], seen["problems"], seen["foreign"], seen["kept"]) == (0, [], [], NOTHING)
