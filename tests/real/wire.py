"""What is really on this machine's wire: addresses and first lines of SIP messages, as the kernel has them.

Needs the right to capture, as root has it.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

IPV4 = 0x0800
TCP_PROTOCOL, UDP_PROTOCOL = 6, 17
UDP_HEADER = 8


@dataclass(frozen=True, slots=True)
class Packet:
    """One datagram or segment: from and to as host:port, and what it begins with."""

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

        def take() -> None:
            data, address = tap.recvfrom(65_535)
            if address[2] != socket.PACKET_OUTGOING and (packet := _packet(data)):  # loopback shows each twice
                packets.append(packet)

        loop.add_reader(tap, take)
        try:
            yield packets
        finally:
            loop.remove_reader(tap)


def _packet(data: bytes) -> Packet | None:
    """A SIP message; None for anything else."""
    header = (data[0] & 0x0F) * 4
    if data[9] not in {TCP_PROTOCOL, UDP_PROTOCOL}:
        return None
    ports = [int.from_bytes(data[header + at : header + at + 2]) for at in (0, 2)]
    inner = UDP_HEADER if data[9] == UDP_PROTOCOL else (data[header + 12] >> 4) * 4
    start = data[header + inner :].partition(b"\r\n")[0].decode(errors="replace")
    if "SIP/2.0" not in start:
        return None
    hosts = [socket.inet_ntoa(data[at : at + 4]) for at in (12, 16)]
    source, target = (f"{host}:{port}" for host, port in zip(hosts, ports, strict=True))
    return Packet(source, target, start)
