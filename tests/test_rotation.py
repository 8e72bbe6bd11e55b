"""A key is exchanged while everything serves, and an old one is dropped only when nothing needs it any more."""

import os
import time
from pathlib import Path

import pytest

from models.identifiers import new_id
from models.secret import Keyring, Secret, key_id_of
from models.sip_trunk import SipTrunk
from models.trunk_leg import TrunkLeg
from models.workspace import ApiKey, Installation
from tests.api import KEY, House, codes, quick_settings, served_house
from tests.behind_our_back import is_settled, passes, whole_trunk
from tests.commands import output, refusal
from tests.rotating import changes_run_beside
from trunkline import database, rotation, snapshots
from trunkline.legs import edge_key_place, password_place
from trunkline.rotation import RotationError, drop, new_key, rotate, uses
from trunkline.settings import Settings
from trunkline.start import Started, load_keyring, ring_file
from trunkline.voice.sandbox import SandboxVoice

RING = {"TRUNKLINE_PROVISION_TIMEOUT": "1"}


def path_of(settings: Settings) -> Path:
    path = ring_file(settings)
    assert path
    return path


async def rotated(house: House) -> Keyring:
    """As the command does it: a process of its own with the same files."""
    new_key(path_of(house.settings))
    return await sealed_again(house.settings)


async def sealed_again(settings: Settings) -> Keyring:
    ring = load_keyring(settings)
    sandbox = SandboxVoice(settings.sandbox_path, ring)
    try:
        await rotate(settings, Started(ring, (await Installation.get()).id, ""), sandbox)
    finally:
        await sandbox.aclose()
    return ring


def grow_old(settings: Settings) -> None:
    """The ring was changed long ago."""
    then = time.time() - 3600
    os.utime(path_of(settings), (then, then))


async def keys_of(model: type[SipTrunk | ApiKey], column: str) -> set[str]:
    return {str(each) for each in await model.all().values_list(column, flat=True)}


async def test_a_rotation_beside_creates_and_updates_loses_none_of_them(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, provision_timeout=15.0)) as house:
        await changes_run_beside(house, lambda: rotated(house))
        ring = await rotated(house)
        assert ring.key_ids == ("k3", "k2", "k1")
        assert await keys_of(SipTrunk, "sip_password_key") == {"k3"}


