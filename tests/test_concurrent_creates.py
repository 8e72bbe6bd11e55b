"""The concurrency suite on SQLite."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.api import quick_settings
from tests.concurrency import ALL
from trunkline.settings import Settings


@pytest.mark.parametrize("case", ALL)
async def test_on_sqlite(tmp_path: Path, case: Callable[[Settings], Awaitable[None]]) -> None:
    await case(quick_settings(tmp_path, provision_timeout=15.0))
