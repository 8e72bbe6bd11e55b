"""The lists that only go forwards, newest first: filled and asked, for the tests that read how the database answers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from models.assistant import Assistant
from models.event import Event
from models.identifiers import new_id
from tests.api import House
from tests.page_plans import SIZE, Asked
from tests.queries import noted_about

PAGE = """(first: $first, after: $after) {
  nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } }"""


@dataclass(frozen=True)
class Newest:
    """A list by its table and its query."""

    table: str
    query: str


HEAD = "query ($id: ID!, $first: Int, $after: String)"
LISTS = (
    Newest("assistant", f"{HEAD} {{ node(id: $id) {{ id }} page: assistants{PAGE} }}"),
    Newest("event", f"{HEAD} {{ node(id: $id) {{ id }} page: events{PAGE} }}"),
    Newest("event", f"{HEAD} {{ sipTrunk(id: $id) {{ page: events{PAGE} }} }}"),
)


async def fill(house: House, count: int) -> str:
    """Copy an assistant and an event so many times, half of the events to one trunk; that trunk's id."""
    trunk_id: str = (await house.api.create())["sipTrunk"]["id"]
    await house.api.answered_by(trunk_id)
    assistant, event = await Assistant.get(), await Event.filter(trunk_id=trunk_id).order_by("id").first()
    assert event
    unassigned = {"trunk_id": None, "answers_trunk_id": None}
    await Assistant.bulk_create(
        Assistant(**_columns(assistant) | unassigned | {"created_at": at, "id": new_id("asst")})
        for at in (assistant.created_at + timedelta(seconds=number) for number in range(count))
    )
    await Event.bulk_create(
        Event(**_columns(event) | {"trunk_id": each, "at": at, "id": new_id("evt")})
        for at in (event.at + timedelta(seconds=number) for number in range(count))
        for each in (trunk_id, None)
    )
    return trunk_id


def _columns(row: Assistant | Event) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row._meta.db_fields}  # noqa: SLF001  # its columns


async def statements_of(house: House, newest: Newest, trunk_id: str) -> list[Asked]:
    """All that is asked of the table for a first page and the one after it."""
    with noted_about(newest.table) as noted:
        first = await _page(house, newest, trunk_id, None)
        second = await _page(house, newest, trunk_id, first["pageInfo"]["endCursor"])
    assert len(first["nodes"]) == len(second["nodes"]) == SIZE
    assert [page["pageInfo"]["hasPreviousPage"] for page in (first, second)] == [False, True]
    assert {each["id"] for each in first["nodes"]}.isdisjoint(each["id"] for each in second["nodes"])
    asked = [Asked(*each) for each in zip(noted.sent, noted.values, strict=True)]
    return [each for each in asked if "LIMIT" in each.statement]  # the pages; what is looked up by an id has none


async def _page(house: House, newest: Newest, trunk_id: str, after: str | None) -> dict[str, Any]:
    found = await house.api.ask(newest.query, {"id": trunk_id, "first": SIZE, "after": after})
    page: dict[str, Any] = found["page"] if "page" in found else found["sipTrunk"]["page"]
    return page
