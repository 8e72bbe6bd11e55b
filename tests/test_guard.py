"""Who is let in by Host and Origin, and what every answer carries."""

from pathlib import Path
from typing import Any

import pytest

from gql.guard import CONTENT_SECURITY_POLICY
from tests.api import quick_settings, served_house
from tests.tiny_api import client, tiny_app

APP = tiny_app()
QUERY = {"query": "{ echo }"}


async def status(**headers: str) -> int:
    async with client(APP) as http:
        return (await http.post("/graphql", json=QUERY, headers=headers)).status_code


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "127.0.0.1:1", "[::1]", "[::1]:8000"])
async def test_served_host_is_answered(host: str) -> None:
    assert await status(host=host) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example.com", "127.0.0.1.evil.example.com", "127.0.0.1@evil.example.com", "::1", "[::1", "127.0.0.1:", ""],
)
async def test_other_host_is_refused(host: str) -> None:
    assert await status(host=host) == 421


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:8000",
        "HTTP://127.0.0.1:8000",
        "https://dashboard.example.com",
        "https://dashboard.example.com:443",
    ],
)
async def test_own_and_allowed_origins_are_answered(origin: str) -> None:
    assert await status(origin=origin) == 200


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example.com",
        "http://127.0.0.1",
        "http://127.0.0.1:8001",
        "https://127.0.0.1:8000",
        "http://dashboard.example.com",
        "https://dashboard.example.com:8443",
        "https://dashboard.example.com.evil.example.com",
    ],
)
async def test_other_origin_is_refused_in_json(origin: str) -> None:
    async with client(APP) as http:
        answer = await http.post("/graphql", json=QUERY, headers={"origin": origin})
    assert (answer.status_code, list(answer.json())) == (403, ["errors"])
    assert "access-control-allow-origin" not in answer.headers


async def test_default_port_of_the_scheme_is_the_same_origin() -> None:
    assert await status(host="127.0.0.1:80", origin="http://127.0.0.1") == 200


async def test_page_rebound_onto_loopback_is_refused_although_it_is_its_own_origin() -> None:
    assert await status(host="evil.example.com:8000", origin="http://evil.example.com:8000") == 421


async def test_two_hosts_or_origins_are_refused() -> None:
    async with client(APP) as http:
        for name, value in (("host", "127.0.0.1:8000"), ("origin", "http://127.0.0.1:8000")):
            answer = await http.post("/graphql", json=QUERY, headers=[(name, value), (name, value)])
            assert answer.status_code in {403, 421}


async def test_allowed_origin_may_read_answers_and_is_told_so_beforehand() -> None:
    origin = {"origin": "https://dashboard.example.com"}
    asked = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    async with client(APP, authorization="") as http:
        before = await http.options("/graphql", headers=asked)
        answer = await http.post("/graphql", json=QUERY, headers=origin)
    assert before.status_code == 204
    assert "authorization" in before.headers["access-control-allow-headers"]
    for found in (before, answer):
        assert found.headers["access-control-allow-origin"] == "https://dashboard.example.com"
        assert found.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in found.headers


FOREIGN = {"origin": "https://dashboard.example.com", "access-control-request-method": "POST"}


async def test_other_origins_are_closed_out_unless_they_are_listed(tmp_path: Path) -> None:
    listed = quick_settings(tmp_path, allowed_origins=("https://dashboard.example.com",))
    for settings, statuses, allowed in (
        (quick_settings(tmp_path), (403, 403), None),
        (listed, (204, 200), "https://dashboard.example.com"),
    ):
        async with served_house(settings) as house:
            before = await house.api.client.options("/graphql", headers=FOREIGN)
            answer = await house.api.client.post("/graphql", json={"query": "{ __typename }"}, headers=FOREIGN)
            own = await house.api.client.post("/graphql", json={"query": "{ __typename }"})
        assert (before.status_code, answer.status_code) == statuses
        assert [each.headers.get("access-control-allow-origin") for each in (before, answer)] == [allowed, allowed]
        assert (own.status_code, "access-control-allow-origin" in own.headers) == (200, False)


async def test_a_cache_keeps_apart_what_is_compressed_and_what_is_of_which_origin(tmp_path: Path) -> None:
    listed = quick_settings(tmp_path, allowed_origins=("https://dashboard.example.com",))
    async with served_house(listed) as house:
        answer = await house.api.client.get("/graphiql/index.html", headers={"accept-encoding": "gzip"})
    assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
    assert answer.headers["vary"] == "Accept-Encoding, Origin"


async def test_only_what_the_api_needs_is_allowed_beforehand() -> None:
    async with client(APP, authorization="") as http:
        before = await http.options("/graphql", headers={**FOREIGN, "access-control-request-method": "DELETE"})
    assert before.headers["access-control-allow-methods"] == "GET, POST"
    assert before.headers["access-control-allow-headers"] == "authorization, content-type, traceparent, x-request-id"
    assert "*" not in str(before.headers)


async def test_every_answer_carries_the_safe_headers_and_an_id() -> None:
    async with client(APP) as http:
        answers = [
            await http.post("/graphql", json=QUERY),
            await http.get("/nowhere"),
            await http.get("/graphql", headers={"host": "evil.example.com"}),
            await http.post("/graphql", content=b"x"),
        ]
    assert [answer.status_code for answer in answers] == [200, 404, 421, 415]
    for answer in answers:
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4


def test_policy_names_no_foreign_source() -> None:
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY
    assert not {"http:", "https:", "*", "blob:", "'unsafe-eval'"} & set(
        CONTENT_SECURITY_POLICY.replace(";", "").split()
    )


@pytest.mark.parametrize("given", ["a", "6f1c-77", "A" * 64])
async def test_request_id_of_the_client_is_kept(given: str) -> None:
    async with client(APP) as http:
        answer = await http.post("/graphql", json=QUERY, headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "A" * 65, "a b", "a_b", "a;b", "é".encode().decode("latin-1")])
async def test_other_request_ids_are_replaced(given: str) -> None:
    async with client(APP) as http:
        answer = await http.post("/graphql", json=QUERY, headers=[(b"x-request-id", given.encode("latin-1"))])
    assert len(answer.headers["x-request-id"]) == 32


async def test_web_socket_of_another_origin_is_closed_unaccepted() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:8000"), (b"origin", b"https://evil.example.com")]
    await APP({"type": "websocket", "scheme": "ws", "path": "/graphql", "headers": headers}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
