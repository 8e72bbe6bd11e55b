"""Contract of every voice backend, second part: replacing, deleting, looking up, and what is refused."""

from dataclasses import replace

from models.secret import Secret
from models.sip_trunk import SipTransport
from models.trunk_leg import LegKind
from tests.voice_legs import UNKNOWN_ID, by_address, digits, fails, held, inbound, marked, outbound, rule
from trunkline.voice import Encryption, Held, Leg, Marker, VoiceBackend, VoiceCause

INBOUND, OUTBOUND = LegKind.INBOUND, LegKind.OUTBOUND
UNPROTECTED = replace(by_address(), allowed_addresses=())
REFUSED: list[tuple[Leg, str]] = [
    (UNPROTECTED, "for security"),
    (replace(outbound(), numbers=()), "no trunk numbers specified"),
    (replace(outbound(), address=""), "no outbound address specified"),
    (replace(outbound(), address="h;transport=tcp"), "should not contain transport parameter"),
    (replace(outbound(), address="sip:h"), "should be a hostname or IP"),
    (replace(outbound(), address="sips:h"), "should be a hostname or IP"),
    (replace(outbound(), address="alice@h"), "should be a hostname or IP"),
    (replace(outbound(), address="h;maddr=x"), "should be a hostname or IP"),
]


async def replace_sets_every_field_and_keeps_the_id(voice: VoiceBackend) -> None:
    voice_id = await voice.create(outbound())
    other = replace(
        outbound("4930"),
        name="Other",
        address="198.51.100.7",
        transport=SipTransport.TLS,
        destination_country="DE",
        auth_username="bob",
        auth_password=Secret("other password"),
        encryption=Encryption.REQUIRE,
        metadata=marked(OUTBOUND, "trunk_2"),
    )
    await voice.replace(voice_id, other)
    assert await voice.find(OUTBOUND, voice_id) == Held(voice_id, other)


async def replace_clears_what_is_left_out(voice: VoiceBackend) -> None:
    number = digits()
    voice_id = await voice.create(inbound(number, digits()))
    bare = replace(by_address(number), name="", metadata="")
    await voice.replace(voice_id, bare)
    assert await voice.find(INBOUND, voice_id) == Held(voice_id, bare)


async def replace_frees_the_old_number_and_takes_the_new(voice: VoiceBackend) -> None:
    old, new = digits(), digits()
    voice_id = await voice.create(inbound(old))
    await voice.replace(voice_id, inbound(f"+{new}"))
    await voice.replace(voice_id, inbound(new))
    await voice.create(inbound(old))
    await fails(voice.create(inbound(new)), VoiceCause.CONFLICT)


async def replace_may_take_anothers_number_and_then_both_are_stuck(voice: VoiceBackend) -> None:
    taken = digits()
    owner, robber = await voice.create(inbound(taken)), await voice.create(inbound(digits()))
    await voice.replace(robber, inbound(taken))
    await fails(voice.create(inbound(taken)), VoiceCause.CONFLICT)
    await fails(voice.replace(owner, inbound(taken)), VoiceCause.CONFLICT)
    await voice.replace(robber, inbound(digits()))
    await voice.replace(owner, inbound(taken))


async def replace_that_keeps_a_number_may_not_add_anothers(voice: VoiceBackend) -> None:
    taken, own = digits(), digits()
    await voice.create(inbound(taken))
    voice_id = await voice.create(inbound(own))
    await fails(voice.replace(voice_id, inbound(own, taken)), VoiceCause.CONFLICT)
    assert await held(voice, INBOUND, voice_id) == inbound(own)


async def replace_respects_the_trunk_without_numbers(voice: VoiceBackend) -> None:
    taken = digits()
    numbered, numberless = await voice.create(inbound(taken)), await voice.create(by_address())
    await fails(voice.replace(numbered, by_address()), VoiceCause.CONFLICT)
    await fails(voice.replace(numberless, inbound(taken)), VoiceCause.CONFLICT)
    await voice.replace(numberless, by_address())


async def replace_of_an_unknown_id_is_missing(voice: VoiceBackend) -> None:
    for leg in (inbound(digits()), outbound()):
        for voice_id in (UNKNOWN_ID, ""):
            await fails(voice.replace(voice_id, leg), VoiceCause.MISSING)


async def replace_of_an_id_of_the_other_kind_is_missing(voice: VoiceBackend) -> None:
    calls_in, calls_out = inbound(digits()), outbound()
    inbound_id, outbound_id = await voice.create(calls_in), await voice.create(calls_out)
    await fails(voice.replace(outbound_id, inbound(digits())), VoiceCause.MISSING)
    await fails(voice.replace(inbound_id, outbound()), VoiceCause.MISSING)
    assert await held(voice, INBOUND, inbound_id) == calls_in
    assert await held(voice, OUTBOUND, outbound_id) == calls_out


async def deleted_object_is_gone_and_its_number_free(voice: VoiceBackend) -> None:
    number = digits()
    for leg in (inbound(number), outbound(number)):
        voice_id = await voice.create(leg)
        await voice.delete(leg.kind, voice_id)
        assert await voice.find(leg.kind, voice_id) is None
    await voice.create(inbound(number))


async def delete_of_what_is_not_there_succeeds(voice: VoiceBackend) -> None:
    voice_id = await voice.create(outbound())
    for each in (voice_id, voice_id, UNKNOWN_ID, ""):
        await voice.delete(OUTBOUND, each)
        await voice.delete(INBOUND, each)


async def list_tells_each_object_once(voice: VoiceBackend) -> None:
    legs: list[Leg] = [leg for _ in range(12) for leg in (inbound(digits()), outbound(), rule())]
    made = {await voice.create(leg): leg for leg in legs}
    for kind in (INBOUND, OUTBOUND, LegKind.DISPATCH):
        listed = [each for each in await voice.list(kind) if each.voice_id in made]
        assert {each.voice_id: each.leg for each in listed} == {i: leg for i, leg in made.items() if leg.kind is kind}
        assert len(listed) == 12


async def marker_tells_own_from_foreign_objects(voice: VoiceBackend) -> None:
    ours = inbound(digits())
    foreign = {
        await voice.create(replace(outbound(), metadata=text)) for text in ("", "{}", '{"app":"other"}', "\u2603")
    }
    voice_id = await voice.create(ours)
    found = await voice.find(INBOUND, voice_id)
    assert found
    assert found.marker == Marker("inst_1", "ws_1", "trunk_1", INBOUND, 1)
    assert {each.marker for each in await voice.list(OUTBOUND) if each.voice_id in foreign} == {None}


async def find_looks_only_at_its_kind(voice: VoiceBackend) -> None:
    voice_id = await voice.create(inbound(digits()))
    assert await voice.find(OUTBOUND, voice_id) is None
    assert await voice.find(INBOUND, UNKNOWN_ID) is None
    assert await voice.find(INBOUND, "") is None


async def bad_field_is_refused_in_livekits_words(voice: VoiceBackend) -> None:
    for leg, words in REFUSED:
        assert words in (await fails(voice.create(leg), VoiceCause.REFUSED)).detail


async def refused_replace_changes_nothing(voice: VoiceBackend) -> None:
    before: dict[LegKind, Leg] = {INBOUND: inbound(digits()), OUTBOUND: outbound()}
    ids = {kind: await voice.create(leg) for kind, leg in before.items()}
    for leg, _ in REFUSED:
        await fails(voice.replace(ids[leg.kind], leg), VoiceCause.REFUSED)
        assert await held(voice, leg.kind, ids[leg.kind]) == before[leg.kind]
