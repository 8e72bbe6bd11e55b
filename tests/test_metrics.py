"""What Prometheus reads: who may, what is counted, and that no label is a client's text."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.workspace import ApiKey
from scripts.daemon import LOOPBACK, free_port
from tests.api import CREATE, LIST, House, given, quick_settings, served_house, until
from tests.commands import refusal
from tests.faulty_voice import Fail, Method, Plan
from tests.live import CHANGED, Place, introduced, place_of, watching
from tests.server_process import ServerProcess
from tests.test_workspaces import make_workspace
from trunkline import database
from trunkline.feed import Happening
from trunkline.voice import VoiceCause, VoiceError

NEEDLE = "hunter2Needle"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path, reconcile_interval=30.0)) as house:
        yield house


async def scraped(house: House | Place) -> str:
    answer = await house.api.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return answer.text


def value(text: str, name: str, **labels: str) -> float | None:
    """The one sample of this name and these labels."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = [each.value for each in samples if each.name == f"trunkline_{name}" and each.labels == labels]
    assert len(found) <= 1
    return found[0] if found else None


def failing(method: Method, cause: VoiceCause) -> Plan:
    return lambda call: Fail(VoiceError(cause, NEEDLE)) if call.method == method else None


async def test_only_an_operators_key_may_read(house: House) -> None:
    client = house.api.client
    for header in ("", "Bearer tl_unknown-key-of-nobody-at-all"):
        assert (await client.get("/metrics", headers={"authorization": header})).status_code == 401
    assert (await client.get("/metrics")).status_code == 200
    await ApiKey.all().update(scopes="READ WRITE")
    answer = await client.get("/metrics")
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (
        403,
        'This needs an API key of the workspace "default" with the scope OPERATOR.',
    )
    assert (await client.post("/metrics")).status_code == 405


async def test_a_tenant_does_not_read_what_counts_all(house: House) -> None:
    tenant = house.holding((await make_workspace(house.api))["secret"])
    assert (await tenant.client.get("/metrics")).status_code == 403


async def test_operations_and_errors_are_counted(house: House) -> None:
    await house.api.create()
    await house.api.create()
    await house.api.create(sipAddress="", sipPort=0)
    await house.api.raw(f"query {NEEDLE} {{ {NEEDLE} }}")
    await house.api.raw(f"{{ {NEEDLE}: voice {{ kind }} }}")
    await house.api.client.get(f"/{NEEDLE}/{NEEDLE}")
    await house.api.client.request(NEEDLE, "/healthz")
    text = await scraped(house)
    assert NEEDLE.lower() not in text.lower()
    assert value(text, "operations_total", operation="createSipTrunk", outcome="ok") == 1
    assert value(text, "operations_total", operation="createSipTrunk", outcome="user_errors") == 2
    assert value(text, "operations_total", operation="voice", outcome="ok") == 1
    assert value(text, "operation_seconds_count", operation="createSipTrunk") == 3
    found = [value(text, "errors_total", code=code) for code in ("ALREADY_EXISTS", "REQUIRED", "OUT_OF_RANGE")]
    assert found == [1, 1, 1]
    assert value(text, "errors_total", code="REQUEST_ERROR") == 3  # the document, the path and the method
    assert value(text, "requests_total", route="/graphql", status="200") == 5
    assert value(text, "requests_total", route="other", status="404") == 1
    assert value(text, "request_seconds_count", route="/graphql") == 5


async def test_a_fault_of_ours_is_counted(house: House) -> None:
    await database.connection().execute_script("DROP TABLE assistant")
    await house.api.raw("{ assistants { totalCount } }")
    text = await scraped(house)
    assert value(text, "operations_total", operation="assistants", outcome="failed") == 1
    assert value(text, "errors_total", code="INTERNAL_ERROR") == 1


async def test_errors_told_over_a_socket_are_counted_when_they_are_told(tmp_path: Path) -> None:
    async with place_of(quick_settings(tmp_path, provision_timeout=15.0)) as place, introduced(place) as socket:
        trunk_id = (await place.api.create())["sipTrunk"]["id"]
        for query in ("subscription { nonsense }", "{ voice { kind } }", ""):
            await socket.subscribe(query=query)
            assert (await socket.said())["type"] == "error"
        await watching(socket, query="subscription { sipTrunkChanged { sipTrunk { recentCalls { at } } } }")
        await database.connection().execute_script("DROP TABLE call")
        workspace_id = (await ApiKey.get()).workspace_id
        for event_id in ("evt_1", "evt_2"):
            place.running.feed.hear(Happening(event_id, workspace_id, "sip_trunk.updated", trunk_id))
            assert (await socket.said())["payload"]["errors"]
        await socket.is_quiet()
        text = await scraped(place)
    assert value(text, "errors_total", code="REQUEST_ERROR") == 3
    assert value(text, "errors_total", code="INTERNAL_ERROR") == 2


