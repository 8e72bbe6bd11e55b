"""createSipTrunk in BACKGROUND: visible at once, then ACTIVE, or FAILED with the cause at the leg."""

import asyncio
from pathlib import Path

import pytest

from models.trunk_leg import LegKind
from tests.api import codes, quick_settings, served_house
from tests.faulty_voice import Fail, Hang, at, faultless
from trunkline.voice import VoiceCause, VoiceError

TRUNKS = (LegKind.INBOUND, LegKind.OUTBOUND)


def failing(cause: VoiceCause, *, after: bool = False) -> Fail:
    return Fail(VoiceError(cause, "This is why."), after=after)


async def test_the_trunk_is_visible_at_once_and_active_soon(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, reconcile_interval=30)) as house:
        payload = await house.api.create(provisioning="BACKGROUND")
        assert payload["message"] == "SIP trunk created successfully."
        trunk = payload["sipTrunk"]
        assert (trunk["status"], trunk["inboundTrunkId"], trunk["outboundTrunkId"]) == ("PROVISIONING", None, None)
        made = await house.api.trunk_in(trunk["id"], "ACTIVE")
        assert {made["inboundTrunkId"], made["outboundTrunkId"]} == (await house.held()).keys()
        assert (made["revision"], made["createdAt"]) == (1, trunk["createdAt"])
        assert [call.kind for call in house.voice.writes] == list(TRUNKS)


async def test_the_answer_does_not_wait_for_the_voice_backend(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, provision_timeout=15.0), lambda _call: Hang()) as house:
        async with asyncio.timeout(10):
            trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
        assert trunk["status"] == "PROVISIONING"
        assert codes(await house.api.create(sipUsername="bob")) == ["NUMBER_IN_USE"]
        assert codes(await house.api.create(provisioning="BACKGROUND")) == ["ALREADY_EXISTS"]


async def test_broken_rules_save_nothing(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        assert codes(await house.api.create(provisioning="BACKGROUND", phoneNumber="1")) == ["INVALID_FORMAT"]
        assert await house.api.trunks() == []


@pytest.mark.parametrize("kind", TRUNKS)
@pytest.mark.parametrize(
    ("cause", "code"), [(VoiceCause.REFUSED, "VOICE_REFUSED"), (VoiceCause.CONFLICT, "NUMBER_IN_USE")]
)
async def test_what_is_refused_for_good_fails_with_one_call(
    tmp_path: Path, kind: LegKind, cause: VoiceCause, code: str
) -> None:
    async with served_house(quick_settings(tmp_path), at("create", kind, failing(cause))) as house:
        trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
        failed = await house.api.trunk_in(trunk["id"], "FAILED")
        leg = failed[kind.value]
        assert (leg["state"], leg["attempts"], leg["nextAttemptAt"]) == ("REFUSED", 1, None)
        error = leg["lastError"]
        assert (error["code"], error["message"], error["retryable"]) == (code, "This is why.", False)
        assert error["occurredAt"] >= trunk["createdAt"]
        await asyncio.sleep(4 * house.settings.reconcile_interval)
        assert house.voice.count("create", kind) == 1, "asking again changes nothing"
        assert codes(await house.api.create(sipUsername="bob")) == ["NUMBER_IN_USE"], "a FAILED trunk keeps its number"


RETRIED = [
    (VoiceCause.UNAVAILABLE, "VOICE_UNAVAILABLE", True),
    (VoiceCause.RATE_LIMITED, "RATE_LIMITED", True),
    (VoiceCause.OUTCOME_UNKNOWN, "OUTCOME_UNKNOWN", True),
    (VoiceCause.MISCONFIGURED, "VOICE_MISCONFIGURED", False),
]


@pytest.mark.parametrize("kind", TRUNKS)
@pytest.mark.parametrize(("cause", "code", "retryable"), RETRIED)
async def test_everything_else_is_retried_and_the_retry_is_visible(
    tmp_path: Path, kind: LegKind, cause: VoiceCause, code: str, *, retryable: bool
) -> None:
    async with served_house(quick_settings(tmp_path), at("create", kind, failing(cause))) as house:
        trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
        async with asyncio.timeout(30):
            while True:
                standing = await house.api.trunk(trunk["id"])
                assert standing
                if standing[kind.value]["lastError"]:
                    break
                await asyncio.sleep(0.02)
        leg = standing[kind.value]
        assert standing["status"] == "PROVISIONING"
        assert leg["state"] == "PENDING"
        assert (leg["lastError"]["code"], leg["lastError"]["retryable"]) == (code, retryable)
        assert leg["nextAttemptAt"] > leg["lastError"]["occurredAt"]
        assert leg["attempts"] == (1 if cause is VoiceCause.OUTCOME_UNKNOWN else 0), "an outage is not the trunk's"
        house.voice.plan = faultless
        made = await house.api.trunk_in(trunk["id"], "ACTIVE")
        assert (made[kind.value]["lastError"], made[kind.value]["attempts"]) == (None, 0)
        assert len(await house.held()) == 2


async def test_attempts_are_counted_and_come_less_and_less_often(tmp_path: Path) -> None:
    plan = at("create", LegKind.INBOUND, failing(VoiceCause.OUTCOME_UNKNOWN))
    async with served_house(quick_settings(tmp_path), plan) as house:
        trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
        async with asyncio.timeout(30):
            while True:
                standing = await house.api.trunk(trunk["id"])
                assert standing
                if standing["inbound"]["attempts"] == 3:
                    break
                await asyncio.sleep(0.05)
        assert house.voice.count("create") == 3
        house.voice.plan = faultless
        await house.api.trunk_in(trunk["id"], "ACTIVE")


@pytest.mark.parametrize("kind", TRUNKS)
async def test_a_lost_reply_never_makes_a_leg_twice(tmp_path: Path, kind: LegKind) -> None:
    lost = at("create", kind, failing(VoiceCause.OUTCOME_UNKNOWN, after=True), nth=1)
    async with served_house(quick_settings(tmp_path), lost) as house:
        trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
        await house.api.trunk_in(trunk["id"], "ACTIVE")
        assert house.voice.count("create") == 2
        assert len(await house.held()) == 2


async def test_a_stop_and_a_start_go_on_with_the_work(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings, lambda _call: failing(VoiceCause.UNAVAILABLE)) as house:
        trunk = (await house.api.create(provisioning="BACKGROUND"))["sipTrunk"]
    async with served_house(settings) as house:
        await house.api.trunk_in(trunk["id"], "ACTIVE")
        assert len(await house.held()) == 2


async def test_a_background_creation_continues_what_a_failed_one_left(tmp_path: Path) -> None:
    plan = at("create", LegKind.OUTBOUND, Hang(after=True), nth=1)
    async with served_house(quick_settings(tmp_path, reconcile_interval=30), plan) as house:
        await house.api.create()
        trunk = await house.api.create(provisioning="BACKGROUND")
        assert codes(trunk) in ([], ["ALREADY_EXISTS"])
        (standing,) = await house.api.trunks()
        await house.api.trunk_in(standing["id"], "ACTIVE")
        assert len(await house.held()) == 2
