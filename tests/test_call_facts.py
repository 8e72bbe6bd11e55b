"""What the webhooks of a room say of a call: every way a call can go, in every order, repeated and with gaps."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.call import CallDirection, CallOutcome, RoomFact, WebhookEvent
from trunkline.call_facts import told

BEGAN = datetime(2026, 11, 25, 12, tzinfo=UTC)
CALL = "SCL_1"
IN, OUT = CallDirection.INBOUND, CallDirection.OUTBOUND
Given = tuple[RoomFact, float, str | None, str | None]


def rings(after: float = 0) -> Given:
    return RoomFact.CALLER_JOINED, after, CALL, "ringing"


def leaves(status: str, after: float) -> Given:
    return RoomFact.CALLER_LEFT, after, CALL, status


def agent(after: float = 0.3) -> Given:
    return RoomFact.AGENT_JOINED, after, "echo", None


def audio(after: float = 0.5) -> Given:
    return RoomFact.AUDIO, after, None, None


def finished(after: float) -> Given:
    return RoomFact.ROOM_FINISHED, after, None, None


WAYS: dict[str, tuple[CallDirection, list[Given], str]] = {
    "it rings": (IN, [rings()], "RINGING"),
    "an agent is there and says nothing": (IN, [rings(), agent()], "RINGING"),
    "it is answered": (IN, [rings(), agent(), audio()], "IN_PROGRESS"),
    "a person answers": (IN, [rings(), audio()], "IN_PROGRESS"),
    "the caller hangs up after the answer": (IN, [rings(), agent(), audio(), leaves("hangup", 9)], "ANSWERED"),
    "the agent closes the room": (IN, [rings(), agent(), audio(), leaves("active", 9), finished(9)], "ANSWERED"),
    "only the room's end is told": (IN, [rings(), agent(), audio(), finished(29)], "ANSWERED"),
    "the audio's webhook is lost": (IN, [rings(), agent(), leaves("active", 9)], "ANSWERED"),
    "LiveKit gives up": (IN, [rings(), leaves("ringing", 30)], "NO_AGENT"),
    "LiveKit gives up on a silent agent": (IN, [rings(), agent(), leaves("ringing", 30)], "NO_AGENT"),
    "nobody came, and only the room's end is told": (IN, [rings(), finished(50)], "NO_AGENT"),
    "the caller gives up soon": (IN, [rings(), leaves("hangup", 4.9), finished(25)], "CALLER_HUNG_UP"),
    "the caller gives up late": (IN, [rings(), leaves("hangup", 5), finished(25)], "NO_AGENT"),
    "the agent speaks when the caller has gone": (IN, [rings(), leaves("hangup", 1), audio(2)], "CALLER_HUNG_UP"),
    "only the end of a hung up call is told": (IN, [leaves("hangup", 9)], "UNKNOWN"),
    "only the end of an unanswered call is told": (IN, [leaves("ringing", 30)], "NO_AGENT"),
    "it is dialled": (OUT, [agent(-2), audio(-1), rings()], "IN_PROGRESS"),
    "the callee hangs up": (OUT, [rings(), leaves("hangup", 9)], "ANSWERED"),
    "we hang up": (OUT, [rings(), leaves("active", 9)], "ANSWERED"),
    "the callee does not answer": (OUT, [rings(), leaves("ringing", 30)], "NOT_ANSWERED"),
    "the callee is busy": (OUT, [rings(), leaves("dialing", 1)], "NOT_ANSWERED"),
    "only the end of an outbound room is told": (OUT, [rings(), finished(9)], "UNKNOWN"),
}


def facts_of(given: list[Given]) -> list[WebhookEvent]:
    return [
        WebhookEvent(
            id=f"EV_{number}",
            at=BEGAN + timedelta(seconds=after),
            room="room",
            fact=fact,
            subject=subject,
            sip_status=status,
        )
        for number, (fact, after, subject, status) in enumerate(given)
    ]


@pytest.mark.parametrize("name", WAYS)
def test_each_way_has_its_outcome(name: str) -> None:
    direction, given, outcome = WAYS[name]
    assert told(direction, CALL, facts_of(given)).outcome == CallOutcome(outcome)


@given(st.sampled_from(list(WAYS)), st.data())
@settings(deadline=None)
def test_neither_order_nor_repetition_matters(name: str, data: st.DataObject) -> None:
    direction, given, _ = WAYS[name]
    facts = facts_of(given)
    shuffled = data.draw(st.permutations(facts + data.draw(st.lists(st.sampled_from(facts), max_size=3))))
    assert told(direction, CALL, shuffled) == told(direction, CALL, facts)


def test_times_and_agent() -> None:
    known = told(IN, CALL, facts_of([rings(), agent(), audio(0.5), audio(3), leaves("hangup", 9), finished(29)]))
    assert (known.answered_at, known.ended_at) == (BEGAN + timedelta(seconds=0.5), BEGAN + timedelta(seconds=9))
    assert known.agent_name == "echo"


EARLIER: list[Given] = [
    (RoomFact.CALLER_JOINED, -60, "SCL_0", "ringing"),
    (RoomFact.AGENT_JOINED, -59, "earlier", None),
    audio(-58),
    (RoomFact.CALLER_LEFT, -40, "SCL_0", "hangup"),
    finished(-20),
]
LATER: list[Given] = [
    (RoomFact.CALLER_JOINED, 60, "SCL_2", "ringing"),
    (RoomFact.AGENT_JOINED, 61, "later", None),
    audio(62),
    finished(80),
]


@pytest.mark.parametrize("name", WAYS)
def test_another_use_of_the_rooms_name_changes_nothing(name: str) -> None:
    direction, given, _ = WAYS[name]
    alone = told(direction, CALL, facts_of(given))
    assert told(direction, CALL, facts_of([*EARLIER, *given])) == alone
    if alone.ended_at:
        assert told(direction, CALL, facts_of([*given, *LATER])) == alone


def test_an_agent_that_waits_in_the_room_answers_at_once() -> None:
    known = told(IN, CALL, facts_of([*EARLIER, agent(-9), audio(-8), rings(), leaves("hangup", 9)]))
    assert (known.outcome, known.agent_name, known.answered_at) == (CallOutcome.ANSWERED, "echo", BEGAN)


def test_of_two_calls_in_a_room_each_has_its_own_end() -> None:
    other = (RoomFact.CALLER_LEFT, 3.0, "SCL_2", "hangup")
    facts = facts_of([rings(), (RoomFact.CALLER_JOINED, 1.0, "SCL_2", "dialing"), audio(), other])
    assert told(IN, CALL, facts).outcome is CallOutcome.IN_PROGRESS
    assert told(OUT, "SCL_2", facts).outcome is CallOutcome.ANSWERED
    assert told(OUT, "SCL_2", facts).answered_at is None
