"""A rotation beside creates, updates and deletes: one suite for SQLite and for PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable

from models.secret import Keyring
from models.sip_trunk import SipTrunk
from models.trunk_leg import TrunkLeg
from tests.api import House, codes, until
from tests.behind_our_back import is_settled
from trunkline.legs import password_place

TRUNKS = 8
UPDATES = 4


async def changes_run_beside(house: House, rotation: Callable[[], Awaitable[Keyring]]) -> None:
    """Every trunk ends with the password that its last update gave it, sealed with the last key or at work on it."""
    lives = [_lives(house, number) for number in range(TRUNKS)]
    together = asyncio.gather(*lives)
    ring = await rotation()
    await together
    await until(is_settled)
    await _opens(ring)


async def _opens(ring: Keyring) -> None:
    ring.refresh()
    rows = await SipTrunk.all()
    assert len(rows) == TRUNKS
    for row in rows:
        password = ring.open(bytes(row.sip_password), password_place(row)).reveal()
        assert password == f"password-{row.sip_username}-{UPDATES - 1}"
    assert await TrunkLeg.exclude(attempts=0).count() == 0


async def _lives(house: House, number: int) -> None:
    made = await house.api.create(phoneNumber=f"+407419260{number:02}", sipUsername=f"user{number}")
    assert codes(made) == []
    for change in range(UPDATES):
        changed = await house.api.update(made["sipTrunk"]["id"], sipPassword=f"password-user{number}-{change}")
        assert codes(changed) == []
