"""Keyset pages: rows in any order, entered through an index where the last page ended. Never an OFFSET."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pypika_tortoise.terms import Criterion, Term, Tuple
from tortoise.expressions import Q, ResolveContext
from tortoise.models import Model
from tortoise.query_utils import QueryModifier
from tortoise.queryset import QuerySet
from tortoise.transactions import in_transaction

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Order:
    """By one column or annotation that is never null, equal ones by id in the same direction.

    It needs an index that ends in (column, id). There may be a million equal values: the id is part of the key.
    """

    column: str
    descending: bool = False

    def place_of(self, row: Model) -> "Place":
        """Where a row stands in this order."""
        return Place(getattr(row, self.column), str(row.pk))


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in an order: that of a row, which may be gone by now, or with an empty id just before all of a value."""

    value: Any
    id: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """The rows between two places, both left out; None: no end. `low` is the smaller one in either direction."""

    low: Place | None = None
    high: Place | None = None

    def between(self, low: Place | None, high: Place | None) -> "Span":
        """The part that lies between two more places."""
        lows = [place for place in (self.low, low) if place]
        highs = [place for place in (self.high, high) if place]
        return Span(max(lows, default=None), min(highs, default=None))


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of an order: `size` of them between two places, the first ones or, backwards, the last ones."""

    size: int
    backwards: bool = False
    after: Place | None = None
    before: Place | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """The rows of a page in their order, and whether there are more on either side."""

    rows: Sequence[Row]
    has_next: bool
    has_previous: bool


class _Beyond(Q):
    """`(column, id) > (value, id)`, or `<`: one comparison of pairs, which both databases answer from the index.

    `column > value OR (column = value AND id > id)` would read every row of an equal value up to the place.
    """

    __slots__ = ("column", "greater", "place")

    def __init__(self, column: str, place: Place, *, greater: bool) -> None:
        super().__init__()
        self.column, self.place, self.greater = column, place, greater

    def resolve(self, resolve_context: ResolveContext) -> QueryModifier:
        """Write the comparison for the table that is asked."""
        model, table = resolve_context.model, resolve_context.table
        value, key = self.place.value, cast("Term | None", resolve_context.annotations.get(self.column))
        if key is None:
            key, value = table[self.column], model._meta.fields_map[self.column].to_db_value(value, model)  # noqa: SLF001
        here, there = Tuple(key, table[model._meta.db_pk_column]), Tuple(value, self.place.id)  # noqa: SLF001
        return QueryModifier(where_criterion=cast("Criterion", here > there if self.greater else here < there))


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """Rows in an order.

    either  conditions that exclude each other: each is answered from its index by itself, because no index holds the
            rows of several values in one order
    within  a range of the order's column: told here and not as a condition, it and a page's places make one range
    """

    rows: QuerySet[Row]
    order: Order
    either: Sequence[Q] = (Q(),)
    within: Span = Span()

    async def page(self, window: Window) -> Page[Row]:
        """Fetch one page. Of several conditions at one instant: a row may go from one to another meanwhile."""
        async with _one_instant() if len(self.either) > 1 else nullcontext():
            return await self._page(window)

    async def _page(self, window: Window) -> Page[Row]:
        """One row more than asked for tells whether there is more."""
        found = await self._first(
            self._between(window.after, window.before), window.size + 1, backwards=window.backwards
        )
        more, kept = len(found) > window.size, found[: window.size]
        if window.backwards:
            kept.reverse()
        behind, ahead = window.after is not None, window.before is not None
        if kept:  # the rows at the cursors may be gone, so ask what there is
            begin, end = self.order.place_of(kept[0]), self.order.place_of(kept[-1])
            behind = behind and bool(await self._first(self._between(None, begin), 1, backwards=True))
            ahead = ahead and bool(await self._first(self._between(end, None), 1, backwards=False))
        if window.backwards:
            return Page(kept, ahead, more or behind)
        return Page(kept, more or ahead, behind)

    def _between(self, after: Place | None, before: Place | None) -> Span:
        return self.within.between(before, after) if self.order.descending else self.within.between(after, before)

    async def _first(self, span: Span, size: int, *, backwards: bool) -> list[Row]:
        descending = self.order.descending is not backwards
        sign = "-" if descending else ""
        sorted_rows = self._all(span).order_by(sign + self.order.column, sign + "id").limit(size)
        found = [row for condition in self.either for row in await sorted_rows.filter(condition)]
        if len(self.either) > 1:
            found.sort(key=self.order.place_of, reverse=descending)
        return found[:size]

    def _all(self, span: Span) -> QuerySet[Row]:
        ends = ((span.low, True), (span.high, False))
        return self.rows.filter(*(_Beyond(self.order.column, place, greater=low) for place, low in ends if place))


@asynccontextmanager
async def _one_instant() -> AsyncIterator[None]:
    """Everything read inside is as it was at the first reading; on SQLite nobody writes meanwhile."""
    async with in_transaction() as connection:
        if connection.capabilities.dialect == "postgres":
            await connection.execute_query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield
