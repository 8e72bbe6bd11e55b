"""Names are looked at again: one that points inside makes its trunk DEGRADED, with the reason at the leg."""

import asyncio
import socket
from functools import partial
from pathlib import Path

import pytest

from tests.api import House, codes, quick_settings, served_house
from trunkline import asgi
from trunkline.resolver import Resolver

PATIENCE_SECONDS = 30.0
LEGS = "{ sipTrunks { nodes { status inbound { state } outbound { state lastError { code retryable } } } } }"


class Names:
    """A name service whose answers the test decides."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def __call__(self, host: str, *_: object, **__: object) -> list[tuple[object, object, object, object, tuple[str]]]:
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 0, "", (self.known[host],))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(asgi, "Resolver", partial(Resolver, names))
    return names


async def trunk_of(house: House) -> dict[str, object]:
    (trunk,) = (await house.api.ask(LEGS))["sipTrunks"]["nodes"]
    assert isinstance(trunk, dict)
    return trunk


async def test_an_unresolved_name_that_points_inside_later_is_told(tmp_path: Path, names: Names) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        payload = await house.api.create(sipAddress="pbx.example.com")
        assert codes(payload) == []
        assert [warning["code"] for warning in payload["warnings"]] == ["ADDRESS_NOT_RESOLVED"]
        names.known["pbx.example.com"] = "169.254.169.254"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (trunk := await trunk_of(house))["status"] != "DEGRADED":  # the API has no events yet
                await asyncio.sleep(0.05)
    assert trunk == {
        "status": "DEGRADED",
        "inbound": {"state": "READY"},
        "outbound": {"state": "REFUSED", "lastError": {"code": "ADDRESS_NOT_ALLOWED", "retryable": False}},
    }


async def test_a_name_that_points_outside_changes_nothing(tmp_path: Path, names: Names) -> None:
    settings = quick_settings(tmp_path)
    async with served_house(settings) as house:
        await house.api.create(sipAddress="pbx.example.com")
        names.known["pbx.example.com"] = "8.8.8.8"
        house.voice.forget()
        await asyncio.sleep(4 * settings.reconcile_interval)
        assert (await trunk_of(house))["status"] == "ACTIVE"
        assert house.voice.writes == []


async def test_a_name_that_already_points_inside_is_refused_at_once(tmp_path: Path, names: Names) -> None:
    names.known["pbx.example.com"] = "10.0.0.7"
    async with served_house(quick_settings(tmp_path)) as house:
        payload = await house.api.create(sipAddress="pbx.example.com")
        assert codes(payload) == ["ADDRESS_NOT_ALLOWED"]
        assert "10.0.0.7" not in str(payload)
