"""Lists of trunks as a client reads them, the same on every database: all orders both ways, all filters."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from models.sip_trunk import SipTrunk
from tests.api import Api, House, codes

LIST = """query ($first: Int, $after: String, $last: Int, $before: String, $filter: SipTrunkFilter,
    $orderBy: SipTrunkOrder) {
  sipTrunks(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    nodes {
      id phoneNumber nickname status sipTrunkType countryCode provider { key } createdAt updatedAt assistants { id }
    }
  }
}"""
# Each locale orders these in a way of its own; by their bytes there is one order.
NUMBERS = ["+12025550123", "+40211234567", "+40211234568", "+40741926265", "+442079460958"]
EXTENSIONS = ["*97", "-1", ".5", "1000", "A-1", "_x", "a.1", "a_1", "b", "Z9", "4021"]
NICKNAMES = [
    *("Zebra", None, "apple", "Apple", "a%b", "axb", "a_b", None, "10", "9", "a b", "apple", "a"),
    "\N{LATIN SMALL LETTER A WITH DIAERESIS}pfel",
    "\N{HANGUL SYLLABLE HIH}",
    "\N{GRINNING FACE}",  # in UTF-16 it stands before the next one
]
LAST_NICKNAME = "\N{FULLWIDTH LATIN SMALL LETTER A}"
STATUSES = ["ACTIVE", "DEGRADED", "FAILED", "ACTIVE", "PROVISIONING"]

Trunk = dict[str, Any]
KEYS: dict[str, Callable[[Trunk], Any]] = {
    "CREATED_AT": lambda trunk: trunk["createdAt"],
    "UPDATED_AT": lambda trunk: trunk["updatedAt"],
    "NICKNAME": lambda trunk: (trunk["nickname"] or "").encode(),
    "PHONE_NUMBER": lambda trunk: trunk["phoneNumber"].encode(),
}


async def fill(house: House) -> list[Trunk]:
    """Make a trunk of every kind; some share a time, a name, a status."""
    for position, (number, nickname) in enumerate(zip(NUMBERS + EXTENSIONS, NICKNAMES, strict=True)):
        kind = {} if number in NUMBERS else {"sipTrunkType": "EXTENSION", "countryCode": "RO"}
        payload = await house.api.create(phoneNumber=number, nickname=nickname or ..., **kind)
        assert codes(payload) == []
        await _vary(payload["sipTrunk"], position)
        if position % 3 == 0:
            await house.api.answered_by(payload["sipTrunk"]["id"], kind="OUTBOUND" if position % 2 else "INBOUND")
    return await everything(house.api)


async def _vary(trunk: Trunk, position: int) -> None:
    at = datetime.fromisoformat("2026-01-02T03:04:05Z")
    columns = {
        "status": STATUSES[position % len(STATUSES)],
        "provider": (None, "telnyx", "twilio")[position % 3],
        "created_at": at + timedelta(seconds=position // 4),
        "updated_at": at + timedelta(microseconds=position * 7 % 5),
    }
    await SipTrunk.filter(id=trunk["id"]).update(**columns)


async def everything(api: Api) -> list[Trunk]:
    nodes: list[Trunk] = (await api.ask(LIST, {"first": 100}))["sipTrunks"]["nodes"]
    return nodes


async def walked(api: Api, size: int, *, backwards: bool, **arguments: Any) -> list[Trunk]:
    """All pages of a list from one end to the other, and their flags and total on the way."""
    met: list[Trunk] = []
    count, cursor, end = ("last", "before", "startCursor") if backwards else ("first", "after", "endCursor")
    at: str | None = None
    while True:
        found = (await api.ask(LIST, {count: size, cursor: at, **arguments}))["sipTrunks"]
        info = found["pageInfo"]
        met = [*found["nodes"], *met] if backwards else [*met, *found["nodes"]]
        more, before = info["hasNextPage"], info["hasPreviousPage"]
        assert (before if backwards else more) == (len(met) < found["totalCount"])
        assert (more if backwards else before) == (at is not None)
        if not (before if backwards else more):
            assert len(met) == found["totalCount"]
            return met
        at = info[end]


def in_order(trunks: list[Trunk], by: str, *, descending: bool = False) -> list[Trunk]:
    return sorted(trunks, key=lambda trunk: (KEYS[by](trunk), trunk["id"]), reverse=descending)


async def every_order_is_walked_both_ways(house: House, trunks: list[Trunk]) -> None:
    for by in KEYS:
        expected = in_order(trunks, by)
        for direction, wanted in (("ASC", expected), ("DESC", expected[::-1])):
            for size, backwards in ((3, True), (5, False)):
                order = {"by": by, "direction": direction}
                assert await walked(house.api, size, backwards=backwards, orderBy=order) == wanted, (order, size)


PREDICATES: list[tuple[dict[str, Any], Callable[[Trunk], bool]]] = [
    ({}, lambda _trunk: True),
    ({"status": None, "phoneNumberPrefix": "", "nicknamePrefix": " ", "assigned": None}, lambda _trunk: True),
    ({"status": ["DEGRADED"]}, lambda trunk: trunk["status"] == "DEGRADED"),
    ({"status": ["FAILED", "DEGRADED", "FAILED"]}, lambda trunk: trunk["status"] in {"FAILED", "DEGRADED"}),
    ({"status": ["DELETING"]}, lambda _trunk: False),
    ({"sipTrunkType": "EXTENSION"}, lambda trunk: trunk["sipTrunkType"] == "EXTENSION"),
    ({"countryCode": [" ro "]}, lambda trunk: trunk["countryCode"] == "RO"),
    ({"countryCode": ["us", "GB"]}, lambda trunk: trunk["countryCode"] in {"US", "GB"}),
    ({"provider": ["telnyx"]}, lambda trunk: (trunk["provider"] or {}).get("key") == "telnyx"),
    ({"provider": ["telnyx", "twilio"]}, lambda trunk: bool(trunk["provider"])),
    ({"provider": ["nobody"]}, lambda _trunk: False),
    ({"phoneNumberPrefix": "+40"}, lambda trunk: trunk["phoneNumber"].startswith("+40")),
    ({"phoneNumberPrefix": " +40 (21) "}, lambda trunk: trunk["phoneNumber"].startswith("+4021")),
    ({"phoneNumberPrefix": "40"}, lambda trunk: trunk["phoneNumber"].startswith("40")),
    ({"phoneNumberPrefix": "a_"}, lambda trunk: trunk["phoneNumber"].startswith("a_")),
    ({"phoneNumberPrefix": "%"}, lambda _trunk: False),
    ({"phoneNumberPrefix": "_"}, lambda trunk: trunk["phoneNumber"].startswith("_")),
    ({"nicknamePrefix": "a"}, lambda trunk: (trunk["nickname"] or "").startswith("a")),
    ({"nicknamePrefix": "a%"}, lambda trunk: trunk["nickname"] == "a%b"),
    ({"nicknamePrefix": "a_"}, lambda trunk: trunk["nickname"] == "a_b"),
    ({"nicknamePrefix": "a "}, lambda trunk: trunk["nickname"] == "a b"),
    ({"nicknamePrefix": "A"}, lambda trunk: trunk["nickname"] == "Apple"),
    ({"nicknamePrefix": "\N{GRINNING FACE}"}, lambda trunk: trunk["nickname"] == "\N{GRINNING FACE}"),
    ({"assigned": True}, lambda trunk: bool(trunk["assistants"])),
    ({"assigned": False}, lambda trunk: not trunk["assistants"]),
    (
        {"status": ["ACTIVE", "FAILED"], "countryCode": ["RO", "US"], "provider": ["telnyx", "twilio"]},
        lambda trunk: (
            trunk["status"] != "PROVISIONING"
            and trunk["status"] != "DEGRADED"
            and bool(trunk["provider"])
            and trunk["countryCode"] in {"RO", "US"}
        ),
    ),
    (
        {"phoneNumberPrefix": "+4", "nicknamePrefix": "a", "assigned": False, "sipTrunkType": "NUMBER"},
        lambda trunk: (
            trunk["phoneNumber"].startswith("+4")
            and (trunk["nickname"] or "").startswith("a")
            and not trunk["assistants"]
        ),
    ),
]


async def every_filter_is_walked_in_every_order(house: House, trunks: list[Trunk]) -> None:
    for position, (given, fits) in enumerate(PREDICATES):
        chosen = [trunk for trunk in trunks if fits(trunk)]
        for turn, by in enumerate(KEYS, position):
            backwards, descending = bool(turn & 1), bool(turn & 2)
            expected = in_order(chosen, by, descending=descending)
            arguments = {"filter": given, "orderBy": {"by": by, "direction": "DESC" if descending else "ASC"}}
            assert await walked(house.api, 4, backwards=backwards, **arguments) == expected, arguments


async def a_prefix_orders_by_what_it_is_of(house: House, trunks: list[Trunk]) -> None:
    for given, by in (
        ({"nicknamePrefix": "a"}, "NICKNAME"),
        ({"phoneNumberPrefix": "+"}, "PHONE_NUMBER"),
        ({"phoneNumberPrefix": "a", "nicknamePrefix": "a"}, "PHONE_NUMBER"),
        ({"status": ["ACTIVE", "FAILED"]}, "CREATED_AT"),
    ):
        asked = await walked(house.api, 2, backwards=False, filter=given, orderBy={"by": by})
        assert await walked(house.api, 2, backwards=False, filter=given) == asked
    assert trunks


async def the_last_text_of_all_is_met(house: House, trunks: list[Trunk]) -> None:
    """A nickname of the last letter of Unicode begins with itself, and after it there is nothing."""
    last = "\U0010ffff"
    await SipTrunk.filter(id=trunks[0]["id"]).update(nickname=last * 2)
    for prefix in (last, last * 2):
        (found,) = await walked(house.api, 2, backwards=True, filter={"nicknamePrefix": prefix})
        assert found["id"] == trunks[0]["id"]
    await SipTrunk.filter(id=trunks[0]["id"]).update(nickname=trunks[0]["nickname"])


async def assigned_follows_the_assistants(house: House, trunks: list[Trunk]) -> None:
    """Through a life of assistants: made, moved, taken away, removed; two at one trunk."""
    one, other = [trunk["id"] for trunk in trunks if not trunk["assistants"]][:2]
    first, second = [await house.api.answered_by(one, kind="OUTBOUND") for _ in range(2)]
    assert await assigned_of(house, one, other) == [True, False]
    await changed(house, first["id"], other)
    assert await assigned_of(house, one, other) == [True, True]
    await changed(house, second["id"], None)
    assert await assigned_of(house, one, other) == [False, True]
    await changed(house, second["id"], other)
    await removed(house, first["id"])
    assert await assigned_of(house, one, other) == [False, True]
    await removed(house, second["id"])
    assert await assigned_of(house, one, other) == [False, False]


async def assigned_is_right_after_many_changes_at_once(house: House, trunks: list[Trunk]) -> None:
    """Assistants come and go at the same two trunks, one of which is removed meanwhile."""
    made = [
        (await house.api.create(phoneNumber=f"77{n}", sipTrunkType="EXTENSION", countryCode="RO")) for n in range(2)
    ]
    one, other = (payload["sipTrunk"]["id"] for payload in made)

    async def moved(position: int) -> None:
        assistant = (await house.api.answered_by(other, name=f"Mover {position}", kind="OUTBOUND"))["id"]
        await changed(house, assistant, one)
        await changed(house, assistant, None if position % 2 else other)
        await removed(house, assistant)

    async with asyncio.TaskGroup() as group:
        for position in range(8):
            group.create_task(moved(position))
        group.create_task(house.api.delete(one))
    assert await assigned_of(house, other) == [False]
    await house.api.delete(other)
    assert await assigned_of(house, trunks[0]["id"]) == [bool(trunks[0]["assistants"])]


async def what_changes_meanwhile_is_met_once(house: House, trunks: list[Trunk]) -> None:
    """Each value of a filter is asked by itself: a trunk that goes from one to the other is in neither answer twice."""
    statuses = {trunk["id"]: trunk["status"] for trunk in trunks if trunk["status"] in {"ACTIVE", "DEGRADED"}}
    over = asyncio.Event()

    async def changing() -> None:
        while not over.is_set():
            for status in ("DEGRADED", "ACTIVE"):
                await SipTrunk.filter(id__in=list(statuses)).update(status=status)

    async with asyncio.TaskGroup() as group:
        group.create_task(changing())
        met = [
            (await house.api.ask(LIST, {"first": 100, "filter": {"status": ["ACTIVE", "DEGRADED"]}}))["sipTrunks"]
            for _ in range(50)
        ]
        over.set()
    assert all(sorted(node["id"] for node in found["nodes"]) == sorted(statuses) for found in met)
    for trunk_id, status in statuses.items():
        await SipTrunk.filter(id=trunk_id).update(status=status)


async def assigned_of(house: House, *trunk_ids: str) -> list[bool]:
    assigned = await walked(house.api, 100, backwards=False, filter={"assigned": True})
    free = await walked(house.api, 100, backwards=False, filter={"assigned": False})
    assert all(trunk["assistants"] for trunk in assigned)
    assert not any(trunk["assistants"] for trunk in free)
    return [trunk_id in {trunk["id"] for trunk in assigned} for trunk_id in trunk_ids]


async def changed(house: House, assistant_id: str, trunk_id: str | None) -> None:
    """Move an assistant; a trunk that is being removed does not take it."""
    mutation = "mutation ($input: UpdateAssistantInput!) { updateAssistant(input: $input) { userErrors { code } } }"
    given = {"id": assistant_id, "phoneNumberId": trunk_id}
    payload = (await house.api.ask(mutation, {"input": given}))["updateAssistant"]
    assert codes(payload) in ([], ["NOT_FOUND"])


async def removed(house: House, assistant_id: str) -> None:
    mutation = "mutation ($input: DeleteAssistantInput!) { deleteAssistant(input: $input) { userErrors { code } } }"
    assert codes((await house.api.ask(mutation, {"input": {"id": assistant_id}}))["deleteAssistant"]) == []


ALL = [
    assigned_follows_the_assistants,
    assigned_is_right_after_many_changes_at_once,
    every_order_is_walked_both_ways,
    every_filter_is_walked_in_every_order,
    a_prefix_orders_by_what_it_is_of,
    what_changes_meanwhile_is_met_once,
    the_last_text_of_all_is_met,
]
