"""baresip as a softphone without sound card and terminal: it plays a tone of 440 Hz and records what it hears."""

import array
import asyncio
import math
import re
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.daemon import LOOPBACK, free_port

RATE = 8_000
WINDOW = 800  # 100 ms
WAV_HEADER = 44  # bytes
AGENTS_TONE, OWN_TONE = 1_000, 440
LOUD = 1_000  # of 8,000
CONFIGURATION = """module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module sndfile.so
module srtp.so
module_tmp account.so
module_app menu.so
net_interface 127.0.0.1
audio_source aufile,{folder}/tone.wav
ausrc_srate 8000
auplay_srate 8000
snd_path {folder}
sip_listen 127.0.0.1:{port}
"""


@dataclass(frozen=True, slots=True)
class Phone:
    """A softphone's files. It listens at `port`, over TLS at the next one."""

    folder: Path
    port: int

    @property
    def trace(self) -> str:
        """What it said, every SIP message included."""
        return (self.folder / "trace.log").read_text(errors="replace")

    @property
    def is_up(self) -> bool:
        """Whether a call was answered, from here or there."""
        return "Call established" in self.trace

    @property
    def closed_with(self) -> str | None:
        """The status with which a call of its own was refused."""
        found = re.search(r"session closed: (\d{3})", self.trace)
        return found[1] if found else None

    @property
    def profiles(self) -> list[str]:
        """The offer's and the answer's transport of the audio: RTP/AVP, or encrypted RTP/SAVP."""
        return re.findall(r"^m=audio \d+ (RTP/\w+)", self.trace, re.MULTILINE)

    def hears_both(self) -> bool:
        """Whether it heard the agent's tone, and its own as the agent's echo: audio went both ways. It may be called
        while the call lasts."""
        heard = {hertz for file in self.folder.glob("dump-*-dec.wav") for hertz in _tones(file)}
        return heard >= {AGENTS_TONE, OWN_TONE}


def new_phone(folder: Path, account: str, certificate: Path | None = None) -> Phone:
    """Write a phone's files; `account` as baresip's file of that name wants it."""
    folder.mkdir()
    phone = Phone(folder, free_port())
    _write_tone(folder / "tone.wav")
    own = f"sip_certificate {certificate}\n" if certificate else ""
    (folder / "config").write_text(CONFIGURATION.format(folder=folder, port=phone.port) + own)
    (folder / "accounts").write_text(f"{account}\n")
    (folder / "contacts").touch()
    return phone


@asynccontextmanager
async def running(command: str, phone: Phone, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The phone switched on, with every SIP message told; it hangs up when the block is left."""
    with (phone.folder / "trace.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *[command, "-s", "-f", str(phone.folder), *arguments],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def secured(caller: str, username: str, password: str, address: str, encryption: str | None) -> str:
    """The account of a caller over TLS. `encryption`: None, "srtp" (offered) or "srtp-mand" (demanded)."""
    digest = f"auth_user={username};auth_pass={password}"
    way = f'outbound="sip:{address};transport=tls"'
    media = f";mediaenc={encryption}" if encryption else ""
    return f"<sip:{caller}@{LOOPBACK};transport=tls>;regint=0;{digest};{way}{media}"


def _write_tone(file: Path) -> None:
    wave_of = (int(8000 * math.sin(2 * math.pi * OWN_TONE * place / RATE)) for place in range(RATE))
    second = array.array("h", wave_of).tobytes()
    with wave.open(str(file), "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(RATE)
        written.writeframes(second * 60)


def _tones(file: Path) -> set[int]:
    heard = file.read_bytes()[WAV_HEADER:]  # how long it is, the header tells only when the call is over
    samples = array.array("h", heard[: len(heard) // 2 * 2])
    windows = [samples[start : start + WINDOW] for start in range(0, len(samples) - WINDOW, WINDOW)]
    return {hertz for each in windows for hertz in (AGENTS_TONE, OWN_TONE) if _amplitude(each, hertz) > LOUD}


def _amplitude(samples: "array.array[int]", hertz: int) -> float:
    turns = [2 * math.pi * hertz * place / RATE for place in range(len(samples))]
    real = sum(sample * math.cos(turn) for sample, turn in zip(samples, turns, strict=True))
    imaginary = sum(sample * math.sin(turn) for sample, turn in zip(samples, turns, strict=True))
    return 2 * math.hypot(real, imaginary) / len(samples)
