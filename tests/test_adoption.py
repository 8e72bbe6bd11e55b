"""Trunks that exist already become ours in place: the same ids, the same settings, nothing that was not asked for."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.assistant import Assistant
from models.secret import Secret
from models.sip_trunk import CalledText, SipTransport, SipTrunk
from models.trunk_leg import LegKind, TrunkLeg
from models.workspace import Installation
from tests.api import PASSWORD, House, quick_settings, served_house, until
from tests.behind_our_back import everything, forget_the_database, is_settled, passes, whole_trunk
from tests.commands import output, run
from trunkline.voice import Encryption, InboundTrunk, OutboundTrunk, VoiceBackend

NUMBER = "+40741926265"
ADOPT = {"TRUNKLINE_PROVISION_TIMEOUT": "3"}
INBOUND = InboundTrunk(
    name="Front desk",
    numbers=(NUMBER,),
    allowed_addresses=(),
    auth_username="alice",
    auth_password=Secret(PASSWORD),
    encryption=Encryption.DISABLE,
    metadata="",
)
OUTBOUND = OutboundTrunk(
    name="Front desk",
    numbers=(NUMBER,),
    address="8.8.4.4:5070",
    transport=SipTransport.TCP,
    destination_country="RO",
    auth_username="alice",
    auth_password=Secret(PASSWORD),
    encryption=Encryption.DISABLE,
    metadata="",
)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A server that runs: every command here runs beside it, in a process of its own."""
    async with served_house(quick_settings(tmp_path, provision_timeout=3.0)) as house:
        yield house


async def made(voice: VoiceBackend, inbound: InboundTrunk = INBOUND, outbound: OutboundTrunk = OUTBOUND) -> list[str]:
    return [await voice.create(inbound), await voice.create(outbound)]


async def adopting(house: House, *arguments: str) -> str:
    """What `adopt` prints."""
    return await asyncio.to_thread(lambda: output(house.settings.data_folder, "adopt", *arguments, **ADOPT))


async def refusing(house: House, *arguments: str) -> str:
    done = await asyncio.to_thread(lambda: run(house.settings.data_folder, "adopt", *arguments, **ADOPT))
    assert done.returncode == 1
    assert "nothing is changed" in done.stderr
    return done.stderr


async def legs(voice: VoiceBackend) -> dict[str, object]:
    return {held.voice_id: replace(held.leg, metadata="") for kind in LegKind for held in await voice.list(kind)}


async def test_a_pair_is_shown_and_adopted_in_place(house: House) -> None:
    voice = house.voice.inner
    inbound_id, outbound_id = await made(voice)
    before = await legs(voice)
    shown = await adopting(house)
    assert f"{inbound_id} {outbound_id}  {NUMBER}  Front desk" in shown
    assert "changes" not in shown
    assert "missing" not in shown
    assert "Adopted as trunk_" in await adopting(house, inbound_id)
    await until(is_settled)
    assert await legs(voice) == before
    (trunk,) = await house.api.trunks()
    assert (trunk["inboundTrunkId"], trunk["outboundTrunkId"]) == (inbound_id, outbound_id)
    assert (trunk["sipAddress"], trunk["sipPort"], trunk["sipTransport"]) == ("8.8.4.4", 5070, "TCP")
    assert (trunk["mediaEncryption"], trunk["nickname"], trunk["status"]) == ("DISABLED", "Front desk", "ACTIVE")
    assert await adopting(house) == "Nothing is left to adopt.\n"


async def test_an_adopted_trunk_is_kept_true_like_any_other(house: House) -> None:
    voice = house.voice.inner
    inbound_id, outbound_id = await made(voice)
    await adopting(house, inbound_id, outbound_id)
    await until(is_settled)
    await voice.delete(LegKind.OUTBOUND, outbound_id)

    async def made_again() -> bool:
        return len(await voice.list(LegKind.OUTBOUND)) == 1 and await is_settled()

    await until(made_again)
    await passes(house, 2)
    assert house.voice.writes == []


@pytest.mark.parametrize("shown", [NUMBER, "40741926265", "0741926265"])
async def test_the_outbound_trunk_is_found_in_any_calling_format(house: House, shown: str) -> None:
    ids = await made(house.voice.inner, outbound=replace(OUTBOUND, numbers=(shown,)))
    assert " ".join(ids) in await adopting(house)


async def test_what_would_change_is_told_and_refused_unless_it_is_named(house: House) -> None:
    voice = house.voice.inner
    inbound_id, _ = await made(voice, inbound=replace(INBOUND, ringing_timeout=180))
    assert "changes: inbound.ringing_timeout from 180 to 30" in await adopting(house)
    refused = await refusing(house, inbound_id)
    assert "--accept-changes inbound.ringing_timeout" in refused
    assert not await SipTrunk.exists()
    assert not await CalledText.exists()
    await adopting(house, inbound_id, "--accept-changes", "inbound.ringing_timeout")
    await until(is_settled)
    held = await voice.find(LegKind.INBOUND, inbound_id)
    assert held
    assert isinstance(held.leg, InboundTrunk)
    assert held.leg.ringing_timeout == 30


