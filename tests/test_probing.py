"""probeSipTrunk and lastProbe over the API; SIP servers on loopback, which the settings allow."""

import asyncio
import socket
import time
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from limits import RateLimitItemPerMinute
from sipmessage import Request

from models.workspace import Workspace
from scripts.daemon import LOOPBACK, free_port
from tests.api import Api, House, codes, quick_settings, served_house, until
from tests.sip_servers import SipServer, answering, over_tcp, over_udp, saying
from trunkline import asgi, database, sip_options
from trunkline.pace import Limit
from trunkline.resolver import Resolver
from trunkline.settings import Settings
from trunkline.voice import VoiceKind
from trunkline.voice.sandbox import SandboxVoice

SEEN = "at reachable address roundTripMs sipStatus reason server problem"
PROBE = f"""mutation ($id: ID!) {{ probeSipTrunk(input: {{id: $id}}) {{
  message probe {{ {SEEN} }} userErrors {{ code message field retryable retryAfter }}
}} }}"""
LAST = f"query ($id: ID!) {{ sipTrunk(id: $id) {{ lastProbe {{ {SEEN} }} updatedAt revision }} }}"
NAME = "pbx.example.com"


class Names:
    """A name service whose answers the test decides."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    def __call__(self, *_: object, **__: object) -> list[tuple[object, object, object, object, tuple[str]]]:
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address,)) for address in self.addresses]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names("8.8.4.4")
    monkeypatch.setattr(asgi, "Resolver", partial(Resolver, names))
    return names


@pytest.fixture
def as_livekit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox in the clothes of LiveKit: from it new trunks are not probed."""
    monkeypatch.setattr(SandboxVoice, "kind", VoiceKind.LIVEKIT)


def settings(folder: Path, **changes: Any) -> Settings:
    return quick_settings(folder, **({"allowed_networks": (ip_network("127.0.0.0/8"),)} | changes))


def probing_by_itself(folder: Path) -> Settings:
    return settings(folder, probe_new_trunks="yes")


async def trunk_at(api: Api, port: int, **changes: Any) -> str:
    payload = await api.create(**({"sipAddress": LOOPBACK, "sipPort": port} | changes))
    assert codes(payload) == [], payload
    trunk_id: str = payload["sipTrunk"]["id"]
    return trunk_id


async def probe(api: Api, trunk_id: str) -> dict[str, Any]:
    payload: dict[str, Any] = (await api.ask(PROBE, {"id": trunk_id}))["probeSipTrunk"]
    return payload


async def last(api: Api, trunk_id: str) -> dict[str, Any] | None:
    seen: dict[str, Any] | None = (await api.ask(LAST, {"id": trunk_id}))["sipTrunk"]["lastProbe"]
    return seen


async def refused(house: House, trunk_id: str, server: SipServer) -> dict[str, Any]:
    """The one error of a probe for which nothing was sent and nothing stored."""
    payload = await probe(house.api, trunk_id)
    assert (payload["probe"], server.requests) == (None, [])
    (error,) = payload["userErrors"]
    assert payload["message"] == error["message"]
    assert isinstance(error, dict)
    return error


async def test_a_probe_is_told_and_remembered(tmp_path: Path) -> None:
    async with over_udp(answering(403, "Forbidden")) as server, served_house(settings(tmp_path)) as house:
        trunk_id = await trunk_at(house.api, server.port)
        before = (await house.api.ask(LAST, {"id": trunk_id}))["sipTrunk"]
        payload = await probe(house.api, trunk_id)
        seen = payload["probe"]
        assert payload["userErrors"] == []
        assert "trunkline's own address" in payload["message"]
        assert (seen["reachable"], seen["sipStatus"], seen["reason"]) == (True, 403, "Forbidden")
        assert (seen["address"], seen["server"], seen["problem"]) == (f"{LOOPBACK}:{server.port}", "Kamailio", None)
        assert seen["roundTripMs"] > 0
        after = (await house.api.ask(LAST, {"id": trunk_id}))["sipTrunk"]
        assert after == before | {"lastProbe": seen}


async def test_nobody_there_is_a_result(tmp_path: Path) -> None:
    async with served_house(settings(tmp_path)) as house:
        trunk_id = await trunk_at(house.api, free_port(), sipTransport="TCP")
        payload = await probe(house.api, trunk_id)
        assert payload["userErrors"] == []
        assert payload["probe"]["reachable"] is False
        assert "the port is closed" in payload["probe"]["problem"]
        assert payload["probe"]["problem"] in payload["message"]
        assert await last(house.api, trunk_id) == payload["probe"]


