"""graphql-transport-ws at the server's end: who is let in, what closes it and with which words, how much it takes."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gql import socket as transport
from gql import streams
from models.identifiers import new_id
from models.workspace import ApiKey
from tests.api import KEY, quick_settings, until
from tests.live import CHANGED, PATIENCE_SECONDS, Place, introduced, opened, place_of, small
from tests.test_workspaces import make_workspace
from trunkline import feed
from trunkline.feed import Ending, Happening
from trunkline.keys import create_key, revoke_key
from trunkline.start import load_keyring

NEEDLE = "hunter2Needle"
NAMES = " ".join(f"n{each}: nickname" for each in range(20))
LENGTHY = f"subscription {{ sipTrunkChanged {{ id sipTrunk {{ {NAMES} }} }} }}"
INIT = {"type": "connection_init", "payload": {"authorization": f"Bearer {KEY}"}}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_of(quick_settings(tmp_path, provision_timeout=15.0)) as place:
        yield place


@pytest.mark.parametrize(
    "payload", [{}, None, {"authorization": "Bearer tl_unknown-key-of-nobody-at-all"}, {"a": NEEDLE}]
)
async def test_without_a_good_key_it_is_closed(place: Place, payload: Any) -> None:
    async with opened(place) as socket:
        await socket.say(type="connection_init", payload=payload)
        assert await socket.closed() == (4403, "Forbidden")


async def test_the_key_may_come_with_the_handshake(place: Place) -> None:
    async with opened(place, additional_headers={"authorization": f"Bearer {KEY}"}) as socket:
        await socket.say(type="connection_init")
        assert await socket.said() == {"type": "connection_ack"}


async def test_who_says_nothing_is_closed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "INIT_SECONDS", 0.2)
    async with opened(place) as socket:
        assert await socket.closed() == (4408, "Connection initialisation timeout")


async def test_the_older_protocol_is_not_spoken(place: Place) -> None:
    async with opened(place, "graphql-ws") as socket:
        assert await socket.closed() == (4406, "Subprotocol not acceptable")


@pytest.mark.parametrize("header", ["origin", "host"])
async def test_other_origins_and_hosts_do_not_come_in(place: Place, header: str) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        async with opened(place, additional_headers={header: "https://evil.example.com"}):
            pass


MESSAGES = {
    "no json": (NEEDLE, 4400),
    "a list": (json.dumps([NEEDLE]), 4400),
    "deep": ("[" * 50_000, 4400),
    "no such type": (json.dumps({"type": NEEDLE}), 4400),
    "no id": (json.dumps({"type": "subscribe", "payload": {"query": CHANGED}}), 4400),
    "no payload": (json.dumps({"type": "subscribe", "id": NEEDLE}), 4400),
    "bytes": (NEEDLE.encode(), 4400),
    "twice": (json.dumps(INIT), 4429),
    "too long": ("x" * 70_000, 1009),
}


@pytest.mark.parametrize("name", MESSAGES)
async def test_what_is_no_message_closes_it_in_fixed_words(place: Place, name: str) -> None:
    text: Any
    text, code = MESSAGES[name]
    with capture_logs() as logs:
        async with introduced(place) as socket:
            await socket.connection.send(text)
            closed = await socket.closed()
    assert closed[0] == code
    assert NEEDLE not in closed[1]
    assert NEEDLE not in str(logs)


async def test_before_it_is_introduced_nothing_is_run(place: Place) -> None:
    async with opened(place) as socket:
        await socket.subscribe()
        assert await socket.closed() == (4401, "Unauthorized")


async def test_an_id_in_use_closes_it(place: Place) -> None:
    async with introduced(place) as socket:
        await socket.subscribe(NEEDLE)
        await socket.subscribe(NEEDLE)
        assert await socket.closed() == (4409, "Subscriber already exists")


REFUSED = {
    "a query": ("{ voice { kind } }", "Only subscriptions are run here; send queries and mutations by POST."),
    "no syntax": (f"subscription {{ {NEEDLE}", None),
    "no such field": (f"subscription {{ {NEEDLE} }}", None),
    "two roots": ("subscription { a: sipTrunkChanged { id } b: sipTrunkChanged { id } }", None),
    "two operations": ("subscription A { sipTrunkChanged { id } } query B { __typename }", None),
    "costly": ("subscription { sipTrunkChanged { sipTrunk {" + "a: id " * 200 + "} } }", None),
    "nothing": ("", "The request needs a GraphQL document in query."),
    "a number": (7, "The request needs a GraphQL document in query."),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_bad_documents_are_refused_without_quoting_them(place: Place, name: str) -> None:
    query, words = REFUSED[name]
    with capture_logs() as logs:
        async with introduced(place) as socket:
            await socket.say(id="1", type="subscribe", payload={"query": query})
            answer = await socket.said()
            await socket.is_quiet()
    assert (answer["id"], answer["type"]) == ("1", "error")
    assert words in {None, answer["payload"][0]["message"]}
    assert NEEDLE not in json.dumps(answer) + str(logs)


async def test_too_many_are_refused_and_the_others_go_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PER_SOCKET", 2)
    monkeypatch.setattr(streams, "PER_WORKSPACE", 3)
    async with introduced(place) as one, introduced(place) as two:
        for name in "abc":
            await one.subscribe(name)
        refused = await one.said()
        assert (refused["id"], refused["payload"][0]["extensions"]) == ("c", {"code": "LIMIT_REACHED"})
        for name in "de":
            await two.subscribe(name)
        refused = await two.said()
        assert (refused["id"], refused["payload"][0]["extensions"]) == ("e", {"code": "LIMIT_REACHED"})
        await one.say(type="complete", id="a")
        await one.is_quiet()
        await two.subscribe("e")
        await two.is_quiet()


async def test_a_workspace_leaves_sockets_for_others(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SOCKETS_PER_WORKSPACE", 1)
    other = (await make_workspace(place.api))["secret"]
    async with introduced(place):
        async with opened(place) as second:
            await second.say(**INIT)
            assert await second.closed() == (1013, "Too many connections")
        async with introduced(place, other):
            pass

    async def is_let_in() -> bool:
        async with opened(place) as socket:
            await socket.say(**INIT)
            with contextlib.suppress(ConnectionClosed):
                return await socket.said() == {"type": "connection_ack"}
        return False

    await until(is_let_in)


async def test_beyond_all_sockets_the_reason_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "SOCKETS_MOST", 1)
    async with introduced(place) as one, opened(place) as other:
        assert await other.closed() == (1013, "Too many connections")
        await one.is_quiet()


async def test_to_connect_counts_as_a_request(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path, limit_requests_per_minute=1)
    async with place_of(settings) as place, introduced(place) as one, opened(place) as other:
        await other.say(**INIT)
        assert await other.closed() == (1013, "Too many requests")
        await one.is_quiet()


async def test_a_revoked_key_ends_what_it_opened(place: Place, tmp_path: Path) -> None:
    ring, workspace = load_keyring(quick_settings(tmp_path)), (await ApiKey.get()).workspace_id
    key, secret = await create_key(ring, workspace, "short")
    theirs = secret.reveal()
    async with introduced(place, theirs) as told, introduced(place, theirs) as idle, introduced(place) as ours:
        await told.subscribe()
        await ours.subscribe()
        await told.is_quiet()
        await revoke_key(key.id)
        for each in (told, idle):
            assert await each.closed() == (4401, "The API key does not work any more")
        await ours.is_quiet()


async def happen(place: Place, trunk_ids: Iterable[str]) -> None:
    """Changes of these trunks, all at once: nothing is taken in between."""
    workspace = (await ApiKey.get()).workspace_id
    for trunk_id in trunk_ids:
        place.running.feed.hear(Happening(new_id("evt"), workspace, "sip_trunk.updated", trunk_id))


async def test_a_slow_consumer_is_dropped_with_a_code(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes its news too late: more trunks changed than are kept for it."""
    monkeypatch.setattr(feed, "PENDING_MOST", 3)
    async with introduced(place) as socket:
        await socket.subscribe()
        await socket.is_quiet()
        await happen(place, map("trunk_{}".format, range(9)))
        assert await socket.closed() == (1013, "Too slow: subscribe again, then query")


