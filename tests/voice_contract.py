"""What every voice backend does: one suite, run against the sandbox and against a real LiveKit alike.

Each case takes a backend, which may hold foreign objects. What is expected was seen on livekit-server 1.13.5, its
oversights included.
"""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from types import ModuleType

from models.trunk_leg import LegKind
from tests import voice_changing, voice_creating, voice_dispatching, voice_edge
from trunkline.voice import VoiceBackend

Case = Callable[[VoiceBackend], Awaitable[None]]


def _cases(module: ModuleType) -> list[Case]:
    return [
        function
        for name, function in vars(module).items()
        if iscoroutinefunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    ]


CASES = [case for module in (voice_creating, voice_changing, voice_dispatching) for case in _cases(module)]
EDGE_CASES = _cases(voice_edge)  # of the sandbox and of a real edge


async def run(case: Case, voice: VoiceBackend) -> None:
    """Run a case and take away what it made."""
    before = await _ids(voice)
    try:
        await case(voice)
    finally:
        for kind, voice_id in await _ids(voice) - before:
            await voice.delete(kind, voice_id)


async def _ids(voice: VoiceBackend) -> set[tuple[LegKind, str]]:
    return {(kind, held.voice_id) for kind in LegKind for held in await voice.list(kind)}
