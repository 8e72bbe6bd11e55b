"""A receiver of traces on loopback: what an OpenTelemetry collector would be sent, kept to be looked at."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class OtlpReceiver:
    """Where to send, and what came."""

    url: str
    bodies: list[bytes] = field(default_factory=list)

    @property
    def raw(self) -> bytes:
        return b"\n".join(self.bodies)

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    def spans(self, name: str | None = None) -> list[Span]:
        """Those of a name, in their order of arrival."""
        scopes = [scope for request in self.requests for part in request.resource_spans for scope in part.scope_spans]
        return [span for scope in scopes for span in scope.spans if name in {None, span.name}]

    def span(self, name: str) -> Span:
        (span,) = self.spans(name)
        return span


def attributes(span: Span) -> dict[str, str | int]:
    found = {each.key: each.value for each in span.attributes}
    return {key: value.string_value or value.int_value for key, value in found.items()}


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """Take traces until the block ends."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            bodies.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield OtlpReceiver(f"http://127.0.0.1:{server.server_address[1]}", bodies)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
