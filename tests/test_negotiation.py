"""What a client takes decides the form of its answer: urql names event streams with every query."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api import KEY, quick_settings
from tests.live import CHANGED, Place, place_of

URQL = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
)
MODERN = "application/graphql-response+json"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_of(quick_settings(tmp_path, provision_timeout=15.0)) as place:
        yield place


async def answered(place: Place, query: str, accept: str) -> tuple[int, str, str]:
    """Status, media type and the first line of the body."""
    headers = {"accept": accept, "authorization": f"Bearer {KEY}"}
    async with place.api.client.stream("POST", "/graphql", json={"query": query}, headers=headers) as response:
        return (
            response.status_code,
            response.headers["content-type"].partition(";")[0],
            await anext(response.aiter_lines()),
        )


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (URQL, MODERN),
        ("text/event-stream, application/json", "application/json"),
        ("text/event-stream, */*", "application/json"),
        ("*/*", "application/json"),
    ],
)
async def test_a_query_is_answered_as_json_where_json_is_taken(place: Place, accept: str, kind: str) -> None:
    assert await answered(place, "{ voice { kind } }", accept) == (200, kind, '{"data":{"voice":{"kind":"SANDBOX"}}}')


@pytest.mark.parametrize("accept", [URQL, "text/event-stream, */*", "text/event-stream"])
async def test_a_subscription_is_streamed_where_a_stream_is_taken(place: Place, accept: str) -> None:
    assert await answered(place, CHANGED, accept) == (200, "text/event-stream", ":")


async def test_who_takes_no_stream_is_told_how_to_subscribe(place: Place) -> None:
    status, kind, line = await answered(place, CHANGED, MODERN)
    assert (status, kind) == (400, MODERN)
    assert "Accept: text/event-stream" in line


async def test_who_takes_streams_alone_gets_no_query_answered(place: Place) -> None:
    status, kind, _ = await answered(place, "{ voice { kind } }", "text/event-stream")
    assert (status, kind) == (200, "text/event-stream")


async def test_a_subscription_counts_as_one_request(tmp_path: Path) -> None:
    """Whatever else its client takes, and whoever is refused is told when to come again."""
    async with place_of(quick_settings(tmp_path, limit_requests_per_minute=2)) as place:
        told = [await answered(place, CHANGED, accept) for accept in (URQL, "text/event-stream", URQL)]
        assert [status for status, _, _ in told] == [200, 200, 429]
        assert "RATE_LIMITED" in told[-1][2]
