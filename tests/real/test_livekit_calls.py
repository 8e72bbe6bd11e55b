"""Placing calls with a real livekit-server without livekit-sip: what is no call is an error, and no room is left."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from livekit import api

from models.secret import Secret
from models.sip_trunk import SipTransport
from scripts.daemon import free_port
from tests.real.servers import LiveKitServer
from tests.voice_legs import fails
from trunkline.call_outcomes import Outcome, outcome_of
from trunkline.settings import LiveKit
from trunkline.voice import Encryption, VoiceCause
from trunkline.voice.calls import Dial, Route
from trunkline.voice.livekit_calls import LiveKitCalls

ROUTE = Route(
    address="127.0.0.1:9",
    transport=SipTransport.UDP,
    username="u",
    password=Secret("p"),
    caller="selftest-1",
    encryption=Encryption.DISABLE,
)


def calls_of(server: LiveKitServer, url: str | None = None) -> LiveKitCalls:
    return LiveKitCalls(LiveKit(url or server.url, server.api_key, Secret(server.api_secret)))


async def rooms(lk: api.LiveKitAPI) -> list[str]:
    return [room.name for room in (await lk.room.list_rooms(api.ListRoomsRequest())).rooms]


def dial(by: str | Route) -> Dial:
    return Dial(room="trunkline-test-1", callee="+40741926299", ring_seconds=1, by=by)


async def test_a_trunk_that_livekit_lacks_is_missing(livekit: LiveKitServer, lk: api.LiveKitAPI) -> None:
    calls = calls_of(livekit)
    await fails(calls.place(dial("ST_unknown")), VoiceCause.MISSING)
    assert "trunkline-test-1" not in await rooms(lk)
    await calls.aclose()


async def test_each_call_is_counted_and_traced(livekit: LiveKitServer) -> None:
    seen: list[str] = []

    @contextmanager
    def watch(method: str) -> Iterator[None]:
        seen.append(method)
        yield

    calls = LiveKitCalls(LiveKit(livekit.url, livekit.api_key, Secret(livekit.api_secret)), watch)
    await calls.place(dial(ROUTE))
    await calls.arrivals("trunkline-test-")
    await calls.close("trunkline-test-")
    assert seen == ["place_call", "list_rooms", "close_rooms"]
    await calls.aclose()


async def test_no_sip_service_is_told(livekit: LiveKitServer, lk: api.LiveKitAPI) -> None:
    calls = calls_of(livekit)
    assert outcome_of(await calls.place(dial(ROUTE))) is Outcome.VOICE_UNAVAILABLE
    assert "trunkline-test-1" not in await rooms(lk)
    await calls.aclose()


async def test_a_call_that_is_cancelled_leaves_no_room(livekit: LiveKitServer, lk: api.LiveKitAPI) -> None:
    calls = calls_of(livekit)
    placing = asyncio.create_task(calls.place(dial(ROUTE)))
    while "trunkline-test-1" not in await rooms(lk):
        await asyncio.sleep(0.01)
    placing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await placing
    assert "trunkline-test-1" not in await rooms(lk)
    await calls.aclose()


async def test_nobody_there_is_unavailable(livekit: LiveKitServer) -> None:
    calls = calls_of(livekit, f"http://127.0.0.1:{free_port()}")
    await fails(calls.place(dial(ROUTE)), VoiceCause.UNAVAILABLE)
    await calls.aclose()


async def test_only_old_rooms_of_the_name_are_closed(livekit: LiveKitServer, lk: api.LiveKitAPI) -> None:
    calls = calls_of(livekit)
    for name in ("trunkline-test-a", "somebody-elses"):
        await lk.room.create_room(api.CreateRoomRequest(name=name))
    assert await calls.close("trunkline-test-", older_than=60) == 0
    assert await calls.close("trunkline-test-") == 1
    assert "somebody-elses" in await rooms(lk)
    await lk.room.delete_room(api.DeleteRoomRequest(room="somebody-elses"))
    await calls.aclose()
