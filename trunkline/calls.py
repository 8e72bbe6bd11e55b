"""Calls that reached a room, kept as LiveKit's webhooks tell of them. What they do not tell is not guessed.

A webhook is taken once, by its id. Those of one room take turns, on every replica, and each time the call is put
together from all that is known of its room, so that their order does not matter.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from tortoise.transactions import in_transaction

from models.call import Call, CallDirection, CallOutcome, RoomFact, WebhookEvent
from models.event import Action
from models.identifiers import new_id
from models.trunk_leg import LegKind, TrunkLeg
from trunkline import database, events
from trunkline.call_facts import told
from trunkline.keys import Caller
from trunkline.legs import ROOM_PREFIX
from trunkline.log import outlived
from trunkline.metrics import Metrics
from trunkline.services import Services
from trunkline.voice.room_events import RoomEvent, SipParty

ACTOR = "livekit"
FORGED_SOURCE = "FORGED_SOURCE"
ALARMS: dict[str, str] = {CallOutcome.NO_AGENT: "no_agent_joined", FORGED_SOURCE: "forged_source"}
DIRECTIONS = {LegKind.INBOUND: CallDirection.INBOUND, LegKind.OUTBOUND: CallDirection.OUTBOUND}
KEPT_PER_TRUNK = 500
KEPT_FOR = timedelta(days=30)
FACTS_KEPT_FOR = timedelta(days=2)
RINGS_AT_MOST = timedelta(minutes=10)
LASTS_AT_MOST = timedelta(hours=25)  # LiveKit ends every call after 24 hours
TIDY_SECONDS = 60.0

UNDER_WAY = (CallOutcome.RINGING, CallOutcome.IN_PROGRESS)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class News:
    """What a webhook brought, to be told when it is committed."""

    ended: list[CallOutcome] = field(default_factory=list)
    alarms: list[tuple[str, Call]] = field(default_factory=list)

    async def alarm(self, call: Call, action: Action, outcome: str) -> None:
        """Note something that an operator should look at."""
        caller = Caller(call.workspace_id, ACTOR)
        await events.record(caller, action, call.id, trunk_id=call.trunk_id, outcome=outcome)
        self.alarms.append((ALARMS[outcome], call))


async def recent_calls(trunk_id: str, count: int) -> list[Call]:
    """The newest calls of a trunk first."""
    return await Call.filter(trunk_id=trunk_id).order_by("-at", "-id").limit(count)


async def take(services: Services, event: RoomEvent) -> None:
    """Take a webhook; what is of no trunk of ours, or was taken before, changes nothing."""
    news = await services.tasks.run(_take(event))
    for outcome in news.ended:
        services.metrics.calls.labels(outcome).inc()
    for alarm, call in news.alarms:
        log.warning(alarm, trunk=call.trunk_id, call=call.id)
        services.metrics.alarms.labels(alarm).inc()


async def _take(event: RoomEvent) -> News:
    news = News()
    leg = await _leg(event.party) if event.party else None
    if leg is None and (event.party or not await _may_be_of_a_call(event)):
        return news
    async with in_transaction():
        await database.take_turns(event.room)
        if await WebhookEvent.exists(id=event.id):
            return news
        await _note(event)
        if event.party and leg:
            await _begin(event, event.party, leg, news)
        facts = await WebhookEvent.filter(room=event.room)
        for call in await Call.filter(room=event.room, at__gt=event.at - LASTS_AT_MOST):  # their facts are kept
            await _put_together(call, facts, news)
    return news


async def _leg(party: SipParty) -> TrunkLeg | None:
    return await TrunkLeg.filter(voice_id=party.trunk_id, kind__in=tuple(DIRECTIONS)).select_related("trunk").first()


async def _may_be_of_a_call(event: RoomEvent) -> bool:
    """The caller's webhook may come later; an agent that calls out is in a room of any name before it does."""
    if event.fact is RoomFact.AGENT_JOINED or event.room.startswith(ROOM_PREFIX) or await Call.exists(room=event.room):
        return True
    return event.fact is RoomFact.ROOM_FINISHED and await WebhookEvent.exists(room=event.room)


