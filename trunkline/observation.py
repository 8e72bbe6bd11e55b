"""What is known of one request while it runs: names of the schema and our own codes, nothing that a client chose.

Whoever answers requests opens one; whoever runs operations notes in the current one. Its log line, its metrics and its
span are all made of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum

from trunkline.tracing import UNTRACED, Tracer

SERVER_ERROR, CLIENT_ERROR = 500, 400  # from these HTTP statuses on


class Outcome(StrEnum):
    """How a request or an operation ended; the worst counts."""

    OK = "ok"
    USER_ERRORS = "user_errors"  # refused as data
    REQUEST_ERROR = "request_error"  # not run at all
    FAILED = "failed"  # by a fault of ours


@dataclass(frozen=True, slots=True)
class Operation:
    """One root field that was run, by its name in the schema."""

    name: str
    outcome: Outcome
    seconds: float
    codes: tuple[str, ...] = ()  # of its user errors


@dataclass(slots=True)
class Observation:
    """One request. `key_id`: the API key's own id; `document`: the operation's name in a trusted document."""

    tracer: Tracer = UNTRACED
    operations: list[Operation] = field(default_factory=list)
    refused: bool = False
    failed: bool = False
    key_id: str | None = None
    document: str | None = None

    def outcome(self, status: int = 0) -> Outcome:
        """How it ended, with the HTTP status that was answered, where there is one."""
        ended = {operation.outcome for operation in self.operations}
        if self.failed or status >= SERVER_ERROR or Outcome.FAILED in ended:
            return Outcome.FAILED
        if self.refused or status >= CLIENT_ERROR:
            return Outcome.REQUEST_ERROR
        return Outcome.USER_ERRORS if Outcome.USER_ERRORS in ended else Outcome.OK

    def told(self) -> dict[str, object]:
        """What a log line says of it: what is known, each once."""
        known = {
            "operations": sorted({operation.name for operation in self.operations}),
            "codes": sorted({code for operation in self.operations for code in operation.codes}),
            "document": self.document,
            "key": self.key_id,
        }
        return {name: value for name, value in known.items() if value}


_current: ContextVar[Observation | None] = ContextVar("observation", default=None)


@contextmanager
def observing(observation: Observation) -> Iterator[Observation]:
    """Let everything that runs inside note in this one."""
    token = _current.set(observation)
    try:
        yield observation
    finally:
        _current.reset(token)


def current() -> Observation:
    """The one of the request that runs; outside of any, one that nobody reads."""
    return _current.get() or Observation()
