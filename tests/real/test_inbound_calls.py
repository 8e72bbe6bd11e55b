"""Calls of a carrier to trunks of createSipTrunk: who is let in, who is told no, and who hears nothing at all."""

from collections.abc import Callable

import pytest

from tests.real.calling import AGENT_NAME
from tests.real.inbound_matrix import CASES, Case, How, Outcome, Played

NO_TRUNK = {How.UNKNOWN_NUMBER, How.DELETED}


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_call(
    inbound_calls: dict[Case, Played], case: Case, record_property: Callable[[str, object], None]
) -> None:
    played = inbound_calls[case]
    wire = " ".join(played.statuses) + (" …" if played.outcome is Outcome.SILENT else "")
    tries = f", called {played.tries} times" if played.tries > 1 else ""
    record_property("calls of a carrier", f"{case!s:45} {wire:25} {played.outcome}{tries}")
    assert played.outcome == case.expected
    assert ("407" in played.statuses) == (case.authorization == "AUTH" and case.how not in NO_TRUNK)
    if case.expected is Outcome.ANSWERED:
        assert played.agent == AGENT_NAME
        told = played.attributes or {}
        assert (told["sip.phoneNumber"], told["sip.trunkPhoneNumber"]) == (played.caller, played.called)
        assert told["sip.trunkID"] == played.line.trunk["inboundTrunkId"]
        assert played.line.assistant
        assert told["sip.ruleID"] == played.line.assistant["dispatchRuleId"]
    else:
        assert played.room is None
        assert ("180" in played.statuses) == (case.expected is Outcome.SILENT)
