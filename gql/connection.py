"""Relay connections over keyset pages: never an OFFSET, and the total is counted only when it is asked for.

https://relay.dev/graphql/connections.htm. A cursor names the last row seen and is signed together with what it belongs
to, so a foreign, stale or damaged one is told from a good one.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Self, TypeVar

import strawberry
from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from gql.request_errors import RequestError
from models.assistant import Assistant
from models.secret import Keyring
from models.sip_trunk import SipTrunk

PAGE_MAX = 100
PAGE_DEFAULT = 20
TAG_BYTES = 8

Row = TypeVar("Row", SipTrunk, Assistant)

FIRST = f"How many from the start, 1-{PAGE_MAX}; {PAGE_DEFAULT} when neither first nor last is given."
LAST = f"How many from the end, 1-{PAGE_MAX}; not together with first."


@dataclass(frozen=True, slots=True)
class Window:
    """What a client asked for: `size` rows after or before a cursor, in the connection's order."""

    size: int
    backwards: bool
    after: str | None
    before: str | None


def window(first: int | None, last: int | None, after: str | None, before: str | None) -> Window:
    """Read the four arguments, or refuse the request."""
    if first is not None and last is not None:
        _refuse("Give either first or last, not both.")
    for name, size in (("first", first), ("last", last)):
        if size is not None and not 1 <= size <= PAGE_MAX:
            _refuse(f"{name} must be from 1 to {PAGE_MAX}.")
    return Window(last or first or PAGE_DEFAULT, last is not None, after, before)


def _refuse(message: str) -> None:
    raise RequestError(message)


@dataclass(frozen=True, slots=True)
class Cursors:
    """Writes and reads the cursors of one connection of one workspace."""

    keyring: Keyring
    scope: str  # workspace, connection, order and filter

    def write(self, row: SipTrunk | Assistant) -> str:
        """Make the opaque cursor of a row."""
        body = json.dumps([row.created_at.isoformat(), row.id], separators=(",", ":"))
        tag = self._tag(body, self.keyring.writing)
        return (
            base64.urlsafe_b64encode(tag + self.keyring.writing.encode() + b"\x00" + body.encode()).decode().rstrip("=")
        )

    def read(self, cursor: str) -> tuple[datetime, str]:
        """Read a cursor, or refuse the request."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            key_id, _, text = raw[TAG_BYTES:].partition(b"\x00")
            body = text.decode()
            if hmac.compare_digest(raw[:TAG_BYTES], self._tag(body, key_id.decode())):
                at, row_id = json.loads(body)
                return datetime.fromisoformat(at), row_id
        except (ValueError, KeyError, binascii.Error):
            pass
        message = "The cursor does not belong to this list; start again without it."
        raise RequestError(message)

    def _tag(self, body: str, key_id: str) -> bytes:
        return self.keyring.digest(f"cursor\x00{self.scope}\x00{body}", key_id)[:TAG_BYTES]


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """The rows of a page in the connection's order, and whether there are more on either side."""

    rows: Sequence[Row]
    has_next: bool
    has_previous: bool


@strawberry.type(description="Where a page stands among all pages.")
class PageInfo:
    """Relay's PageInfo."""

    has_next_page: bool = strawberry.field(description="Whether there is something after this page.")
    has_previous_page: bool = strawberry.field(description="Whether there is something before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last edge.")

    @classmethod
    def of(cls, page: Page[Row], cursors: Cursors) -> Self:
        """Tell it of a page."""
        return cls(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=cursors.write(page.rows[0]) if page.rows else None,
            end_cursor=cursors.write(page.rows[-1]) if page.rows else None,
        )


async def page(rows: QuerySet[Row], wanted: Window, cursors: Cursors, *, newest_first: bool = False) -> Page[Row]:
    """Fetch one page. One row more than asked for tells whether there is more."""
    bounded = rows
    if wanted.after is not None:
        bounded = bounded.filter(_beyond(*cursors.read(wanted.after), newer=not newest_first))
    if wanted.before is not None:
        bounded = bounded.filter(_beyond(*cursors.read(wanted.before), newer=newest_first))
    order = ("created_at", "id") if wanted.backwards is newest_first else ("-created_at", "-id")
    found = await bounded.order_by(*order).limit(wanted.size + 1)
    more, kept = len(found) > wanted.size, found[: wanted.size]
    if wanted.backwards:
        kept.reverse()
    behind, ahead = wanted.after is not None, wanted.before is not None
    if kept:
        behind = behind and await _exists(rows, kept[0], newer=newest_first)
        ahead = ahead and await _exists(rows, kept[-1], newer=not newest_first)
    if wanted.backwards:
        return Page(kept, ahead, more or behind)
    return Page(kept, more or ahead, behind)


async def _exists(rows: QuerySet[Row], row: Row, *, newer: bool) -> bool:
    return await rows.filter(_beyond(row.created_at, row.id, newer=newer)).exists()


def _beyond(at: datetime, row_id: str, *, newer: bool) -> Q:
    # The first bound is implied by the second: it lets the database enter the index at the right place.
    if newer:
        return Q(created_at__gte=at) & (Q(created_at__gt=at) | Q(created_at=at, id__gt=row_id))
    return Q(created_at__lte=at) & (Q(created_at__lt=at) | Q(created_at=at, id__lt=row_id))
