"""A voice backend with an edge: each kind of object at its place, and the edge's trouble told apart."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.secret import Keyring
from models.trunk_leg import LegKind
from tests.faulty_voice import Fail, FaultyVoice
from tests.voice_contract import EDGE_CASES, Case, run
from tests.voice_legs import fails, outbound, route
from trunkline.causes import AT_THE_EDGE, CERTAIN, DEFINITE, WIDE
from trunkline.voice import VoiceCause, VoiceError
from trunkline.voice.sandbox import SandboxVoice
from trunkline.voice.with_edge import VoiceWithEdge

KEYRING = Keyring.parse(Keyring.generate("k1"))
NARROW = {
    VoiceCause.UNAVAILABLE: VoiceCause.EDGE_UNAVAILABLE,
    VoiceCause.MISCONFIGURED: VoiceCause.EDGE_MISCONFIGURED,
}


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[tuple[FaultyVoice, FaultyVoice]]:
    voice, edge = (FaultyVoice(SandboxVoice(tmp_path / name, KEYRING)) for name in ("voice.db", "edge.db"))
    yield voice, edge
    await VoiceWithEdge(voice, edge).aclose()


@pytest.mark.parametrize("case", EDGE_CASES, ids=lambda case: case.__name__)
async def test_it_keeps_the_contract(parts: tuple[FaultyVoice, FaultyVoice], case: Case) -> None:
    await run(case, VoiceWithEdge(*parts))


async def test_each_part_gets_its_own(parts: tuple[FaultyVoice, FaultyVoice]) -> None:
    voice, edge = parts
    whole = VoiceWithEdge(voice, edge)
    for leg in (outbound(), route()):
        voice_id = await whole.create(leg)
        await whole.replace(voice_id, leg)
        assert await whole.find(leg.kind, voice_id) in await whole.list(leg.kind)
        await whole.delete(leg.kind, voice_id)
    await whole.ping()
    assert {call.kind for call in edge.calls} == {LegKind.EDGE}
    assert {call.kind for call in voice.calls} == {LegKind.OUTBOUND, None}


@pytest.mark.parametrize("cause", VoiceCause)
async def test_what_concerns_all_of_the_edge_concerns_no_other_trunk(
    parts: tuple[FaultyVoice, FaultyVoice], cause: VoiceCause
) -> None:
    voice, edge = parts
    for part in parts:
        part.plan = lambda _call: Fail(VoiceError(cause, "This is why."))
    error = await fails(VoiceWithEdge(voice, edge).create(route()), NARROW.get(cause, cause))
    assert error.detail == "This is why."
    assert cause not in WIDE or error.cause not in WIDE or cause is VoiceCause.RATE_LIMITED
    await fails(VoiceWithEdge(voice, edge).create(outbound()), cause)


def test_the_edges_trouble_is_certain_and_not_for_good() -> None:
    assert AT_THE_EDGE <= CERTAIN
    assert AT_THE_EDGE.isdisjoint(WIDE | DEFINITE)