@pytest.mark.parametrize(
    ("inbound", "outbound", "change"),
    [
        (INBOUND, replace(OUTBOUND, auth_username="bob"), "inbound.auth_username"),
        (INBOUND, replace(OUTBOUND, auth_password=Secret("another one of it")), "inbound.auth_password"),
        (replace(INBOUND, allowed_addresses=("8.8.8.8",)), OUTBOUND, "inbound.allowed_addresses"),
        (replace(INBOUND, numbers=(NUMBER, "+40741926266")), OUTBOUND, "inbound.numbers"),
        (replace(INBOUND, encryption=Encryption.REQUIRE), OUTBOUND, "inbound.encryption"),
        (INBOUND, replace(OUTBOUND, destination_country=""), "outbound.destination_country"),
        (INBOUND, replace(OUTBOUND, auth_username="", auth_password=Secret("")), "outbound.auth_username"),
        (INBOUND, replace(OUTBOUND, numbers=(NUMBER, "+40741926266")), "outbound.numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_no_setting_is_changed_in_silence(
    house: House, inbound: InboundTrunk, outbound: OutboundTrunk, change: str
) -> None:
    inbound_id, _ = await made(house.voice.inner, inbound, outbound)
    before = await legs(house.voice.inner)
    assert f"It would change {change}" in await refusing(house, inbound_id)
    assert await legs(house.voice.inner) == before


async def test_addresses_with_the_same_meaning_are_no_change(house: House) -> None:
    by_address = replace(INBOUND, allowed_addresses=("8.8.8.8",), auth_username="", auth_password=Secret(""))
    inbound_id, _ = await made(house.voice.inner, by_address)
    assert "Adopted" in await adopting(house, inbound_id)
    (trunk,) = await house.api.trunks()
    assert (trunk["inboundAuthorizationType"], trunk["allowedInboundIps"]) == ("IP", ["8.8.8.8/32"])


async def test_a_missing_outbound_trunk_is_told_and_made_when_its_address_is_said(house: House) -> None:
    inbound_id = await house.voice.inner.create(INBOUND)
    assert "missing: It has no outbound trunk" in await adopting(house)
    assert "no outbound trunk" in await refusing(house, inbound_id)
    await adopting(house, inbound_id, "--address", "8.8.4.4")
    await until(is_settled)
    assert len(await everything(house.voice.inner)) == 2


async def test_what_breaks_a_rule_is_told_by_the_rule(house: House) -> None:
    nothing = Secret("")
    inbound = replace(INBOUND, auth_username="", auth_password=nothing)
    await made(house.voice.inner, inbound, replace(OUTBOUND, auth_username="", auth_password=nothing))
    shown = await adopting(house)
    assert "missing: sipUsername:" in shown
    assert "missing: sipPassword:" in shown


async def test_a_number_that_is_ours_already_is_refused(house: House) -> None:
    await house.api.create(phoneNumber=NUMBER)
    theirs = replace(INBOUND, numbers=("40741926265",), allowed_addresses=("8.8.8.8",))
    await TrunkLeg.all().delete()
    for held in await house.voice.inner.list(LegKind.INBOUND):
        await house.voice.inner.delete(LegKind.INBOUND, held.voice_id)
    inbound_id, _ = await made(house.voice.inner, theirs)
    assert "already" in await refusing(house, inbound_id)


async def test_yesterdays_database_takes_its_newer_trunks_in_under_their_ids(house: House) -> None:
    """And the assistants of their rules, so that calls go on to be answered."""
    whole = await whole_trunk(house.api)
    await forget_rows()
    shown = await adopting(house)
    assert "made by this installation, with a newer copy of its database" in shown
    await adopting(house, whole.voice_ids[LegKind.INBOUND])
    await until(is_settled)
    await passes(house, 4)
    assert await everything(house.voice.inner) == set(whole.voice_ids.values())
    assert [trunk["id"] for trunk in await house.api.trunks()] == [whole.trunk_id]
    assert (await house.api.ask("{ assistants { totalCount } }"))["assistants"]["totalCount"] == 1


async def forget_rows() -> None:
    for model in (Assistant, TrunkLeg, CalledText, SipTrunk):
        await model.all().delete()


async def test_another_installations_trunks_are_taken_only_when_it_is_named(tmp_path: Path) -> None:
    """The database is lost; the key ring and the voice backend are there."""
    settings = quick_settings(tmp_path, provision_timeout=3.0)
    async with served_house(settings) as house:
        whole = await whole_trunk(house.api)
        before = await legs(house.voice.inner)
        lost = (await Installation.get()).id
    forget_the_database(tmp_path)
    async with served_house(settings) as house:
        inbound_id = whole.voice_ids[LegKind.INBOUND]
        assert f"--from-installation {lost}" in await adopting(house)
        assert "--from-installation" in await refusing(house, inbound_id)
        await adopting(house, inbound_id, "--from-installation", lost)
        await until(is_settled)
        ours = (await Installation.get()).id
        held = [each for kind in LegKind for each in await house.voice.inner.list(kind)]
        assert {each.marker.installation for each in held if each.marker} == {ours}
        assert {each.voice_id for each in held} == set(whole.voice_ids.values())
        assert await legs(house.voice.inner) == before