async def test_many_changes_of_one_trunk_are_told_as_one(place: Place) -> None:
    trunk = (await place.api.create())["sipTrunk"]
    async with introduced(place) as socket:
        await socket.subscribe()
        await socket.is_quiet()
        await happen(place, [trunk["id"]] * 1_000)
        told = await socket.change()
        assert (told["kind"], told["sipTrunk"]["id"]) == ("UPDATED", trunk["id"])
        await socket.is_quiet()


async def test_who_reads_nothing_is_dropped_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent and not read is bounded, in the process too: sending waits, until there is too much news."""
    monkeypatch.setattr(feed, "PENDING_MOST", 3)
    monkeypatch.setattr(transport, "CLOSE_SECONDS", 0.5)
    async with place_of(quick_settings(tmp_path, provision_timeout=15.0), buffer=4_096) as place:
        extension = {"sipTrunkType": "EXTENSION", "countryCode": "RO", "nickname": "n" * 30}
        ids = [(await place.api.create(**extension, phoneNumber=f"100{each}"))["sipTrunk"]["id"] for each in range(5)]
        async with introduced(place) as reading, introduced(place, sock=small(place), max_queue=1) as deaf:
            for each in (reading, deaf):
                await each.subscribe(query=LENGTHY)
                await each.is_quiet()
            async with asyncio.timeout(PATIENCE_SECONDS):
                for trunk_id in itertools.cycle(ids):
                    await happen(place, [trunk_id])
                    assert (await reading.change())["id"] == trunk_id
                    if place.subscriptions == 1:
                        break
            assert (await deaf.closed())[0] == 1013


async def test_a_stop_ends_sockets_and_streams(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS * 2):
        async with place_of(quick_settings(tmp_path)) as place, introduced(place) as told, introduced(place) as idle:
            await told.subscribe()
            await told.is_quiet()
            place.running.feed.end(Ending.STOPPING)
            for each in (told, idle):
                assert await each.closed() == (1012, "Service restart")
