"""createAssistant over HTTP against a real livekit-server: the rules, read back with LiveKit's own client."""

import itertools
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from livekit import api

from tests.api import KEY, Api, codes, until
from tests.assistant_api import Assistants
from tests.real.servers import LiveKitServer, running_livekit
from tests.server_process import ServerProcess

PATIENCE_SECONDS = 30.0
EXTENSIONS = (f"desk.{number}" for number in itertools.count(100))


@pytest.fixture(scope="module")
def trunkline(tmp_path_factory: pytest.TempPathFactory, livekit: LiveKitServer) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("trunkline"), livekit) as server:
        yield server


def serving(folder: Path, livekit: LiveKitServer) -> ServerProcess:
    times = {"TRUNKLINE_PROVISION_TIMEOUT": "6", "TRUNKLINE_RECONCILE_INTERVAL": "1"}
    return ServerProcess(folder, livekit.environment | times, key=KEY)


def client_of(server: ServerProcess) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30)


@pytest.fixture
async def assistants(trunkline: ServerProcess) -> AsyncIterator[Assistants]:
    async with client_of(trunkline) as client:
        yield Assistants(Api(client))


@pytest.fixture
async def lk(livekit: LiveKitServer) -> AsyncIterator[api.LiveKitAPI]:
    async with api.LiveKitAPI(livekit.url, livekit.api_key, livekit.api_secret) as lk:
        yield lk


@pytest.fixture
async def trunk(assistants: Assistants) -> dict[str, Any]:
    return await new_trunk(assistants)


async def new_trunk(assistants: Assistants) -> dict[str, Any]:
    wish = {"sipTrunkType": "EXTENSION", "phoneNumber": next(EXTENSIONS), "countryCode": "RO"}
    payload = await assistants.api.create(**wish)
    assert codes(payload) == [], payload
    trunk: dict[str, Any] = payload["sipTrunk"]
    return trunk


async def rules_of(lk: api.LiveKitAPI, *trunks: dict[str, Any]) -> dict[str, api.SIPDispatchRuleInfo]:
    """The rules that name one of these trunks, ours or not."""
    ids = {trunk["inboundTrunkId"] for trunk in trunks}
    items = (await lk.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())).items
    assert all(item.trunk_ids for item in items), "a rule without trunks takes the calls of all"
    return {item.sip_dispatch_rule_id: item for item in items if ids & set(item.trunk_ids)}


async def test_the_rule_of_an_assistant(assistants: Assistants, trunk: dict[str, Any], lk: api.LiveKitAPI) -> None:
    made = await assistants.made(trunk, name="Front desk", agentName="echo")
    ((rule_id, rule),) = (await rules_of(lk, trunk)).items()
    assert made["dispatchRuleId"] == rule_id
    assert rule_id.startswith("SDR_")
    assert rule.name == "Front desk"
    assert list(rule.trunk_ids) == [trunk["inboundTrunkId"]]
    assert rule.rule.dispatch_rule_individual.room_prefix == "call-"
    assert [agent.agent_name for agent in rule.room_config.agents] == ["echo"]
    marker = json.loads(rule.metadata)
    assert (marker["app"], marker["trunk"], marker["leg"]) == ("trunkline", trunk["id"], "dispatch")


async def test_a_renamed_agent_is_in_the_same_rule(
    assistants: Assistants, trunk: dict[str, Any], lk: api.LiveKitAPI
) -> None:
    made = await assistants.made(trunk)
    assert codes(await assistants.update(made, agentName="echo-2", name="Lobby")) == []
    ((rule_id, rule),) = (await rules_of(lk, trunk)).items()
    assert (rule_id, rule.name) == (made["dispatchRuleId"], "Lobby")
    assert [agent.agent_name for agent in rule.room_config.agents] == ["echo-2"]


