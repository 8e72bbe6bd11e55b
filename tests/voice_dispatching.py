"""Contract of every voice backend, third part: dispatch rules, and that they and trunks leave each other alone."""

from dataclasses import replace

from models.trunk_leg import LegKind
from tests.voice_legs import (
    RULE_ID,
    UNKNOWN_ID,
    UNKNOWN_RULE_ID,
    digits,
    fails,
    held,
    inbound,
    marked,
    outbound,
    rule,
)
from trunkline.voice import DispatchRule, Held, Marker, VoiceBackend, VoiceCause

DISPATCH = LegKind.DISPATCH
UNSAFE = [
    *(replace(rule(), trunk_ids=trunk_ids) for trunk_ids in ((), ("",), (" ",), ("ST_1", "ST_2"), ("ST_1", "ST_1"))),
    *(replace(rule(), agent_name=agent_name) for agent_name in ("", " \t")),
]


async def created_rule_gets_an_id_of_livekits_shape(voice: VoiceBackend) -> None:
    ids = [await voice.create(rule()) for _ in range(3)]
    assert all(RULE_ID.fullmatch(voice_id) for voice_id in ids)
    assert len(set(ids)) == 3


async def rule_reads_back_equal(voice: VoiceBackend) -> None:
    bare = replace(rule(), name="", room_prefix="", metadata="")
    of_a_trunk = rule(await voice.create(inbound(digits())))
    for each in (rule(), bare, of_a_trunk, replace(rule(), agent_name="x" * 500)):
        voice_id = await voice.create(each)
        assert await voice.find(DISPATCH, voice_id) == Held(voice_id, each)


async def marker_of_a_rule_is_read(voice: VoiceBackend) -> None:
    found = await voice.find(DISPATCH, await voice.create(rule()))
    assert found
    assert found.marker == Marker("inst_1", "ws_1", "trunk_1", DISPATCH, 1)


async def second_rule_of_a_trunk_conflicts_and_leaves_nothing(voice: VoiceBackend) -> None:
    first = rule(f"ST_{digits()}")
    await voice.create(first)
    before = await voice.list(DISPATCH)
    await fails(voice.create(replace(first, agent_name="other", room_prefix="other-")), VoiceCause.CONFLICT)
    assert await voice.list(DISPATCH) == before


async def conflict_of_rules_names_no_other_rule(voice: VoiceBackend) -> None:
    first = replace(rule(), name="Somebody else")
    voice_id = await voice.create(first)
    error = await fails(voice.create(rule(*first.trunk_ids)), VoiceCause.CONFLICT)
    assert voice_id not in str(error)
    assert "Somebody else" not in str(error)


async def trunk_ids_of_rules_are_compared_exactly(voice: VoiceBackend) -> None:
    number = digits()
    for trunk_id in (number, f"+{number}", f"ST_{number}", f"st_{number}", f"ST_{number} "):
        await voice.create(rule(trunk_id))


async def rule_replaces_every_field_and_keeps_its_id(voice: VoiceBackend) -> None:
    voice_id = await voice.create(rule())
    metadata = marked(DISPATCH, "trunk_2")
    other = DispatchRule("Other", (f"ST_{digits()}",), agent_name="sales", room_prefix="sales-", metadata=metadata)
    bare = replace(other, name="", room_prefix="", metadata="")
    for each in (other, bare):
        await voice.replace(voice_id, each)
        assert await voice.find(DISPATCH, voice_id) == Held(voice_id, each)


async def moved_rule_frees_the_old_trunk_and_takes_the_new(voice: VoiceBackend) -> None:
    old, new = rule(), rule()
    voice_id = await voice.create(old)
    await voice.replace(voice_id, new)
    await voice.replace(voice_id, new)
    await voice.create(old)
    await fails(voice.create(new), VoiceCause.CONFLICT)


async def rule_may_move_onto_anothers_trunk_and_then_both_are_stuck(voice: VoiceBackend) -> None:
    taken, third = rule(), await voice.create(rule())
    owner, robber = await voice.create(taken), await voice.create(rule())
    await voice.replace(robber, taken)
    for refused in (voice.create(taken), voice.replace(owner, taken), voice.replace(third, taken)):
        await fails(refused, VoiceCause.CONFLICT)
    await voice.replace(robber, rule())
    await voice.replace(owner, taken)


