"""The trace of a run: one line per event, hashed; equal seeds give equal traces, byte for byte."""

import hashlib
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, NoReturn

import structlog

from tests.simulation.loop import PROCESS, START, SimLoop


class Trace:
    """Lines are kept only when asked for. `unexpected`: errors that the product's log called unexpected."""

    def __init__(self, loop: SimLoop, *, keep: bool) -> None:
        self.loop = loop
        self.lines: list[str] = []
        self.unexpected: list[str] = []
        self._keep = keep
        self._hash = hashlib.sha256()

    def say(self, text: str) -> None:
        line = f"{self.loop.now - START:.6f} {self.loop.steps} {PROCESS.get()} {text}\n"
        self._hash.update(line.encode())
        if self._keep:
            self.lines.append(line)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    @contextmanager
    def hearing_the_log(self) -> Iterator[None]:
        """Take the product's log lines into the trace instead of printing them."""
        processors = structlog.get_config()["processors"]
        before = processors.copy()
        processors[:] = [self._heard]
        try:
            yield
        finally:
            processors[:] = before

    def _heard(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> NoReturn:
        told = " ".join(f"{name}={event[name]}" for name in sorted(event) if name != "event")
        self.say(f"log {event['event']} {told}")
        is_a_loss = event["event"] == "late_failure" and event["error"] == "LeaseLostError"  # nobody waits any more
        if event["event"] in {"unexpected_error", "late_failure"} and not is_a_loss:
            self.unexpected.append(told)
        raise structlog.DropEvent
