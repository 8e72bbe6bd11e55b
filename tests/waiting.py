"""Waiting for what another task does and tells nobody."""

import asyncio
from collections.abc import Callable

PATIENCE_SECONDS = 30.0


async def until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened; TimeoutError when it takes too long."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not happened():  # who is waited for sets no event
            await asyncio.sleep(0.02)
