"""Lists of trunks on SQLite: orders, filters, what is refused, which cursors belong where."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import listed_trunks
from tests.api import House, quick_settings, served_house
from tests.listed_trunks import LIST, Trunk, everything
from tests.queries import statements_about
from trunkline.trunk_lists import after_prefix

FOREIGN = "The cursor does not belong to this list; start again without it."


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with served_house(
        quick_settings(tmp_path_factory.mktemp("lists"), reconcile_interval=600, provision_timeout=15.0)
    ) as made:
        await listed_trunks.fill(made)
        yield made


@pytest.mark.parametrize("case", listed_trunks.ALL)
async def test_on_sqlite(house: House, case: Callable[[House, list[Trunk]], Awaitable[None]]) -> None:
    await case(house, await everything(house.api))


async def refusal(house: House, **arguments: Any) -> str:
    answer = await house.api.raw(LIST, arguments)
    (error,) = answer.json()["errors"]
    assert not answer.json().get("data")
    message: str = error["message"]
    return message


SEVERAL = "filter.{} must have 1 to 20 values; leave it out to allow all."
PLAIN = "filter.{} may not contain control characters."
LONG = "filter.{} may have at most {} characters."


@pytest.mark.parametrize(
    ("given_filter", "message"),
    [
        ({"status": []}, SEVERAL.format("status")),
        ({"status": ["ACTIVE"] * 21}, SEVERAL.format("status")),
        ({"countryCode": []}, SEVERAL.format("countryCode")),
        ({"countryCode": ["RO"] * 21}, SEVERAL.format("countryCode")),
        ({"countryCode": ["RO", "ZZ"]}, "filter.countryCode must hold codes of ISO 3166-1 alpha-2, such as US or RO."),
        ({"countryCode": ["R\x00"]}, "filter.countryCode must hold codes of ISO 3166-1 alpha-2, such as US or RO."),
        (
            {"countryCode": ["\N{LATIN SMALL LETTER SHARP S}"]},
            "filter.countryCode must hold codes of ISO 3166-1 alpha-2, such as US or RO.",
        ),
        ({"provider": []}, SEVERAL.format("provider")),
        ({"provider": ["x"] * 21}, SEVERAL.format("provider")),
        ({"provider": ["tel\x00nyx"]}, PLAIN.format("provider")),
        ({"provider": ["x" * 41]}, LONG.format("provider", 40)),
        ({"phoneNumberPrefix": "+40\x00"}, PLAIN.format("phoneNumberPrefix")),
        ({"phoneNumberPrefix": "+4\n0"}, PLAIN.format("phoneNumberPrefix")),
        ({"phoneNumberPrefix": "+" + "4" * 16}, LONG.format("phoneNumberPrefix", 16)),
        ({"phoneNumberPrefix": "4" * 10_000}, LONG.format("phoneNumberPrefix", 16)),
        ({"nicknamePrefix": "a\x00"}, PLAIN.format("nicknamePrefix")),
        ({"nicknamePrefix": "a\x85"}, PLAIN.format("nicknamePrefix")),
        ({"nicknamePrefix": "a" * 51}, LONG.format("nicknamePrefix", 50)),
    ],
    ids=repr,
)
async def test_a_filter_that_makes_no_sense_is_refused(house: House, given_filter: Any, message: str) -> None:
    with statements_about("sip_trunk") as statements:
        assert await refusal(house, filter=given_filter) == message
    assert statements == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"filter": {"status": ["CLAIMED"]}},
        {"filter": {"status": [None]}},
        {"filter": {"nope": 1}},
        {"filter": {"assigned": "yes"}},
        {"orderBy": {}},
        {"orderBy": {"by": "ID"}},
        {"orderBy": {"by": "NICKNAME", "direction": None}},
        {"orderBy": [{"by": "NICKNAME"}, {"by": "CREATED_AT"}]},
    ],
    ids=repr,
)
async def test_what_the_schema_does_not_know_is_refused(house: House, arguments: dict[str, Any]) -> None:
    with statements_about("sip_trunk") as statements:
        assert await refusal(house, **arguments)
    assert statements == []


LISTS: list[dict[str, Any]] = [
    {},
    {"orderBy": {"by": "CREATED_AT", "direction": "DESC"}},
    {"orderBy": {"by": "UPDATED_AT"}},
    {"orderBy": {"by": "NICKNAME"}},
    {"orderBy": {"by": "PHONE_NUMBER"}},
    {"filter": {"status": ["ACTIVE"]}},
    {"filter": {"status": ["ACTIVE", "FAILED"]}},
    {"filter": {"assigned": True}},
    {"filter": {"assigned": False}},
    {"filter": {"nicknamePrefix": "a"}},
    {"filter": {"nicknamePrefix": "a"}, "orderBy": {"by": "CREATED_AT"}},
]
SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"filter": {}, "orderBy": {"by": "CREATED_AT"}}),
    ({"filter": {"status": ["ACTIVE", "FAILED"]}}, {"filter": {"status": ["FAILED", "ACTIVE", "FAILED"]}}),
    ({"filter": {"countryCode": ["RO"]}}, {"filter": {"countryCode": ["ro"]}}),
    ({"filter": {"nicknamePrefix": "a"}}, {"filter": {"nicknamePrefix": "a"}, "orderBy": {"by": "NICKNAME"}}),
]


async def cursor_of(house: House, arguments: dict[str, Any]) -> str:
    found = (await house.api.ask(LIST, {"first": 1, **arguments}))["sipTrunks"]
    cursor: str = found["pageInfo"]["endCursor"]
    return cursor


async def test_a_cursor_belongs_to_its_order_and_filter(house: House) -> None:
    cursors = [await cursor_of(house, arguments) for arguments in LISTS]
    for arguments, own in zip(LISTS, cursors, strict=True):
        assert (await house.api.ask(LIST, {"after": own, **arguments}))["sipTrunks"]["totalCount"]
        for position, cursor in enumerate(cursors):
            if cursor != own:
                assert await refusal(house, **{("after", "before")[position % 2]: cursor}, **arguments) == FOREIGN


@pytest.mark.parametrize(("one", "other"), SAME)
async def test_the_same_list_said_differently_takes_the_cursor(
    house: House, one: dict[str, Any], other: dict[str, Any]
) -> None:
    cursor = await cursor_of(house, one)
    after = [await house.api.ask(LIST, {"after": cursor, **arguments}) for arguments in (one, other)]
    assert after[0] == after[1]


async def test_the_total_is_counted_with_the_filter_and_only_when_it_is_asked_for(house: House) -> None:
    narrowed = '(first: 1, filter: { status: [DEGRADED, FAILED], nicknamePrefix: "a" })'
    with statements_about("sip_trunk") as statements:
        await house.api.ask(f"{{ sipTrunks{narrowed} {{ nodes {{ id }} }} }}")
    assert not any("COUNT" in statement for statement in statements)
    with statements_about("sip_trunk") as statements:
        await house.api.ask(f"{{ sipTrunks{narrowed} {{ totalCount nodes {{ id }} }} }}")
    assert ["COUNT" in statement for statement in statements] == [False, True]


async def test_the_legs_of_a_page_of_several_values_are_read_with_one_query(house: House) -> None:
    with statements_about("trunk_leg") as statements:
        await house.api.ask("{ sipTrunks(filter: { status: [ACTIVE, DEGRADED, FAILED] }) { nodes { id } } }")
    assert len(statements) == 1


@given(st.text(min_size=1), st.text())
def test_texts_that_begin_with_a_prefix_lie_in_its_range(prefix: str, text: str) -> None:
    end = after_prefix(prefix)
    for each in (text, prefix + text):
        within = prefix.encode() <= each.encode() and (end is None or each.encode() < end.encode())
        assert within is each.startswith(prefix)
