"""API keys: their form, what is kept of them, the bootstrap key, and who is let in."""

import re
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from models.secret import Keyring, Secret
from models.workspace import ApiKey
from tests.api import KEY, House, quick_settings, served_house
from tests.queries import statements_about
from trunkline import database
from trunkline.keys import authenticate, create_key, is_mistyped, made_key, revoke_key, still_works
from trunkline.settings import SettingError, Settings
from trunkline.start import ensure_keys, started, write_private

# Computed apart from the code: CRC-32 (RFC 1952) of what stands before the checksum is 1827982190, in base 62 1ZI1FI.
VECTOR = "tl_abcd1234_" + "0123456789abcdefghijklmnopqrstuv" + "1ZI1FI"
MISTYPED = VECTOR[:-1] + "J"
OTHER_KEY = "tl_another-key-of-the-tests-only"
QUERY = {"query": "{ __typename }"}


async def answered(house: House, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"authorization": authorization}
    transport = house.api.client._transport  # noqa: SLF001  # the same app, without the client's own key
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers) as client:
        return await client.post("/graphql", json=QUERY)


@asynccontextmanager
async def stored_keys(settings: Settings) -> AsyncIterator[list[ApiKey]]:
    """The keys that a start leaves in the database."""
    async with started(settings) as start:
        await ensure_keys(settings, start)
        yield await ApiKey.all().order_by("created_at")


def files_with(text: str, folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if text.encode() in path.read_bytes()]


def test_a_made_key_has_id_secret_and_checksum() -> None:
    keys = [made_key().reveal() for _ in range(100)]
    assert len({key[3:11] for key in keys}) == 100
    for key in keys:
        assert re.fullmatch(r"tl_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}", key)
        assert not is_mistyped(key)


def test_the_checksum_is_crc_32_in_base_62() -> None:
    assert not is_mistyped(VECTOR)
    assert is_mistyped(MISTYPED)


def test_every_change_of_one_character_is_a_typing_error() -> None:
    for position in [*range(3, 11), *range(12, len(VECTOR))]:
        for character in string.digits + string.ascii_letters:
            mistyped = VECTOR[:position] + character + VECTOR[position + 1 :]
            assert is_mistyped(mistyped) == (character != VECTOR[position])


def test_a_supplied_key_has_no_checksum() -> None:
    assert not is_mistyped(KEY)
    assert not is_mistyped("tl_" + "x" * 47)


