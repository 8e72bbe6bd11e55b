"""Contract of every voice backend with an edge: its routes, each for one key."""

from dataclasses import replace

from models.secret import Secret
from models.sip_trunk import SipTransport
from models.trunk_leg import LegKind
from tests.voice_legs import ROUTE_ID, digits, fails, inbound, marked, outbound, route
from trunkline.voice import EdgeRoute, Held, Marker, VoiceBackend, VoiceCause

EDGE = LegKind.EDGE
UNKNOWN_ROUTE_ID = "EDGE_unknownunkno"


async def created_route_gets_an_id_of_its_own(voice: VoiceBackend) -> None:
    ids = [await voice.create(route()) for _ in range(3)]
    assert all(ROUTE_ID.fullmatch(voice_id) for voice_id in ids)
    assert len(set(ids)) == 3


async def route_reads_back_equal(voice: VoiceBackend) -> None:
    odd = replace(
        route(), auth_username="a@b%c^$#+|;'", auth_password=Secret("p\u00e4ss ;|$1%s'\"\\\\ \u2603"), metadata=""
    )
    for each in (*(replace(route(), transport=transport) for transport in SipTransport), odd):
        voice_id = await voice.create(each)
        assert await voice.find(EDGE, voice_id) == Held(voice_id, each)
        assert Held(voice_id, each) in await voice.list(EDGE)


async def marker_of_a_route_is_read(voice: VoiceBackend) -> None:
    found = await voice.find(EDGE, await voice.create(route()))
    assert found
    assert found.marker == Marker("inst_1", "ws_1", "trunk_1", EDGE, 1)


async def route_replaces_every_field_and_keeps_its_id(voice: VoiceBackend) -> None:
    voice_id = await voice.create(route())
    key, password = Secret("k" * 32), Secret("another")
    other = EdgeRoute(key, "192.0.2.7", SipTransport.TLS, "bob", password, marked(EDGE, "trunk_2"))
    for each in (other, replace(other, metadata="")):
        await voice.replace(voice_id, each)
        assert await voice.find(EDGE, voice_id) == Held(voice_id, each)
    assert [held.voice_id for held in await voice.list(EDGE)].count(voice_id) == 1


async def replace_of_an_unknown_route_is_missing(voice: VoiceBackend) -> None:
    trunk_id = await voice.create(inbound(digits()))
    for voice_id in (UNKNOWN_ROUTE_ID, trunk_id, ""):
        await fails(voice.replace(voice_id, route()), VoiceCause.MISSING)


async def deleted_route_is_gone_and_its_key_free(voice: VoiceBackend) -> None:
    each = route()
    voice_id = await voice.create(each)
    for again in (voice_id, voice_id, UNKNOWN_ROUTE_ID, ""):
        await voice.delete(EDGE, again)
    assert await voice.find(EDGE, voice_id) is None
    await voice.create(each)


async def routes_and_trunks_leave_each_other_alone(voice: VoiceBackend) -> None:
    behind = replace(outbound(), edge_key=Secret("k" * 32))
    trunk_id, route_id = await voice.create(behind), await voice.create(route())
    for kind, voice_id in ((EDGE, trunk_id), (LegKind.OUTBOUND, route_id), (LegKind.DISPATCH, route_id)):
        await voice.delete(kind, voice_id)
        assert await voice.find(kind, voice_id) is None
    assert await voice.find(LegKind.OUTBOUND, trunk_id) == Held(trunk_id, behind)
    assert await voice.find(EDGE, route_id)


async def text_of_a_route_that_is_not_unicode_is_refused(voice: VoiceBackend) -> None:
    voice_id = await voice.create(before := route())
    for bad in (replace(before, auth_password=Secret("\ud800")), replace(before, address="\ud800")):
        error = await fails(voice.create(bad), VoiceCause.REFUSED)
        assert error.__cause__ is error.__context__ is None
        await fails(voice.replace(voice_id, bad), VoiceCause.REFUSED)
    assert await voice.find(EDGE, voice_id) == Held(voice_id, before)
