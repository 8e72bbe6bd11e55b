"""Putting together and taking apart: what is under way when the app is closed is finished first."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.api import quick_settings, served_house
from tests.waiting import until


async def test_closing_waits_for_a_creation_whose_client_is_gone(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path, provision_timeout=9.0)
    with closing(sqlite3.connect(tmp_path / "sandbox.db", isolation_level=None)) as sandbox:
        async with served_house(settings) as house:
            sandbox.execute("BEGIN IMMEDIATE")  # the voice backend waits
            creating = asyncio.create_task(house.api.create())
            await until(lambda: house.voice.count("create") == 1)
            creating.cancel()
            asyncio.get_running_loop().call_later(0.2, sandbox.execute, "ROLLBACK")
    async with served_house(settings) as house:
        (trunk,) = await house.api.trunks()
        assert trunk["status"] == "ACTIVE"
        assert house.voice.writes == []
