"""No secret is left anywhere when the voice backend fails, even where it quotes in its answer what it was sent."""

import logging
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from models.sip_trunk import HIDDEN, SipTrunk
from models.trunk_leg import LegKind
from tests.api import CREATE, codes, given, quick_settings, served_house
from tests.faulty_voice import Fail, Fault, Hang, Late, at, first_of
from tests.needle import traces, traces_in
from tests.needle_requests import KEY, KEY_NEEDLE, NEEDLE, PASSWORD, USERNAME
from tests.quoting_voice import FAILURES, QuotingVoice
from tests.server_process import ServerProcess
from trunkline.voice import VoiceCause, VoiceError

API_SECRET = "Jw8kZr5bTx0hDs2P"
FAILING = (
    ("CreateSIPInboundTrunk",),
    ("CreateSIPOutboundTrunk",),
    ("CreateSIPOutboundTrunk", "DeleteSIPTrunk"),
    ("CreateSIPOutboundTrunk", "ListSIPOutboundTrunk"),
)
NOT_NOW = Fail(VoiceError(VoiceCause.UNAVAILABLE, "Not now."))
CODES = {
    "NUMBER_IN_USE", "VOICE_REFUSED", "VOICE_MISCONFIGURED", "RATE_LIMITED", "OUTCOME_UNKNOWN", "VOICE_UNAVAILABLE",
}  # fmt: skip


def test_what_a_voice_backend_quotes_is_not_passed_on(tmp_path: Path) -> None:
    with QuotingVoice() as voice, ServerProcess(tmp_path, livekit_settings(voice), key=KEY) as server:
        answers = list(failed_creations(voice, server))
        assert voice.failed >= len(FAILING) * len(FAILURES)
        server.kill()
    for secret in (NEEDLE, KEY_NEEDLE, API_SECRET):
        assert traces_in(tmp_path, secret) == {}
        assert [answer.text for answer in answers if traces(secret, answer.content)] == []
    assert {code for answer in answers for code in codes(answer.json()["data"]["createSipTrunk"])} == CODES
    assert "trunkline.db" in traces_in(tmp_path, USERNAME), "a claim that may have left something is kept"
    assert "reconcile_failed" in server.log.read_text()


def livekit_settings(voice: QuotingVoice) -> dict[str, str]:
    server = {"LIVEKIT_URL": voice.url, "LIVEKIT_API_KEY": "api-key", "LIVEKIT_API_SECRET": API_SECRET}
    return server | {"TRUNKLINE_PROVISION_TIMEOUT": "1.5", "TRUNKLINE_RECONCILE_INTERVAL": "0.2"}


def failed_creations(voice: QuotingVoice, server: ServerProcess) -> Iterator[httpx.Response]:
    """One creation per failure and failing calls, each with a number of its own; at last nobody answers."""
    with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, trust_env=False) as client:
        for number, (failure, calls) in enumerate(product(FAILURES.values(), FAILING)):
            voice.fail(failure, *calls)
            yield client.post("/graphql", json=creation(number))
        voice.close()
        yield client.post("/graphql", json=creation(-1))


def creation(number: int) -> dict[str, Any]:
    return {"query": CREATE, "variables": {"input": extension(number) | {"outboundProxy": False}}}  # no edge there


def extension(number: int) -> dict[str, Any]:
    own = {"sipTrunkType": "EXTENSION", "phoneNumber": f"{5000 + number}", "countryCode": "RO", "outboundProxy": True}
    return given(**own, sipUsername=USERNAME, sipPassword=PASSWORD)


def failures() -> Iterator[Fault]:
    for cause in VoiceCause:
        yield Fail(VoiceError(cause, "This is why."))
        yield Fail(VoiceError(cause, "This is why."), after=True)
    yield Hang()
    yield Hang(after=True)
    yield Late()


async def test_claims_and_remains_hold_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = quick_settings(tmp_path, provision_timeout=0.6, reconcile_interval=30.0)
    with capture_logs() as logged:
        async with served_house(settings) as house:
            for number, (fault, kind) in enumerate(product(failures(), LegKind)):
                house.voice.forget()
                house.voice.plan = first_of(at("create", kind, fault), at("delete", LegKind.INBOUND, NOT_NOW))
                answer = await house.api.raw(CREATE, {"input": extension(number)})
                assert traces(NEEDLE, answer.content) == []
            assert await SipTrunk.filter(status__in=HIDDEN).count() >= len(LegKind)
            assert traces_in(tmp_path, NEEDLE) == {}
    assert traces_in(tmp_path, NEEDLE) == {}
    assert {"trunkline.db", "sandbox.db"} <= traces_in(tmp_path, USERNAME).keys()
    assert traces(NEEDLE, f"{logged}{caplog.text}".encode()) == []