async def test_moving_and_unassigning_and_deleting(
    assistants: Assistants, trunk: dict[str, Any], lk: api.LiveKitAPI
) -> None:
    other = await new_trunk(assistants)
    made = await assistants.made(trunk)
    told = (await assistants.update(made, phoneNumberId=other["id"]))["assistant"]
    ((rule_id, rule),) = (await rules_of(lk, trunk, other)).items()
    assert (rule_id, list(rule.trunk_ids)) == (told["dispatchRuleId"], [other["inboundTrunkId"]])
    assert codes(await assistants.update(made, phoneNumberId=None)) == []
    assert await rules_of(lk, trunk, other) == {}
    assert codes(await assistants.update(made, phoneNumberId=trunk["id"])) == []
    assert codes(await assistants.delete(made)) == []
    assert await rules_of(lk, trunk, other) == {}


async def test_a_deleted_trunk_leaves_no_rule(
    assistants: Assistants, trunk: dict[str, Any], lk: api.LiveKitAPI
) -> None:
    made = await assistants.made(trunk)
    payload = await assistants.api.delete(trunk["id"])
    assert [each["id"] for each in payload["unassigned"]] == [made["id"]]
    assert await rules_of(lk, trunk) == {}


async def test_a_foreign_rule_that_was_moved_onto_our_trunk_refuses(
    assistants: Assistants, trunk: dict[str, Any], lk: api.LiveKitAPI
) -> None:
    """LiveKit takes such an update; then calls would get 503."""
    made = await assistants.made(trunk)
    one_room = api.SIPDispatchRule(dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name="theirs"))
    foreign = api.SIPDispatchRuleInfo(name="theirs", rule=one_room, trunk_ids=["ST_elsewhere"])
    request = api.CreateSIPDispatchRuleRequest(dispatch_rule=foreign)
    foreign_id = (await lk.sip.create_dispatch_rule(request)).sip_dispatch_rule_id
    foreign.trunk_ids[:] = [trunk["inboundTrunkId"]]
    await lk.sip.update_dispatch_rule(foreign_id, foreign)
    before = await rules_of(lk, trunk)
    assert set(before) == {made["dispatchRuleId"], foreign_id}
    assert codes(await assistants.update(made, agentName="another")) == ["IN_USE"]
    assert await rules_of(lk, trunk) == before
    assert codes(await assistants.delete(made)) == []
    assert set(await rules_of(lk, trunk)) == {foreign_id}
    assert codes(await assistants.create(trunk)) == ["IN_USE"]
    await lk.sip.delete_dispatch_rule(api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=foreign_id))
    await assistants.made(trunk)


async def test_the_rule_follows_when_the_inbound_trunk_is_made_again(
    assistants: Assistants, trunk: dict[str, Any], lk: api.LiveKitAPI
) -> None:
    made = await assistants.made(trunk)
    await lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk["inboundTrunkId"]))

    async def is_back() -> bool:
        now = await assistants.api.trunk(trunk["id"]) or {}
        return now["inboundTrunkId"] != trunk["inboundTrunkId"] and set(await rules_of(lk, now)) == {
            made["dispatchRuleId"]
        }

    await until(is_back, PATIENCE_SECONDS)


async def test_a_redis_that_lost_everything_gets_trunk_and_rule_back(tmp_path: Path, livekit: LiveKitServer) -> None:
    """On servers of its own, since all is lost for everybody."""
    with running_livekit() as own, serving(tmp_path, own) as server:
        assert own.url != livekit.url
        async with client_of(server) as client, api.LiveKitAPI(*own.environment.values()) as lk:
            assistants = Assistants(Api(client))
            trunk = await new_trunk(assistants)
            made = await assistants.made(trunk)
            flush(own.redis_address)

            async def is_back() -> bool:
                now = await assistants.api.trunk(trunk["id"]) or {}
                told = await assistants.one(made) or {}
                return (
                    now["status"] == "ACTIVE"
                    and now["inboundTrunkId"] != trunk["inboundTrunkId"]
                    and set(await rules_of(lk, now)) == {told["dispatchRuleId"]}
                )

            await until(is_back, PATIENCE_SECONDS)


def flush(address: str) -> None:
    """Make Redis forget all."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=2) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(16).startswith(b"+OK")
