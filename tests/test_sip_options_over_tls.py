"""OPTIONS over TLS: which certificates are trusted, and in which words a bad one is told."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from models.sip_trunk import SipTransport
from scripts.daemon import LOOPBACK
from tests.authority import Authority, new_authority, served_with
from tests.sip_servers import NAME, Says, answering, over_tcp, saying, target
from trunkline import sip_options
from trunkline.sip_options import (
    NoReply,
    Reply,
    ask,
)

TLS = SipTransport.TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusting(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    sip_options.trusted.cache_clear()
    yield
    sip_options.trusted.cache_clear()


async def test_tls_with_a_trusted_certificate(authority: Authority, trusting: None) -> None:  # noqa: ARG001
    for host in (NAME, LOOPBACK):
        async with over_tcp(answering(), tls=served_with(authority.signed(host))) as server:
            assert isinstance(await ask(target(server.port, TLS, host)), Reply)


CERTIFICATES: dict[str, tuple[Callable[[Authority], Path], str]] = {
    "expired": (lambda authority: authority.signed(NAME, days=(-9, -8)), "has expired"),
    "too early": (lambda authority: authority.signed(NAME, days=(8, 9)), "not valid yet"),
    "another name": (lambda authority: authority.signed("other.example"), f"another name than {NAME}"),
    "an address": (lambda authority: authority.signed("192.0.2.1"), f"another name than {NAME}"),
    "self-signed": (lambda authority: authority.self_signed(NAME), "self-signed"),
}


@pytest.mark.parametrize(("made", "told"), CERTIFICATES.values(), ids=CERTIFICATES)
async def test_a_bad_certificate_is_told(
    made: Callable[[Authority], Path],
    told: str,
    authority: Authority,
    trusting: None,  # noqa: ARG001
) -> None:
    async with over_tcp(answering(), tls=served_with(made(authority))) as server:
        answer = await ask(target(server.port, TLS))
    assert isinstance(answer, NoReply)
    assert told in answer.problem
    assert server.requests == []


async def test_an_unknown_authority_is_told(authority: Authority) -> None:
    async with over_tcp(answering(), tls=served_with(authority.signed(NAME))) as server:
        answer = await ask(target(server.port, TLS))
    assert isinstance(answer, NoReply)
    assert "unknown authority" in answer.problem
    assert "SSL_CERT_DIR" in answer.problem


async def test_old_tls_is_told(authority: Authority) -> None:
    old = served_with(authority.signed(NAME))
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with socket.create_server((LOOPBACK, 0)) as server:
        refusing = asyncio.create_task(asyncio.to_thread(_shake_hands, server, old))
        answer = await ask(target(server.getsockname()[1], TLS))
        await refusing
    assert answer == NoReply("The server speaks only TLS versions before 1.2.")


def _shake_hands(server: socket.socket, tls: ssl.SSLContext) -> None:
    """Without asyncio, which swallows the last word of a handshake that fails."""
    with server.accept()[0] as connection, suppress(ssl.SSLError), tls.wrap_socket(connection, server_side=True):
        pass


@pytest.mark.parametrize("says", [saying(b"SIP/2.0 200 OK\r\n\r\n"), saying(b"HTTP/1.1 400 Bad\r\n\r\n"), saying()])
async def test_a_port_without_tls_is_told(says: Says) -> None:
    async with over_tcp(says, blind=True) as server:
        answer = await ask(target(server.port, TLS))
    assert isinstance(answer, NoReply)
    assert "s this the port for TLS?" in answer.problem
