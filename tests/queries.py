"""What the database is asked, counted: the statements that Tortoise sends about a table, in their order."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

SENT_BY = logging.getLogger("tortoise.db_client")


class Statements(logging.Handler):
    """Notes statements without their values."""

    def __init__(self, table: str) -> None:
        super().__init__(logging.DEBUG)
        self.table = f'"{table}"'
        self.sent: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        statement = str(record.args[0]) if isinstance(record.args, tuple) and record.args else str(record.msg)
        if self.table in statement:
            self.sent.append(statement)


@contextmanager
def statements_about(table: str) -> Iterator[list[str]]:
    """Those that name the table; others may be the reconciler's, which runs beside."""
    handler, level = Statements(table), SENT_BY.level
    SENT_BY.addHandler(handler)
    SENT_BY.setLevel(logging.DEBUG)
    try:
        yield handler.sent
    finally:
        SENT_BY.removeHandler(handler)
        SENT_BY.setLevel(level)
