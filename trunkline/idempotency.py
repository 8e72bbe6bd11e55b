"""Idempotency keys: a retry of a creation gets the trunk that the first one made. Refuses to freeze a failure.

A key is bound in the very transaction that makes the trunk visible, so no crash lies between. Until then its row only
says that a creation runs. A problem ends the run and binds nothing: those who waited for it get the same answer, and
the next request takes the key over.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

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
    Code.OUTCOME_UNKNOWN,
    "Failed to create SIP trunk. The first request with this idempotencyKey is still running; send it again.",
    None,
    retryable=True,
)
DELETED = Problem(
    Code.NOT_FOUND,
    "The SIP trunk that this idempotencyKey made was deleted; a new trunk needs a new key.",
    FIELD,
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

    async def end(self, problem: Problem | None) -> None:
        """End the run, unless it bound the key: with its problem, or without any answer."""
        row = IdempotencyKey.filter(id=self.row_id, holder=self.holder, trunk_id=None)
        await (row.update(problem=asdict(problem)) if problem else row.delete())


def key_problem(key: str) -> Problem | None:
    """What is wrong with a key itself; like every text it is trimmed."""
    trimmed = key.strip()
    if len(trimmed) > KEY_MAX:
        return TOO_LONG
    return None if trimmed and trimmed.isprintable() else BLANK


async def obtain(
    services: Services, workspace_id: str, key: str, parts: Sequence[str | Secret], deadline: float
) -> BoundKey | Problem | str:
    """The right to run, the id of the trunk that an earlier run made, or why neither; waits for a run under way."""
    awaited: str | None = None
    while True:
        row = await _living(workspace_id, key)
        found = await (
            _insert(services, workspace_id, key, parts) if row is None else _look(services, row, parts, awaited)
        )
        if found is not None:
            return found
        awaited = row.holder if row else None
        if asyncio.get_running_loop().time() + WAIT_SECONDS > deadline:
            return STILL_RUNNING
        await asyncio.sleep(WAIT_SECONDS)


async def _living(workspace_id: str, key: str) -> IdempotencyKey | None:
    rows = IdempotencyKey.filter(workspace_id=workspace_id, key=key)
    await rows.filter(expires_at__lte=await database.now()).delete()
    return await rows.get_or_none()


async def _look(
    services: Services, row: IdempotencyKey, parts: Sequence[str | Secret], awaited: str | None
) -> BoundKey | Problem | str | None:
    if row.problem and row.holder != awaited:
        return await _take_over(services, row, parts)
    if not services.keyring.agrees(bytes(row.digest).decode(), parts):
        return REUSED
    return _problem(row.problem) if row.problem else row.trunk_id


def _problem(kept: dict[str, Any]) -> Problem:
    path = kept["field"]
    return Problem(**kept | {"code": Code(kept["code"]), "field": tuple(path) if path else None})


async def _insert(services: Services, workspace_id: str, key: str, parts: Sequence[str | Secret]) -> BoundKey | None:
    run = await _run(services, parts)
    try:
        row = await IdempotencyKey.create(workspace_id=workspace_id, key=key, **run)
    except IntegrityError:  # another request took the key in this instant
        return None
    return BoundKey(row.id, row.holder)


async def _take_over(services: Services, row: IdempotencyKey, parts: Sequence[str | Secret]) -> BoundKey | None:
    run = await _run(services, parts)
    ended = IdempotencyKey.filter(id=row.id, holder=row.holder)
    return BoundKey(row.id, run["holder"]) if await ended.update(**run, problem=None) else None


async def _run(services: Services, parts: Sequence[str | Secret]) -> dict[str, Any]:
    """The columns of a run that begins now."""
    longest = timedelta(seconds=services.settings.provision_timeout + RESERVE_SECONDS)
    return {
        "digest": services.keyring.digest_of(parts).encode(),
        "digest_key": services.keyring.writing,
        "holder": new_id("run"),
        "expires_at": await database.now() + longest,
    }


async def forget_running() -> None:
    """At the start of the only process of a database: no creation runs."""
    await IdempotencyKey.filter(trunk_id=None).delete()


async def forget_expired() -> None:
    """Drop the keys of yesterday."""
    await IdempotencyKey.filter(expires_at__lte=await database.now()).delete()
