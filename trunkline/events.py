"""The record of what happened: one append-only row per change, written in the change's own transaction where it can.

Names of fields, never values: of a secret not even its length. docs/events.md lists the actions.
"""

from collections.abc import Iterable

from tortoise.queryset import QuerySet

from models.event import Event
from models.identifiers import is_id, new_id
from trunkline import database, feed
from trunkline.keys import Caller

SUCCEEDED = "SUCCEEDED"
RECONCILER = "reconciler"
EVENT = "evt"
TRUNK_IDS = "trunk_"


async def record(  # noqa: PLR0913  # each by its name
    caller: Caller,
    action: str,
    subject_id: str,
    *,
    trunk_id: str | None = None,
    changed_fields: Iterable[str] = (),
    outcome: str = SUCCEEDED,
) -> Event:
    """Write one event.

    Args:
        caller: who did it; its key id is the actor. Work that nobody asked for names the part of trunkline instead.
        action: noun and verb in past tense, such as `sip_trunk.created`.
        subject_id: what was changed, of any kind.
        trunk_id: the trunk that it concerns, where there is one; a trunk concerns itself.
        changed_fields: GraphQL names of the fields that changed, or the columns behind them.
        outcome: SUCCEEDED, or the code of the problem.
    """
    event = await Event.create(
        id=new_id(EVENT),
        workspace_id=caller.workspace_id,
        at=await database.now(),
        actor=caller.key_id,
        action=action,
        subject_id=subject_id,
        trunk_id=trunk_id or (subject_id if subject_id.startswith(TRUNK_IDS) else None),
        changed_fields=sorted(map(input_name, changed_fields)),
        outcome=outcome,
        request_id=caller.request_id,
    )
    feed.tell(event)
    return event


def events_of(workspace_id: str, trunk_id: str | None = None) -> QuerySet[Event]:
    """Everything that happened in a workspace, or what concerned one trunk of it; the one entry for reading events."""
    rows = Event.filter(workspace_id=workspace_id)
    return rows if trunk_id is None else rows.filter(trunk_id=trunk_id)


async def find_event(workspace_id: str, event_id: str) -> Event | None:
    """An event by its id; a malformed id is an unknown one and never reaches the database."""
    return await events_of(workspace_id).get_or_none(id=event_id) if is_id(EVENT, event_id) else None


def by_itself(workspace_id: str, part: str = RECONCILER) -> Caller:
    """Who acts when nobody asked: a part of trunkline."""
    return Caller(workspace_id, part, scopes=frozenset())


def input_name(column: str) -> str:
    """How a column is called in the API."""
    first, *rest = column.split("_")
    return first + "".join(word.capitalize() for word in rest)