async def test_the_name_is_what_is_asked_for_and_its_address_what_is_asked(tmp_path: Path, names: Names) -> None:
    names.addresses = ("::1", LOOPBACK, "127.0.0.9")
    allowed = (ip_network("127.0.0.0/8"), ip_network("::1"))
    async with (
        over_tcp(answering()) as server,
        served_house(settings(tmp_path, allowed_networks=allowed)) as house,
    ):
        trunk_id = await trunk_at(house.api, server.port, sipAddress=NAME, sipTransport="TCP")
        payload = await probe(house.api, trunk_id)
        assert payload["probe"]["address"] == f"{LOOPBACK}:{server.port}"
        assert str(server.requests[0].uri) == f"sip:{NAME}:{server.port};transport=tcp"


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("8.8.4.4", "192.168.1.1"), (LOOPBACK, "169.254.169.254")])
async def test_a_name_that_leads_inside_by_now_is_not_asked(
    tmp_path: Path, names: Names, addresses: tuple[str, ...]
) -> None:
    async with over_udp(answering()) as server, served_house(settings(tmp_path)) as house:
        trunk_id = await trunk_at(house.api, server.port, sipAddress=NAME)
        names.addresses = addresses
        error = await refused(house, trunk_id, server)
        assert (error["code"], error["field"]) == ("ADDRESS_NOT_ALLOWED", ["input", "id"])
        assert await last(house.api, trunk_id) is None


async def test_an_address_that_is_allowed_no_more_is_not_asked(tmp_path: Path) -> None:
    async with over_udp(answering()) as server:
        async with served_house(settings(tmp_path)) as house:
            trunk_id = await trunk_at(house.api, server.port)
        async with served_house(quick_settings(tmp_path)) as house:
            assert (await refused(house, trunk_id, server))["code"] == "ADDRESS_NOT_ALLOWED"


@pytest.mark.parametrize("addresses", [(), ("2606:4700::1111",)])
async def test_a_name_without_an_ipv4_address_is_a_result(
    tmp_path: Path, names: Names, addresses: tuple[str, ...]
) -> None:
    async with served_house(settings(tmp_path)) as house:
        trunk_id = await trunk_at(house.api, 5060, sipAddress=NAME)
        names.addresses = addresses
        seen = (await probe(house.api, trunk_id))["probe"]
        assert (seen["reachable"], seen["address"]) == (False, None)
        assert f"No IPv4 address was found for {NAME}" in seen["problem"]


async def test_unknown_and_foreign_trunks_are_not_found(tmp_path: Path) -> None:
    async with over_udp(answering()) as server, served_house(settings(tmp_path)) as house:
        trunk_id = await trunk_at(house.api, server.port)
        other = await Workspace.create(id="ws_other", name="other", created_at=await database.now())
        await database.connection().execute_query("UPDATE sip_trunk SET workspace_id = ?", [other.id])
        for unknown in (trunk_id, "trunk_01m84jm4pde0zt4p5m1q44vg6r", "nonsense"):
            assert (await refused(house, unknown, server))["code"] == "NOT_FOUND"


async def test_another_address_has_not_been_probed(tmp_path: Path) -> None:
    async with over_udp(answering()) as server, served_house(settings(tmp_path)) as house:
        trunk_id = await trunk_at(house.api, server.port)
        seen = (await probe(house.api, trunk_id))["probe"]
        for changes in ({"sipPort": 5999}, {"sipTransport": "TCP"}, {"sipAddress": "127.0.0.2"}):
            assert codes(await house.api.update(trunk_id, **changes)) == []
            assert await last(house.api, trunk_id) is None
        await house.api.update(trunk_id, sipPort=server.port, sipTransport="UDP", sipAddress=LOOPBACK)
        assert await last(house.api, trunk_id) == seen


