"""Calls through a LiveKit that takes the connection and says nothing: every question has its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from models.secret import Secret
from scripts.daemon import LOOPBACK
from tests.voice_legs import fails
from trunkline.settings import LiveKit
from trunkline.voice import VoiceCause, livekit_calls
from trunkline.voice.calls import Dial
from trunkline.voice.livekit_calls import LiveKitCalls

QUESTIONS: dict[str, Callable[[LiveKitCalls], Awaitable[object]]] = {
    "place": lambda calls: calls.place(Dial(room="r", callee="1000", ring_seconds=1, by="ST_1")),
    "arrivals": lambda calls: calls.arrivals(""),
    "close": lambda calls: calls.close(""),
}


@pytest.fixture
async def calls(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LiveKitCalls]:
    monkeypatch.setattr(livekit_calls, "QUESTION_SECONDS", 0.05)

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(listen, LOOPBACK, 0) as server:
        port = server.sockets[0].getsockname()[1]
        calls = LiveKitCalls(LiveKit(f"http://{LOOPBACK}:{port}", "key", Secret("secret" * 6)))
        yield calls
        await calls.aclose()


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
async def test_silence_is_unavailable_soon(
    question: Callable[[LiveKitCalls], Awaitable[object]], calls: LiveKitCalls
) -> None:
    async with asyncio.timeout(10):
        error = await fails(question(calls), VoiceCause.UNAVAILABLE)
    assert "in time" in error.detail
