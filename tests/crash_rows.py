"""The rows of the crash matrix: what is there before, what a client asks for, how the voice backend fails meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass

from models.trunk_leg import LegKind
from tests.faulty_voice import Call, Fail, Method, Plan, at, faultless, first_of
from tests.steps import (
    Step,
    assign,
    belief_after,
    create,
    create_assistant,
    delete,
    delete_assistant,
    rename_agent,
    reprovision,
    update,
)
from tests.worlds import NOTHING, Assistant, Trunk, World
from trunkline.voice import VoiceCause, VoiceError

INBOUND, OUTBOUND, DISPATCH, EDGE = LegKind.INBOUND, LegKind.OUTBOUND, LegKind.DISPATCH, LegKind.EDGE
REFUSED = Fail(VoiceError(VoiceCause.REFUSED, "No."))
CONFLICT = Fail(VoiceError(VoiceCause.CONFLICT, "Taken."))
AWAY = Fail(VoiceError(VoiceCause.UNAVAILABLE, "Away."))
EDGE_AWAY = Fail(VoiceError(VoiceCause.EDGE_UNAVAILABLE, "Away."))
REPLY_LOST = Fail(VoiceError(VoiceCause.OUTCOME_UNKNOWN, "Lost."), after=True)
REQUEST_LOST = Fail(VoiceError(VoiceCause.OUTCOME_UNKNOWN, "Lost."))

ONE, TWO = Trunk("1"), Trunk("2", nickname="Second desk", username="bob")
RECEPTION = Assistant("Reception", "reception-agent", "1")
IDLE = Assistant("Reception", "reception-agent")
BEHIND = Trunk("1", proxy=True)


@dataclass(frozen=True, slots=True)
class Row:
    """`answers`: the code of each answer of a process that lives, "" for success; successes unless told.

    `settles`: the operation is over when the reconciler has nothing to do either; else with the last answer.
    `lost`: legs of the first trunk that are gone from the voice backend when the process starts.
    `may_fail`: a refusal may leave a trunk FAILED, visibly, until somebody provisions it again.
    """

    name: str
    steps: tuple[Step, ...]
    before: tuple[Step, ...] = ()
    plan: Plan = faultless
    answers: tuple[str, ...] = ()
    settles: bool = False
    may_fail: bool = False
    lost: tuple[LegKind, ...] = ()

    @property
    def codes(self) -> list[str]:
        """What a client is told that nobody dies on."""
        return list(self.answers or [""] * len(self.steps))

    @property
    def world(self) -> World:
        """What is there before."""
        (world,) = belief_after(frozenset({NOTHING}), self.before, [None] * len(self.before))
        return world


def _each_once(method: Method, fault: Fail) -> Plan:
    """The first call of each kind fails."""
    return lambda call: fault if (call.method, call.nth) == (method, 1) else None


def _lost_request_and_look(call: Call) -> Fail | None:
    """The outbound leg arrives without a word, and nobody can look: the outcome stays unknown."""
    plan = first_of(at("create", OUTBOUND, REPLY_LOST, nth=1), at("list", OUTBOUND, AWAY, nth=1))
    fault = plan(call)
    return fault if isinstance(fault, Fail) else None


def _twice(step: Step) -> tuple[Step, Step]:
    return step, step


PLAIN, KEYED = create(ONE), create(ONE, idempotencyKey="of one creation")
BACKGROUND = create(ONE, provisioning="BACKGROUND")
BACKGROUND_KEYED = create(ONE, provisioning="BACKGROUND", idempotencyKey="of one creation")
ALONE = (create(ONE),)
ANSWERED = (create(ONE), create_assistant(RECEPTION))
UNASSIGNED = (create(ONE), create_assistant(IDLE))
BOTH = (create(ONE), create(TWO), create_assistant(RECEPTION))
IN_PLACE = update("1", nickname="Back office", password="another-long-password", address="9.9.9.9")

CREATES = (
    Row("create", (PLAIN,)),
    Row("create with a key", (KEYED,)),
    Row("create in the background", (BACKGROUND,), settles=True),
    Row("create in the background with a key", (BACKGROUND_KEYED,), settles=True),
    Row("create, inbound refused", (PLAIN,), answers=("VOICE_REFUSED",), plan=at("create", INBOUND, REFUSED)),
    Row("create, outbound refused", (PLAIN,), answers=("VOICE_REFUSED",), plan=at("create", OUTBOUND, REFUSED)),
    Row("create, replies lost", (PLAIN,), plan=_each_once("create", REPLY_LOST)),
    Row("create in the background, replies lost", (BACKGROUND,), settles=True, plan=_each_once("create", REPLY_LOST)),
    Row(
        "create in the background, refused, and again",
        (BACKGROUND, reprovision("1")),
        settles=True,
        may_fail=True,
        plan=at("create", OUTBOUND, REFUSED, nth=1),
    ),
    Row(
        "create, taken over after an unknown outcome",
        _twice(PLAIN),
        answers=("OUTCOME_UNKNOWN", ""),
        plan=_lost_request_and_look,
    ),
    Row("create with a key, taken over", _twice(KEYED), answers=("OUTCOME_UNKNOWN", ""), plan=_lost_request_and_look),
)
UPDATES = (
    Row("update in place", (IN_PLACE,), ANSWERED),
    Row("update of the number", (update("1", number="3"),), ANSWERED),
    Row(
        "update refused and taken back",
        (IN_PLACE,),
        ANSWERED,
        answers=("VOICE_REFUSED",),
        plan=at("replace", OUTBOUND, REFUSED, nth=1),
    ),
    Row(
        "update of the number, refused",
        (update("1", number="3"),),
        ALONE,
        answers=("NUMBER_IN_USE",),
        plan=at("replace", INBOUND, CONFLICT, nth=1),
    ),
    Row(
        "update, replies lost",
        (IN_PLACE,),
        ALONE,
        settles=True,
        answers=("OUTCOME_UNKNOWN",),
        plan=_each_once("replace", REPLY_LOST),
    ),
    Row(
        "update, request lost",
        (IN_PLACE,),
        ALONE,
        settles=True,
        answers=("OUTCOME_UNKNOWN",),
        plan=at("replace", OUTBOUND, REQUEST_LOST, nth=1),
    ),
    Row("update, then another", (IN_PLACE, update("1", number="3")), ALONE),
)
DELETES = (
    Row("delete", (delete("1"),), ALONE),
    Row("delete with an assistant", (delete("1"),), ANSWERED),
    Row(
        "delete, voice away at first",
        (delete("1"),),
        ANSWERED,
        settles=True,
        answers=("VOICE_UNAVAILABLE",),
        plan=at("delete", DISPATCH, AWAY, nth=1),
    ),
    Row(
        "delete, reply lost",
        (delete("1"),),
        ANSWERED,
        settles=True,
        answers=("OUTCOME_UNKNOWN",),
        plan=at("delete", INBOUND, REPLY_LOST, nth=1),
    ),
    Row("create in the background and delete", (BACKGROUND, delete("1")), settles=True),
)
ASSISTANTS = (
    Row("assign at creation", (create_assistant(RECEPTION),), ALONE),
    Row("assign", (assign("Reception", "1"),), UNASSIGNED),
    Row("assign, reply lost", (assign("Reception", "1"),), UNASSIGNED, plan=_each_once("create", REPLY_LOST)),
    Row(
        "assign, voice away",
        (assign("Reception", "1"),),
        UNASSIGNED,
        settles=True,
        answers=("VOICE_UNAVAILABLE",),
        plan=at("create", DISPATCH, AWAY, nth=1),
    ),
    Row("another agent", (rename_agent("Reception", "night-agent"),), ANSWERED),
    Row("reassign", (assign("Reception", "2"),), BOTH),
    Row("unassign", (assign("Reception", None),), ANSWERED),
    Row("delete an assistant", (delete_assistant("Reception"),), ANSWERED),
    Row("reprovision", (reprovision("1"),), ANSWERED),
)
REPAIRS = (
    Row("repair of the inbound leg", (), ANSWERED, settles=True, lost=(INBOUND,)),
    Row("repair of the outbound leg", (), ANSWERED, settles=True, lost=(OUTBOUND,)),
    Row("repair of everything", (), ANSWERED, settles=True, lost=(DISPATCH, INBOUND, OUTBOUND)),
)
EDGES = (
    Row("create behind the edge", (create(BEHIND),)),
    Row("create behind the edge in the background", (create(BEHIND, provisioning="BACKGROUND"),), settles=True),
    Row(
        "create behind the edge, outbound refused",
        (create(BEHIND),),
        answers=("VOICE_REFUSED",),
        plan=at("create", OUTBOUND, REFUSED),
    ),
    Row("create behind the edge, replies lost", (create(BEHIND),), plan=_each_once("create", REPLY_LOST)),
    Row("update behind the edge", (IN_PLACE,), (create(BEHIND),)),
    Row(
        "update behind the edge, request lost",
        (IN_PLACE,),
        (create(BEHIND),),
        settles=True,
        answers=("OUTCOME_UNKNOWN",),
        plan=at("replace", EDGE, REQUEST_LOST, nth=1),
    ),
    Row("update to behind the edge", (update("1", proxy=True),), ALONE),
    Row(
        "update to behind the edge, refused",
        (update("1", proxy=True),),
        ALONE,
        answers=("VOICE_REFUSED",),
        plan=at("create", EDGE, REFUSED),
    ),
    Row("update away from the edge", (update("1", proxy=False),), (create(BEHIND),)),
    Row(
        "update away from the edge, which is away",
        (update("1", proxy=False),),
        (create(BEHIND),),
        settles=True,
        plan=at("delete", EDGE, EDGE_AWAY, nth=1),
    ),
    Row("delete behind the edge", (delete("1"),), (create(BEHIND),)),
    Row("repair of the route at the edge", (), (create(BEHIND),), settles=True, lost=(EDGE,)),
)
ROWS: dict[str, Row] = {row.name: row for row in (*CREATES, *UPDATES, *DELETES, *ASSISTANTS, *REPAIRS, *EDGES)}

Wants = Callable[[Row], bool]
