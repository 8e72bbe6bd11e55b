"""Changes, removals and keyed creations at once: one suite for SQLite and for PostgreSQL. None hangs, none fails."""

import asyncio
from collections import Counter
from typing import Any

from models.sip_trunk import CalledText
from models.trunk_leg import LegKind
from tests.api import House, codes, served_house
from trunkline.settings import Settings
from trunkline.voice import InboundTrunk

AT_ONCE = 20
PATIENCE_SECONDS = 60.0
Answers = Counter[tuple[str, ...]]


def counted(payloads: list[dict[str, Any]]) -> Answers:
    return Counter(tuple(codes(payload)) for payload in payloads)


async def created(house: House) -> dict[str, Any]:
    trunk: dict[str, Any] = (await house.api.create())["sipTrunk"]
    house.voice.forget()
    return trunk


async def legs_are(house: House, name: str) -> None:
    held = (await house.held()).values()
    assert sorted(leg.kind for leg in held) == [LegKind.INBOUND, LegKind.OUTBOUND]
    assert {getattr(leg, "name", "") for leg in held} == {name}


async def of_changes_of_one_revision_exactly_one_is_made(settings: Settings) -> None:
    async with served_house(settings) as house, asyncio.timeout(PATIENCE_SECONDS):
        trunk = await created(house)
        for revision in (1, 2, 3):
            changes = [
                house.api.update(trunk["id"], nickname=f"r{revision} n{number}", expectedRevision=revision)
                for number in range(AT_ONCE)
            ]
            payloads = await asyncio.gather(*changes)
            assert counted(payloads) == {(): 1, ("STALE_REVISION",): AT_ONCE - 1}
            (winner,) = [payload["sipTrunk"] for payload in payloads if not codes(payload)]
            assert winner["revision"] == revision + 1
            assert house.voice.count("replace") == 2 * revision
            await legs_are(house, winner["nickname"])


async def changes_of_different_fields_are_all_made(settings: Settings) -> None:
    async with served_house(settings) as house, asyncio.timeout(PATIENCE_SECONDS):
        trunk = await created(house)
        fields: list[dict[str, Any]] = [
            {"nickname": "Reception"},
            {"sipUsername": "bob"},
            {"sipPort": 5080},
            {"sipTransport": "TCP"},
            {"phoneNumber": "+40741926266"},
        ]
        payloads = await asyncio.gather(*(house.api.update(trunk["id"], **each) for each in fields))
        assert counted(payloads) == {(): len(fields)}
        standing = await house.api.trunk_in(trunk["id"], "ACTIVE")
        assert standing.items() >= {name: value for each in fields for name, value in each.items()}.items()
        assert standing["revision"] == 1 + len(fields)
        await legs_are(house, "Reception")


async def of_changes_onto_one_number_exactly_one_is_made(settings: Settings) -> None:
    async with served_house(settings) as house, asyncio.timeout(PATIENCE_SECONDS):
        own = [{"phoneNumber": f"+4074192640{number}", "sipUsername": f"user{number}"} for number in range(5)]
        ids = [(await house.api.create(**each))["sipTrunk"]["id"] for each in own]
        payloads = await asyncio.gather(*(house.api.update(each, phoneNumber="+40741926999") for each in ids))
        assert counted(payloads)[()] == 1
        assert set(counted(payloads)) == {(), ("NUMBER_IN_USE",)}
        numbers = [leg.numbers for leg in (await house.held()).values() if isinstance(leg, InboundTrunk)]
        assert numbers.count(("+40741926999",)) == 1
        assert await CalledText.all().count() == len(ids), "nobody kept a number that was refused"


