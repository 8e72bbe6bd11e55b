"""Changes, removals and keyed creations at once, on a real PostgreSQL and on SQLite."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests import lifecycle
from tests.api import quick_settings
from tests.real.test_postgres_creates import postgres_settings
from trunkline.settings import Settings

Case = Callable[[Settings], Awaitable[None]]


@pytest.mark.parametrize("case", lifecycle.ALL)
async def test_on_postgres(tmp_path: Path, postgres_url: str, case: Case) -> None:
    await case(postgres_settings(tmp_path, postgres_url))


@pytest.mark.parametrize("case", lifecycle.ALL)
async def test_on_sqlite(tmp_path: Path, case: Case) -> None:
    await case(quick_settings(tmp_path, provision_timeout=15.0))
