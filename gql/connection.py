"""Relay connections over keyset pages, in any order: arguments, cursors, edges and PageInfo.

https://relay.dev/graphql/connections.htm. A cursor names the last row seen and is signed together with what it belongs
to, so a foreign, stale or damaged one is told from a good one.
"""

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar, cast

import strawberry
from tortoise.models import Model
from tortoise.queryset import QuerySet

from gql.request_errors import RequestError, refuse
from models.keyset import Listing, Order, Page, Place, Window
from models.secret import Keyring

PAGE_MAX = 100
PAGE_DEFAULT = 20
TAG_BYTES = 8
FOREIGN = "The cursor does not belong to this list; start again without it."

NodeType = TypeVar("NodeType")
Row = TypeVar("Row", bound=Model)

FIRST = f"How many from the start, 1-{PAGE_MAX}; {PAGE_DEFAULT} when neither first nor last is given."
LAST = f"How many from the end, 1-{PAGE_MAX}; not together with first."
First = Annotated[int | None, strawberry.argument(description=FIRST)]
Last = Annotated[int | None, strawberry.argument(description=LAST)]
After = Annotated[str | None, strawberry.argument(description="Only what comes after this cursor.")]
Before = Annotated[str | None, strawberry.argument(description="Only what comes before this cursor.")]


@dataclass(frozen=True, slots=True)
class Pages:
    """What a client may page through: a list of one workspace in one order. Writes and reads its cursors.

    scope: what the cursors belong to beside the order: the connection, the workspace, the filter.
    """

    keyring: Keyring
    scope: str
    order: Order

    def cursor_of(self, row: Model) -> str:
        """Make the opaque cursor of a row."""
        place = self.order.place_of(row)
        body = json.dumps([place.value, place.id], separators=(",", ":"), default=_time)
        raw = self._tag(body, self.keyring.writing) + self.keyring.writing.encode() + b"\x00" + body.encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def place_of(self, cursor: str) -> Place:
        """Read a cursor, or refuse the request."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            key_id, _, text = raw[TAG_BYTES:].partition(b"\x00")
            body = text.decode()
            if hmac.compare_digest(raw[:TAG_BYTES], self._tag(body, key_id.decode())):
                value, row_id = json.loads(body, object_hook=lambda found: datetime.fromisoformat(found["at"]))
                return Place(value, row_id)
        except (ValueError, KeyError, binascii.Error):
            pass
        raise RequestError(FOREIGN)

    def _tag(self, body: str, key_id: str) -> bytes:
        belongs_to = (self.scope, self.order.column, str(self.order.descending), body)
        return self.keyring.digest("\x00".join(("cursor", *belongs_to)), key_id)[:TAG_BYTES]

    async def fetch(
        self,
        rows: QuerySet[Row] | Listing[Row],
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> "Fetched":
        """Fetch the page that the four arguments of a connection ask for, or refuse the request."""
        window = Window(
            size=page_size(first, last),
            backwards=last is not None,
            after=None if after is None else self.place_of(after),
            before=None if before is None else self.place_of(before),
        )
        listing = rows if isinstance(rows, Listing) else Listing(rows, self.order)
        return Fetched(await listing.page(window), self)


def _time(value: Any) -> dict[str, str]:  # noqa: ANN401  # json.dumps hands over what it does not know: datetimes
    return {"at": value.isoformat()}


def page_size(first: int | None, last: int | None) -> int:
    """How many rows the arguments ask for, or refuse the request."""
    if first is not None and last is not None:
        refuse("Give either first or last, not both.")
    for name, size in (("first", first), ("last", last)):
        if size is not None and not 1 <= size <= PAGE_MAX:
            refuse(f"{name} must be from 1 to {PAGE_MAX}.")
    return last or first or PAGE_DEFAULT


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page that was read, and who writes its cursors."""

    page: Page[Any]
    pages: Pages

    def cursor(self, index: int) -> str | None:
        """The cursor of a row of the page."""
        return self.pages.cursor_of(self.page.rows[index]) if self.page.rows else None


@strawberry.type(description="Where a page stands among all pages.")
class PageInfo:
    """Relay's PageInfo."""

    has_next_page: bool = strawberry.field(description="Whether there is something after this page.")
    has_previous_page: bool = strawberry.field(description="Whether there is something before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last edge.")


@strawberry.type(description="One of a page.")
class Edge(Generic[NodeType]):
    """Relay's edge; `Edge[SipTrunk]` is SipTrunkEdge in the schema."""

    cursor: str = strawberry.field(description="Where the page after or before this one begins.")
    node: NodeType = strawberry.field(description="What the page is of.")


@strawberry.type(description="A page.")
class Connection(Generic[NodeType]):
    """Relay's connection; `Connection[SipTrunk]` is SipTrunkConnection in the schema. Rows are served as they are."""

    fetched: strawberry.Private[Fetched]

    @strawberry.field(description="What is on the page, each with its cursor.")
    def edges(self) -> list[Edge[NodeType]]:
        """One edge per row."""
        rows, cursor_of = self.fetched.page.rows, self.fetched.pages.cursor_of
        return [Edge(cursor=cursor_of(row), node=cast("NodeType", row)) for row in rows]

    @strawberry.field(description="What is on the page.")
    def nodes(self) -> list[NodeType]:
        """The rows as they are."""
        return cast("list[NodeType]", self.fetched.page.rows)

    @strawberry.field(description="Where the page stands.")
    def page_info(self) -> PageInfo:
        """Relay's PageInfo."""
        page = self.fetched.page
        return PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=self.fetched.cursor(0),
            end_cursor=self.fetched.cursor(-1),
        )
