"""What the use cases work with, put together once by the composition root."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from models.secret import Keyring
from trunkline.resolver import Resolver
from trunkline.settings import Settings
from trunkline.voice import VoiceBackend, VoiceError

T = TypeVar("T")


class Tasks:
    """Work that goes on when the client has gone away, and that the process waits for before it ends."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work in a task of its own and wait for it; cancelling the wait does not cancel the work."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait for all that is under way."""
        await asyncio.gather(*self._running, return_exceptions=True)


@dataclass(slots=True)
class Health:
    """What the reconciler knows of the voice backend. `since`: how long it has been as it is."""

    reachable: bool = False
    since: datetime | None = None
    error: VoiceError | None = None
    error_at: datetime | None = None
    reconciled_at: datetime | None = None

    def seen(self, at: datetime, error: VoiceError | None) -> None:
        """Note whether it answered."""
        if self.since is None or self.reachable is not (error is None):
            self.since = at
        self.reachable = error is None
        if error:
            self.error, self.error_at = error, at


@dataclass(frozen=True, slots=True)
class Services:
    """Settings, secrets, the voice backend, name resolution, and what runs beside the requests."""

    settings: Settings
    keyring: Keyring
    voice: VoiceBackend
    resolver: Resolver
    installation_id: str
    tasks: Tasks = field(default_factory=Tasks)
    call_timeout: float = 5.0  # seconds that one voice call may take
    health: Health = field(default_factory=Health)
    work: asyncio.Event = field(default_factory=asyncio.Event)  # set: the reconciler has something to do at once
