"""What the database is asked, counted: the statements that Tortoise sends about a table, in their order."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

SENT_BY = logging.getLogger("tortoise.db_client")
asked_for: ContextVar["Statements | None"] = ContextVar("asked_for", default=None)


class Statements(logging.Handler):
    """Notes statements, and the values of each."""

    def __init__(self, table: str) -> None:
        super().__init__(logging.DEBUG)
        self.table = f'"{table}"'
        self.sent: list[str] = []
        self.values: list[list[Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        logged = record.args if isinstance(record.args, tuple) and record.args else (record.msg, [])
        statement = str(logged[0])
        if self.table in statement and asked_for.get() is self:
            self.sent.append(statement)
            self.values.append(list(cast("list[Any]", logged[1])))


@contextmanager
def statements_about(table: str) -> Iterator[list[str]]:
    """Those that name the table and are sent for who asks, not by the reconciler, which runs beside."""
    with noted_about(table) as noted:
        yield noted.sent


@contextmanager
def noted_about(table: str) -> Iterator[Statements]:
    """The same with their values."""
    handler, level = Statements(table), SENT_BY.level
    SENT_BY.addHandler(handler)
    SENT_BY.setLevel(logging.DEBUG)
    before = asked_for.set(handler)
    try:
        yield handler
    finally:
        asked_for.reset(before)
        SENT_BY.removeHandler(handler)
        SENT_BY.setLevel(level)
