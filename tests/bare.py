"""The product without its loops: a database, the sandbox behind faults, and a clock that a test moves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.sip_trunk import SipTrunk
from tests.api import quick_settings
from tests.faulty_voice import FaultyVoice
from tests.trunk_drafts import number_draft
from trunkline import database
from trunkline.creation import Manner, create_trunk
from trunkline.keys import Caller
from trunkline.resolver import Resolver
from trunkline.services import Services
from trunkline.start import started
from trunkline.voice.sandbox import SandboxVoice

CALL_SECONDS = 2.0


class Clock:
    """The database's clock."""

    def __init__(self) -> None:
        self.at = datetime(2030, 1, 1, tzinfo=UTC)

    async def now(self) -> datetime:
        return self.at

    def passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Bare:
    """What a test works with."""

    services: Services
    voice: FaultyVoice
    clock: Clock
    caller: Caller

    async def trunk(self, last_digit: int = 5) -> str:
        """Create a trunk; its id."""
        draft = number_draft(phone_number=f"+4074192626{last_digit}", sip_address="8.8.4.4")
        creation = await create_trunk(self.services, self.caller, draft, Manner())
        assert creation.trunk, creation.problems
        trunk_id: str = creation.trunk.id
        return trunk_id

    async def due(self, trunk_id: str, seconds_ago: float = 0) -> None:
        at = self.clock.at - timedelta(seconds=seconds_ago)
        await SipTrunk.filter(id=trunk_id).update(next_attempt_at=at)


@asynccontextmanager
async def bare_house(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Bare]:
    """Open everything but the reconciler."""
    settings = quick_settings(folder)
    async with started(settings) as start:
        clock = Clock()
        patch.setattr(database, "now", clock.now)
        voice = FaultyVoice(SandboxVoice(settings.sandbox_path, start.keyring))
        services = Services(settings, start.keyring, voice, Resolver(), start.installation_id, CALL_SECONDS)
        try:
            yield Bare(services, voice, clock, Caller(start.workspace_id, "key"))
        finally:
            await services.tasks.finish()
            await services.resolver.aclose()
            await voice.aclose()
