"""Alive and ready: /healthz asks nobody, /readyz tells what is missing in fixed words."""

import asyncio
import sqlite3
from pathlib import Path

import httpx

from tests.api import House, quick_settings, served_house
from tests.faulty_voice import Fail, at
from trunkline.voice import VoiceCause, VoiceError

SECRET = "voice.internal.example.com refused hunter2Needle"  # what a backend may say of itself


async def asked(house: House, path: str) -> tuple[int, object]:
    """As a load balancer asks: without a key."""
    transport = house.api.client._transport  # noqa: SLF001  # the same app
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        answer = await client.get(path)
    assert SECRET not in answer.text + str(answer.headers)
    return answer.status_code, answer.json()


def undo_migrations(folder: Path) -> None:
    with sqlite3.connect(folder / "trunkline.db") as db:
        db.execute("DELETE FROM tortoise_migrations")
    db.close()


async def test_what_is_ready_says_so(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        assert await asked(house, "/healthz") == (200, {"status": "ok"})
        assert await asked(house, "/readyz") == (200, {"status": "ready", "reasons": []})


async def test_a_lost_voice_backend_is_told_without_its_words(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        house.voice.plan = at("ping", None, Fail(VoiceError(VoiceCause.UNAVAILABLE, SECRET)))
        assert await asked(house, "/readyz") == (503, {"status": "unready", "reasons": ["voice_backend"]})
        assert await asked(house, "/healthz") == (200, {"status": "ok"})


async def test_every_reason_is_told(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        undo_migrations(tmp_path)
        house.voice.plan = at("ping", None, Fail(VoiceError(VoiceCause.MISCONFIGURED, SECRET)))
        assert await asked(house, "/readyz") == (503, {"status": "unready", "reasons": ["migrations", "voice_backend"]})


async def test_many_who_ask_at_once_ask_the_voice_backend_once(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        answers = await asyncio.gather(*(asked(house, "/readyz") for _ in range(20)))
        assert answers == [answers[0]] * 20
        assert house.voice.count("ping") == 1


async def test_a_voice_backend_that_is_busy_with_our_own_calls_is_there(tmp_path: Path) -> None:
    busy = at("ping", None, Fail(VoiceError(VoiceCause.BUSY, "Busy.")))
    async with served_house(quick_settings(tmp_path), busy) as house:
        assert await asked(house, "/readyz") == (200, {"status": "ready", "reasons": []})
