"""What becomes of a call to a real LiveKit when the request or its answer is lost, late or not LiveKit's."""

from collections.abc import AsyncIterator, Awaitable

import pytest

from models.trunk_leg import LegKind
from tests.real.fault_proxy import Answer, Delay, DropReply, DropRequest, Fault, FaultProxy, Hold, fault_proxy
from tests.real.reaching import reaching
from tests.real.servers import LiveKitServer
from tests.voice_legs import digits, fails, inbound, outbound
from trunkline.voice import VoiceCause
from trunkline.voice.bounded import Bounded
from trunkline.voice.livekit import LiveKitVoice

INBOUND, OUTBOUND = LegKind.INBOUND, LegKind.OUTBOUND
HTML = b"<!doctype html><title>Welcome</title>"
PROTOBUF = "application/protobuf"
JSON = "application/json"
REDIS = b'{"code":"internal","msg":"twirp error unknown: sip not connected (redis required)"}'


@pytest.fixture
async def proxy(livekit: LiveKitServer) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(livekit.url) as proxy:
        yield proxy


@pytest.fixture
async def voice(livekit: LiveKitServer, proxy: FaultProxy) -> AsyncIterator[LiveKitVoice]:
    """Reaches LiveKit through the proxy."""
    async with reaching(livekit, proxy.url) as voice:
        yield voice


@pytest.fixture
async def direct(livekit: LiveKitServer) -> AsyncIterator[LiveKitVoice]:
    """Reaches LiveKit by itself; finds nothing there and leaves nothing."""
    async with reaching(livekit) as direct:
        await cleared(direct)
        yield direct
        await cleared(direct)


async def cleared(direct: LiveKitVoice) -> None:
    for kind in LegKind:
        for held in await direct.list(kind):
            await direct.delete(kind, held.voice_id)


async def stored(direct: LiveKitVoice) -> int:
    return len(await direct.list(OUTBOUND))


async def test_without_a_fault_everything_passes(voice: LiveKitVoice, direct: LiveKitVoice, proxy: FaultProxy) -> None:
    await voice.ping()
    await voice.create(outbound())
    assert await stored(direct) == 1
    assert proxy.requests == ["ListSIPOutboundTrunk", "CreateSIPOutboundTrunk"]


ANSWERS = [
    (Answer(401), VoiceCause.MISCONFIGURED),
    (Answer(401, b"invalid API key", "text/plain"), VoiceCause.MISCONFIGURED),
    (Answer(403, HTML), VoiceCause.MISCONFIGURED),
    (Answer(404, HTML), VoiceCause.MISCONFIGURED),
    (Answer(404, b'{"code":"bad_route","msg":"no handler"}', JSON), VoiceCause.MISCONFIGURED),
    (Answer(400, b"Client sent an HTTP request to an HTTPS server.", "text/plain"), VoiceCause.MISCONFIGURED),
    (Answer(500, REDIS, JSON), VoiceCause.MISCONFIGURED),
    (Answer(200, HTML), VoiceCause.MISCONFIGURED),
    (Answer(200, b"{}", JSON), VoiceCause.MISCONFIGURED),
    (Answer(429, HTML), VoiceCause.RATE_LIMITED),
    (Answer(429, b'{"code":"resource_exhausted"}', JSON), VoiceCause.RATE_LIMITED),
]
UNCLEAR = [
    Answer(200, content_type=""),
    Answer(200, b"\xff\xff", PROTOBUF),
    Answer(204),
    Answer(408),
    Answer(500, b"[]", JSON),
    Answer(500, b'{"code":5,"msg":null}', JSON),
    Answer(502, HTML),
    Answer(503),
    Answer(599, b"[" * 100_000, JSON),
    DropRequest(),
    DropReply(keep=20),
    DropReply(keep=120),
]


@pytest.mark.parametrize(("answer", "cause"), ANSWERS)
async def test_answer_tells_that_nothing_was_done(
    answer: Answer, cause: VoiceCause, voice: LiveKitVoice, proxy: FaultProxy
) -> None:
    calls: list[Awaitable[object]] = [
        voice.create(outbound()),
        voice.list(INBOUND),
        voice.delete(OUTBOUND, "ST_1"),
        voice.ping(),
    ]
    for call in calls:
        proxy.faults.append(answer)
        await fails(call, cause)
    assert proxy.forwarded == []


