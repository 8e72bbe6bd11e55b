"""The access log: one line per request: how it ended, and what was run by the schema's names. No body, no header."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.api import CREATE, House, given, quick_settings, served_house
from trunkline import database

NEEDLE = "hunter2Needle"
TOLD = {"event", "log_level", "method", "path", "status", "outcome", "ms", "request_id"}
WHERE_KNOWN = {"operations", "codes", "key"}
MODERN = {"accept": "application/graphql-response+json"}


async def logged(house: House, method: str, path: str, **request: Any) -> dict[str, Any]:
    """The one access line of a request; no line of the log may hold the needle."""
    with capture_logs() as lines:
        answer = await house.api.client.request(method, path, **request)
    assert NEEDLE not in str(lines)
    (line,) = (line for line in lines if line["event"] == "request")
    assert TOLD <= set(line) <= TOLD | WHERE_KNOWN
    assert line["status"] == answer.status_code
    assert line["request_id"] == answer.headers["x-request-id"]
    assert 0 <= line["ms"] < 10_000
    return dict(line)


async def test_each_request_is_one_line(tmp_path: Path) -> None:
    cases: list[tuple[str, str, int]] = [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/", 307),
        ("GET", "/graphql", 400),
        ("PUT", "/graphql", 405),
        ("POST", "/healthz", 405),
        ("GET", "/nothing/here", 404),
        ("GET", "/graphiql/nothing.js", 404),
        ("BREW", "/healthz", 405),
    ]
    async with served_house(quick_settings(tmp_path)) as house:
        for method, path, status in cases:
            line = await logged(house, method, path)
            assert (line["method"], line["path"], line["status"]) == (method, path, status)


async def test_what_was_run_is_told_by_the_schemas_names(tmp_path: Path) -> None:
    bad = {"input": given(sipAddress="", sipPort=0)}
    named = f"query {NEEDLE} {{ {NEEDLE}: voice {{ kind }} b: voice {{ kind }} assistants {{ totalCount }} }}"
    async with served_house(quick_settings(tmp_path)) as house:

        async def told(query: str, variables: object = None, **members: str) -> dict[str, Any]:
            body = {"query": query, "variables": variables, **members}
            return await logged(house, "POST", "/graphql", json=body)

        line = await told(named, operationName=NEEDLE)
        assert (line["outcome"], line["operations"]) == ("ok", ["assistants", "voice"])
        assert line["key"].startswith("key_")
        line = await told(CREATE, bad)
        assert (line["outcome"], line["operations"]) == ("user_errors", ["createSipTrunk"])
        assert line["codes"] == ["OUT_OF_RANGE", "REQUIRED"]
        line = await told(f"{{ {NEEDLE} }}")
        assert (line["outcome"], line["status"], "operations" in line) == ("request_error", 200, False)
        line = await told("{ sipTrunks(first: 1, last: 1) { totalCount } }")
        assert (line["outcome"], line["operations"]) == ("request_error", ["sipTrunks"])
        await database.connection().execute_script("DROP TABLE assistant")
        line = await told("{ voice { kind } assistants { totalCount } }")
        assert (line["outcome"], line["operations"]) == ("failed", ["assistants", "voice"])


async def test_the_query_of_the_address_is_left_out(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        for path in ("/graphql", "/healthz", "/nothing", "/", "/graphiql/x"):
            parameters = {"query": f'{{ node(id: "{NEEDLE}") {{ id }} }}', NEEDLE: NEEDLE}
            assert (await logged(house, "GET", path, params=parameters))["path"] == path


async def test_the_body_is_left_out(tmp_path: Path) -> None:
    variables = {"input": given(sipPassword=NEEDLE, nickname=NEEDLE, sipUsername=NEEDLE)}
    async with served_house(quick_settings(tmp_path)) as house:
        for body in (
            {"query": CREATE, "variables": variables, "operationName": "Create"},
            {"query": CREATE, "variables": {"input": {**variables["input"], NEEDLE: NEEDLE}}},
            {"query": f"{{ {NEEDLE} }}"},
            {"query": f"query {NEEDLE} {{ __typename }}", "operationName": NEEDLE},
        ):
            await logged(house, "POST", "/graphql", json=body, headers=MODERN)
        await logged(house, "POST", "/graphql", content=NEEDLE, headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    "name", ["authorization", "cookie", "user-agent", "referer", "x-forwarded-for", "accept", "content-type"]
)
async def test_headers_are_left_out(tmp_path: Path, name: str) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        await logged(house, "POST", "/graphql", json={"query": "{ __typename }"}, headers={name: NEEDLE})


async def test_what_is_turned_away_at_the_door_is_logged_too(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        assert (await logged(house, "GET", "/healthz", headers={"host": f"{NEEDLE}.example.com"}))["status"] == 421
        assert (await logged(house, "POST", "/graphql", headers={"origin": f"https://{NEEDLE}.com"}))["status"] == 403
        assert (await logged(house, "POST", "/graphql", headers={"authorization": ""}))["status"] == 401


async def test_only_a_harmless_request_id_is_taken(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        line = await logged(house, "GET", "/healthz", headers={"x-request-id": "trace-1"})
        assert line["request_id"] == "trace-1"
        await logged(house, "GET", "/healthz", headers={"x-request-id": f"{NEEDLE} with blanks"})
