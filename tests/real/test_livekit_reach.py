"""A LiveKit that cannot be reached, does not let us in or is not ready for SIP: what is told, with the real SDK."""

import asyncio
import json
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from models.trunk_leg import LegKind
from scripts import voice_stack
from scripts.daemon import Daemon, answers_ok, free_port
from tests.real.reaching import reaching
from tests.real.servers import LiveKitServer
from tests.voice_legs import fails, outbound
from trunkline.voice import VoiceCause
from trunkline.voice.bounded import Bounded

OUTBOUND = LegKind.OUTBOUND


@pytest.mark.parametrize("wrong", [{"secret": "x" * 40}, {"key": "nobody"}])
async def test_wrong_credentials_are_misconfigured(wrong: dict[str, str], livekit: LiveKitServer) -> None:
    async with reaching(livekit, **wrong) as voice:
        assert "LIVEKIT_API_SECRET" in (await fails(voice.ping(), VoiceCause.MISCONFIGURED)).detail
        await fails(voice.create(outbound()), VoiceCause.MISCONFIGURED)


async def test_wrong_path_is_misconfigured_even_for_a_delete(livekit: LiveKitServer) -> None:
    async with reaching(livekit, f"{livekit.url}/base") as voice:
        await fails(voice.ping(), VoiceCause.MISCONFIGURED)
        await fails(voice.delete(OUTBOUND, "ST_1"), VoiceCause.MISCONFIGURED)


async def test_web_socket_url_works_too(livekit: LiveKitServer) -> None:
    async with reaching(livekit, livekit.url.replace("http://", "ws://")) as voice:
        await voice.ping()


async def test_nobody_there_is_unavailable(livekit: LiveKitServer) -> None:
    for url in (f"http://127.0.0.1:{free_port()}", "http://nowhere.invalid:7880"):
        async with reaching(livekit, url) as voice:
            await fails(voice.create(outbound()), VoiceCause.UNAVAILABLE)


async def test_host_that_swallows_packets_is_unavailable(livekit: LiveKitServer) -> None:
    with full_backlog() as port:
        async with reaching(livekit, f"http://127.0.0.1:{port}") as voice:
            await fails(Bounded(voice, 10).create(outbound()), VoiceCause.UNAVAILABLE)


async def test_tls_to_a_server_without_it_is_misconfigured(livekit: LiveKitServer) -> None:
    async with reaching(livekit, livekit.url.replace("http", "wss")) as voice:
        assert "TLS" in (await fails(voice.ping(), VoiceCause.MISCONFIGURED)).detail


async def test_untrusted_certificate_is_misconfigured(livekit: LiveKitServer, tmp_path: Path) -> None:
    async with tls_server(tmp_path) as port, reaching(livekit, f"wss://127.0.0.1:{port}") as voice:
        assert "certificate" in (await fails(voice.ping(), VoiceCause.MISCONFIGURED)).detail


async def test_stopped_server_is_unavailable_and_serves_again_after_its_start(livekit: LiveKitServer) -> None:
    async with reaching(livekit) as voice:
        voice_id = await voice.create(outbound())
        await asyncio.to_thread(livekit.stop)  # the loop sees the connections close
        try:
            await fails(voice.create(outbound()), VoiceCause.UNAVAILABLE)
        finally:
            livekit.start()
        assert await voice.find(OUTBOUND, voice_id)
        await voice.delete(OUTBOUND, voice_id)


async def test_lost_redis_is_unavailable_to_read_and_unknown_to_write(livekit: LiveKitServer) -> None:
    livekit.redis.stop()
    try:
        async with reaching(livekit) as voice:
            written = fails(voice.create(outbound()), VoiceCause.OUTCOME_UNKNOWN)
            await asyncio.gather(fails(voice.ping(), VoiceCause.UNAVAILABLE), written)
    finally:
        livekit.redis.start()
        livekit.stop()
        livekit.start()


async def test_server_without_redis_is_misconfigured(livekit: LiveKitServer, tmp_path: Path) -> None:
    port = free_port()
    config = voice_stack.livekit_config(port, 0, livekit.api_secret)
    del config["redis"]
    arguments = [str(voice_stack.binary()), "--config-body", json.dumps(config)]  # JSON is YAML
    server = Daemon(arguments, tmp_path / "livekit.log", lambda: answers_ok(port))
    server.start()
    try:
        async with reaching(livekit, f"http://127.0.0.1:{port}") as voice:
            for call in (voice.ping(), voice.create(outbound())):
                assert "Redis" in (await fails(call, VoiceCause.MISCONFIGURED)).detail
    finally:
        server.stop(signal.SIGKILL)  # asked politely it waits for its Redis


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port that answers no further connection, neither yes nor no."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        yield server.getsockname()[1]
        for each in waiting:
            each.close()


@asynccontextmanager
async def tls_server(folder: Path) -> AsyncIterator[int]:
    """A server with a certificate that nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    unsigned = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1)
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file = folder / "server.pem"
    file.write_bytes(pem + unsigned.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]