@pytest.mark.parametrize("fault", UNCLEAR)
async def test_write_without_a_clear_answer_has_an_unknown_outcome(
    fault: Fault, voice: LiveKitVoice, proxy: FaultProxy, direct: LiveKitVoice
) -> None:
    voice_id = await direct.create(outbound())
    writes: list[Awaitable[object]] = [
        voice.create(outbound()),
        voice.replace(voice_id, outbound()),
        voice.delete(OUTBOUND, voice_id),
    ]
    for write in writes:
        proxy.faults.append(fault)
        await fails(write, VoiceCause.OUTCOME_UNKNOWN)
    assert len(proxy.requests) == 3  # none was sent again


@pytest.mark.parametrize("fault", UNCLEAR)
async def test_list_without_a_clear_answer_is_no_shorter_list(
    fault: Fault, voice: LiveKitVoice, proxy: FaultProxy, direct: LiveKitVoice
) -> None:
    for _ in range(3):
        await direct.create(outbound())
    reads: list[Awaitable[object]] = [voice.list(OUTBOUND), voice.find(OUTBOUND, "ST_1"), voice.ping()]
    for read in reads:
        proxy.faults.append(fault)
        await fails(read, VoiceCause.UNAVAILABLE)


async def test_list_that_breaks_on_its_second_page_is_no_shorter_list(
    voice: LiveKitVoice, proxy: FaultProxy, direct: LiveKitVoice
) -> None:
    await direct.create(outbound())
    proxy.faults.extend([Delay(), DropReply()])
    await fails(voice.list(OUTBOUND), VoiceCause.UNAVAILABLE)


async def test_created_object_without_an_id_has_an_unknown_outcome(voice: LiveKitVoice, proxy: FaultProxy) -> None:
    proxy.faults.append(Answer(200, b"", PROTOBUF))
    await fails(voice.create(inbound(digits())), VoiceCause.OUTCOME_UNKNOWN)


async def test_dropped_request_leaves_nothing_and_a_dropped_reply_an_object(
    voice: LiveKitVoice, proxy: FaultProxy, direct: LiveKitVoice
) -> None:
    proxy.faults.append(DropRequest())
    await fails(voice.create(outbound()), VoiceCause.OUTCOME_UNKNOWN)
    assert await stored(direct) == 0
    proxy.faults.append(DropReply())
    await fails(voice.create(outbound()), VoiceCause.OUTCOME_UNKNOWN)
    assert [held.leg for held in await direct.list(OUTBOUND)] == [outbound()]


async def test_late_reply_leaves_an_object(voice: LiveKitVoice, proxy: FaultProxy, direct: LiveKitVoice) -> None:
    proxy.faults.append(Delay(after=60))
    await fails(Bounded(voice, 1).create(outbound()), VoiceCause.OUTCOME_UNKNOWN)
    assert await stored(direct) == 1


async def test_held_request_has_its_effect_after_the_caller_left(
    voice: LiveKitVoice, proxy: FaultProxy, direct: LiveKitVoice
) -> None:
    proxy.faults.append(Hold())
    await fails(Bounded(voice, 1).create(outbound()), VoiceCause.OUTCOME_UNKNOWN)
    assert await stored(direct) == 0
    await proxy.release()
    assert await stored(direct) == 1


async def test_missing_object_is_deleted_already(voice: LiveKitVoice, proxy: FaultProxy) -> None:
    proxy.faults.append(Answer(404, b'{"code":"not_found","msg":"object cannot be found"}', JSON))
    await voice.delete(OUTBOUND, "ST_1")


@pytest.mark.parametrize(("headers", "seconds"), [({"Retry-After": "7"}, 7), ({}, 5)])
async def test_rate_limit_tells_how_long_to_wait(
    headers: dict[str, str], seconds: int, voice: LiveKitVoice, proxy: FaultProxy
) -> None:
    proxy.faults.append(Answer(429, headers=headers))
    assert (await fails(voice.create(outbound()), VoiceCause.RATE_LIMITED)).retry_after == seconds


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed(
    status: int, voice: LiveKitVoice, proxy: FaultProxy, livekit: LiveKitServer
) -> None:
    async with fault_proxy(livekit.url) as elsewhere:
        proxy.faults.append(Answer(status, headers={"Location": elsewhere.url}))
        await fails(voice.create(outbound()), VoiceCause.MISCONFIGURED)
        assert elsewhere.requests == []
