"""Spans sent by OpenTelemetry's own library to an OTLP receiver. The only import of opentelemetry, and only when asked.

The library reads the standard OTEL_* variables itself: receiver, headers, sampling, resource.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from trunkline.tracing import ERROR_TYPE, Attributes, Note, SpanKind

CLOSE_SECONDS = 5.0  # a receiver that does not answer must not keep the process from ending
NAMED_BY = ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES")
TRACEPARENT = re.compile(r"[0-9a-f]{2}(-[0-9a-f]+){3}")  # of another form it is nobody's parent


class OtlpTracer:
    """Fulfils Tracer."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        named = any(environ.get(name) for name in NAMED_BY)
        resource = Resource.create({} if named else {SERVICE_NAME: "trunkline"})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("trunkline")

    @contextmanager
    def span(self, name: str, kind: SpanKind, attributes: Attributes, traceparent: str | None = None) -> Iterator[Note]:
        """Open a span. Exceptions leave no trace of their text in it: the library would record them whole."""
        with self._tracer.start_as_current_span(
            name,
            _parent(traceparent) if kind is SpanKind.SERVER else None,
            trace.SpanKind[kind],
            attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            def note(known: Attributes, /) -> None:
                _note(span, known)

            yield note

    def close(self) -> None:
        """Send what is left, for a while."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


def _parent(traceparent: str | None) -> Context:
    """What whoever called us says of its trace. Its tracestate may hold any text, so it is not taken."""
    known = traceparent is not None and TRACEPARENT.fullmatch(traceparent)
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent} if known else {}, Context())


def _note(span: Span, known: Attributes) -> None:
    span.set_attributes(known)
    if ERROR_TYPE in known:
        span.set_status(StatusCode.ERROR)
