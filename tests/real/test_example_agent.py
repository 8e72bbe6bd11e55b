"""The example agent, heard by its caller: a tone, then what the caller says. It leaves with the caller."""

import asyncio
import math
import sys
from dataclasses import replace
from pathlib import Path

import httpx

from scripts.daemon import LOOPBACK, Daemon, free_port
from tests.real.calling import CREDENTIALS, Exchange, new_caller, new_line
from tests.real.sipp import SCENARIOS, Carrier
from tests.waiting import until

RATE = 8_000
WINDOW = 800  # 100 ms
AGENTS_TONE, CALLERS_TONE = 1_000, 440
LOUD = 1_000  # of 8,000


def _linear(sample: int) -> int:
    """ITU-T G.711 mu-law, back to 16 bits."""
    inverted = ~sample & 255
    magnitude = ((inverted & 15) << 3) + 132 << (inverted >> 4 & 7)
    return (132 - magnitude) if inverted & 128 else (magnitude - 132)


def _amplitude(samples: list[int], hertz: int) -> float:
    """How loud one frequency is."""
    turns = [2 * math.pi * hertz * place / RATE for place in range(len(samples))]
    real = sum(sample * math.cos(turn) for sample, turn in zip(samples, turns, strict=True))
    imaginary = sum(sample * math.sin(turn) for sample, turn in zip(samples, turns, strict=True))
    return 2 * math.hypot(real, imaginary) / len(samples)


def _heard(file: Path) -> list[int | None]:
    """Which of the two tones is loud, window by window."""
    samples = [_linear(byte) for byte in file.read_bytes().partition(b"data")[2][4:]]
    windows = [samples[start : start + WINDOW] for start in range(0, len(samples) - WINDOW, WINDOW)]
    loudest = [max((_amplitude(each, hertz), hertz) for hertz in (AGENTS_TONE, CALLERS_TONE)) for each in windows]
    return [hertz if loudness > LOUD else None for loudness, hertz in loudest]


def _calls_of(worker: Daemon) -> int:
    """How many calls the worker tells that it has."""
    told = httpx.get(f"http://{LOOPBACK}:{(worker.environment or {})['AGENT_PORT']}/worker").json()
    return int(told.get("active_jobs", 0))  # what is nothing it leaves out


async def test_the_caller_hears_a_tone_and_then_himself(
    exchange: Exchange, worker: Daemon, carrier: Carrier, tmp_path: Path
) -> None:
    port, file = free_port(), tmp_path / "call.wav"
    async with exchange.client() as client:
        line = await new_line(client)
    ear = await asyncio.create_subprocess_exec(sys.executable, str(SCENARIOS / "audio.py"), str(port), str(file))
    async with replace(carrier, audio_port=port).calling(line.number, new_caller(), CREDENTIALS, 3_000) as call:
        await call.heard("200")
        assert _calls_of(worker) > 0
        assert await call.ended() == 0, call.statuses()
    async with asyncio.timeout(70):
        assert await ear.wait() == 0
    heard = _heard(file)
    assert heard.count(AGENTS_TONE) >= 2, heard
    assert heard.count(CALLERS_TONE) >= 5, heard
    assert heard.index(AGENTS_TONE) < heard.index(CALLERS_TONE)
    await until(lambda: _calls_of(worker) == 0)
    assert "did not exit in time" not in worker.log.read_text()
