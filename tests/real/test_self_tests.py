"""selfTestSipTrunk over the real livekit-sip and a real agent worker: what is told, and that nothing is left behind."""

from collections.abc import Callable
from typing import Any

from livekit import api

from scripts.daemon import LOOPBACK, Daemon
from tests.api import Api, codes
from tests.real.calling import Exchange, new_line
from tests.real.test_test_calls import last_event, left_behind, own_workspace

SELF_TEST = """mutation ($id: ID!) { selfTestSipTrunk(input: {id: $id}) {
  message selfTest { outcome agentName sipStatus durationMs explanation } userErrors { code message field }
} }"""


async def self_test(client: Api, trunk_id: str) -> dict[str, Any]:
    payload: dict[str, Any] = (await client.ask(SELF_TEST, {"id": trunk_id}))["selfTestSipTrunk"]
    return payload


async def found(exchange: Exchange, client: Api, trunk_id: str) -> dict[str, Any]:
    payload = await self_test(client, trunk_id)
    assert codes(payload) == [], payload
    assert await left_behind(exchange) == []
    seen: dict[str, Any] = payload["selfTest"]
    assert payload["message"] == seen["explanation"]
    return seen


async def test_a_line_that_works(
    exchange: Exchange, worker: Daemon, record_property: Callable[[str, object], None]
) -> None:
    assert worker.is_running
    async with own_workspace(exchange, "works") as client, exchange.livekit() as lk:
        digest = await new_line(client)
        listed = await new_line(client, inboundAuthorizationType="IP", allowedInboundIps=["127.0.0.0/24"])
        encrypted = await new_line(client, mediaEncryption="REQUIRED")
        before = len((await lk.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())).items)
        for line in (digest, listed, encrypted):
            seen = await found(exchange, client, line.trunk["id"])
            record_property("self tests", f"{seen['outcome']} {seen['durationMs']} ms")
            assert (seen["outcome"], seen["agentName"]) == ("ANSWERED", "echo"), seen
            assert await last_event(client, line.trunk["id"]) == ("sip_trunk.self_tested", "ANSWERED")
        assert len((await lk.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())).items) == before


async def test_a_missing_worker_is_told_from_number_and_rule(exchange: Exchange) -> None:
    async with own_workspace(exchange, "missing") as client:
        line = await new_line(client, agent="nobody-of-this-name")
        seen = await found(exchange, client, line.trunk["id"])
        assert seen["outcome"] == "NO_WORKER", seen
        assert "“nobody-of-this-name”" in seen["explanation"]


async def test_a_number_that_livekit_has_otherwise_is_told(exchange: Exchange) -> None:
    async with own_workspace(exchange, "otherwise") as client, exchange.livekit() as lk:
        line = await new_line(client)
        rule = line.assistant["dispatchRuleId"] if line.assistant else ""
        await lk.sip.delete_dispatch_rule(api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule))
        seen = await found(exchange, client, line.trunk["id"])
        assert seen["outcome"] == "NOT_MATCHED", seen


async def test_credentials_that_livekit_has_otherwise_are_told(exchange: Exchange) -> None:
    async with own_workspace(exchange, "credentials") as client, exchange.livekit() as lk:
        line = await new_line(client)
        await lk.sip.update_inbound_trunk_fields(line.trunk["inboundTrunkId"], auth_password="another-one")
        seen = await found(exchange, client, line.trunk["id"])
        assert seen["outcome"] == "CREDENTIALS_REFUSED", seen
        assert await last_event(client, line.trunk["id"]) == ("sip_trunk.self_tested", "CREDENTIALS_REFUSED")


async def test_what_cannot_be_called_is_refused(exchange: Exchange) -> None:
    async with own_workspace(exchange, "refused") as client:
        unlisted = await new_line(client, inboundAuthorizationType="IP", allowedInboundIps=["198.51.100.7"])
        (error,) = (await self_test(client, unlisted.trunk["id"]))["userErrors"]
        assert (error["code"], error["field"]) == ("IP_NOT_ALLOWED", ["input", "id"])
        assert LOOPBACK in error["message"]
        alone = await new_line(client, agent=None)
        assert (await found(exchange, client, alone.trunk["id"]))["outcome"] == "NO_ASSISTANT"
