"""Pages of trunks and single nodes: PageInfo's flags, wrong arguments, and what another workspace may see."""

import base64
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from models.identifiers import new_id
from models.secret import Keyring
from models.sip_trunk import SipTrunk, TrunkStatus
from models.workspace import Workspace
from tests.api import Api, House, codes, quick_settings, served_house
from tests.queries import statements_about
from trunkline import database
from trunkline.keys import create_key

NUMBERS = [f"100{number}" for number in range(7)]
PAGE = """query ($first: Int, $after: String, $last: Int, $before: String) {
  sipTrunks(first: $first, after: $after, last: $last, before: $before) {
    nodes { phoneNumber } edges { cursor node { phoneNumber } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
NODE = "query ($id: ID!) { node(id: $id) { __typename id ... on SipTrunk { phoneNumber } } sipTrunk(id: $id) { id } }"
FOREIGN = "The cursor does not belong to this list; start again without it."


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A house with seven trunks and one claim, which nobody sees."""
    async with served_house(quick_settings(tmp_path_factory.mktemp("pages"), reconcile_interval=600)) as made:
        for number in [*NUMBERS, "9999"]:
            payload = await made.api.create(sipTrunkType="EXTENSION", phoneNumber=number, countryCode="RO")
            assert codes(payload) == []
        await SipTrunk.filter(phone_number="9999").update(status=TrunkStatus.CLAIMED)
        yield made


async def page(house: House, **arguments: Any) -> tuple[list[str], bool, bool]:
    """The numbers of a page, whether there is a next one, and whether there is one before."""
    found = (await house.api.ask(PAGE, arguments))["sipTrunks"]
    numbers = [node["phoneNumber"] for node in found["nodes"]]
    assert [edge["node"] for edge in found["edges"]] == found["nodes"]
    cursors = [edge["cursor"] for edge in found["edges"]]
    info = found["pageInfo"]
    ends = (info["startCursor"], info["endCursor"])
    assert ends == ((cursors[0], cursors[-1]) if cursors else (None, None))
    return numbers, info["hasNextPage"], info["hasPreviousPage"]


async def cursors_of(api: Api) -> list[str]:
    edges = (await api.ask(PAGE, {"first": 100}))["sipTrunks"]["edges"]
    return [edge["cursor"] for edge in edges]


async def refusal(house: House, **arguments: Any) -> str:
    answer = await house.api.raw(PAGE, arguments)
    assert answer.status_code in {200, 400}
    (error,) = answer.json()["errors"]
    assert not answer.json().get("data")
    message: str = error["message"]
    return message


async def test_all_are_on_one_page_oldest_first(house: House) -> None:
    assert await page(house) == (NUMBERS, False, False)
    assert await page(house, first=7) == (NUMBERS, False, False)
    assert await page(house, last=7) == (NUMBERS, False, False)
    assert await page(house, first=100) == (NUMBERS, False, False)


@pytest.mark.parametrize("size", range(1, 8))
async def test_forwards_every_trunk_is_met_once(house: House, size: int) -> None:
    met: list[str] = []
    after: str | None = None
    while len(met) < 7:
        numbers, has_next, has_previous = await page(house, first=size, after=after)
        met += numbers
        assert (has_next, has_previous) == (len(met) < 7, after is not None)
        after = (await cursors_of(house.api))[len(met) - 1]
    assert met == NUMBERS


@pytest.mark.parametrize("size", range(1, 8))
async def test_backwards_every_trunk_is_met_once(house: House, size: int) -> None:
    met: list[str] = []
    before: str | None = None
    while len(met) < 7:
        numbers, has_next, has_previous = await page(house, last=size, before=before)
        met = numbers + met
        assert (has_next, has_previous) == (before is not None, len(met) < 7)
        before = (await cursors_of(house.api))[-len(met)]
    assert met == NUMBERS


