"""What answers at LIVEKIT_URL and quotes in every failure all that it was sent: the worst that a voice backend can do.

with QuotingVoice() as voice:
    voice.fail(FAILURES["conflict"], "CreateSIPInboundTrunk")
"""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from livekit.protocol.sip import SIPInboundTrunkInfo

from scripts.daemon import LOOPBACK

HANG_SECONDS = 3.0  # longer than any deadline of a test
PROTOBUF = "application/protobuf"


@dataclass(frozen=True, slots=True)
class Failure:
    """How a call fails. `{}` in text and headers becomes what was sent. No status: the connection is cut."""

    status: int | None
    code: str = "unknown"
    text: str = "{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def body(self, sent: str) -> bytes:
        text = self.text.replace("{}", sent)
        return text.encode() if self.status == HTTPStatus.OK else json.dumps({"code": self.code, "msg": text}).encode()


FAILURES: dict[str, Failure] = {
    "redirect": Failure(302, headers={"location": "http://127.0.0.1:1/{}"}),
    "refused field": Failure(400, "invalid_argument", "the password {} is bad"),
    "conflict": Failure(400, "invalid_argument", 'Conflicting inbound SIP Trunks: "<new>" and "{}"'),
    "unauthorized": Failure(401),
    "forbidden": Failure(403, "permission_denied"),
    "not found": Failure(404, "bad_route"),
    "gone": Failure(404, "not_found"),
    "too large": Failure(413),
    "rate limited": Failure(429, "resource_exhausted", headers={"retry-after": "{}"}),
    "no Redis": Failure(500, "internal", "sip not connected (redis required): {}"),
    "server error": Failure(500, "internal"),
    "not built": Failure(501, "unimplemented"),
    "overloaded": Failure(503, "unavailable"),
    "not protobuf": Failure(200),
    "cut off": Failure(None),
    "no answer in time": Failure(None, seconds=HANG_SECONDS),
}


class QuotingVoice(ThreadingHTTPServer):
    """Accepts every call but those that `fail` names."""

    daemon_threads = True  # nobody waits for the end of a hanging answer

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Call)
        self.failure = FAILURES["refused field"]
        self.failing: tuple[str, ...] = ()
        self.failed = 0
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}"

    def fail(self, failure: Failure, *calls: str) -> None:
        """From now on calls whose name begins so fail like this, and no others."""
        self.failure, self.failing = failure, calls

    def close(self) -> None:
        """Refuse connections from now on."""
        self.shutdown()
        self.server_close()

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()


class _Call(BaseHTTPRequestHandler):
    server: QuotingVoice

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        call = self.path.rpartition("/")[2]
        if call.startswith(self.server.failing):
            self.server.failed += 1
            self.fail(self.server.failure, body.decode(errors="replace") + str(self.headers))
            return
        made = SIPInboundTrunkInfo(sip_trunk_id="ST_a") if call.startswith("Create") else SIPInboundTrunkInfo()
        self.answer(200, made.SerializeToString(), {"content-type": PROTOBUF})

    def fail(self, failure: Failure, sent: str) -> None:
        time.sleep(failure.seconds)
        if failure.status is None:
            self.close_connection = True
            return
        line = " ".join(sent.split()).encode("ascii", "ignore").decode()
        kind = PROTOBUF if failure.status == HTTPStatus.OK else "application/json"
        headers = {name: text.replace("{}", line) for name, text in failure.headers.items()}
        self.answer(failure.status, failure.body(sent), {"content-type": kind, **headers})

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, text in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing on the tests' own output."""