async def test_after_a_rotation_nothing_is_written_at_the_voice_backend(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        await whole_trunk(house.api)
        ring = await rotated(house)
        await passes(house, 3)
        assert house.voice.writes == []
        fingerprints = {leg.applied_fingerprint or "" for leg in await TrunkLeg.all()}
        assert {each.partition(":")[0] for each in fingerprints} == {ring.writing}


async def test_an_old_key_can_be_dropped_once_nothing_needs_it(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings) as house:
        whole = await whole_trunk(house.api)
        before = await house.held()
        await rotated(house)
        await passes(house, 2)  # the server has learned the new key
        await house.api.trunks()  # the API key moves at its next use
        grow_old(settings)
        await drop(settings, path_of(settings), "k1", None)
        await passes(house, 2)
        assert codes(await house.api.create(phoneNumber="+40741926266")) == []
        assert codes(await house.api.reprovision(whole.trunk_id)) == []
        assert (await house.held()).items() >= before.items()
        assert await is_settled()
    async with served_house(settings) as house:
        assert len(await house.api.trunks()) == 2
        assert load_keyring(settings).key_ids == ("k2",)


async def test_a_server_that_runs_writes_with_the_new_key(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings) as house:
        new_key(path_of(settings))
        await passes(house, 2)
        await house.api.create()
        assert await keys_of(SipTrunk, "sip_password_key") == {"k2"}


async def test_the_password_to_go_back_to_is_sealed_again_too(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        created = await house.api.create(outboundProxy=True)
        row = await SipTrunk.get(id=created["sipTrunk"]["id"])
        await SipTrunk.filter(id=row.id).update(previous=snapshots.snapshot(row))
        ring = await rotated(house)
        row = await SipTrunk.get(id=row.id)
        assert row.previous
        kept = snapshots.columns_of(row.previous)
        assert snapshots.kept_with(row.previous) == "k2"
        for name, place in (("sip_password", password_place(row)), ("edge_key", edge_key_place(row))):
            assert key_id_of(kept[name]) == "k2"
            assert ring.open(kept[name], place) == ring.open(bytes(getattr(row, name)), place)


async def test_a_row_that_was_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        read = await SipTrunk.get(id=(await house.api.create())["sipTrunk"]["id"])
        new_key(path_of(house.settings))
        ring = load_keyring(house.settings)
        changed = ring.seal(Secret("changed meanwhile"), password_place(read))
        await SipTrunk.filter(id=read.id).update(sip_password=changed)
        assert await rotation._reseal(ring, read) == {}  # noqa: SLF001  # an instant that no test can hit from outside
        assert bytes((await SipTrunk.get(id=read.id)).sip_password) == changed


async def test_one_damaged_password_does_not_stop_a_rotation(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        damaged = (await house.api.create())["sipTrunk"]["id"]
        await house.api.create(phoneNumber="+40741926266")
        await SipTrunk.filter(id=damaged).update(sip_password=b"?")
        await rotated(house)
        assert await keys_of(SipTrunk, "sip_password_key") == {"k1", "k2"}


async def test_a_key_that_is_needed_is_not_dropped(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings) as house:
        await house.api.create()
        key = await ApiKey.get()
        new_key(path_of(settings))
        grow_old(settings)
        with pytest.raises(RotationError) as refused:
            await drop(settings, path_of(settings), "k1", None)
        assert "1 passwords" in str(refused.value)
        assert key.id in str(refused.value)
        assert load_keyring(settings).key_ids == ("k2", "k1")


async def test_a_ring_that_was_changed_a_moment_ago_loses_no_key(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings):
        new_key(path_of(settings))
        with pytest.raises(RotationError, match="a server may still write with the old key"):
            await drop(settings, path_of(settings), "k1", None)


async def test_the_writing_key_and_unknown_ones_are_not_dropped(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings):
        with pytest.raises(RotationError, match="is the key that writes"):
            await drop(settings, path_of(settings), "k1", None)
        with pytest.raises(RotationError, match="has no key k9"):
            await drop(settings, path_of(settings), "k9", None)


async def test_a_ring_of_the_settings_is_rotated_by_its_first_key(tmp_path: Path) -> None:
    old, new = Keyring.generate("old1"), Keyring.generate("new1")
    async with served_house(quick_settings(tmp_path, secret_keys=Secret(old))) as house:
        await whole_trunk(house.api)
    settings = quick_settings(tmp_path, secret_keys=Secret(f"{new} {old}"))
    async with served_house(settings) as house:
        await sealed_again(settings)
        await house.api.trunks()
        assert {use.key_id for use in await uses(None)} == {"new1"}
    async with served_house(quick_settings(tmp_path, secret_keys=Secret(new))) as house:
        await passes(house, 2)
        assert house.voice.writes == []
        assert len(await house.api.trunks()) == 1


async def test_an_idempotency_key_counts_until_it_is_forgotten(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings) as house:
        await house.api.create(idempotencyKey=new_id("run"))
        await rotated(house)
        await house.api.trunks()
        grow_old(settings)
        until = (await database.now()).year
        with pytest.raises(RotationError, match=f"are forgotten by {until}"):
            await drop(settings, path_of(settings), "k1", None)


def test_the_commands_rotate_check_and_drop(tmp_path: Path) -> None:
    output(tmp_path, "api-keys", "create", "first", **RING)
    assert "k1: 1 API keys." in output(tmp_path, "keyring", "check", **RING)
    told = output(tmp_path, "keyring", "rotate", **RING)
    assert "The new key k2 is in" in told
    assert "Sealed again with k2: nothing." in told
    assert "a moment ago" in output_of_a_refused_drop(tmp_path)
    assert KEY not in told


def output_of_a_refused_drop(folder: Path) -> str:
    return refusal(folder, "keyring", "drop", "k1", **RING)