async def test_what_was_asked_at_the_old_address_hides_no_newer_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_options, "PATIENCE_SECONDS", 60.0)
    may_answer = asyncio.Event()

    def late(request: Request) -> Sequence[bytes]:
        return answering()(request) if may_answer.is_set() else ()

    async with over_udp(late) as old, over_udp(answering()) as new, served_house(settings(tmp_path)) as house:
        trunk_id = await trunk_at(house.api, old.port)
        slow = asyncio.create_task(probe(house.api, trunk_id))

        async def is_asked() -> bool:
            return bool(old.requests)

        await until(is_asked)
        assert codes(await house.api.update(trunk_id, sipPort=new.port)) == []
        seen = (await probe(house.api, trunk_id))["probe"]
        may_answer.set()  # it is asked again
        assert (await slow)["probe"]["address"] == f"{LOOPBACK}:{old.port}"
        assert seen["address"] == f"{LOOPBACK}:{new.port}"
        assert await last(house.api, trunk_id) == seen


async def test_probes_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.probing.PROBES", Limit("probes", (RateLimitItemPerMinute(2),)))
    async with over_udp(answering()) as server, served_house(settings(tmp_path)) as house:
        trunk_id = await trunk_at(house.api, server.port)
        assert [codes(await probe(house.api, trunk_id)) for _ in range(2)] == [[], []]
        (error,) = (await probe(house.api, trunk_id))["userErrors"]
        assert (error["code"], error["retryable"]) == ("RATE_LIMITED", True)
        assert 50 <= error["retryAfter"] <= 60
        assert len(server.requests) == 2


async def test_only_so_many_run_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip_options, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr("trunkline.services.PROBES", 1)
    async with over_udp(saying()) as server, served_house(settings(tmp_path)) as house:
        trunk_id = await trunk_at(house.api, server.port)
        first, second = await asyncio.gather(probe(house.api, trunk_id), probe(house.api, trunk_id))
        assert sorted([codes(first), codes(second)]) == [[], ["RATE_LIMITED"]]


@pytest.mark.usefixtures("as_livekit")
@pytest.mark.parametrize("provisioning", ["WAIT", "BACKGROUND"])
async def test_a_new_trunk_is_probed_by_itself(tmp_path: Path, provisioning: str) -> None:
    async with over_udp(answering()) as server, served_house(probing_by_itself(tmp_path)) as house:
        trunk_id = await trunk_at(house.api, server.port, provisioning=provisioning)

        async def is_probed() -> bool:
            return bool(await last(house.api, trunk_id))

        await until(is_probed)
        assert (await last(house.api, trunk_id) or {})["reachable"] is True
        await house.api.update(trunk_id, sipTransport="TCP")
        await until(is_probed)
        assert (await last(house.api, trunk_id) or {})["reachable"] is False
        assert len(server.requests) == 1


@pytest.mark.usefixtures("as_livekit")
async def test_a_probe_that_fails_fails_no_creation(tmp_path: Path, names: Names) -> None:
    async with served_house(probing_by_itself(tmp_path)) as house:
        await trunk_at(house.api, 1, sipAddress=LOOPBACK)
        names.addresses = ()
        trunk_id = await trunk_at(house.api, 1, sipAddress=NAME, phoneNumber="+40741926266")

        async def is_probed() -> bool:
            return bool(await last(house.api, trunk_id))

        await until(is_probed)
        assert [trunk["status"] for trunk in await house.api.trunks()] == ["ACTIVE", "ACTIVE"]


@pytest.mark.usefixtures("as_livekit")
async def test_the_end_waits_for_no_probe(tmp_path: Path) -> None:
    async with over_udp(saying()) as server:
        async with served_house(probing_by_itself(tmp_path)) as house:
            await trunk_at(house.api, server.port)

            async def is_asked() -> bool:
                return bool(server.requests)

            await until(is_asked)
            began = time.monotonic()
        assert time.monotonic() - began < 4.5


async def test_nothing_leaves_the_sandbox_unasked(tmp_path: Path) -> None:
    async with over_udp(answering()) as server, served_house(probing_by_itself(tmp_path)) as house:
        trunk_id = await trunk_at(house.api, server.port)
        await house.api.update(trunk_id, sipTransport="TCP")
        await house.api.update(trunk_id, sipTransport="UDP")
        await probe(house.api, trunk_id)
    assert len(server.requests) == 1


@pytest.mark.usefixtures("as_livekit")
async def test_new_trunks_are_left_alone_when_told_so(tmp_path: Path) -> None:
    async with over_udp(answering()) as server, served_house(settings(tmp_path)) as house:
        await probe(house.api, await trunk_at(house.api, server.port))
    assert len(server.requests) == 1
