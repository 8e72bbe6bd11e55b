"""What is lost or changed at the voice backend behind our back is put right, and nothing is made twice."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.trunk_leg import LegKind, LegState, TrunkLeg
from tests.api import House, quick_settings, served_house, until
from tests.behind_our_back import (
    EVERY_CHANGE,
    changed,
    every_field,
    everything,
    held_of,
    is_settled,
    marker_of,
    passes,
    whole_trunk,
)
from tests.embellished_voice import Embellished
from trunkline.voice import DispatchRule, Held, InboundTrunk, Marker, OutboundTrunk


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path)) as house:
        yield house


def test_every_field_of_every_leg_is_changed_by_a_test() -> None:
    assert sorted(every_field()) == sorted(EVERY_CHANGE)


@pytest.mark.parametrize(("kind", "name"), EVERY_CHANGE, ids=str)
async def test_a_changed_field_is_corrected_in_place(house: House, kind: LegKind, name: str) -> None:
    voice, whole = house.voice.inner, await whole_trunk(house.api)
    right = await held_of(voice, whole, kind)
    await voice.replace(right.voice_id, changed(right.leg, name))
    house.voice.forget()

    async def corrected() -> bool:
        return await held_of(voice, whole, kind) == right and await is_settled()

    await until(corrected)
    assert [(call.method, call.kind) for call in house.voice.writes] == [("replace", kind)]
    assert await everything(voice) == set(whole.voice_ids.values())


@pytest.mark.parametrize("kind", LegKind)
async def test_a_lost_leg_is_made_again(house: House, kind: LegKind) -> None:
    voice, whole = house.voice.inner, await whole_trunk(house.api)
    right = await held_of(voice, whole, kind)
    await voice.delete(kind, right.voice_id)

    async def made_again() -> bool:
        return len(await everything(voice)) == len(LegKind) and await is_settled()

    await until(made_again)
    (again,) = await voice.list(kind)
    assert again.leg == right.leg
    assert again.voice_id != right.voice_id
    leg = await TrunkLeg.get(trunk_id=whole.trunk_id, kind=kind)
    assert leg.voice_id == again.voice_id


async def test_the_rule_follows_when_the_inbound_leg_is_made_again(house: House) -> None:
    voice, whole = house.voice.inner, await whole_trunk(house.api)
    await voice.delete(LegKind.INBOUND, whole.voice_ids[LegKind.INBOUND])

    async def bound() -> bool:
        inbound = await voice.list(LegKind.INBOUND)
        rule = (await held_of(voice, whole, LegKind.DISPATCH)).leg
        return isinstance(rule, DispatchRule) and [*rule.trunk_ids] == [each.voice_id for each in inbound]

    await until(bound)
    assert len(await everything(voice)) == len(LegKind)


async def test_an_extra_setting_that_no_leg_can_say_is_taken_away(house: House) -> None:
    whole = await whole_trunk(house.api)
    embellished = Embellished(house.voice.inner)
    house.voice.inner = embellished
    embellished.extra = set(whole.voice_ids.values())

    async def plain() -> bool:
        return not embellished.extra and await is_settled()

    await until(plain)
    assert await everything(embellished) == set(whole.voice_ids.values())


async def test_a_list_that_lies_once_leads_to_no_second_creation(house: House) -> None:
    await whole_trunk(house.api)
    liar = Embellished(house.voice.inner)
    house.voice.inner = liar
    house.voice.forget()
    liar.hidden = 4

    async def told_the_truth() -> bool:
        return liar.hidden == 0 and house.voice.count("list") > 8

    await until(told_the_truth)
    assert await is_settled()
    assert house.voice.writes == []
    assert house.voice.count("find") > 0


async def test_a_leg_without_its_marker_is_found_by_its_id_and_never_made_twice(house: House) -> None:
    """Without the marker it would not be known again if its row were lost, nor swept if its trunk were removed."""
    voice, whole = house.voice.inner, await whole_trunk(house.api)
    for kind in LegKind:
        held = await held_of(voice, whole, kind)
        await voice.replace(held.voice_id, replace(held.leg, metadata="overwritten"))

    async def marked_again() -> bool:
        found = [await held_of(voice, whole, kind) for kind in LegKind]
        return all(each.marker and each.marker.trunk == whole.trunk_id for each in found)

    await until(marked_again)
    assert await everything(voice) == set(whole.voice_ids.values())


async def test_a_leg_with_another_installations_marker_is_left_alone_and_told(house: House) -> None:
    voice, whole = house.voice.inner, await whole_trunk(house.api)
    held = await held_of(voice, whole, LegKind.OUTBOUND)
    assert isinstance(held.leg, OutboundTrunk)
    taken = replace(held.leg, metadata=await marker_of("trunk_1", LegKind.OUTBOUND, "inst_another"), name="Theirs")
    await voice.replace(held.voice_id, taken)
    house.voice.forget()

    async def told() -> bool:
        leg = await TrunkLeg.get(trunk_id=whole.trunk_id, kind=LegKind.OUTBOUND)
        return leg.state is LegState.REFUSED and leg.error_code == "VOICE_REFUSED"

    await until(told)
    await passes(house, 2)
    assert house.voice.writes == []
    assert (await held_of(voice, whole, LegKind.OUTBOUND)).leg == taken
    assert [trunk["status"] for trunk in await house.api.trunks()] == ["DEGRADED"]


async def test_what_carries_no_marker_of_ours_is_never_touched(house: House) -> None:
    voice, whole = house.voice.inner, await whole_trunk(house.api)
    model = (await held_of(voice, whole, LegKind.INBOUND)).leg
    assert isinstance(model, InboundTrunk)
    legs = [replace(model, metadata=told, numbers=(f"+4930{number}",)) for number, told in enumerate(FOREIGN)]
    foreign = [Held(await voice.create(leg), leg) for leg in legs]
    await passes(house, 4)
    assert house.voice.writes == []
    for held in foreign:
        assert await voice.find(LegKind.INBOUND, held.voice_id) == held
    assert len(await everything(voice)) == len(whole.voice_ids) + len(foreign)


FOREIGN = ("", "a note", '{"app":"trunkline"}', Marker("inst_x", "ws_x", "trunk_x", LegKind.INBOUND, 1).to_metadata())
