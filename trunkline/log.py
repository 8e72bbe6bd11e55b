"""The log: one line per event on standard error. Bodies, queries, headers and variables are never written."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from trunkline.setting_values import LogFormat

log = structlog.get_logger(__name__)


def configure_log(form: LogFormat = "auto") -> None:
    """Send structlog's and the libraries' lines to standard error: as JSON, or as text for a person at a terminal."""
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_JsonLines()], force=True)


class _JsonLines(logging.Handler):
    """Lines of libraries: who speaks and how loud. Their texts and tracebacks may quote values, so they stay out."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        log.log(record.levelno, "library", logger=record.name, at=f"{record.module}:{record.lineno}", error=error)


@contextmanager
def outlived() -> Iterator[None]:
    """One turn of a loop of the process: whatever fails in it is written down, and the loop goes on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # a process edge
        log_unexpected(error)


def log_unexpected(error: Exception) -> None:
    """Write an error down that nobody expected, by its type and place alone: the texts of drivers quote values."""
    frames = list(traceback.walk_tb(error.__traceback__))
    places = [f"{Path(frame.f_code.co_filename).name}:{line}" for frame, line in frames[-3:]]
    log.error("unexpected_error", error=type(error).__qualname__, at=places)
