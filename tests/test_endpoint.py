"""GraphQL over HTTP as a client meets it: methods, media types, keys, the page, and bodies of every bad kind."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gql.endpoint import MAX_BODY, MODERN
from tests.tiny_api import ask, client, tiny_app

APP = tiny_app()
JSON = {"content-type": "application/json"}
PAGE = "<!doctype html><title>GraphiQL</title>"
HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


async def post(body: bytes | AsyncIterator[bytes], app: Any = APP, **headers: str) -> Any:
    async with client(app) as http:
        return await http.post("/graphql", content=body, headers={**JSON, **headers})


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "index.html"
    file.write_text(PAGE)
    return file


async def test_query_is_answered_and_never_stored_by_caches() -> None:
    answer = await ask("{ echo }", app=APP)
    assert (answer.status_code, answer.json()) == (200, {"data": {"echo": "hello"}})
    assert answer.headers["content-type"] == f"{MODERN}; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


async def test_query_by_get_is_answered() -> None:
    async with client(APP) as http:
        parameters = {"query": "query ($t: String!) { echo(text: $t) }", "variables": '{"t": "hi"}'}
        answer = await http.get("/graphql", params=parameters)
    assert answer.json() == {"data": {"echo": "hi"}}


async def test_mutation_by_get_is_refused() -> None:
    async with client(APP) as http:
        answer = await http.get("/graphql", params={"query": "mutation { __typename }"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "POST" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_are_refused(method: str) -> None:
    async with client(APP) as http:
        answer = await http.request(method, "/graphql")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


async def test_request_error_is_400_only_under_the_modern_media_type() -> None:
    async with client(APP) as http:
        modern = await http.post("/graphql", json={"query": "{ nope }"})
        plain = await http.post("/graphql", json={"query": "{ nope }"}, headers={"accept": "application/json"})
    assert (modern.status_code, plain.status_code) == (400, 200)
    assert "data" not in modern.json()
    assert modern.json() == plain.json()


@pytest.mark.parametrize("authorization", ["", "Bearer tl_other", "Basic tl_test"])
async def test_unknown_caller_is_refused_before_the_body_is_read(authorization: str) -> None:
    answer = await post(b"not even JSON", authorization=authorization)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["errors"][0]["message"].startswith("An API key is required")


async def test_browser_gets_the_page_without_a_key(page: Path) -> None:
    async with client(tiny_app(page=page), authorization="", accept=HTML) as http:
        answer = await http.get("/graphql")
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["content-type"].startswith("text/html")


async def test_query_from_a_browser_still_needs_a_key(page: Path) -> None:
    async with client(tiny_app(page=page), authorization="", accept=HTML) as http:
        assert (await http.get("/graphql", params={"query": "{ echo }"})).status_code == 401


async def test_get_without_query_is_refused_where_there_is_no_page() -> None:
    async with client(APP, accept="*/*") as http:
        assert (await http.get("/graphql")).status_code == 400


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "text/plain; application/json",
        "application/json; charset=utf-16",
        "application/jsonp",
    ],
)
async def test_other_media_types_are_refused(content_type: str) -> None:
    answer = await post(b'{"query": "{ echo }"}', **{"content-type": content_type})
    assert answer.status_code == 415


async def test_charset_utf_8_is_taken() -> None:
    answer = await post(b'{"query": "{ echo }"}', **{"content-type": 'application/json; Charset="UTF-8"'})
    assert answer.status_code == 200


DEEP = 30_000
BAD_BODIES = {
    "nothing": b"",
    "no JSON": b"hello",
    "half": b'{"query": "{ echo }"',
    "invalid UTF-8": b'{"query": "\xff"}',
    "UTF-16": '{"query": "{ echo }"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"query": "{ echo }"}',
    "null": b"null",
    "text": b'"{ echo }"',
    "number": b"7",
    "batch": b'[{"query": "{ echo }"}, {"query": "{ echo }"}]',
    "deep list": b"[" * DEEP + b"]" * DEEP,
    "deep object": b'{"variables":' * (DEEP // 7),
    "deep variables": b'{"query": "{ echo }", "variables": {"a": ' + b"[" * DEEP + b"]" * DEEP + b"}}",
    "NaN": b'{"query": "{ echo }", "variables": {"a": NaN}}',
    "infinity": b'{"query": "{ echo }", "variables": {"a": -Infinity}}',
    "overflow": b'{"query": "{ echo }", "variables": {"a": 1e999}}',
    "huge integer": b'{"query": "{ echo }", "variables": {"a": ' + b"9" * 5000 + b"}}",
    "lone surrogate": b'{"query": "{ echo }", "variables": {"a": "\\ud800"}}',
    "lone surrogate in a name": b'{"query": "{ echo }", "\\uDFFF": 1}',
    "no query": b'{"variables": {}}',
    "empty query": b'{"query": " "}',
    "query is a number": b'{"query": 7}',
    "query is a list": b'{"query": ["{ echo }"]}',
    "variables is a list": b'{"query": "{ echo }", "variables": []}',
    "variables is text": b'{"query": "{ echo }", "variables": "{}"}',
    "operationName is a number": b'{"query": "{ echo }", "operationName": 1}',
    "operationName is unknown": b'{"query": "{ echo }", "operationName": "other"}',
    "extensions is a list": b'{"query": "{ echo }", "extensions": [1]}',
    "no operation": b'{"query": "fragment F on Query { echo }"}',
    "subscription": b'{"query": "subscription { echo }"}',
    "lone surrogate in the document": b'{"query": "{ echo(text: \\"\\\\ud800\\") }"}',
    "zero byte in the document": b'{"query": "{ echo \\u0000 }"}',
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_malformed_body_is_400_in_json_with_a_request_id(name: str) -> None:
    answer = await post(BAD_BODIES[name])
    assert answer.status_code == 400
    assert len(answer.json()["errors"][0]["message"]) > 10
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"query": "{ echo }", "variables": "{"},
        {"query": "{ echo }", "variables": "[]"},
        {"query": "{ echo }", "extensions": "7"},
        {"query": ""},
        {"query": "{ echo }", "variables": "[" * 20_000},
    ],
)
async def test_malformed_address_is_400(parameters: dict[str, str]) -> None:
    async with client(APP) as http:
        assert (await http.get("/graphql", params=parameters)).status_code == 400


async def test_variables_nested_deeper_than_any_type_are_400() -> None:
    nested: Any = "x"
    for _ in range(600):
        nested = [nested]
    answer = await ask("query ($i: CreateInput!) { echo }", {"i": nested}, app=APP)
    assert answer.status_code == 400


async def test_zero_byte_in_a_value_reaches_the_resolver() -> None:
    answer = await ask("query ($t: String!) { echo(text: $t) }", {"t": "a\0b"}, app=APP)
    assert answer.json() == {"data": {"echo": "a\0b"}}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=10,
)
members = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("query", "variables", "operationName", "extensions", "x"), json_values)
)


@settings(max_examples=150, deadline=None)
@given(
    body=st.binary(max_size=200) | json_values.map(json.dumps).map(str.encode) | members.map(json.dumps).map(str.encode)
)
async def test_no_body_brings_a_server_error(body: bytes) -> None:
    answer = await post(body)
    assert answer.status_code == 400
    assert answer.json()["errors"]


@settings(max_examples=100, deadline=None)
@given(query=st.text(alphabet='{}()[]$@!:=|."#...\n\\ abcfragmentonecho01-', max_size=80), variables=json_values)
async def test_no_document_brings_a_server_error(query: str, variables: Any) -> None:
    answer = await post(json.dumps({"query": query, "variables": {"a": variables}}).encode())
    assert answer.status_code in {200, 400}


async def chunks(count: int, size: int = 1024, pause: float = 0) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(pause)
        yield b" " * size


async def test_long_body_is_refused_whatever_its_content_length_says() -> None:
    for headers in ({"content-length": "10"}, {"transfer-encoding": "chunked"}):
        answer = await post(chunks(65), **headers)
        assert (answer.status_code, answer.headers["connection"]) == (413, "close")
        assert answer.json()["errors"]


async def test_body_of_exactly_the_bound_is_taken() -> None:
    body = b'{"query": "{ echo }"}'
    assert (await post(body + b" " * (MAX_BODY - len(body)))).status_code == 200


async def test_slow_body_is_refused() -> None:
    answer = await post(chunks(100, 1, pause=0.02), tiny_app(body_timeout=0.1))
    assert (answer.status_code, answer.headers["connection"]) == (408, "close")


async def test_client_that_goes_away_is_not_answered() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"authorization", b"Bearer tl_test"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "scheme": "http", "query_string": b""}
    await APP({**scope, "headers": headers, "root_path": ""}, receive, send)
    assert sent == []


async def test_web_socket_is_turned_away() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"sec-websocket-protocol", b"graphql-ws")]
    scope = {
        "type": "websocket",
        "path": "/graphql",
        "scheme": "ws",
        "query_string": b"",
        "subprotocols": ["graphql-ws"],
    }
    await APP({**scope, "headers": headers, "root_path": ""}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_resolvers_see_the_request_id_of_the_answer() -> None:
    answer = await ask("{ requestId }", app=APP)
    assert answer.json()["data"]["requestId"] == answer.headers["x-request-id"]
