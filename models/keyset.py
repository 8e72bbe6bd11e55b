"""Keyset pages: rows in any order, entered through an index where the last page ended. Never an OFFSET."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pypika_tortoise.terms import Criterion, Term, Tuple
from tortoise.expressions import Q, ResolveContext
from tortoise.models import Model
from tortoise.query_utils import QueryModifier
from tortoise.queryset import QuerySet

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


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an order: that of a row, which may be gone by now."""

    value: Any
    id: str


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


async def page(rows: QuerySet[Row], order: Order, window: Window) -> Page[Row]:
    """Fetch one page. One row more than asked for tells whether there is more."""
    bounded = rows
    if window.after:
        bounded = bounded.filter(_beyond(order, window.after))
    if window.before:
        bounded = bounded.filter(_beyond(order, window.before, back=True))
    sign = "-" if order.descending is not window.backwards else ""
    found = await bounded.order_by(sign + order.column, sign + "id").limit(window.size + 1)
    more, kept = len(found) > window.size, found[: window.size]
    if window.backwards:
        kept.reverse()
    behind, ahead = window.after is not None, window.before is not None
    if kept:  # the rows at the cursors may be gone, so ask what there is
        behind = behind and await rows.filter(_beyond(order, order.place_of(kept[0]), back=True)).exists()
        ahead = ahead and await rows.filter(_beyond(order, order.place_of(kept[-1]))).exists()
    if window.backwards:
        return Page(kept, ahead, more or behind)
    return Page(kept, more or ahead, behind)


def _beyond(order: Order, place: Place, *, back: bool = False) -> Q:
    return _Beyond(order.column, place, greater=order.descending is back)
