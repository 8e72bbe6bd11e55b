"""The HTTP layer of a real process under fire, byte by byte: never a 5xx, never a hang, and alive afterwards."""

import contextlib
import gzip
import json
import re
import select
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.daemon import LOOPBACK
from tests.server_process import KEY, ServerProcess

QUERY = b'{"query": "{ voice { kind } }"}'
PATIENCE_SECONDS = 20
MOMENT = 0.1  # seconds; long enough for an answer to a whole request on an idle machine
HEAD_MAX = 32 * 1024
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("fuzz"), {"TRUNKLINE_LIMIT_REQUESTS_PER_MINUTE": "0"}) as server:
        yield server


def head(server: ServerProcess, *lines: bytes, method: bytes = b"POST", path: bytes = b"/graphql") -> bytes:
    own = (
        method + b" " + path + b" HTTP/1.1",
        b"Host: 127.0.0.1:%d" % server.port,
        b"Authorization: Bearer " + KEY.encode(),
        b"Connection: close",
    )
    return b"\r\n".join((*own, *lines)) + b"\r\n\r\n"


def sent(server: ServerProcess, request: bytes, wait: float = PATIENCE_SECONDS) -> int | None:
    """Send bytes as they are and read to the end; the status, None when the connection was closed without one.

    After `wait` seconds without an answer we say that nothing more comes, as to a request that was not whole.
    """
    answer = b""
    with socket.create_connection((LOOPBACK, server.port), PATIENCE_SECONDS) as connection:  # noqa: SIM117  # refused is none
        with contextlib.suppress(ConnectionError):  # it closed the connection while we were still sending
            connection.sendall(request)
            if not select.select([connection], [], [], wait)[0]:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65_536):
                answer += piece
    found = STATUS.match(answer)
    assert found or not answer, answer[:200]
    return int(found[1]) if found else None


def with_body(server: ServerProcess, body: bytes, *lines: bytes) -> bytes:
    return head(server, b"Content-Type: application/json", b"Content-Length: %d" % len(body), *lines) + body


def alive(server: ServerProcess) -> bool:
    return sent(server, with_body(server, QUERY)) == 200


CHUNKED = (b"Content-Type: application/json", b"Transfer-Encoding: chunked")
REQUESTS: dict[str, tuple[tuple[bytes, ...], bytes, set[int | None]]] = {
    "gzip body": ((b"Content-Type: application/json", b"Content-Encoding: gzip"), gzip.compress(QUERY), {400}),
    "good chunks": (CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(QUERY), QUERY), {200}),
    "chunk size is no number": (CHUNKED, b"xyz\r\n%s\r\n0\r\n\r\n" % QUERY, {400, None}),
    "negative chunk size": (CHUNKED, b"-5\r\n%s\r\n0\r\n\r\n" % QUERY, {400, None}),
    "huge chunk size": (CHUNKED, b"f" * 40 + b"\r\n%s" % QUERY, {400, None}),
    "chunk longer than it says": (CHUNKED, b"2\r\n%s\r\n0\r\n\r\n" % QUERY, {400, None}),
    "chunks without an end": (CHUNKED, b"%x\r\n%s\r\n" % (len(QUERY), QUERY), {400, None}),
    "chunks and a length": (
        (*CHUNKED, b"Content-Length: 5"),
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(QUERY), QUERY),
        {200, 400, None},
    ),
    "two lengths": ((b"Content-Length: 5", b"Content-Length: 6"), QUERY, {400, None}),
    "negative length": ((b"Content-Length: -1",), QUERY, {400, None}),
    "length is no number": ((b"Content-Length: many",), QUERY, {400, None}),
    "body shorter than its length": ((b"Content-Type: application/json", b"Content-Length: 5000"), QUERY, {400, None}),
    "body longer than its length": ((b"Content-Type: application/json", b"Content-Length: 5"), QUERY, {400}),
    "duplicate keys": (
        (b"Content-Type: application/json", b"Content-Length: 61"),
        b'{"query": "{ nothing }", "query": "{ voice { kind } }"      }',
        {200},
    ),
    "header without a colon": ((b"Nonsense",), b"", {400, None}),
    "header name with blanks": ((b"Bad Name: x",), b"", {400, None}),
    "header with a zero byte": ((b"X: a\0b",), b"", {400, None}),
    "header that is not ASCII": ((b"X-Request-Id: \xff\xfe", b"Content-Length: 0"), b"", {415}),
    "oversized header": ((b"X: " + b"x" * 2 * HEAD_MAX,), b"", {400, 413, 415, 431, None}),
    "many headers": (tuple(b"X-%d: %s" % (n, b"x" * 100) for n in range(2000)), b"", {400, 413, 415, 431, None}),
    "upgrade to something else": ((b"Upgrade: h2c", b"HTTP2-Settings: x", b"Content-Length: 0"), b"", {415}),
    "expectation": (
        (b"Expect: 200-maybe", b"Content-Type: application/json", b"Content-Length: 31"),
        QUERY,
        {200, 417},
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_broken_request_is_refused_and_others_are_served(server: ServerProcess, name: str) -> None:
    lines, body, statuses = REQUESTS[name]
    assert sent(server, head(server, *lines) + body, MOMENT if None in statuses else PATIENCE_SECONDS) in statuses
    assert alive(server)


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"BREW", b"get", b"", b"\xff", b"G" * 5000])
@pytest.mark.parametrize("path", [b"/graphql", b"/metrics", b"/\xff\0", b"/" + b"x" * 60_000, b"/%00%ff?%zz", b"*"])
def test_any_method_and_path_is_answered_below_500(server: ServerProcess, method: bytes, path: bytes) -> None:
    status = sent(server, head(server, b"Content-Length: 0", method=method, path=path), MOMENT)
    assert status is None or status < 500


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(noise=st.binary(min_size=1, max_size=300))
def test_noise_is_no_request(server: ServerProcess, noise: bytes) -> None:
    status = sent(server, noise, MOMENT)
    assert status is None or 400 <= status < 500


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.integers(0, 400), change=st.binary(max_size=4), cut=st.booleans())
def test_a_request_with_a_dent_brings_no_server_error(
    server: ServerProcess, place: int, change: bytes, *, cut: bool
) -> None:
    request = with_body(server, QUERY)
    place %= len(request)
    status = sent(server, request[:place] + change + (b"" if cut else request[place + 1 :]), MOMENT)
    assert status is None or status < 500


def test_connections_that_are_cut_or_slow_keep_nobody_waiting(server: ServerProcess) -> None:
    request = with_body(server, QUERY)
    idle = []
    for place in range(0, len(request), max(1, len(request) // 60)):
        connection = socket.create_connection((LOOPBACK, server.port), PATIENCE_SECONDS)
        connection.sendall(request[:place])
        idle.append(connection)
    began = time.monotonic()
    assert alive(server)
    assert time.monotonic() - began < PATIENCE_SECONDS
    for number, connection in enumerate(idle):
        if number % 2:  # half of them with a reset
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()
    assert alive(server)


def test_pipelined_and_parallel_requests_are_all_answered(server: ServerProcess) -> None:
    keep = with_body(server, QUERY).replace(b"Connection: close", b"Connection: keep-alive")
    with socket.create_connection((LOOPBACK, server.port), PATIENCE_SECONDS) as connection:
        connection.sendall(keep * 4 + with_body(server, QUERY))
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    assert STATUS.findall(answer) == [b"200"] * 5
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: alive(server), range(40)))


def test_nothing_of_it_was_unexpected(server: ServerProcess) -> None:
    """Last: what the others did left no fault of ours in the log."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    assert {line["status"] for line in lines if line["event"] == "request"} >= {200, 400, 405, 415}
    assert [line for line in lines if line["event"] in {"unexpected_error", "request_failed"}] == []
    assert server.is_running