async def test_how_long_a_stream_stayed_open_is_no_time_of_a_request(tmp_path: Path) -> None:
    async with place_of(quick_settings(tmp_path)) as place:
        headers = {"accept": "text/event-stream"}
        async with place.api.client.stream("POST", "/graphql", json={"query": CHANGED}, headers=headers) as response:
            assert response.status_code == 200

        async def counted() -> bool:
            return value(await scraped(place), "requests_total", route="/graphql", status="200") == 1

        await until(counted)
        assert value(await scraped(place), "request_seconds_count", route="/graphql") is None
        assert value(await scraped(place), "request_seconds_count", route="/metrics") is not None


async def test_voice_calls_and_provisioning_are_timed(house: House) -> None:
    await house.api.create()
    house.voice.plan = failing("create", VoiceCause.REFUSED)
    await house.api.create(phoneNumber="+40741926266")
    text = await scraped(house)
    assert NEEDLE not in text
    assert value(text, "voice_calls_total", method="create", outcome="OK") == 2
    assert value(text, "voice_calls_total", method="create", outcome="REFUSED") == 1
    assert value(text, "voice_call_seconds_count", method="create") == 3
    assert value(text, "provision_seconds_count", mode="WAIT", code="OK") == 1
    assert value(text, "provision_seconds_count", mode="WAIT", code="VOICE_REFUSED") == 1


async def test_a_creation_in_the_background_is_timed_until_it_is_decided(house: House) -> None:
    made = await house.api.create(provisioning="BACKGROUND")
    await house.api.trunk_in(made["sipTrunk"]["id"], "ACTIVE")
    assert value(await scraped(house), "provision_seconds_count", mode="BACKGROUND", code="OK") == 1


async def test_the_reconciler_is_measured(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, reconcile_interval=0.05)) as house:
        before = await database.now()

        async def ended(outcome: str) -> bool:
            return value(await scraped(house), "reconcile_passes_total", outcome=outcome) is not None

        await until(lambda: ended("ok"))
        house.voice.plan = failing("list", VoiceCause.UNAVAILABLE)
        await until(lambda: ended("failed"))
        text = await scraped(house)
    assert (value(text, "reconcile_seconds_count") or 0) >= 2
    assert value(text, "reconcile_lag_seconds") == 0
    assert abs((value(text, "reconcile_last_success_timestamp_seconds") or 0) - before.timestamp()) < 60


async def test_trunks_of_all_workspaces_are_counted_by_status(house: House) -> None:
    assert value(await scraped(house), "trunks", status="ACTIVE") == 0


async def test_what_waits_and_what_stands_is_read_at_most_every_two_seconds(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scraped(house)
    await house.api.create()
    assert value(await scraped(house), "trunks", status="ACTIVE") == 0
    monkeypatch.setattr("trunkline.scrape.FRESH_SECONDS", -1)
    text = await scraped(house)
    assert value(text, "trunks", status="ACTIVE") == 1
    assert "CLAIMED" not in text


async def test_a_lost_database_leaves_the_other_metrics(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.api.create()
    monkeypatch.setattr("trunkline.scrape.FRESH_SECONDS", -1)
    assert value(await scraped(house), "trunks", status="ACTIVE") == 1
    await database.connection().execute_script("ALTER TABLE sip_trunk RENAME TO lost")
    text = await scraped(house)
    assert value(text, "trunks", status="ACTIVE") is None
    assert value(text, "operations_total", operation="createSipTrunk", outcome="ok") == 1


async def test_each_app_counts_for_itself(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        async with served_house(quick_settings(tmp_path / folder)) as house:
            await house.api.ask(LIST)
            text = await scraped(house)
            assert value(text, "operations_total", operation="sipTrunks", outcome="ok") == 1


def test_metrics_have_an_address_of_their_own(tmp_path: Path) -> None:
    port = free_port()
    with ServerProcess(tmp_path, {"TRUNKLINE_METRICS_ADDRESS": f"{LOOPBACK}:{port}"}) as server:
        own = f"http://{LOOPBACK}:{port}"
        body = {"query": CREATE, "variables": {"input": given()}}
        httpx.post(f"{server.url}/graphql", json=body, headers={"authorization": f"Bearer {server.key}"})
        answer = httpx.get(f"{own}/metrics", headers={"host": "trunkline.internal"})
        assert answer.status_code == 200
        assert value(answer.text, "operations_total", operation="createSipTrunk", outcome="ok") == 1
        assert "process_resident_memory_bytes" in answer.text
        assert httpx.get(f"{own}/graphql").status_code == 404
        assert httpx.get(f"{server.url}/metrics").status_code == 401
        taken = {"TRUNKLINE_METRICS_ADDRESS": f"{LOOPBACK}:{port}"}
        assert refusal(tmp_path / "other", "serve", "--port", "0", **taken) == (
            f"trunkline: TRUNKLINE_METRICS_ADDRESS: {LOOPBACK}:{port} cannot be listened on: Address already in use"
        )
        assert server.stop() == 0


def test_every_metric_is_explained() -> None:
    from trunkline.metrics import Metrics

    page = (Path(__file__).parent.parent / "docs" / "operating.md").read_text()
    names = {family.name for family in Metrics().registry.collect() if family.name.startswith("trunkline_")}
    assert len(names) > 10
    assert [name for name in sorted(names) if f"`{name}" not in page] == []
