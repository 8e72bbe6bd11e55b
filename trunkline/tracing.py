"""Traces: spans of requests, of their operations and of voice calls, where the standard OTEL_* variables ask for them.

A span holds names of the schema and our own words, never a document, a variable or an error's text.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Protocol

Attributes = Mapping[str, str | int | float | bool]
ERROR_TYPE = "error.type"  # OpenTelemetry's name; a span that has it is a failed one


class SpanKind(StrEnum):
    """Which side of a call a span is."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    INTERNAL = "INTERNAL"


class Note(Protocol):
    """Adds what became known meanwhile to a span."""

    def __call__(self, attributes: Attributes, /) -> None:
        """Add them."""


class Tracer(Protocol):
    """Makes spans: what runs inside one belongs to it."""

    def span(
        self, name: str, kind: SpanKind, attributes: Attributes, traceparent: str | None = None
    ) -> AbstractContextManager[Note]:
        """Open a span; `traceparent` is the W3C header of whoever called us."""
        ...

    def close(self) -> None:
        """Send what is left."""
        ...


class Untraced:
    """Fulfils Tracer and does nothing."""

    def span(
        self,
        name: str,  # noqa: ARG002  # the Protocol's
        kind: SpanKind,  # noqa: ARG002  # the same
        attributes: Attributes,  # noqa: ARG002  # the same
        traceparent: str | None = None,  # noqa: ARG002  # the same
    ) -> AbstractContextManager[Note]:
        """Open nothing."""
        return nullcontext(_unnoted)

    def close(self) -> None:
        """Send nothing."""


UNTRACED: Tracer = Untraced()


def _unnoted(_attributes: Attributes, /) -> None:
    pass
