"""The contract suite on a real LiveKit server, and objects that somebody else made there."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from google.protobuf.duration_pb2 import Duration
from livekit import api

from models.sip_trunk import SipTransport
from models.trunk_leg import LegKind
from tests.real.reaching import reaching
from tests.real.servers import LiveKitServer
from tests.voice_contract import CASES, Case, run
from tests.voice_legs import digits, fails, inbound, outbound, rule
from trunkline.voice import Encryption, VoiceCause, VoiceError
from trunkline.voice.livekit import Info, LiveKitVoice, inbound_info, outbound_info, rule_info


@pytest.fixture
async def voice(livekit: LiveKitServer) -> AsyncIterator[LiveKitVoice]:
    async with reaching(livekit) as voice:
        yield voice


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_livekit_keeps_the_contract(case: Case, voice: LiveKitVoice) -> None:
    await run(case, voice)


@pytest.fixture
async def raw(livekit: LiveKitServer) -> AsyncIterator[api.LiveKitAPI]:
    """A client of somebody else; what it made is removed."""
    async with api.LiveKitAPI(livekit.url, livekit.api_key, livekit.api_secret, failover=False) as client:
        yield client
        inbounds = await client.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
        outbounds = await client.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())
        ids = [*(item.sip_trunk_id for item in inbounds.items), *(item.sip_trunk_id for item in outbounds.items)]
        for voice_id in ids:
            await client.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=voice_id))
        for item in (await client.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())).items:
            rule_id = item.sip_dispatch_rule_id
            await client.sip.delete_dispatch_rule(api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule_id))


async def made(raw: api.LiveKitAPI, info: Info) -> str:
    if isinstance(info, api.SIPDispatchRuleInfo):
        rule_request = api.CreateSIPDispatchRuleRequest(dispatch_rule=info, trunk_ids=info.trunk_ids)
        return (await raw.sip.create_dispatch_rule(rule_request)).sip_dispatch_rule_id
    if isinstance(info, api.SIPInboundTrunkInfo):
        inbound_request = api.CreateSIPInboundTrunkRequest(trunk=info)
        return (await raw.sip.create_inbound_trunk(inbound_request)).sip_trunk_id
    outbound_request = api.CreateSIPOutboundTrunkRequest(trunk=info)
    return (await raw.sip.create_outbound_trunk(outbound_request)).sip_trunk_id


async def test_odd_foreign_objects_are_listed_without_a_marker(voice: LiveKitVoice, raw: api.LiveKitAPI) -> None:
    odd_inbound = await made(
        raw,
        api.SIPInboundTrunkInfo(
            numbers=["", "abc def"],
            metadata='{"app":"trunkline","revision":1e999}',
            auth_username="only a name",
            ringing_timeout=Duration(seconds=-5, nanos=-7),
            media_encryption=77,  # type: ignore[arg-type]  # a newer server's
        ),
    )
    odd_outbound = await made(
        raw,
        api.SIPOutboundTrunkInfo(numbers=[""], address="a b:99999", metadata="[[", transport=9),  # type: ignore[arg-type]
    )
    listed = {held.voice_id: held for kind in LegKind for held in await voice.list(kind)}
    for voice_id in (odd_inbound, odd_outbound):
        assert listed[voice_id].marker is None
        assert not listed[voice_id].exact


async def test_trunk_with_an_automatic_transport_is_not_exact(voice: LiveKitVoice, raw: api.LiveKitAPI) -> None:
    leg = replace(outbound(), transport=SipTransport.UDP)
    info = outbound_info(leg)
    info.transport = api.SIPTransport.SIP_TRANSPORT_AUTO
    held = await voice.find(LegKind.OUTBOUND, await made(raw, info))
    assert held
    assert (held.leg, held.exact) == (leg, False)
    await voice.replace(held.voice_id, leg)
    again = await voice.find(LegKind.OUTBOUND, held.voice_id)
    assert again
    assert again.exact


async def test_replace_clears_what_somebody_else_added(voice: LiveKitVoice, raw: api.LiveKitAPI) -> None:
    leg = inbound(digits())
    info = inbound_info(leg)
    info.allowed_numbers.append("+1555")
    info.headers["X-Tenant"] = "w12"
    info.media.media_timeout.FromSeconds(60)
    held = await voice.find(LegKind.INBOUND, await made(raw, info))
    assert held
    assert (held.leg, held.exact) == (leg, False)
    await voice.replace(held.voice_id, leg)
    stored = (await raw.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest(trunk_ids=[held.voice_id]))).items[0]
    info = inbound_info(leg)
    info.sip_trunk_id = held.voice_id
    assert stored == info


async def test_trunk_of_an_older_server_keeps_its_encryption(voice: LiveKitVoice, raw: api.LiveKitAPI) -> None:
    leg = replace(inbound(digits()), encryption=Encryption.REQUIRE)
    info = inbound_info(leg)
    info.ClearField("media")
    held = await voice.find(LegKind.INBOUND, await made(raw, info))
    assert held
    assert (held.leg, held.exact) == (leg, True)


async def test_numbers_of_a_foreign_trunk_for_some_callers_stay_free(voice: LiveKitVoice, raw: api.LiveKitAPI) -> None:
    number = digits()
    foreign = inbound_info(inbound(number))
    foreign.allowed_numbers.append("+1555")
    await made(raw, foreign)
    await voice.create(inbound(number))
    with pytest.raises(VoiceError):
        await voice.create(inbound(number))


async def test_many_objects_are_listed_whole(voice: LiveKitVoice, raw: api.LiveKitAPI) -> None:
    ids = {await made(raw, outbound_info(outbound())) for _ in range(1_050)}  # the server reads 1,000 at a time
    listed = [held.voice_id for held in await voice.list(LegKind.OUTBOUND)]
    assert ids <= set(listed)
    assert len(listed) == len(set(listed))


async def test_rules_of_somebody_else_are_listed_without_a_marker(voice: LiveKitVoice, raw: api.LiveKitAPI) -> None:
    """Among them the rule that takes the calls of every trunk: it refuses no rule of one trunk."""
    direct = api.SIPDispatchRule(dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name="lobby", pin="1234"))
    for_every_trunk = await made(raw, api.SIPDispatchRuleInfo(rule=direct, metadata="[["))
    nobodys = rule_info(rule())
    nobodys.room_config.agents[0].agent_name = ""
    nobodys.metadata = ""
    for_no_agent = await made(raw, nobodys)
    own = await voice.create(rule())
    listed = {held.voice_id: held for held in await voice.list(LegKind.DISPATCH)}
    assert {for_every_trunk, for_no_agent, own} <= listed.keys()
    assert listed[for_every_trunk].marker is listed[for_no_agent].marker is None
    assert (listed[for_every_trunk].exact, listed[own].exact) == (False, True)


async def test_replaced_rule_loses_what_somebody_else_added(voice: LiveKitVoice, raw: api.LiveKitAPI) -> None:
    leg = rule()
    info = rule_info(leg)
    info.attributes["tenant"] = "w12"
    info.inbound_numbers.append("+1555")
    info.hide_phone_number = True
    info.media_encryption = api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE
    info.rule.dispatch_rule_individual.pin = "1234"
    info.room_config.agents.add(agent_name="second")
    held = await voice.find(LegKind.DISPATCH, await made(raw, info))
    assert held
    assert (held.leg, held.exact) == (leg, False)
    await voice.replace(held.voice_id, leg)
    again = await voice.find(LegKind.DISPATCH, held.voice_id)
    assert again
    assert (again.leg, again.exact) == (leg, True)
    request = api.ListSIPDispatchRuleRequest(dispatch_rule_ids=[held.voice_id])
    stored = (await raw.sip.list_dispatch_rule(request)).items[0]
    info = rule_info(leg)
    info.sip_dispatch_rule_id = held.voice_id
    assert stored == info


async def test_rule_that_also_names_the_trunk_refuses_ours(voice: LiveKitVoice, raw: api.LiveKitAPI) -> None:
    leg = rule()
    foreign = rule_info(leg)
    foreign.trunk_ids.append("ST_other")
    await made(raw, foreign)
    await fails(voice.create(leg), VoiceCause.CONFLICT)


async def test_many_rules_are_listed_whole(voice: LiveKitVoice, raw: api.LiveKitAPI) -> None:
    ids = {await made(raw, rule_info(rule())) for _ in range(1_050)}
    listed = [held.voice_id for held in await voice.list(LegKind.DISPATCH)]
    assert ids <= set(listed)
    assert len(listed) == len(set(listed))
