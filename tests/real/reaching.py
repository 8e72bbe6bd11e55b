"""How the tests reach a real LiveKit: with our backend, and the right credentials unless told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from models.secret import Secret
from tests.real.servers import LiveKitServer
from trunkline.settings import LiveKit
from trunkline.voice.livekit import LiveKitVoice


@asynccontextmanager
async def reaching(
    livekit: LiveKitServer, url: str = "", *, key: str = "", secret: str = ""
) -> AsyncIterator[LiveKitVoice]:
    settings = LiveKit(url or livekit.url, key or livekit.api_key, Secret(secret or livekit.api_secret))
    voice = LiveKitVoice(settings)
    try:
        yield voice
    finally:
        await voice.aclose()
