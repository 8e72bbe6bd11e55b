"""The concurrency suite and a whole creation on a real PostgreSQL."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from models.secret import Keyring, Secret
from tests.api import codes, quick_settings, served_house
from tests.concurrency import ALL
from trunkline.settings import Settings


def postgres_settings(folder: Path, url: str) -> Settings:
    return quick_settings(
        folder,
        database_url=Secret(url),
        secret_keys=Secret(Keyring.generate("k1")),
        sandbox_file=folder / "sandbox.db",
        provision_timeout=15.0,
    )


@pytest.mark.parametrize("case", ALL)
async def test_on_postgres(tmp_path: Path, postgres_url: str, case: Callable[[Settings], Awaitable[None]]) -> None:
    await case(postgres_settings(tmp_path, postgres_url))


async def test_a_trunk_is_the_same_after_a_restart(tmp_path: Path, postgres_url: str) -> None:
    settings = postgres_settings(tmp_path, postgres_url)
    async with served_house(settings) as house:
        payload = await house.api.create(inboundAuthorizationType="IP", allowedInboundIps=["8.8.8.8", "2001:4860::/48"])
        assert codes(payload) == []
    async with served_house(settings) as house:
        assert await house.api.trunks() == [payload["sipTrunk"]]
