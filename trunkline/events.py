"""The record of what happened: one append-only row per change, written in the change's own transaction where it can.

Names of fields, never values: of a secret not even its length.
"""

from collections.abc import Iterable

from models.event import Event
from models.identifiers import new_id
from trunkline import database
from trunkline.keys import Caller

SUCCEEDED = "SUCCEEDED"


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
        trunk_id: the trunk that it concerns, where there is one.
        changed_fields: GraphQL names of the fields that changed.
        outcome: SUCCEEDED, or the code of the problem.
    """
    return await Event.create(
        id=new_id("evt"),
        workspace_id=caller.workspace_id,
        at=await database.now(),
        actor=caller.key_id,
        action=action,
        subject_id=subject_id,
        trunk_id=trunk_id,
        changed_fields=sorted(changed_fields),
        outcome=outcome,
        request_id=caller.request_id,
    )
