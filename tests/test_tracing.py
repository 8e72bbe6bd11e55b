"""Traces as a collector receives them: which spans, whose children, and nothing in them that a client chose."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from models.trunk_leg import LegKind
from tests.api import CREATE, given
from tests.commands import ROOT, refusal
from tests.otlp_receiver import OtlpReceiver, attributes, otlp_receiver
from tests.server_process import ServerProcess
from trunkline.serving import open_tracer
from trunkline.settings import SettingError
from trunkline.tracing import UNTRACED

NEEDLE = "hunter2Needle"
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": f"vendor={NEEDLE}", "baggage": f"a={NEEDLE}"}


def traced(folder: Path, receiver: OtlpReceiver, *requests: dict[str, Any], **settings: str) -> None:
    """Serve, ask, and stop, so that everything is sent."""
    otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "TRUNKLINE_RECONCILE_INTERVAL": "600", **settings}
    with ServerProcess(folder, otel) as server:
        for request in requests:
            headers = {"authorization": f"Bearer {server.key}", **request.pop("headers", {})}
            httpx.request(**{"method": "POST", "url": f"{server.url}/graphql", "headers": headers, **request})


def creation(**members: object) -> dict[str, Any]:
    input_ = given(sipPassword=NEEDLE * 2, nickname=NEEDLE, sipUsername=NEEDLE)
    return {"json": {"query": CREATE, "variables": {"input": input_}, **members}}


def test_a_request_is_a_span_with_its_operations_and_voice_calls_below(tmp_path: Path) -> None:
    with otlp_receiver() as receiver:
        traced(tmp_path, receiver, {**creation(), "headers": TRACEPARENT})
    (request,) = [span for span in receiver.spans("POST /graphql") if span.trace_id.hex() == TRACE]
    assert (request.parent_span_id.hex(), request.kind) == (CALLER, Span.SPAN_KIND_SERVER)
    assert attributes(request)["http.response.status_code"] == 200
    (operation,) = [span for span in receiver.spans("createSipTrunk") if span.parent_span_id == request.span_id]
    calls = [span for span in receiver.spans() if span.parent_span_id == operation.span_id]
    assert [(span.name, span.kind) for span in calls] == [("voice create", Span.SPAN_KIND_CLIENT)] * 2
    assert {span.trace_id.hex() for span in (operation, *calls)} == {TRACE}
    (reconcile, *_) = receiver.spans("reconcile")
    assert [span.name for span in receiver.spans() if span.parent_span_id == reconcile.span_id] == ["voice list"] * len(
        LegKind
    )
    (resource,) = {
        each.value.string_value
        for request in receiver.requests
        for part in request.resource_spans
        for each in part.resource.attributes
        if each.key == "service.name"
    }
    assert resource == "trunkline"


def test_spans_hold_nothing_that_a_client_chose(tmp_path: Path) -> None:
    with otlp_receiver() as receiver:
        traced(
            tmp_path,
            receiver,
            {**creation(operationName="Create"), "headers": TRACEPARENT},
            {"json": {"query": f"query {NEEDLE} {{ {NEEDLE}: voice {{ kind }} }}", "operationName": NEEDLE}},
            {"json": {"query": f"{{ {NEEDLE} }}"}},
            {"content": NEEDLE},
            {"method": "GET", "headers": {"host": NEEDLE, "user-agent": NEEDLE}},
            {"method": "PUT"},
            {"headers": {"traceparent": f"00-{NEEDLE}-{NEEDLE}-01"}, "json": {"query": "{ voice { kind } }"}},
        )
    assert {"PUT /graphql", "POST /graphql", "voice", "createSipTrunk"} <= {span.name for span in receiver.spans()}
    assert NEEDLE.encode() not in receiver.raw
    assert all(span.trace_state == "" for span in receiver.spans())
    refused = [attributes(span) for span in receiver.spans("POST /graphql")]
    assert {each["http.response.status_code"] for each in refused} == {200, 415}
    assert all(each["trunkline.request_id"] for each in refused)


def test_a_voice_call_that_fails_says_why_in_our_words(tmp_path: Path) -> None:
    livekit = {"LIVEKIT_URL": "http://127.0.0.1:9", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": NEEDLE * 3}
    with otlp_receiver() as receiver:
        otel = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.url}/v1/traces", "OTEL_SERVICE_NAME": "trunks"}
        server = ServerProcess(tmp_path, {**livekit, **otel})
        server.launch()
        until_alive(server)
        answer = httpx.post(
            f"{server.url}/graphql", **creation(), headers={"authorization": f"Bearer {server.key}"}, timeout=20
        )
        assert answer.json()["data"]["createSipTrunk"]["userErrors"][0]["code"] == "VOICE_UNAVAILABLE"
        assert server.stop() == 0
    (call, *_) = receiver.spans("voice create")
    assert (attributes(call)["error.type"], call.status.code) == ("UNAVAILABLE", Status.STATUS_CODE_ERROR)
    assert all(not span.events and not span.status.message for span in receiver.spans())
    assert attributes(receiver.span("createSipTrunk"))["trunkline.outcome"] == "user_errors"
    assert b"trunks" in receiver.raw
    assert NEEDLE.encode() not in receiver.raw


def until_alive(server: ServerProcess) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{server.url}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(server.log.read_text())


def test_a_receiver_that_is_away_keeps_nobody_waiting(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}) as server:
        headers = {"authorization": f"Bearer {server.key}"}
        for _ in range(3):
            answer = httpx.post(f"{server.url}/graphql", json={"query": "{ __typename }"}, headers=headers)
            assert answer.json() == {"data": {"__typename": "Query"}}
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "trunks"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
    ],
)
def test_nothing_is_traced_unless_it_is_asked_for(environ: dict[str, str]) -> None:
    assert open_tracer(environ) is UNTRACED


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
    ],
)
def test_what_is_not_built_in_stops_the_start(environ: dict[str, str], named: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError):
        open_tracer(environ)
    assert refusal(tmp_path, "serve", "--port", "0", **environ).startswith(f"trunkline: {named}: must be ")


def test_the_library_is_not_even_imported_without_need() -> None:
    program = "import sys, trunkline.serving; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
