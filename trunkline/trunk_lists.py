"""Lists of trunks: what they may be narrowed to and ordered by, each answered from an index."""

from dataclasses import dataclass

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from models.keyset import Listing, Order, Place, Span
from models.sip_trunk import ASSIGNED, NICKNAME_KEY, SipTrunk, SipTrunkType, TrunkStatus
from trunkline.trunks import seen_trunks

CREATED_AT = "created_at"
UPDATED_AT = "updated_at"
NICKNAME = "nickname_key"
PHONE_NUMBER = "phone_number"
LAST_POINT = 0x10FFFF  # of Unicode
SURROGATES = range(0xD800, 0xE000)  # no text holds them


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkFilter:
    """What a list is narrowed to: all of it at once. Empty or None: to nothing. Prefixes are compared bytewise."""

    status: tuple[TrunkStatus, ...] = ()
    sip_trunk_type: SipTrunkType | None = None
    country_code: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    phone_number_prefix: str = ""
    nickname_prefix: str = ""
    assigned: bool | None = None

    def usual_order(self) -> Order:
        """The order when none is asked for: what begins with a prefix stands together in one order only."""
        if self.phone_number_prefix:
            return Order(PHONE_NUMBER)
        return Order(NICKNAME if self.nickname_prefix else CREATED_AT)

    def listing(self, workspace_id: str, order: Order) -> Listing[SipTrunk]:
        """What fits, in an order. A list of values goes value by value where their indexes have this order."""
        prefixes = dict(self._prefixes())
        prefix = prefixes.pop(order.column, None)
        rows = self._chosen(workspace_id).filter(*(_begins(*each) for each in prefixes.items()))
        lists = self._lists() if order.column == CREATED_AT else []
        either = next(([Q(**{name: value}) for value in values] for name, values in lists), [Q()])
        return Listing(rows, order, either, _span(prefix) if prefix else Span())

    async def count(self, workspace_id: str) -> int:
        """How many fit."""
        return await self._chosen(workspace_id).filter(*(_begins(*each) for each in self._prefixes())).count()

    def _chosen(self, workspace_id: str) -> QuerySet[SipTrunk]:
        """What fits but for the prefixes."""
        rows = seen_trunks(workspace_id).annotate(**{NICKNAME: NICKNAME_KEY, "assigned": ASSIGNED})
        for name, values in self._lists():
            rows = rows.filter(**{f"{name}__in": values})
        if self.sip_trunk_type is not None:
            rows = rows.filter(sip_trunk_type=self.sip_trunk_type)
        return rows if self.assigned is None else rows.filter(assigned=self.assigned)

    def _lists(self) -> list[tuple[str, tuple[str, ...]]]:
        lists = (("status", self.status), ("country_code", self.country_code), ("provider", self.provider))
        return [(name, values) for name, values in lists if values]

    def _prefixes(self) -> list[tuple[str, str]]:
        prefixes = ((PHONE_NUMBER, self.phone_number_prefix), (NICKNAME, self.nickname_prefix))
        return [(column, prefix) for column, prefix in prefixes if prefix]


def _begins(column: str, prefix: str) -> Q:
    """A range, not LIKE: that has wildcards, and takes an index only where the collation suits it."""
    end = after_prefix(prefix)
    within = Q(**{f"{column}__gte": prefix})
    return within if end is None else within & Q(**{f"{column}__lt": end})


def _span(prefix: str) -> Span:
    end = after_prefix(prefix)
    return Span(Place(prefix), Place(end) if end else None)


def after_prefix(prefix: str) -> str | None:
    """The first text, by its bytes in UTF-8, after all that begin with the prefix; None when there is none."""
    kept = prefix.rstrip(chr(LAST_POINT))
    if not kept:
        return None
    point = ord(kept[-1]) + 1
    return kept[:-1] + chr(SURROGATES.stop if point in SURROGATES else point)
