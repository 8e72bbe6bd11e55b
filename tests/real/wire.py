"""What is really on this machine's wire: addresses and first lines of SIP messages, as the kernel has them.

Needs the right to capture, as root has it.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

IPV4 = 0x0800
TCP_PROTOCOL, UDP_PROTOCOL = 6, 17
UDP_HEADER = 8
SO_RCVBUFFORCE = 33  # Linux; beyond what the system allows to others
KEPT = 16 * 2**20  # bytes that have come and were not taken yet
FIRST_LINE = re.compile(r"^(?:SIP/2\.0 \d{3} [^\r]*|[A-Z]+ \S+ SIP/2\.0)(?=\r)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Packet:
    """One message: from and to as host:port, and its first line. A segment of TCP may hold several."""

    source: str
    target: str
    start: str

    @property
    def method(self) -> str:
        """Of a request; of an answer its status."""
        first, second, *_ = self.start.split()
        return second if first == "SIP/2.0" else first


@asynccontextmanager
async def captured() -> AsyncIterator[list[Packet]]:
    """Everything from here to the end of the block, in its order; PermissionError without the right."""
    packets: list[Packet] = []
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(IPV4)) as tap:
        tap.bind(("lo", IPV4))
        tap.setblocking(False)
        tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, KEPT)

        def take() -> None:
            """All that has come: other servers of this machine are heard too, so one at a time would fall behind."""
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, address = tap.recvfrom(65_535)
                    if address[2] != socket.PACKET_OUTGOING:  # loopback shows each twice
                        packets.extend(_packets(data))

        loop.add_reader(tap, take)
        try:
            yield packets
        finally:
            loop.remove_reader(tap)
            take()


def _packets(data: bytes) -> list[Packet]:
    """The SIP messages in it."""
    header = (data[0] & 0x0F) * 4
    if data[9] not in {TCP_PROTOCOL, UDP_PROTOCOL}:
        return []
    ports = [int.from_bytes(data[header + at : header + at + 2]) for at in (0, 2)]
    inner = UDP_HEADER if data[9] == UDP_PROTOCOL else (data[header + 12] >> 4) * 4
    hosts = [socket.inet_ntoa(data[at : at + 4]) for at in (12, 16)]
    source, target = (f"{host}:{port}" for host, port in zip(hosts, ports, strict=True))
    starts = FIRST_LINE.findall(data[header + inner :].decode(errors="replace"))
    return [Packet(source, target, start) for start in starts]
