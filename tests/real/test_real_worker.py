"""One whole call: a carrier's INVITE to a trunk of createSipTrunk, answered by the worker that createAssistant named.

LiveKit, livekit-sip, the worker and SIPp are real; there is no AI model.
"""

from collections.abc import Callable

from scripts.daemon import Daemon
from tests.real.calling import AGENT_KIND, AGENT_NAME, CREDENTIALS, Exchange, answered, new_caller, new_line
from tests.real.sipp import Carrier


async def test_a_call_is_answered_by_the_assistants_worker(
    exchange: Exchange, worker: Daemon, carrier: Carrier, record_property: Callable[[str, object], None]
) -> None:
    async with exchange.client() as client:
        line = await new_line(client)
    assert line.assistant
    caller = new_caller()
    async with carrier.calling(line.number, caller, CREDENTIALS) as call, exchange.livekit() as lk:
        seen = await answered(lk, caller)
        assert await call.ended() == 0, call.statuses()
    assert worker.is_running
    assert seen.room.startswith("call-")
    assert seen.dispatch.agent_name == seen.present[AGENT_KIND].attributes["lk.agent_name"] == AGENT_NAME
    assert (seen.caller["sip.phoneNumber"], seen.caller["sip.trunkPhoneNumber"]) == (caller, line.number)
    assert seen.caller["sip.trunkID"] == line.trunk["inboundTrunkId"]
    assert seen.caller["sip.ruleID"] == line.assistant["dispatchRuleId"]
    assert [status for status in call.statuses() if status != "180"] == ["100", "407", "100", "200"]
    record_property("milliseconds from INVITE to 200", call.milliseconds_to("200"))


async def test_a_wrong_password_is_told_and_reaches_nobody(exchange: Exchange, carrier: Carrier) -> None:
    async with exchange.client() as client:
        line = await new_line(client)
    async with carrier.calling(line.number, new_caller(), ("alice", "another-password")) as call:
        assert await call.ended() != 0
    assert call.statuses()[-1] == "401"
    assert "200" not in call.statuses()
