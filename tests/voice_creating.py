"""Contract of every voice backend, first part: creating trunks. Every public coroutine of the parts is a case."""

import re
from collections.abc import Iterable
from dataclasses import replace

from models.secret import Secret
from models.sip_trunk import SipTransport
from models.trunk_leg import LegKind
from tests.voice_legs import VOICE_ID, by_address, digits, fails, held, inbound, outbound
from trunkline.voice import Encryption, Held, Leg, VoiceBackend, VoiceCause


async def ping_succeeds(voice: VoiceBackend) -> None:
    await voice.ping()


async def created_object_gets_an_id_of_livekits_shape(voice: VoiceBackend) -> None:
    ids = [await voice.create(leg) for leg in (inbound(digits()), outbound(), outbound())]
    assert all(VOICE_ID.fullmatch(voice_id) for voice_id in ids)
    assert len(set(ids)) == 3


async def inbound_trunk_reads_back_equal(voice: VoiceBackend) -> None:
    await _read_back(voice, (replace(inbound(f"+{digits()}"), encryption=each) for each in Encryption))
    await _read_back(voice, [by_address(f"+{digits()}", digits()), replace(inbound("w1.1000"), ringing_timeout=7)])


async def outbound_trunk_reads_back_equal(voice: VoiceBackend) -> None:
    await _read_back(voice, (replace(outbound(), transport=each) for each in SipTransport))
    await _read_back(voice, (replace(outbound("1000", "+1"), encryption=each) for each in Encryption))
    await _read_back(voice, [replace(outbound(), edge_key=Secret("opaque"))])


async def credentials_may_be_left_out(voice: VoiceBackend) -> None:
    bare = replace(outbound(), auth_username="", auth_password=Secret(""), destination_country="", name="", metadata="")
    await _read_back(voice, [bare, replace(inbound(digits()), auth_password=Secret(""))])


async def same_number_conflicts_in_every_form(voice: VoiceBackend) -> None:
    number = digits()
    await voice.create(inbound(f"+{number}"))
    for text in (f"+{number}", number, f"49 30 {number[4:]}", f"+49 (30) {number[4:]}", f"49-30-{number[4:]}"):
        await fails(voice.create(inbound(text)), VoiceCause.CONFLICT)


async def conflict_names_no_other_trunk(voice: VoiceBackend) -> None:
    number = digits()
    owner = await voice.create(replace(inbound(number), name="Somebody else"))
    error = await fails(voice.create(inbound(number)), VoiceCause.CONFLICT)
    assert not {owner, number, "Somebody else"} & set(re.split(r"[\s\"\[\]+]", str(error)))


async def conflict_looks_at_every_number_of_a_trunk(voice: VoiceBackend) -> None:
    shared = digits()
    await voice.create(inbound(digits(), shared))
    await fails(voice.create(inbound(digits(), shared)), VoiceCause.CONFLICT)


async def other_addresses_do_not_make_a_number_another(voice: VoiceBackend) -> None:
    number = digits()
    await voice.create(by_address(number))
    other = replace(by_address(number), allowed_addresses=("198.51.100.7/32",))
    await fails(voice.create(other), VoiceCause.CONFLICT)


async def extension_with_a_separator_equals_the_one_without(voice: VoiceBackend) -> None:
    number = digits()
    await voice.create(inbound(f"{number[:2]}-{number[2:]}"))
    await fails(voice.create(inbound(number)), VoiceCause.CONFLICT)


async def different_texts_live_side_by_side(voice: VoiceBackend) -> None:
    number = digits()
    for text in (f"+{number}", f"0{number[2:]}", f"w.{number}", f"W.{number}", f"{number}.", f"{number}*"):
        await voice.create(inbound(text))


async def one_trunk_may_repeat_a_number(voice: VoiceBackend) -> None:
    number = digits()
    await voice.create(inbound(number, f"+{number}", number))


async def one_trunk_without_numbers_is_the_only_one(voice: VoiceBackend) -> None:
    await voice.create(by_address())
    await fails(voice.create(by_address()), VoiceCause.CONFLICT)
    await voice.create(inbound(digits()))


async def refused_creation_leaves_nothing(voice: VoiceBackend) -> None:
    number = digits()
    await voice.create(inbound(number))
    before = await voice.list(LegKind.INBOUND)
    await fails(voice.create(inbound(number)), VoiceCause.CONFLICT)
    await fails(voice.create(inbound(number, "\ud800")), VoiceCause.REFUSED)
    assert await voice.list(LegKind.INBOUND) == before


async def text_that_is_not_unicode_is_refused_and_not_kept_in_the_error(voice: VoiceBackend) -> None:
    for leg in (inbound(digits()), outbound()):
        for bad in (replace(leg, auth_password=Secret("\ud800")), replace(leg, name="\ud800")):
            error = await fails(voice.create(bad), VoiceCause.REFUSED)
            assert error.__cause__ is error.__context__ is None


async def equal_outbound_trunks_live_side_by_side(voice: VoiceBackend) -> None:
    number = digits()
    first, second = await voice.create(outbound(number)), await voice.create(outbound(number))
    assert await held(voice, LegKind.OUTBOUND, first) == await held(voice, LegKind.OUTBOUND, second)
    await voice.create(inbound(number))


async def _read_back(voice: VoiceBackend, legs: Iterable[Leg]) -> None:
    for leg in legs:
        voice_id = await voice.create(leg)
        assert await voice.find(leg.kind, voice_id) == Held(voice_id, leg)