async def test_cursors_bound_a_page_on_both_sides(house: House) -> None:
    cursors = await cursors_of(house.api)
    between = {"after": cursors[1], "before": cursors[5]}
    assert await page(house, **between) == (NUMBERS[2:5], True, True)
    assert await page(house, first=2, **between) == (NUMBERS[2:4], True, True)
    assert await page(house, last=2, **between) == (NUMBERS[3:5], True, True)
    assert await page(house, first=2, before=cursors[5]) == (NUMBERS[:2], True, False)
    assert await page(house, last=2, after=cursors[1]) == (NUMBERS[5:], False, True)


async def test_a_page_beyond_the_end_is_empty(house: House) -> None:
    cursors = await cursors_of(house.api)
    assert await page(house, first=2, after=cursors[-1]) == ([], False, True)
    assert await page(house, last=2, before=cursors[0]) == ([], True, False)
    assert (await page(house, after=cursors[3], before=cursors[3]))[0] == []


async def test_a_cursor_of_a_trunk_that_is_gone_still_bounds(house: House) -> None:
    cursors = await cursors_of(house.api)
    ends = SipTrunk.filter(phone_number__in=(NUMBERS[0], NUMBERS[-1]))
    await ends.update(status=TrunkStatus.RELEASING)
    assert await page(house, after=cursors[0]) == (NUMBERS[1:-1], False, False)
    assert await page(house, last=9, before=cursors[-1]) == (NUMBERS[1:-1], False, False)
    assert await page(house, first=1, after=cursors[0], before=cursors[2]) == (NUMBERS[1:2], True, False)
    await ends.update(status=TrunkStatus.ACTIVE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"first": 1, "last": 1}, "Give either first or last, not both."),
        ({"first": 0}, "first must be from 1 to 100."),
        ({"first": -1}, "first must be from 1 to 100."),
        ({"first": 101}, "first must be from 1 to 100."),
        ({"last": 0}, "last must be from 1 to 100."),
        ({"last": -(2**31)}, "last must be from 1 to 100."),
        ({"last": 101}, "last must be from 1 to 100."),
    ],
)
async def test_a_wrong_size_is_refused(house: House, arguments: dict[str, int], message: str) -> None:
    assert await refusal(house, **arguments) == message


@pytest.mark.parametrize("first", [2**31, 10**400, 1.5, "1", True])
async def test_a_size_that_is_no_int_is_refused(house: House, first: Any) -> None:
    assert await refusal(house, first=first)


@pytest.mark.parametrize("side", ["after", "before"])
@pytest.mark.parametrize(
    "cursor",
    ["", " ", "x", "null", "\x00", "\N{GRINNING FACE}", "=" * 10, "A" * 10_000, base64.b64encode(bytes(60)).decode()],
)
async def test_garbage_for_a_cursor_is_refused(house: House, side: str, cursor: str) -> None:
    assert await refusal(house, **{side: cursor}) == FOREIGN


async def test_an_altered_cursor_is_refused(house: House) -> None:
    cursor = (await cursors_of(house.api))[3]
    for position in range(0, len(cursor) - 1, 5):
        altered = cursor[:position] + ("B" if cursor[position] != "B" else "C") + cursor[position + 1 :]
        assert await refusal(house, after=altered) == FOREIGN
    assert await refusal(house, after=cursor[:-4]) == FOREIGN


async def test_a_cursor_is_opaque_and_stays_valid(house: House) -> None:
    cursors = await cursors_of(house.api)
    assert len(set(cursors)) == 7
    assert all(cursor.isascii() and "trunk_" not in cursor for cursor in cursors)
    assert await cursors_of(house.api) == cursors


async def test_trunks_of_one_instant_are_told_apart(house: House) -> None:
    at: datetime = (await SipTrunk.get(phone_number=NUMBERS[3])).created_at
    await SipTrunk.filter(phone_number__in=NUMBERS[1:6]).update(created_at=at)
    cursors = await cursors_of(house.api)
    pages = [(await page(house, first=1, after=cursor))[0] for cursor in cursors]
    assert pages == [*([number] for number in NUMBERS[1:]), []]
    for number, position in zip(NUMBERS, range(-3, 4), strict=True):
        await SipTrunk.filter(phone_number=number).update(created_at=at + timedelta(seconds=position))