async def _note(event: RoomEvent) -> None:
    subject, status = (event.party.call_id, event.party.status) if event.party else (event.agent_name, None)
    await WebhookEvent.create(
        id=event.id, at=event.at, room=event.room, fact=event.fact, subject=subject, sip_status=status
    )


async def _begin(event: RoomEvent, party: SipParty, leg: TrunkLeg, news: News) -> None:
    """Write the call down with the first webhook that names it; the earliest tells when it began."""
    if await Call.exists(sip_call_id=party.call_id):
        await Call.filter(sip_call_id=party.call_id, at__gt=event.at).update(at=event.at)
        return
    direction = DIRECTIONS[leg.kind]
    numbers = (party.number, party.own) if direction is CallDirection.INBOUND else (party.own, party.number)
    call = await Call.create(
        id=new_id("call"),
        workspace_id=leg.trunk.workspace_id,
        trunk_id=leg.trunk_id,
        at=event.at,
        direction=direction,
        from_number=numbers[0],
        to_number=numbers[1],
        outcome=CallOutcome.RINGING,
        sip_call_id=party.call_id,
        room=event.room,
    )
    if party.forged and direction is CallDirection.INBOUND:
        await news.alarm(call, Action.CALL_BEGAN, FORGED_SOURCE)
    await _keep_the_newest(leg.trunk_id)


async def _keep_the_newest(trunk_id: str) -> None:
    newest = Call.filter(trunk_id=trunk_id).order_by("-at", "-id")
    if too_old := await newest.offset(KEPT_PER_TRUNK).limit(1).values_list("at", flat=True):
        await Call.filter(trunk_id=trunk_id, at__lte=too_old[0]).delete()


async def _put_together(call: Call, facts: list[WebhookEvent], news: News) -> None:
    before, known = call.outcome, told(call.direction, call.sip_call_id, facts)
    if known.outcome in UNDER_WAY and before not in UNDER_WAY:
        return  # it was given up; what comes later is of another use of the room
    call.outcome, call.agent_name = known.outcome, known.agent_name
    call.answered_at, call.ended_at = known.answered_at, known.ended_at
    await call.save()
    if before in UNDER_WAY and call.outcome not in UNDER_WAY:
        news.ended.append(call.outcome)
    if call.outcome is CallOutcome.NO_AGENT and before is not CallOutcome.NO_AGENT:
        await news.alarm(call, Action.CALL_ENDED, call.outcome)


async def watch(services: Services) -> None:
    """Tidy up now and then, until the process ends."""
    while not services.stopping.is_set():
        await services.rest(TIDY_SECONDS)
        with outlived():
            await tidy(services.metrics, await database.now())


async def tidy(metrics: Metrics, now: datetime) -> None:
    """Calls whose end was never told are given up, what is too old is removed."""
    ringing = Call.filter(outcome=CallOutcome.RINGING, at__lt=now - RINGS_AT_MOST)
    lasting = Call.filter(outcome=CallOutcome.IN_PROGRESS, at__lt=now - LASTS_AT_MOST)
    answered = await lasting.exclude(answered_at=None).update(outcome=CallOutcome.ANSWERED)
    unknown = await ringing.update(outcome=CallOutcome.UNKNOWN) + await lasting.update(outcome=CallOutcome.UNKNOWN)
    metrics.calls.labels(CallOutcome.ANSWERED).inc(answered)
    metrics.calls.labels(CallOutcome.UNKNOWN).inc(unknown)
    await Call.filter(outcome__in=tuple(CallOutcome), at__lt=now - KEPT_FOR).delete()  # by the index of both
    await WebhookEvent.filter(at__lt=now - FACTS_KEPT_FOR).delete()
