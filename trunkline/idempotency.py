"""Idempotency keys: a retry of a creation gets the trunk that the first one made. Refuses to freeze a failure.

A key is bound in the very transaction that makes the trunk visible, so no crash lies between. Until then its row only
says that a creation runs; an answer with problems takes the row away again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tortoise.exceptions import IntegrityError

from models.idempotency_key import KEY_MAX, IdempotencyKey
from models.identifiers import new_id
from models.secret import Secret
from trunkline import database
from trunkline.problems import Code, Problem
from trunkline.services import Services

KEPT = timedelta(hours=24)
RESERVE_SECONDS = 10.0  # beyond the longest creation
WAIT_SECONDS = 0.05
FIELD = ("input", "idempotencyKey")
REUSED = Problem(
    Code.IDEMPOTENCY_KEY_REUSED,
    "This idempotencyKey was used with another input; a new request needs a new key.",
    FIELD,
)
STILL_RUNNING = Problem(
    Code.OUTCOME_UNKNOWN, "The first request with this idempotencyKey is still running.", None, retryable=True
)
TOO_LONG = Problem(Code.TOO_LONG, f"An idempotencyKey has at most {KEY_MAX} characters.", FIELD)
BLANK = Problem(Code.INVALID_FORMAT, "An idempotencyKey has at least one character and no control characters.", FIELD)


@dataclass(frozen=True, slots=True)
class BoundKey:
    """The right to run the creation of a key."""

    row_id: int
    holder: str

    async def bind(self, trunk_id: str) -> None:
        """From now on, for 24 hours, the key stands for this trunk; to be called inside the trunk's transaction."""
        until = await database.now() + KEPT
        await IdempotencyKey.filter(id=self.row_id, holder=self.holder).update(trunk_id=trunk_id, expires_at=until)

    async def release(self) -> None:
        """Take the key back, unless it was bound."""
        await IdempotencyKey.filter(id=self.row_id, holder=self.holder, trunk_id=None).delete()


def key_problem(key: str) -> Problem | None:
    """What is wrong with a key itself."""
    if len(key) > KEY_MAX:
        return TOO_LONG
    return None if key.strip() and key.isprintable() else BLANK


async def obtain(
    services: Services, workspace_id: str, key: str, parts: Sequence[str | Secret], deadline: float
) -> BoundKey | Problem | str:
    """The right to run, the id of the trunk that an earlier run made, or why neither; waits for a run under way."""
    while True:
        found = await _look(services, workspace_id, key, parts)
        if found is not None:
            return found
        if asyncio.get_running_loop().time() + WAIT_SECONDS > deadline:
            return STILL_RUNNING
        await asyncio.sleep(WAIT_SECONDS)


async def _look(
    services: Services, workspace_id: str, key: str, parts: Sequence[str | Secret]
) -> BoundKey | Problem | str | None:
    at = await database.now()
    await IdempotencyKey.filter(workspace_id=workspace_id, key=key, expires_at__lte=at).delete()
    row = await IdempotencyKey.get_or_none(workspace_id=workspace_id, key=key)
    if row is None:
        return await _insert(services, workspace_id, key, parts)
    if not services.keyring.agrees(bytes(row.digest).decode(), parts):
        return REUSED
    return row.trunk_id


async def _insert(services: Services, workspace_id: str, key: str, parts: Sequence[str | Secret]) -> BoundKey | None:
    until = await database.now() + timedelta(seconds=services.settings.provision_timeout + RESERVE_SECONDS)
    holder = new_id("run")
    digest = services.keyring.digest_of(parts).encode()
    try:
        row = await IdempotencyKey.create(
            workspace_id=workspace_id,
            key=key,
            digest=digest,
            digest_key=services.keyring.writing,
            holder=holder,
            expires_at=until,
        )
    except IntegrityError:  # another request took the key in this instant
        return None
    return BoundKey(row.id, holder)


async def forget_running() -> None:
    """At the start of the only process of a database: no creation runs."""
    await IdempotencyKey.filter(trunk_id=None).delete()


async def forget_expired() -> None:
    """Drop the keys of yesterday."""
    await IdempotencyKey.filter(expires_at__lte=await database.now()).delete()
