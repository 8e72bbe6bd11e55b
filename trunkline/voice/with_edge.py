"""A voice backend together with an edge, which keeps the routes. Refuses to let the edge's trouble stop everything."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.trunk_leg import LegKind
from trunkline.voice import Held, Leg, VoiceBackend, VoiceCause, VoiceError, VoiceKind

NARROWED = {
    VoiceCause.MISCONFIGURED: VoiceCause.EDGE_MISCONFIGURED,
    VoiceCause.UNAVAILABLE: VoiceCause.EDGE_UNAVAILABLE,
}


class VoiceWithEdge:
    """Fulfils VoiceBackend: what concerns all of the edge concerns the trunks behind it only."""

    def __init__(self, voice: VoiceBackend, edge: VoiceBackend) -> None:
        self._voice = voice
        self._edge = edge

    @property
    def kind(self) -> VoiceKind:
        """Which backend takes the calls."""
        return self._voice.kind

    async def create(self, leg: Leg) -> str:
        """Make an object and return its id."""
        with self._part(leg.kind) as part:
            return await part.create(leg)

    async def replace(self, voice_id: str, leg: Leg) -> None:
        """Set every field of an object."""
        with self._part(leg.kind) as part:
            await part.replace(voice_id, leg)

    async def find(self, kind: LegKind, voice_id: str) -> Held | None:
        """Look one object up by its id."""
        with self._part(kind) as part:
            return await part.find(kind, voice_id)

    async def list(self, kind: LegKind) -> list[Held]:
        """Every object of a kind."""
        with self._part(kind) as part:
            return await part.list(kind)

    async def delete(self, kind: LegKind, voice_id: str) -> None:
        """Remove an object."""
        with self._part(kind) as part:
            await part.delete(kind, voice_id)

    async def ping(self) -> None:
        """Prove that the backend is reachable; without the edge most of the work goes on."""
        await self._voice.ping()

    async def aclose(self) -> None:
        """Close both."""
        await self._edge.aclose()
        await self._voice.aclose()

    @contextmanager
    def _part(self, kind: LegKind) -> Iterator[VoiceBackend]:
        if kind is not LegKind.EDGE:
            yield self._voice
            return
        try:
            yield self._edge
        except VoiceError as error:
            if error.cause not in NARROWED:
                raise
            narrowed = VoiceError(NARROWED[error.cause], error.detail)
            raise narrowed from error