async def rules_that_are_stuck_do_not_refuse_those_of_other_trunks(voice: VoiceBackend) -> None:
    taken, voice_id = rule(), await voice.create(rule())
    await voice.create(taken)
    await voice.replace(voice_id, taken)
    await voice.replace(await voice.create(rule()), rule())


async def replace_of_an_unknown_rule_is_missing(voice: VoiceBackend) -> None:
    trunk_id = await voice.create(inbound(digits()))
    for voice_id in (UNKNOWN_RULE_ID, UNKNOWN_ID, trunk_id, ""):
        await fails(voice.replace(voice_id, rule()), VoiceCause.MISSING)


async def rule_is_not_replaced_by_a_trunk(voice: VoiceBackend) -> None:
    before = rule()
    voice_id = await voice.create(before)
    for leg in (inbound(digits()), outbound()):
        await fails(voice.replace(voice_id, leg), VoiceCause.MISSING)
    assert await held(voice, DISPATCH, voice_id) == before


async def find_and_list_keep_rules_and_trunks_apart(voice: VoiceBackend) -> None:
    trunk_id = await voice.create(inbound(digits()))
    rule_id = await voice.create(rule(trunk_id))
    for kind, voice_id in ((DISPATCH, trunk_id), (LegKind.INBOUND, rule_id), (LegKind.OUTBOUND, rule_id)):
        assert await voice.find(kind, voice_id) is None
        assert voice_id not in {each.voice_id for each in await voice.list(kind)}
    assert await voice.find(DISPATCH, UNKNOWN_RULE_ID) is None
    assert await voice.find(DISPATCH, "") is None


async def deleted_rule_is_gone_and_its_trunk_free(voice: VoiceBackend) -> None:
    each = rule()
    voice_id = await voice.create(each)
    await voice.delete(DISPATCH, voice_id)
    assert await voice.find(DISPATCH, voice_id) is None
    await voice.create(each)


async def delete_of_a_rule_that_is_not_there_succeeds(voice: VoiceBackend) -> None:
    voice_id = await voice.create(rule())
    for each in (voice_id, voice_id, UNKNOWN_RULE_ID, ""):
        await voice.delete(DISPATCH, each)


async def delete_looks_only_at_rules_or_only_at_trunks(voice: VoiceBackend) -> None:
    number = digits()
    trunk_id = await voice.create(inbound(number))
    rule_id = await voice.create(rule(trunk_id))
    await voice.delete(DISPATCH, trunk_id)
    await voice.delete(LegKind.INBOUND, rule_id)
    await voice.delete(LegKind.OUTBOUND, rule_id)
    assert await held(voice, LegKind.INBOUND, trunk_id) == inbound(number)
    await fails(voice.create(inbound(number)), VoiceCause.CONFLICT)
    assert await held(voice, DISPATCH, rule_id) == rule(trunk_id)


async def rule_outlives_its_trunk(voice: VoiceBackend) -> None:
    trunk_id = await voice.create(inbound(digits()))
    rule_id = await voice.create(rule(trunk_id))
    await voice.delete(LegKind.INBOUND, trunk_id)
    assert await held(voice, DISPATCH, rule_id) == rule(trunk_id)
    await fails(voice.create(rule(trunk_id)), VoiceCause.CONFLICT)


async def rule_for_every_trunk_or_for_no_agent_is_never_sent(voice: VoiceBackend) -> None:
    before = rule()
    voice_id = await voice.create(before)
    everything = await voice.list(DISPATCH)
    for unsafe in UNSAFE:
        assert "Nothing was sent" in (await fails(voice.create(unsafe), VoiceCause.REFUSED)).detail
        await fails(voice.replace(voice_id, unsafe), VoiceCause.REFUSED)
    assert await voice.list(DISPATCH) == everything


async def text_of_a_rule_that_is_not_unicode_is_refused(voice: VoiceBackend) -> None:
    before = rule()
    voice_id = await voice.create(before)
    for bad in (replace(rule(), agent_name="\ud800"), rule("\ud800"), replace(rule(), metadata="\ud800")):
        await fails(voice.create(bad), VoiceCause.REFUSED)
        await fails(voice.replace(voice_id, bad), VoiceCause.REFUSED)
    assert await held(voice, DISPATCH, voice_id) == before
