"""The record of what happened: one append-only row per change, written in the change's own transaction where it can.

Names of fields, never values: of a secret not even its length. docs/events.md lists the actions.
"""

from collections.abc import Iterable
from enum import StrEnum

from tortoise.queryset import QuerySet

from models.event import Event
from models.identifiers import is_id, new_id
from trunkline import database
from trunkline.keys import Caller

SUCCEEDED = "SUCCEEDED"
RECONCILER = "reconciler"
EVENT = "evt"
TRUNK_IDS = "trunk_"


class Action(StrEnum):
    """What happens to trunks and assistants. A change that needs the voice backend is requested first, then ended."""

    TRUNK_CREATED = "sip_trunk.created"
    TRUNK_PROVISIONED = "sip_trunk.provisioned"
    TRUNK_ADOPTED = "sip_trunk.adopted"
    TRUNK_UPDATE_REQUESTED = "sip_trunk.update_requested"
    TRUNK_UPDATED = "sip_trunk.updated"
    TRUNK_REPROVISION_REQUESTED = "sip_trunk.reprovision_requested"
    TRUNK_REPROVISIONED = "sip_trunk.reprovisioned"
    TRUNK_DEGRADED = "sip_trunk.degraded"
    TRUNK_RECOVERED = "sip_trunk.recovered"
    TRUNK_DELETE_REQUESTED = "sip_trunk.delete_requested"
    TRUNK_DELETED = "sip_trunk.deleted"
    ASSISTANT_ADOPTED = "assistant.adopted"
    ASSISTANT_CREATE_REQUESTED = "assistant.create_requested"
    ASSISTANT_CREATED = "assistant.created"
    ASSISTANT_UPDATE_REQUESTED = "assistant.update_requested"
    ASSISTANT_UPDATED = "assistant.updated"
    ASSISTANT_UNASSIGNED = "assistant.unassigned"
    ASSISTANT_DELETE_REQUESTED = "assistant.delete_requested"
    ASSISTANT_DELETED = "assistant.deleted"
    KEYRING_ROTATED = "keyring.rotated"
    KEYRING_DROPPED = "keyring.dropped"


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
    return await Event.create(
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
