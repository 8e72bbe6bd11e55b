"""A voice backend whose objects have settings that no leg can say, or whose lists leave something out."""

from dataclasses import replace

from models.trunk_leg import LegKind
from trunkline.voice import Held, Leg, VoiceBackend, VoiceKind


class Embellished:
    """Fulfils VoiceBackend. `extra`: ids of such objects; a full replace makes them plain. `hidden`: lists to come."""

    def __init__(self, inner: VoiceBackend) -> None:
        self.inner = inner
        self.extra: set[str] = set()
        self.hidden = 0  # so many lists tell nothing

    @property
    def kind(self) -> VoiceKind:
        return self.inner.kind

    async def create(self, leg: Leg) -> str:
        return await self.inner.create(leg)

    async def replace(self, voice_id: str, leg: Leg) -> None:
        await self.inner.replace(voice_id, leg)
        self.extra.discard(voice_id)

    async def find(self, kind: LegKind, voice_id: str) -> Held | None:
        held = await self.inner.find(kind, voice_id)
        return held and self._seen(held)

    async def list(self, kind: LegKind) -> list[Held]:
        if self.hidden:
            self.hidden -= 1
            return []
        return [self._seen(held) for held in await self.inner.list(kind)]

    async def delete(self, kind: LegKind, voice_id: str) -> None:
        await self.inner.delete(kind, voice_id)

    async def ping(self) -> None:
        await self.inner.ping()

    async def aclose(self) -> None:
        await self.inner.aclose()

    def _seen(self, held: Held) -> Held:
        return replace(held, exact=held.exact and held.voice_id not in self.extra)