async def other_api(house: House) -> httpx.AsyncClient:
    """A client of another workspace."""
    workspace = await Workspace.create(id=new_id("ws"), name=new_id("name"), created_at=await database.now())
    ring = Keyring.parse((house.settings.data_folder / "secret-keys").read_text())
    _key, secret = await create_key(ring, workspace.id, "other")
    transport = house.api.client._transport  # noqa: SLF001  # the same app
    headers = {"authorization": f"Bearer {secret.reveal()}"}
    return httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)


async def test_another_workspace_sees_nothing_of_it(house: House) -> None:
    trunk_id = (await house.api.trunks())[0]["id"]
    cursor = (await cursors_of(house.api))[0]
    async with await other_api(house) as client:
        other = House(Api(client), house.voice, house.settings)
        assert await page(other) == ([], False, False)
        assert await other.api.ask("{ sipTrunks { totalCount } }") == {"sipTrunks": {"totalCount": 0}}
        assert await refusal(other, after=cursor) == FOREIGN
        assert await other.api.ask(NODE, {"id": trunk_id}) == {"node": None, "sipTrunk": None}


async def test_the_total_is_counted_only_when_it_is_asked_for(house: House) -> None:
    with statements_about("sip_trunk") as statements:
        await house.api.ask("{ sipTrunks(first: 2) { nodes { phoneNumber } pageInfo { hasNextPage } } }")
    assert len(statements) == 1
    assert "COUNT" not in statements[0]
    with statements_about("sip_trunk") as statements:
        found = await house.api.ask("{ sipTrunks(first: 2) { totalCount nodes { phoneNumber } } }")
    assert found["sipTrunks"]["totalCount"] == 7
    assert [("COUNT" in statement) for statement in statements] == [False, True]


async def test_no_page_is_reached_by_an_offset(house: House) -> None:
    cursors = await cursors_of(house.api)
    with statements_about("sip_trunk") as statements:
        await page(house, first=2, after=cursors[3])
        await page(house, last=2, before=cursors[3])
    assert not any("OFFSET" in statement for statement in statements)


async def test_the_legs_of_a_page_are_read_with_one_query(house: House) -> None:
    with statements_about("trunk_leg") as statements:
        await house.api.trunks()
    assert len(statements) == 1


async def test_a_node_is_found_by_its_id(house: House) -> None:
    trunk = (await house.api.trunks())[4]
    found = await house.api.ask(NODE, {"id": trunk["id"]})
    assert found["node"] == {"__typename": "SipTrunk", "id": trunk["id"], "phoneNumber": NUMBERS[4]}
    assert found["sipTrunk"] == {"id": trunk["id"]}


STRANGE_IDS: list[Any] = [
    "",
    " ",
    "0",
    7,
    "trunk_",
    "trunk",
    "x" * 10_000,
    "\x00",
    "trunk_\x00",
    "trunk_" + "0" * 25 + "\x00",
    "trunk_" + "0" * 26 + "\n",
    "\N{GRINNING FACE}",
    "trunk_" + "\N{GRINNING FACE}" * 26,
    "TRUNK_" + "0" * 26,
    "trunk_" + "I" * 26,
    "' OR 1=1 --",
    "%",
    "null",
]


@pytest.mark.parametrize("strange", STRANGE_IDS)
async def test_a_malformed_id_is_unknown_and_not_looked_up(house: House, strange: Any) -> None:
    with statements_about("sip_trunk") as statements:
        assert await house.api.ask(NODE, {"id": strange}) == {"node": None, "sipTrunk": None}
    assert statements == []


async def test_an_unknown_id_is_null(house: House) -> None:
    for unknown in (new_id("trunk"), "trunk_" + "0" * 26, new_id("ws")):
        assert await house.api.ask(NODE, {"id": unknown}) == {"node": None, "sipTrunk": None}


async def test_a_claim_has_no_id_yet(house: House) -> None:
    claimed = await SipTrunk.get(phone_number="9999")
    assert await house.api.ask(NODE, {"id": claimed.id}) == {"node": None, "sipTrunk": None}


async def test_ids_sort_by_the_time_they_were_made(house: House) -> None:
    ids = [trunk["id"] for trunk in await house.api.trunks()]
    assert ids == sorted(ids)