async def removals_all_succeed_or_come_too_late(settings: Settings) -> None:
    async with served_house(settings) as house, asyncio.timeout(PATIENCE_SECONDS):
        trunk = await created(house)
        await house.api.answered_by(trunk["id"])
        house.voice.forget()
        payloads = await asyncio.gather(*(house.api.delete(trunk["id"]) for _ in range(AT_ONCE)))
        answers = counted(payloads)
        assert answers[()] >= 1
        assert set(answers) <= {(), ("NOT_FOUND",)}
        assert {payload["deletedId"] for payload in payloads if not codes(payload)} == {trunk["id"]}
        assert house.voice.count("delete") == len((LegKind.INBOUND, LegKind.OUTBOUND, LegKind.DISPATCH))
        assert codes(await house.api.delete(trunk["id"])) == ["NOT_FOUND"]
        assert await house.held() == {}


async def creations_with_one_key_make_one_trunk(settings: Settings) -> None:
    async with served_house(settings) as house, asyncio.timeout(PATIENCE_SECONDS):
        payloads = await asyncio.gather(*(house.api.create(idempotencyKey="order-4711") for _ in range(AT_ONCE)))
        assert counted(payloads) == {(): AT_ONCE}
        assert payloads == [payloads[0]] * AT_ONCE
        assert house.voice.count("create") == 2
        assert len(await house.api.trunks()) == 1


async def background_creations_with_one_key_make_one_trunk(settings: Settings) -> None:
    async with served_house(settings) as house, asyncio.timeout(PATIENCE_SECONDS):
        create = house.api.create
        payloads = await asyncio.gather(
            *(create(idempotencyKey="order-4711", provisioning="BACKGROUND") for _ in range(AT_ONCE))
        )
        assert counted(payloads) == {(): AT_ONCE}
        (trunk_id,) = {payload["sipTrunk"]["id"] for payload in payloads}
        await house.api.trunk_in(trunk_id, "ACTIVE")
        assert house.voice.count("create") == 2


async def changes_against_a_removal_leave_nothing(settings: Settings) -> None:
    async with served_house(settings) as house, asyncio.timeout(PATIENCE_SECONDS):
        trunk = await created(house)
        numbers = [f"+407419264{number:02}" for number in range(AT_ONCE)]
        changes = [house.api.update(trunk["id"], phoneNumber=number, nickname=number) for number in numbers]
        removal, *changed = await asyncio.gather(house.api.delete(trunk["id"]), *changes)
        assert removal["deletedId"] == trunk["id"]
        assert set(counted(changed)) <= {(), ("NOT_FOUND",)}
        assert await house.held() == {}
        assert await house.api.trunks() == []
        assert await CalledText.all().count() == 0


async def changes_provisionings_and_removals_of_many_end_well(settings: Settings) -> None:
    async with served_house(settings) as house, asyncio.timeout(PATIENCE_SECONDS):
        made = await asyncio.gather(*(house.api.create(phoneNumber=f"+407419263{each:02}") for each in range(6)))
        ids = [payload["sipTrunk"]["id"] for payload in made]
        work = [house.api.update(each, nickname=f"n{turn}") for each in ids for turn in range(3)]
        work += [house.api.reprovision(each) for each in ids]
        work += [house.api.delete(each) for each in ids[:3]]
        payloads = await asyncio.gather(*work)
        assert set(counted(payloads)) <= {(), ("NOT_FOUND",)}
        left = await house.api.trunks()
        assert {trunk["id"] for trunk in left} == set(ids[3:])
        assert {trunk["status"] for trunk in left} == {"ACTIVE"}
        held = await house.held()
        assert held.keys() == {trunk[f"{leg}TrunkId"] for trunk in left for leg in ("inbound", "outbound")}


ALL = (
    of_changes_of_one_revision_exactly_one_is_made,
    changes_of_different_fields_are_all_made,
    of_changes_onto_one_number_exactly_one_is_made,
    removals_all_succeed_or_come_too_late,
    creations_with_one_key_make_one_trunk,
    background_creations_with_one_key_make_one_trunk,
    changes_against_a_removal_leave_nothing,
    changes_provisionings_and_removals_of_many_end_well,
)
