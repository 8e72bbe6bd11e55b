"""What every process of the crash matrix shares: imported and warmed once, before the first fork."""

import asyncio
import gc
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from tests.api import quick_settings, served_house
from tests.crash_successor import successor
from tests.crashing import victim

__all__ = ["successor", "victim"]


async def _warm() -> None:
    """What is slow once: the tables of phone numbers, the schema's first request."""
    with TemporaryDirectory() as folder:
        async with served_house(quick_settings(Path(folder))) as house:
            await house.api.create()


structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
asyncio.run(_warm())
gc.freeze()  # what is here stays, and its pages stay shared