async def test_only_an_hmac_of_a_key_is_in_the_database(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with started(settings) as start:
        await ensure_keys(settings, start)
        bootstrap = await ApiKey.get()
        made, secret = await create_key(start.keyring, start.workspace_id, "ci")
        assert (made.prefix, made.lookup) == (secret.reveal()[:11], secret.reveal()[3:11])
        assert bytes(made.digest) == start.keyring.digest(secret.reveal())
        assert re.fullmatch("[0-9a-f]{64}", bootstrap.lookup)
    for text in (KEY, secret.reveal()[11:]):
        assert not files_with(text, tmp_path)


async def test_a_first_start_makes_a_key_and_keeps_it(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path, bootstrap_key=None)
    async with started(settings) as start:
        path = await ensure_keys(settings, start)
        assert path == tmp_path / "api-key"
        text = path.read_text().strip()
        assert await authenticate(start.keyring, f"Bearer {text}")
    async with stored_keys(settings) as keys:
        assert [key.name for key in keys] == ["first start"]
        assert path.read_text().strip() == text
        assert path.stat().st_mode & 0o777 == 0o600


async def test_a_key_file_of_a_start_that_crashed_is_replaced(tmp_path: Path) -> None:
    write_private(tmp_path / "api-key", made_key().reveal())
    settings = quick_settings(tmp_path, bootstrap_key=None)
    async with started(settings) as start:
        path = await ensure_keys(settings, start)
        assert path
        assert await authenticate(start.keyring, f"Bearer {path.read_text().strip()}")


async def test_a_first_key_that_was_revoked_is_not_shown_again(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path, bootstrap_key=None)
    async with stored_keys(settings) as (key,):
        assert await revoke_key(key.id)
    async with started(settings) as start:
        assert await ensure_keys(settings, start) is None
        assert await ApiKey.all().count() == 1


async def test_the_bootstrap_key_is_ensured_at_every_start(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with stored_keys(settings) as (first,):
        await ApiKey.filter(id=first.id).delete()
    async with stored_keys(settings) as (second,):
        assert second.id != first.id
    async with stored_keys(settings) as (third,):
        assert third.id == second.id
    assert not (tmp_path / "api-key").exists()


async def test_a_changed_bootstrap_key_is_added(tmp_path: Path) -> None:
    async with stored_keys(quick_settings(tmp_path)):
        pass
    async with served_house(quick_settings(tmp_path, bootstrap_key=Secret(OTHER_KEY))) as house:
        assert [key.name for key in await ApiKey.all()] == ["bootstrap", "bootstrap"]
        assert (await answered(house, f"Bearer {KEY}")).status_code == 200
        assert (await answered(house, f"Bearer {OTHER_KEY}")).status_code == 200


async def test_a_revoked_bootstrap_key_stays_revoked_and_says_so(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    async with stored_keys(settings) as (key,):
        assert await revoke_key(key.id)
    with capture_logs() as lines:
        async with served_house(settings) as house:
            assert (await answered(house, f"Bearer {KEY}")).status_code == 401
            assert await ApiKey.all().count() == 1
    (line,) = (line for line in lines if line["event"] == "bootstrap_key_revoked")
    assert line["notice"] == f"TRUNKLINE_BOOTSTRAP_KEY: the key {key.id} was revoked and stays revoked"
    assert KEY not in str(lines)


async def test_a_bootstrap_key_is_known_under_an_older_key_of_the_ring(tmp_path: Path) -> None:
    old, new = Keyring.generate("k1"), Keyring.generate("k2")
    async with stored_keys(quick_settings(tmp_path, secret_keys=Secret(old))) as (first,):
        pass
    async with stored_keys(quick_settings(tmp_path, secret_keys=Secret(f"{new},{old}"))) as (second,):
        assert second.id == first.id


async def test_a_mistyped_bootstrap_key_stops_the_start(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path, bootstrap_key=Secret(MISTYPED))
    with pytest.raises(SettingError, match=r"^TRUNKLINE_BOOTSTRAP_KEY: looks like .* typing error") as caught:
        async with stored_keys(settings):
            pass
    assert VECTOR[12:30] not in str(caught.value)


async def test_a_made_key_may_be_supplied(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, bootstrap_key=Secret(VECTOR))) as house:
        assert (await answered(house, f"Bearer {VECTOR}")).status_code == 200
        with statements_about("api_key") as statements:
            assert (await answered(house, f"Bearer {MISTYPED}")).status_code == 401
        assert statements == []


WRONG: list[Any] = [
    None,
    "",
    "Bearer",
    "Bearer ",
    f"Basic {KEY}",
    f"Token {KEY}",
    KEY,
    f"Bearer{KEY}",
    f"Bearer {KEY} {KEY}",
    f"Bearer {KEY},",
    f"Bearer {KEY}\x00",
    "Bearer tl_",
    "Bearer tl_short",
    f"Bearer {MISTYPED}",
    "Bearer tl_" + "\N{LATIN SMALL LETTER E WITH ACUTE}".encode().decode("latin-1") * 30,
    "Bearer sk_" + "x" * 40,
]


async def test_what_is_no_key_is_refused_before_the_database_is_asked(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        await house.api.ask("{ __typename }")
        for authorization in WRONG:
            with statements_about("api_key") as statements:
                caller = await authenticate(Keyring.parse(Keyring.generate("k1")), authorization)
            assert (caller, statements) == (None, [])


async def test_who_is_not_let_in_is_told_how(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        unknown = f"Bearer {KEY}x"
        for authorization in (None, f"Basic {KEY}", "Bearer tl_short", unknown, f"Bearer {made_key().reveal()}"):
            answer = await answered(house, authorization)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert "API key is required" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_read_in_any_case(tmp_path: Path, scheme: str) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        assert (await answered(house, f"{scheme} {KEY}")).status_code == 200


async def test_a_key_is_looked_up_with_one_query(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        await house.api.ask("{ __typename }")
        with statements_about("api_key") as statements:
            await house.api.ask("{ __typename }")
        assert len(statements) == 1


async def test_a_revoked_key_is_refused_at_once(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        workspace = await database.default_workspace()
        ring = Keyring.parse((tmp_path / "secret-keys").read_text())
        key, secret = await create_key(ring, workspace.id, "ci")
        assert (await answered(house, f"Bearer {secret.reveal()}")).status_code == 200
        assert await revoke_key(key.id)
        assert (await answered(house, f"Bearer {secret.reveal()}")).status_code == 401
        assert not await revoke_key(key.id)
        assert not await revoke_key("key_unknown")


async def test_a_right_id_with_another_secret_is_refused(tmp_path: Path) -> None:
    async with started(quick_settings(tmp_path)) as start:
        _key, secret = await create_key(start.keyring, start.workspace_id, "ci")
        stranger = made_key().reveal()
        await ApiKey.all().update(lookup=stranger[3:11])
        assert await authenticate(start.keyring, f"Bearer {stranger}") is None
        assert await authenticate(start.keyring, f"Bearer {secret.reveal()}") is None


async def test_an_expired_key_is_refused_and_a_later_end_is_not(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        workspace = await database.default_workspace()
        key, secret = await create_key(Keyring.parse((tmp_path / "secret-keys").read_text()), workspace.id, "ci")
        for seconds, status in ((60, 200), (-1, 401)):
            await ApiKey.filter(id=key.id).update(expires_at=await database.now() + timedelta(seconds=seconds))
            assert (await answered(house, f"Bearer {secret.reveal()}")).status_code == status
            assert await still_works(key.id) == (status == 200)


async def test_a_key_still_works_until_it_is_revoked(tmp_path: Path) -> None:
    async with stored_keys(quick_settings(tmp_path)) as (key,):
        assert await still_works(key.id)
        assert await revoke_key(key.id)
        assert not await still_works(key.id)
        assert not await still_works("key_unknown")
