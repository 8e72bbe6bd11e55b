"""explainInboundCall over HTTP: the trunk that takes the call, or the one rule that refuses it, in LiveKit's order."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from models.trunk_leg import LegKind
from tests.api import Api, House, quick_settings, served_house, until
from tests.explaining import ANYWHERE, CALLER, EXPLAIN, explained
from tests.faulty_voice import Fail, at
from tests.test_pages import other_api
from trunkline.voice import VoiceCause, VoiceError

NUMBER = "+40741926265"
DOWN = Fail(VoiceError(VoiceCause.UNAVAILABLE, "It is away."))
BY_IP = {"inboundAuthorizationType": "IP", "allowedInboundIps": ["203.0.113.0/28", "2001:db8::/64"]}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path)) as house:
        yield house


@pytest.fixture
def api(house: House) -> Api:
    return house.api


async def answered_trunk(api: Api, **changes: Any) -> dict[str, Any]:
    """A trunk with an assistant."""
    trunk: dict[str, Any] = (await api.create(**changes))["sipTrunk"]
    return trunk | {"assistant": (await api.answered_by(trunk["id"]))["id"]}


async def test_what_livekit_takes_for_the_number_is_accepted(api: Api) -> None:
    trunk = await answered_trunk(api)
    for to in (NUMBER, "40741926265", "40 741-926-265", "(407)41926265", f" {NUMBER} "):
        told = await explained(api, to)
        assert (told["rule"], told["sipTrunk"], told["assistant"]) == ("ACCEPTED", trunk["id"], trunk["assistant"]), to
    assert "the agent “desk”" in told["explanation"]
    assert "486" in told["explanation"]
    assert "SRTP" not in told["explanation"]


async def test_nobody_has_the_number(api: Api) -> None:
    await answered_trunk(api)
    told = await explained(api, "+40741000000")
    assert (told["rule"], told["sipTrunk"]) == ("NUMBER", None)
    assert told["explanation"] == (
        "Got “+40741000000”: no trunk of this workspace answers to it. "
        "The caller hears ringing and never gets an answer."
    )


async def test_the_same_number_in_another_form_is_told(api: Api) -> None:
    trunk = await answered_trunk(api)
    forms = ["0741926265", "741926265", "0040741926265", "01140741926265", "+40.741.926.265", "00741926265", "926265"]
    for to in forms:
        told = await explained(api, to)
        assert (told["rule"], told["sipTrunk"]) == ("NUMBER", trunk["id"]), to
        assert told["explanation"].startswith(f"Got “{to}”, the trunk answers to “{NUMBER}” only. ")
        assert ("NATIONAL" in told["explanation"]) is (to == "0741926265")


NEAR = {
    "Anna.B": "anna.b",
    "1234": "12.34",
    "0741926265": NUMBER,
    "+74951234567": "84951234567",
    "+12025550123": "2025550123",
    "+12025550124": "5550124",
}


async def test_other_near_misses(api: Api) -> None:
    for number, to in NEAR.items():
        kind = {"sipTrunkType": "EXTENSION", "countryCode": "RO"} if number[0] != "+" else {}
        trunk = await answered_trunk(api, phoneNumber=number, **kind)
        told = await explained(api, to)
        assert (told["rule"], told["sipTrunk"]) == ("NUMBER", trunk["id"])
        assert f"the trunk answers to “{number}” only" in told["explanation"]
        advised = "set sipCallingFormat to NATIONAL" in told["explanation"]
        assert advised is (number[0] == "+" and to in {"84951234567", "2025550123"}), number


async def test_national_is_not_advised_where_it_would_not_help(api: Api) -> None:
    await answered_trunk(api)
    await answered_trunk(api, phoneNumber="+40741926266", sipCallingFormat="NATIONAL")
    for to in ("0741.926.265", "0741.926.266"):  # LiveKit takes away no dots
        assert "NATIONAL" not in (await explained(api, to))["explanation"], to


async def test_what_is_not_near_is_not_said_to_be(api: Api) -> None:
    await answered_trunk(api, phoneNumber="+12025550123")
    await answered_trunk(api, sipTrunkType="EXTENSION", phoneNumber="annabel", countryCode="RO")
    for to in ("+16505550123", "0123", "+40741926266", "anna", "+", "Анна", "٠٧٤١٩٢٦٢٦٥", "%", "_" * 7):
        told = await explained(api, to)
        assert (told["rule"], told["sipTrunk"]) == ("NUMBER", None), to


async def test_a_national_number_answers_to_both_forms(api: Api) -> None:
    trunk = await answered_trunk(api, sipCallingFormat="NATIONAL")
    for to in (NUMBER, "0741926265", "+0741926265"):
        assert (await explained(api, to))["sipTrunk"] == trunk["id"]
    told = await explained(api, "741926265")
    assert (told["rule"], told["sipTrunk"]) == ("NUMBER", trunk["id"])
    assert "“+40741926265” or “0741926265” only" in told["explanation"]


async def test_extensions_with_a_letter_are_exact_and_others_are_normalised(api: Api) -> None:
    for number in ("12-34", "w12-34"):
        await answered_trunk(api, sipTrunkType="EXTENSION", phoneNumber=number, countryCode="RO")
    assert (await explained(api, "1234"))["rule"] == "ACCEPTED"
    assert (await explained(api, "w12-34"))["rule"] == "ACCEPTED"
    assert (await explained(api, "w1234"))["rule"] == "NUMBER"


async def test_a_call_without_credentials_is_challenged(api: Api) -> None:
    trunk = await answered_trunk(api)
    told = await explained(api, NUMBER, credentials=False)
    assert (told["rule"], told["sipTrunk"]) == ("CREDENTIALS", trunk["id"])
    assert "407" in told["explanation"]
    assert "401" in told["explanation"]


async def test_a_source_in_the_list_needs_no_credentials(api: Api) -> None:
    await answered_trunk(api, **BY_IP)
    for source in ("203.0.113.0", "203.0.113.15", "::ffff:203.0.113.7", "2001:db8::1"):
        for credentials in (True, False):
            told = await explained(api, NUMBER, source, credentials=credentials)
            assert told["rule"] == "ACCEPTED", source


async def test_another_source_is_told_with_the_list(api: Api) -> None:
    trunk = await answered_trunk(api, **BY_IP)
    for source, private in (("203.0.113.16", True), ("8.8.8.8", False), ("2001:db8:1::1", True)):
        told = await explained(api, NUMBER, source)
        assert (told["rule"], told["sipTrunk"]) == ("SOURCE_ADDRESS", trunk["id"])
        refused = f"Source {source} is not in 203.0.113.0/28, 2001:db8::/64. The caller hears ringing"
        assert told["explanation"].startswith(refused)
        assert ("NAT" in told["explanation"]) is private


async def test_a_long_list_is_not_told_whole(api: Api) -> None:
    ranges = [f"203.0.113.{number}/32" for number in range(9)]
    await answered_trunk(api, inboundAuthorizationType="IP", allowedInboundIps=ranges)
    told = await explained(api, NUMBER, ANYWHERE)
    assert f"{', '.join(ranges[:5])}, …" in told["explanation"]


async def test_a_trunk_that_nobody_answers(api: Api) -> None:
    trunk = (await api.create())["sipTrunk"]
    await api.answered_by(trunk["id"], kind="OUTBOUND")
    told = await explained(api, NUMBER)
    assert (told["rule"], told["sipTrunk"]) == ("NO_ASSISTANT", trunk["id"])


async def test_an_encrypted_trunk_says_what_the_offer_needs(api: Api) -> None:
    await answered_trunk(api, mediaEncryption="REQUIRED", sipTransport="TLS")
    assert "does not offer SRTP gets 400" in (await explained(api, NUMBER))["explanation"]


async def test_credentials_are_looked_at_before_the_assistant(api: Api) -> None:
    await api.create()
    assert (await explained(api, NUMBER, credentials=False))["rule"] == "CREDENTIALS"


@pytest.mark.parametrize("kind", [LegKind.INBOUND, LegKind.DISPATCH])
async def test_what_livekit_lost_is_not_there(house: House, kind: LegKind) -> None:
    trunk = await answered_trunk(house.api)
    house.voice.plan = at("create", kind, DOWN)
    (held,) = await house.voice.inner.list(kind)
    await house.voice.inner.delete(kind, held.voice_id)
    await until(lambda: rule_is(house.api, "NOT_PROVISIONED"))
    told = await explained(house.api, NUMBER)
    assert "has lost" in told["explanation"]
    assert told["sipTrunk"] == trunk["id"]


async def test_a_trunk_that_is_only_wanted(house: House) -> None:
    house.voice.plan = at("create", LegKind.INBOUND, DOWN)
    await house.api.create(provisioning="BACKGROUND")
    told = await explained(house.api, NUMBER)
    assert told["rule"] == "NOT_PROVISIONED"
    assert "is not at LiveKit yet" in told["explanation"]


async def test_a_change_that_livekit_does_not_have(house: House) -> None:
    trunk = await answered_trunk(house.api)
    house.voice.plan = at("replace", LegKind.INBOUND, Fail(VoiceError(VoiceCause.OUTCOME_UNKNOWN, "No answer.")))
    await house.api.update(trunk["id"], phoneNumber="+40741926266")
    assert (await explained(house.api, "+40741926266"))["rule"] == "NOT_APPLIED"
    former = await explained(house.api, NUMBER)
    assert (former["rule"], former["sipTrunk"]) == ("NOT_APPLIED", trunk["id"])


async def test_a_trouble_of_the_outbound_leg_is_none_of_an_inbound_call(house: House) -> None:
    trunk = await answered_trunk(house.api)
    house.voice.plan = at("create", LegKind.OUTBOUND, DOWN)
    await house.voice.inner.delete(LegKind.OUTBOUND, trunk["outboundTrunkId"])
    await house.api.trunk_in(trunk["id"], "DEGRADED")
    assert (await explained(house.api, NUMBER))["rule"] == "ACCEPTED"


async def test_a_trunk_that_is_being_removed(house: House) -> None:
    trunk = await answered_trunk(house.api)
    house.voice.plan = at("delete", LegKind.OUTBOUND, DOWN)
    await house.api.delete(trunk["id"])
    assert (await explained(house.api, NUMBER))["rule"] == "DELETING"


async def test_the_number_of_another_workspace_is_an_unknown_one(house: House) -> None:
    await answered_trunk(house.api)
    async with await other_api(house) as client:
        for to in (NUMBER, "0741926265"):
            told = await explained(Api(client), to)
            unknown = await explained(Api(client), to.replace("926265", "926299"))
            assert (told["rule"], told["sipTrunk"]) == ("NUMBER", None)
            assert told["explanation"].replace("926265", "926299") == unknown["explanation"]


BAD = {
    "empty to": {"to": " "},
    "long to": {"to": "1" * 129},
    "control character in to": {"to": "1\x00"},
    "URI": {"to": f"sip:{NUMBER}"},
    "host": {"to": f"{NUMBER}@example.com"},
    "long from": {"from": "1" * 129},
    "control character in from": {"from": "1\n"},
    "no address": {"sourceIp": "sip.example.com"},
    "empty address": {"sourceIp": ""},
    "address with port": {"sourceIp": "203.0.113.7:5060"},
    "range": {"sourceIp": "203.0.113.0/24"},
    "long address": {"sourceIp": "1" * 10_000},
}


async def test_bad_input_is_a_request_error_that_quotes_nothing(api: Api) -> None:
    for name, bad in BAD.items():
        call = {"to": NUMBER, "from": CALLER, "sourceIp": ANYWHERE} | bad
        answer = (await api.raw(EXPLAIN, {"input": call})).json()
        (error,) = answer["errors"]
        ((field, value),) = bad.items()
        assert error["message"].startswith(f"{field} "), name
        assert not value.strip() or value not in error["message"]
        assert answer["data"] is None


async def rule_is(api: Api, rule: str) -> bool:
    return bool((await explained(api, NUMBER))["rule"] == rule)
