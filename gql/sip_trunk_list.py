"""Lists of trunks as a client speaks of them: filter, order, connection, resolver."""

from enum import Enum
from typing import Annotated, TypeVar

import strawberry

from gql.connection import After, Before, Connection, First, Last, Pages
from gql.context import Info
from gql.request_errors import refuse
from gql.sip_trunk import SipTrunk
from gql.sip_trunk_enums import SipTrunkStatus, SipTrunkType
from models import sip_trunk as model
from models.keyset import Order
from trunkline.countries import KNOWN_COUNTRIES, country_code
from trunkline.phone import without_separators
from trunkline.text_rules import CONTROL
from trunkline.trunk_lists import NICKNAME, TrunkFilter
from trunkline.trunks import SHOWN_WITH

Value = TypeVar("Value")
VALUES_MAX = 20  # of one list: each value is looked up by itself
SEVERAL = f"1-{VALUES_MAX} values, any of which fits."


@strawberry.input(description="What a list of trunks is narrowed to: all that is given has to fit.")
class SipTrunkFilter:
    """Read into trunkline.trunk_lists.TrunkFilter."""

    status: list[SipTrunkStatus] | None = strawberry.field(default=None, description=f"Where they stand: {SEVERAL}")
    sip_trunk_type: SipTrunkType | None = strawberry.field(default=None, description="What phoneNumber holds.")
    country_code: list[str] | None = strawberry.field(
        default=None, description=f"ISO 3166-1 alpha-2, any case: {SEVERAL}"
    )
    provider: list[str] | None = strawberry.field(default=None, description=f"Keys of providers: {SEVERAL}")
    phone_number_prefix: str | None = strawberry.field(
        default=None,
        description=f"What phoneNumber begins with, at most {model.PHONE_NUMBER_MAX} characters; after a + blanks, "
        "dashes, dots and brackets do not count. Blank: anything.",
    )
    nickname_prefix: str | None = strawberry.field(
        default=None,
        description=f"What nickname begins with, upper and lower case told apart, at most {model.NICKNAME_MAX} "
        "characters. Blank: anything.",
    )
    assigned: bool | None = strawberry.field(default=None, description="Whether an assistant works for them.")

    def read(self) -> TrunkFilter:
        """The same for the use case, or the request is refused."""
        return TrunkFilter(
            status=tuple(sorted({model.TrunkStatus[each.name] for each in _several("status", self.status)})),
            sip_trunk_type=self.sip_trunk_type,
            country_code=_countries(self.country_code),
            provider=_providers(self.provider),
            phone_number_prefix=_number_prefix(self.phone_number_prefix or ""),
            nickname_prefix=_plain("nicknamePrefix", (self.nickname_prefix or "").lstrip(), model.NICKNAME_MAX),
            assigned=self.assigned,
        )


@strawberry.enum(description="What trunks can be ordered by; equal ones by the time they were made.")
class SipTrunkOrderField(Enum):
    """Columns with an index for their order."""

    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When the creation succeeded.")
    UPDATED_AT = strawberry.enum_value("UPDATED_AT", description="When it was last changed.")
    NICKNAME = strawberry.enum_value(
        "NICKNAME", description="By its bytes in UTF-8: none at all, then 0-9, A-Z, a-z, others."
    )
    PHONE_NUMBER = strawberry.enum_value("PHONE_NUMBER", description="By its bytes: + before 0-9 before letters.")


@strawberry.enum(description="Which end of an order comes first.")
class Direction(Enum):
    """Both are as cheap."""

    ASC = strawberry.enum_value("ASC", description="Oldest, or smallest, first.")
    DESC = strawberry.enum_value("DESC", description="Newest, or largest, first.")


@strawberry.input(description="What a list of trunks is ordered by.")
class SipTrunkOrder:
    """Read into models.keyset.Order."""

    by: SipTrunkOrderField = strawberry.field(description="What is compared.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")

    def read(self) -> Order:
        """The same for the query."""
        column = NICKNAME if self.by is SipTrunkOrderField.NICKNAME else self.by.name.lower()
        return Order(column, descending=self.direction is Direction.DESC)


@strawberry.type(description="A page of trunks.")
class SipTrunkConnection(Connection[SipTrunk]):
    """A page that can also tell how many there are."""

    narrowed: strawberry.Private[TrunkFilter]

    @strawberry.field(description="How many trunks fit the filter in all; counted only when it is asked for.")
    async def total_count(self, info: Info) -> int:
        """One COUNT."""
        return await self.narrowed.count(info.context.caller.workspace_id)


Filter = Annotated[
    SipTrunkFilter | None, strawberry.argument(description="What the list is narrowed to; left out: to nothing.")
]
OrderBy = Annotated[
    SipTrunkOrder | None,
    strawberry.argument(
        description="Left out: oldest first; with phoneNumberPrefix by PHONE_NUMBER, with nicknamePrefix by NICKNAME."
    ),
]


async def resolve_sip_trunks(  # noqa: PLR0913, PLR0917  # GraphQL's arguments
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    filter: Filter = None,  # noqa: A002  # GraphQL's name
    order_by: OrderBy = None,
) -> SipTrunkConnection:
    """Fetch one page of the caller's workspace."""
    workspace_id = info.context.caller.workspace_id
    narrowed = filter.read() if filter else TrunkFilter()
    order = order_by.read() if order_by else narrowed.usual_order()
    pages = Pages(info.context.services.keyring, f"sipTrunks\x00{workspace_id}\x00{narrowed}", order)
    fetched = await pages.fetch(narrowed.listing(workspace_id, order), first, after, last, before)
    await model.SipTrunk.fetch_for_list(fetched.page.rows, *SHOWN_WITH)
    return SipTrunkConnection(fetched=fetched, narrowed=narrowed)


def _several(name: str, values: list[Value] | None) -> list[Value]:
    if values is not None and not 1 <= len(values) <= VALUES_MAX:
        refuse(f"filter.{name} must have 1 to {VALUES_MAX} values; leave it out to allow all.")
    return values or []


def _countries(values: list[str] | None) -> tuple[str, ...]:
    codes = {country_code(value) for value in _several("countryCode", values)}
    if not codes <= KNOWN_COUNTRIES:
        refuse("filter.countryCode must hold codes of ISO 3166-1 alpha-2, such as US or RO.")
    return tuple(sorted(codes))


def _providers(values: list[str] | None) -> tuple[str, ...]:
    return tuple(sorted({_plain("provider", value, model.PROVIDER_MAX) for value in _several("provider", values)}))


def _number_prefix(value: str) -> str:
    prefix = value.strip()
    bare = without_separators(prefix) if prefix.startswith("+") else prefix
    return _plain("phoneNumberPrefix", bare, model.PHONE_NUMBER_MAX)


def _plain(name: str, value: str, longest: int) -> str:
    if len(value) > longest:
        refuse(f"filter.{name} may have at most {longest} characters.")
    if CONTROL.search(value):
        refuse(f"filter.{name} may not contain control characters.")
    return value
