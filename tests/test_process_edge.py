"""What nobody expected: a masked answer with the request id, and a log line of its type and place alone."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.api import LIST, quick_settings, served_house
from trunkline import database


async def test_an_unusable_database_is_a_masked_answer(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        await database.connection().execute_script("DROP TABLE api_key")
        with capture_logs() as lines:
            response = await house.api.raw(LIST)
    request_id = response.headers["x-request-id"]
    assert response.status_code == 500
    assert response.json() == {
        "errors": [{"message": f"Internal error. Please report the request id {request_id}."}],
    }
    (failure,) = [line for line in lines if line["event"] == "unexpected_error"]
    assert failure["error"] == "OperationalError"
    assert "api_key" not in str(lines)


async def test_it_is_told_unready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.asgi.READY_SECONDS", 0.0)
    async with served_house(quick_settings(tmp_path)) as house:
        assert (await house.api.client.get("/readyz")).json() == {"status": "ready", "reasons": []}
        await database.connection().execute_script("DROP TABLE tortoise_migrations")
        response = await house.api.client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "unready"
    assert set(response.json()["reasons"]) <= {"database", "migrations"}
