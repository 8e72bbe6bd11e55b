"""Subscriptions as server-sent events: what is sent, what ends a stream and how, and that a stop waits for none."""

import asyncio
import json
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gql import event_stream, streams
from models.workspace import ApiKey
from tests.api import KEY, quick_settings
from tests.live import CHANGED, PATIENCE_SECONDS, Place, introduced, opened, place_of
from trunkline import feed
from trunkline.feed import Ending, Happening
from trunkline.keys import create_key, revoke_key
from trunkline.start import load_keyring

ROOT = Path(__file__).resolve().parent.parent
Event = tuple[str, Any]
NEEDLE = "hunter2Needle"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_of(quick_settings(tmp_path, provision_timeout=15.0)) as place:
        yield place


@asynccontextmanager
async def streamed(place: Place, query: str = CHANGED, key: str = KEY) -> AsyncIterator[httpx.Response]:
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {key}"}
    async with place.api.client.stream("POST", "/graphql", json={"query": query}, headers=headers) as response:
        yield response


async def events_of(response: httpx.Response) -> AsyncIterator[Event]:
    """Each event by its name and data; a sign of life is the event ""."""
    name = ""
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for line in response.aiter_lines():
            if line == ":":
                yield "", None
            elif line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data:"):
                text = line.removeprefix("data:").strip()
                yield name, json.loads(text) if text else None


async def test_changes_come_as_events(place: Place) -> None:
    async with streamed(place) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store, no-transform"
        assert "x-request-id" in response.headers
        events = events_of(response)
        assert await anext(events) == ("", None)
        async with introduced(place) as socket:  # what it is told, the stream is told as well
            await socket.subscribe()
            await socket.is_quiet()
            trunk = (await place.api.create())["sipTrunk"]
            name, told = await anext(events)
            assert (name, told["data"]["sipTrunkChanged"]["id"]) == ("next", trunk["id"])
            assert (await socket.change())["id"] == trunk["id"]


async def test_the_readmes_example_streams(place: Place) -> None:
    command = shlex.split((ROOT / "README.md").read_text().partition("curl -N ")[2].partition("```")[0])
    body = json.loads(command[command.index("-d") + 1])
    async with streamed(place, body["query"]) as response:
        assert "Accept: text/event-stream" in command
        events = events_of(response)
        assert await anext(events) == ("", None)
        await place.api.create()
        assert (await anext(events))[1]["data"]["sipTrunkChanged"]["kind"] == "CREATED"


async def test_it_shows_that_it_lives(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "BEAT_SECONDS", 0.05)
    async with streamed(place) as response:
        events = events_of(response)
        assert [await anext(events) for _ in range(3)] == [("", None)] * 3


async def test_a_client_that_goes_away_is_forgotten(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its seat is free again for the next one."""
    monkeypatch.setattr(streams, "PER_WORKSPACE", 1)
    async with streamed(place) as first:
        events = events_of(first)
        await anext(events)
        async with streamed(place) as second:
            assert second.status_code == 429
    async with asyncio.timeout(PATIENCE_SECONDS):
        status = 429
        while status == 429:
            async with streamed(place) as third:
                status = third.status_code


async def test_who_reads_too_late_is_ended_without_complete(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "PENDING_MOST", 3)
    workspace = (await ApiKey.get()).workspace_id
    async with streamed(place) as response:
        events = events_of(response)
        await anext(events)
        for number in range(9):  # at once, so that nothing is taken in between
            place.running.feed.hear(Happening(f"evt_{number}", workspace, "sip_trunk.updated", f"trunk_{number}"))
        assert [name async for name, _ in events if name] == []
    assert place.subscriptions == 0


@pytest.mark.parametrize("query", ["{ voice { kind } }", f"subscription {{ {NEEDLE} }}", f"subscription {{ {NEEDLE}"])
async def test_a_refused_document_is_told_and_complete(place: Place, query: str) -> None:
    async with streamed(place, query) as response:
        told = [event async for event in events_of(response) if event[0]]
    assert [name for name, _ in told] == ["next", "complete"]
    assert told[0][1]["errors"][0]["message"]
    assert NEEDLE not in str(told)


async def test_without_a_key_or_with_too_many_it_is_no_stream(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with streamed(place, key="tl_unknown-key-of-nobody-at-all") as response:
        assert response.status_code == 401
    monkeypatch.setattr(streams, "IN_ALL", 0)
    async with streamed(place) as response:
        assert response.status_code == 429
        assert json.loads(await response.aread())["errors"][0]["extensions"] == {"code": "LIMIT_REACHED"}


async def test_without_the_media_type_the_way_is_told(place: Place) -> None:
    answer = await place.api.raw(CHANGED)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"].startswith("Subscriptions need graphql-transport-ws, or Accept")


async def test_a_revoked_key_is_told_and_complete(place: Place, tmp_path: Path) -> None:
    ring, workspace = load_keyring(quick_settings(tmp_path)), (await ApiKey.get()).workspace_id
    key, secret = await create_key(ring, workspace, "short")
    async with streamed(place, key=secret.reveal()) as response:
        events = events_of(response)
        await anext(events)
        await revoke_key(key.id)
        told = [event async for event in events if event[0]]
    assert [name for name, _ in told] == ["next", "complete"]
    assert told[0][1]["errors"][0]["extensions"] == {"code": "FORBIDDEN"}


async def test_what_begins_during_a_stop_is_ended_at_once(place: Place) -> None:
    """It was under way when the others were ended, and would hold the stop up."""
    place.running.feed.end(Ending.STOPPING)
    async with streamed(place) as response:
        assert response.status_code == 200
        assert [event async for event in events_of(response) if event[0]] == []
    async with opened(place) as socket:
        await socket.say(type="connection_init", payload={"authorization": f"Bearer {KEY}"})
        assert await socket.closed() == (1012, "Service restart")


async def test_a_stop_ends_it_without_complete(place: Place) -> None:
    """So that a client opens it again."""
    async with streamed(place) as response:
        events = events_of(response)
        await anext(events)
        async with introduced(place) as socket:
            await socket.subscribe()
            await socket.is_quiet()
            place.running.feed.end(Ending.STOPPING)
            assert [event async for event in events if event[0]] == []
