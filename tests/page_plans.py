"""What pages of many trunks ask the database, for the tests that read how it answers."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from scripts.many_trunks import multiply
from tests.api import House, codes, until
from tests.queries import noted_about

SIZE = 10
ORDERS = [
    {"by": by, "direction": direction}
    for by in ("CREATED_AT", "UPDATED_AT", "NICKNAME", "PHONE_NUMBER")
    for direction in ("ASC", "DESC")
]
FILTERS: list[dict[str, Any]] = [
    {"status": ["ACTIVE"]},
    {"status": ["FAILED"]},
    {"status": ["FAILED", "DEGRADED", "ACTIVE"]},
    {"sipTrunkType": "EXTENSION"},
    {"sipTrunkType": "NUMBER"},
    {"countryCode": ["DE"]},
    {"countryCode": ["us", "RO"]},
    {"provider": ["telnyx"]},
    {"provider": ["telnyx", "twilio"]},
    {"phoneNumberPrefix": "+4000"},
    {"nicknamePrefix": "Line 0"},
    {"assigned": True},
    {"assigned": False},
]
ALONE = [{"orderBy": order} for order in ORDERS] + [{"filter": each} for each in FILTERS]
PAGE = """query ($first: Int, $after: String, $last: Int, $before: String, $filter: SipTrunkFilter,
    $orderBy: SipTrunkOrder) {
  sipTrunks(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy) {
    nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""


@dataclass(frozen=True)
class Asked:
    """A statement and its values."""

    statement: str
    values: list[Any]


async def fill(house: House, count: int) -> None:
    """Fill a house whose reconciler will not look at it again: the voice backend knows none of these trunks."""
    await until(partial(_was_reconciled, house))
    assert codes(await house.api.create(phoneNumber="+40211234567")) == []
    await multiply(count)


async def _was_reconciled(house: House) -> bool:
    return bool((await house.api.ask("{ voice { lastReconciledAt } }"))["voice"]["lastReconciledAt"])


async def statements_of(house: House, arguments: dict[str, Any]) -> list[Asked]:
    """All that is asked about trunks for a first page, the one after it, and the one before that, backwards."""
    with noted_about("sip_trunk") as noted:
        first = await _page(house, arguments | {"first": SIZE})
        second = await _page(house, arguments | {"first": SIZE, "after": first["pageInfo"]["endCursor"]})
        again = await _page(house, arguments | {"last": SIZE, "before": second["pageInfo"]["startCursor"]})
        await _page(house, arguments | {"last": SIZE})
    assert again["nodes"] == first["nodes"]
    assert second["pageInfo"]["hasPreviousPage"]
    assert len(first["nodes"]) == SIZE
    asked = [Asked(*each) for each in zip(noted.sent, noted.values, strict=True)]
    return [each for each in asked if '"workspace_id"=' in each.statement]  # others may be the reconciler's


async def _page(house: House, arguments: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await house.api.ask(PAGE, arguments))["sipTrunks"]
    return found
