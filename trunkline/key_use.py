"""When API keys were last used: noted beside the requests, never before one, and at most about once a minute a key."""

import time
from dataclasses import dataclass, field
from datetime import timedelta

from tortoise.expressions import Q

from models.workspace import ApiKey
from trunkline import database
from trunkline.services import Tasks

EVERY_SECONDS = 60.0


@dataclass(slots=True)
class KeyUse:
    """What this process has noted, by its own clock; the database's is asked when something is written."""

    tasks: Tasks
    noted: dict[str, float] = field(default_factory=dict)

    def note(self, key_id: str) -> None:
        """A key was used just now."""
        now = time.monotonic()
        if now - self.noted.get(key_id, float("-inf")) >= EVERY_SECONDS:
            self.noted[key_id] = now
            self.tasks.later(_write(key_id))


async def _write(key_id: str) -> None:
    at = await database.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lte=at - timedelta(seconds=EVERY_SECONDS))
    await ApiKey.filter(stale, id=key_id).update(last_used_at=at)
