"""Orphans are removed when they are known to be given up, and nothing else ever is."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from models.identifiers import new_id
from models.sip_trunk import CalledText, RetiredTrunk, SipTrunk
from models.trunk_leg import LegKind, TrunkLeg
from models.workspace import Installation
from tests.api import House, quick_settings, served_house, until
from tests.behind_our_back import everything, forget_the_database, held_of, is_settled, marker_of, passes, whole_trunk
from trunkline import database
from trunkline.voice import InboundTrunk, VoiceBackend
from trunkline.voice.sandbox import SandboxVoice

SETTLE_SECONDS = 0.2


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path, settle_time=SETTLE_SECONDS, max_removals=3)) as house:
        yield house


async def orphans(voice: VoiceBackend, trunk_id: str, count: int = 1) -> set[str]:
    """Inbound trunks with our own installation's marker that no leg owns."""
    (model,) = [held.leg for held in await voice.list(LegKind.INBOUND)][:1]
    assert isinstance(model, InboundTrunk)
    marked = replace(model, metadata=await marker_of(trunk_id))
    return {await voice.create(replace(marked, numbers=(f"+4930{trunk_id[-6:]}{n}",))) for n in range(count)}


async def retired() -> str:
    trunk_id = new_id("trunk")
    await RetiredTrunk.create(id=trunk_id, retired_at=await database.now())
    return trunk_id


async def test_what_arrives_late_of_a_trunk_that_is_gone_is_removed(house: House) -> None:
    voice, whole = house.voice.inner, await whole_trunk(house.api)
    await orphans(voice, await retired(), 2)

    async def swept() -> bool:
        return await everything(voice) == set(whole.voice_ids.values())

    await until(swept)
    assert house.voice.count("delete") == 2


async def test_a_second_object_of_a_living_leg_is_removed_and_never_the_first(house: House) -> None:
    voice, whole = house.voice.inner, await whole_trunk(house.api)
    outbound = await held_of(voice, whole, LegKind.OUTBOUND)
    await voice.create(outbound.leg)

    async def swept() -> bool:
        return await everything(voice) == set(whole.voice_ids.values())

    await until(swept)
    assert [(call.method, call.kind) for call in house.voice.writes[-1:]] == [("delete", LegKind.OUTBOUND)]


async def test_an_orphan_is_removed_only_after_the_settle_time(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path, settle_time=60, reconcile_interval=0.05)
    async with served_house(settings) as house:
        voice, whole = house.voice.inner, await whole_trunk(house.api)
        young = await orphans(voice, await retired())
        await passes(house, 5)
        assert await everything(voice) == {*whole.voice_ids.values(), *young}


async def test_too_many_removals_at_once_stop_and_say_what_to_do(house: House) -> None:
    voice, whole = house.voice.inner, await whole_trunk(house.api)
    with capture_logs() as lines:
        doomed = await orphans(voice, await retired(), 4)
        await until(lambda: told(lines, "sweep_stopped"))
        await passes(house, 3)
    assert await everything(voice) == {*whole.voice_ids.values(), *doomed}
    (line,) = [line for line in lines if line["event"] == "sweep_stopped"]
    assert line["count"] == 4
    assert "TRUNKLINE_MAX_REMOVALS" in line["advice"]


async def told(lines: Iterable[Mapping[str, Any]], event: str) -> bool:
    return any(line["event"] == event for line in lines)


async def test_a_database_that_is_older_than_the_objects_removes_nothing(house: House) -> None:
    """Yesterday's backup: the trunk of today is in no row, and its objects carry our marker."""
    voice, whole = house.voice.inner, await whole_trunk(house.api)
    with capture_logs() as lines:
        await TrunkLeg.all().delete()
        await CalledText.all().delete()
        await SipTrunk.all().delete()
        await until(lambda: told(lines, "unknown_objects"))
        await passes(house, 4)
    assert house.voice.count("delete") == 0
    assert await everything(voice) == set(whole.voice_ids.values())
    (line,) = [line for line in lines if line["event"] == "unknown_objects"]
    assert line["count"] == len(LegKind)
    assert "adopt" in line["advice"]


async def test_another_installation_removes_nothing_of_ours(tmp_path: Path) -> None:
    """A lost or a wrong database beside the same voice backend."""
    settings = quick_settings(tmp_path, sandbox_file=tmp_path / "sandbox.db")
    async with served_house(settings) as house:
        whole = await whole_trunk(house.api)
        ours = await Installation.get()
    forget_the_database(tmp_path)
    async with served_house(settings) as house:
        assert (await Installation.get()).id != ours.id
        await passes(house, 4)
        assert house.voice.writes == []
        assert await everything(house.voice.inner) == set(whole.voice_ids.values())


async def test_second_objects_of_a_leg_that_is_lost_are_taken_and_not_swept(house: House) -> None:
    """A backup from before the legs were made again: the rows name old ids, the objects carry the same marker."""
    voice, whole = house.voice.inner, await whole_trunk(house.api)
    await TrunkLeg.filter(kind=LegKind.OUTBOUND).update(voice_id="ST_ofYesterday1")

    async def taken() -> bool:
        return await is_settled() and not await TrunkLeg.exists(voice_id="ST_ofYesterday1")

    await until(taken)
    await passes(house, 3)
    assert await everything(voice) == set(whole.voice_ids.values())
    assert house.voice.count("delete") == 0


async def test_everything_that_was_lost_at_once_comes_back_by_itself(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.drift.AT_ONCE", 4)
    monkeypatch.setattr("trunkline.reconcile.REFILL_SECONDS", 0.1)
    voice = house.voice.inner
    for number in range(6):
        await whole_trunk(house.api, phoneNumber=f"+4074192600{number}")
    before = {held.voice_id: held.leg for kind in LegKind for held in await voice.list(kind)}
    await passes(house, 1)
    forget_everything(voice)

    async def refilled() -> bool:
        return len(await everything(voice)) == len(before) and await is_settled()

    created = (await house.api.create(phoneNumber="+40741926100"))["sipTrunk"]  # users are served meanwhile
    assert created["status"] == "ACTIVE"
    before |= {held.voice_id: held.leg for kind in LegKind for held in await voice.list(kind)}
    await until(refilled)
    assert house.voice.count("create") == 6 * 4 + 2


def forget_everything(voice: VoiceBackend) -> None:
    """As a Redis without persistence that starts anew."""
    assert isinstance(voice, SandboxVoice)
    for table in ("held", "called"):
        voice._db.execute(f"DELETE FROM {table}")  # noqa: S608, SLF001  # behind everybody's back
