"""The plan of updateSipTrunk: what each change costs at the voice backend, told by a dry run and kept to."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from models.sip_trunk import SipTrunk
from models.trunk_leg import LegKind
from tests.api import PASSWORD, House, codes, quick_settings, served_house

BOTH = [("replace", LegKind.INBOUND), ("replace", LegKind.OUTBOUND)]
INBOUND, OUTBOUND = BOTH[:1], BOTH[1:]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path)) as house:
        yield house


async def created(house: House) -> dict[str, Any]:
    trunk: dict[str, Any] = (await house.api.create())["sipTrunk"]
    house.voice.forget()
    return trunk


def writes(house: House) -> list[tuple[str, LegKind | None]]:
    return [(call.method, call.kind) for call in house.voice.writes]


COSTS: list[tuple[dict[str, Any], list[tuple[str, LegKind]]]] = [
    ({"nickname": "Reception"}, BOTH),
    ({"countryCode": "XK", "phoneNumber": "+80012345678"}, BOTH),
    ({"sipUsername": "bob"}, BOTH),
    ({"sipPassword": "another-password"}, BOTH),
    ({"sipAddress": "8.8.8.8"}, OUTBOUND),
    ({"sipPort": 5080}, OUTBOUND),
    ({"sipTransport": "TCP"}, OUTBOUND),
    ({"mediaEncryption": "ALLOWED"}, OUTBOUND),
    ({"mediaEncryption": "DISABLED"}, INBOUND),
    ({"mediaEncryption": "REQUIRED"}, BOTH),
    ({"sipCallingFormat": "E164"}, OUTBOUND),
    ({"sipCallingFormat": "NATIONAL"}, BOTH),
    ({"inboundAuthorizationType": "IP", "allowedInboundIps": ["8.8.8.8"]}, INBOUND),
    ({"outboundProxy": True}, [("create", LegKind.EDGE), *OUTBOUND]),
]


@pytest.mark.parametrize(("changes", "costs"), COSTS, ids=str)
async def test_a_change_writes_the_legs_of_its_plan_and_no_other(
    house: House, changes: dict[str, Any], costs: list[tuple[str, LegKind]]
) -> None:
    trunk = await created(house)
    before = await house.held()
    planned = await house.api.update(trunk["id"], **changes, dryRun=True)
    assert planned["message"] == "This is what the change would do; nothing was changed."
    assert planned["sipTrunk"] == trunk
    assert await house.held() == before
    assert (await SipTrunk.get()).previous is None
    payload = await house.api.update(trunk["id"], **changes, expectedRevision=1)
    assert payload["plan"] == planned["plan"]
    assert writes(house) == costs
    assert set(payload["plan"]["changedFields"]) == changes.keys()
    in_place = {"inbound": INBOUND[0] in costs, "outbound": OUTBOUND[0] in costs, "dispatch": False}
    assert (
        payload["plan"].items()
        >= {leg: "UPDATE_IN_PLACE" if each else "NONE" for leg, each in in_place.items()}.items()
    )
    assert payload["sipTrunk"]["revision"] == 2
    assert payload["sipTrunk"]["inboundTrunkId"] == trunk["inboundTrunkId"]
    assert payload["sipTrunk"]["outboundTrunkId"] == trunk["outboundTrunkId"]


async def test_a_change_that_changes_nothing_costs_nothing(house: House) -> None:
    trunk = await created(house)
    payload = await house.api.update(
        trunk["id"], nickname=" Front desk ", phoneNumber="+40 (741) 926-265", sipPassword=PASSWORD, sipTransport="UDP"
    )
    assert payload["message"] == "SIP trunk updated successfully."
    assert payload["plan"]["changedFields"] == []
    assert payload["sipTrunk"] == trunk
    assert house.voice.writes == []


async def test_the_plan_names_the_assistants(house: House) -> None:
    trunk = await created(house)
    answering = await house.api.answered_by(trunk["id"])
    calling = await house.api.answered_by(trunk["id"], "Caller", "OUTBOUND")
    payload = await house.api.update(trunk["id"], phoneNumber="+40741926266", dryRun=True)
    affected = [assistant["id"] for assistant in payload["plan"]["assistantsAffected"]]
    assert affected == [answering["id"], calling["id"]]
    house.voice.forget()
    await house.api.update(trunk["id"], phoneNumber="+40741926266")
    assert writes(house) == BOTH, "the rule names the trunk by an id that stays"
    assert ((await house.api.trunk(trunk["id"])) or {})["assistants"] == [answering, calling]


async def test_a_stale_revision_is_refused(house: House) -> None:
    trunk = await created(house)
    changed = (await house.api.update(trunk["id"], nickname="one", expectedRevision=1))["sipTrunk"]
    for revision in (0, 1, 3):
        payload = await house.api.update(trunk["id"], nickname="two", expectedRevision=revision)
        (error,) = payload["userErrors"]
        assert (error["code"], error["field"]) == ("STALE_REVISION", ["input", "expectedRevision"])
        assert payload["sipTrunk"] == changed
    assert codes(await house.api.update(trunk["id"], nickname="two", expectedRevision=2)) == []
