"""One trunk's trouble is its own: it stops neither the reconciler nor another trunk, and does not spin."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tortoise.exceptions import IntegrityError

from models.sip_trunk import SipTrunk
from models.trunk_leg import LegKind, TrunkLeg
from tests.api import codes, quick_settings, served_house, until
from tests.faulty_voice import Fail, at, faultless, first_of
from trunkline import reconcile
from trunkline.converge import converge
from trunkline.services import Services
from trunkline.voice import InboundTrunk, Marker, VoiceCause, VoiceError

LOST = Fail(VoiceError(VoiceCause.OUTCOME_UNKNOWN, "No answer."))
THREE_DEEP = """{ sipTrunks { nodes { assistants { phoneNumber { assistants { phoneNumber { assistants { id }
  } } } } } } }"""


async def test_an_object_that_cannot_be_removed_stops_nobody(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        await house.api.create()
        (own,) = await house.voice.inner.list(LegKind.OUTBOUND)
        await house.voice.inner.create(own.leg)
        house.voice.plan = at("delete", LegKind.OUTBOUND, LOST)
        await until(lambda: _happened(house.voice.count("delete") > 1))
        created = await house.api.create(phoneNumber="+40741926266", provisioning="BACKGROUND")
        await house.api.trunk_in(created["sipTrunk"]["id"], "ACTIVE")


async def test_a_removal_that_fails_is_not_repeated_at_once(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path, reconcile_interval=1.0)
    failing = first_of(at("create", LegKind.OUTBOUND, LOST), at("delete", LegKind.INBOUND, LOST))
    async with served_house(settings, failing) as house:
        trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
        await until(lambda: _happened(house.voice.count("create", LegKind.OUTBOUND) > 0))
        await asyncio.sleep(1.0)  # so that the time of the outbound leg's next attempt has passed
        await house.api.delete(trunk["id"])
        house.voice.forget()
        await asyncio.sleep(1.0)
        assert house.voice.count("delete") <= 4
        house.voice.plan = faultless
        await house.api.gone(trunk["id"])


async def test_what_nobody_expected_of_one_trunk_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: list[str] = []

    async def breaking(services: Services, trunk: SipTrunk) -> VoiceError | None:
        if trunk.id in broken:
            raise IntegrityError("nobody expected this")
        return await converge(services, trunk)

    monkeypatch.setattr(reconcile, "converge", breaking)
    async with served_house(quick_settings(tmp_path)) as house:
        first = (await house.api.create())["sipTrunk"]["id"]
        broken.append(first)
        (held,) = await house.voice.inner.list(LegKind.OUTBOUND)
        await house.voice.inner.delete(LegKind.OUTBOUND, held.voice_id)
        await house.api.trunk_in(first, "DEGRADED")
        second = await house.api.create(phoneNumber="+40741926266", provisioning="BACKGROUND")
        await house.api.trunk_in(second["sipTrunk"]["id"], "ACTIVE")
        broken.clear()
        await house.api.trunk_in(first, "ACTIVE")


async def test_a_change_does_not_take_a_number_that_somebody_else_has_at_the_voice_backend(tmp_path: Path) -> None:
    """LiveKit accepts such an update, and then both trunks fail."""
    async with served_house(quick_settings(tmp_path)) as house:
        trunk = (await house.api.create())["sipTrunk"]
        (own,) = await house.voice.inner.list(LegKind.INBOUND)
        assert isinstance(own.leg, InboundTrunk)
        await house.voice.inner.create(replace(own.leg, numbers=("40 741 926 266",), metadata=""))
        payload = await house.api.update(trunk["id"], phoneNumber="+40741926266")
        assert codes(payload) == ["NUMBER_IN_USE"]
        assert payload["sipTrunk"] == trunk | {"updatedAt": payload["sipTrunk"]["updatedAt"]}
        held = {each.voice_id: each.leg for each in await house.voice.inner.list(LegKind.INBOUND)}
        assert held[own.voice_id] == own.leg


async def test_an_object_that_another_installation_marked_is_left_alone_until_it_is_asked_for(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        trunk = (await house.api.create())["sipTrunk"]
        (out,) = await house.voice.inner.list(LegKind.OUTBOUND)
        assert out.marker
        theirs = Marker("inst_anothers", out.marker.workspace, out.marker.trunk, LegKind.OUTBOUND, 1).to_metadata()
        await house.voice.inner.replace(out.voice_id, replace(out.leg, metadata=theirs))
        await house.api.trunk_in(trunk["id"], "DEGRADED")
        await house.voice.inner.delete(LegKind.INBOUND, trunk["inboundTrunkId"])
        await until(lambda: _is_made_again(trunk["id"], trunk["inboundTrunkId"]))
        found = await house.voice.inner.find(LegKind.OUTBOUND, out.voice_id)
        assert found
        assert found.leg.metadata == theirs
        assert codes(await house.api.reprovision(trunk["id"])) == []
        found = await house.voice.inner.find(LegKind.OUTBOUND, out.voice_id)
        assert found
        assert found.leg.metadata != theirs


async def test_lists_inside_of_lists_are_weighed(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        response = await house.api.raw(THREE_DEEP)
        assert response.status_code in (200, 400)
        assert "data" not in response.json() or response.json()["data"] is None


async def _happened(true: bool) -> bool:
    return true


async def _is_made_again(trunk_id: str, old_id: str) -> bool:
    leg = await TrunkLeg.get(trunk_id=trunk_id, kind=LegKind.INBOUND)
    return leg.voice_id not in (None, old_id)
