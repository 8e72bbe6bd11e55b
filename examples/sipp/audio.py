"""Ear and mouth of a call of SIPp's: sends a tone for each packet that it gets, and keeps what it hears as a WAV file.

usage: audio.py PORT FILE.wav, then SIPp with -key audio_port PORT; it ends when the call has ended.
"""

import math
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

RATE, PACKET = 8_000, 160  # samples per second, and of 20 ms
TONE_HERTZ = 440
PCMU = 0  # RFC 3551: its payload type, and that of the packets we send
WAIT_SECONDS, END_SECONDS = 60, 2


def mu_law(sample: int) -> int:
    """Write a sample of 16 bits in 8, as ITU-T G.711 does."""
    magnitude = min(abs(sample) + 132, 32_767)
    exponent = magnitude.bit_length() - 8
    return ~((sample < 0) << 7 | exponent << 4 | magnitude >> exponent + 3 & 15) & 255


def packets() -> Iterator[bytes]:
    """A tone as RTP, for ever."""
    for number in range(65_536):
        wave = (math.sin(2 * math.pi * TONE_HERTZ * (number * PACKET + place) / RATE) for place in range(PACKET))
        header = struct.pack(">BBHII", 0x80, PCMU, number, number * PACKET, 1)
        yield header + bytes(mu_law(int(8_000 * sample)) for sample in wave)


def talk(port: int) -> bytes:
    """Listen and speak until nothing comes any more."""
    heard = bytearray()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtp:
        rtp.bind(("127.0.0.1", port))
        rtp.settimeout(WAIT_SECONDS)
        for spoken in packets():
            try:
                packet, them = rtp.recvfrom(2_048)
            except TimeoutError:
                break
            rtp.settimeout(END_SECONDS)
            rtp.sendto(spoken, them)
            heard += packet[12:] if packet[1] & 127 == PCMU else b""
    return bytes(heard)


def wav(heard: bytes) -> bytes:
    """Put a head before it that says: mu-law, one channel."""
    fmt = struct.pack("<4sIHHIIHHH", b"fmt ", 18, 7, 1, RATE, RATE, 1, 8, 0)
    data = fmt + struct.pack("<4sII4sI", b"fact", 4, len(heard), b"data", len(heard)) + heard
    return struct.pack("<4sI4s", b"RIFF", 4 + len(data), b"WAVE") + data


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(wav(talk(int(sys.argv[1]))))
