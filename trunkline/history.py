"""What the events of trunks and assistants say of each turn of their lives: requested, ended, degraded, taken back."""

from collections.abc import Mapping, Sequence
from typing import Any

from tortoise.transactions import in_transaction

from models.assistant import Assistant
from models.event import Action
from models.sip_trunk import SipTrunk, TrunkStatus
from trunkline.causes import CODES
from trunkline.events import SUCCEEDED, by_itself, record
from trunkline.keys import Caller
from trunkline.problems import Code
from trunkline.voice import VoiceCause, VoiceError

Columns = Mapping[str, Any]

UNMADE = (TrunkStatus.PROVISIONING, TrunkStatus.FAILED)
STATUS = ("status",)
ASSISTANT_COLUMNS = ("name", "agent_name", "type", "trunk_id")  # what a client decides of an assistant
PHONE_NUMBER_ID = "phone_number_id"  # trunk_id in the API
REQUESTED = {
    Action.ASSISTANT_CREATED: Action.ASSISTANT_CREATE_REQUESTED,
    Action.ASSISTANT_UPDATED: Action.ASSISTANT_UPDATE_REQUESTED,
    Action.ASSISTANT_DELETED: Action.ASSISTANT_DELETE_REQUESTED,
}


def outcome_of(error: VoiceError | None) -> str:
    """How it ended: SUCCEEDED, or the code that a client would be told."""
    return CODES[error.cause] if error else SUCCEEDED


async def trunk_settled(
    by: Caller, trunk: SipTrunk, was: TrunkStatus, changed: Sequence[str] | None, error: VoiceError | None
) -> None:
    """An attempt is written down. `was`: the status before; `changed`: the columns of a change that it decided."""
    moved, outcome = trunk.status is not was, outcome_of(error)
    if changed is not None:
        await record(by, Action.TRUNK_UPDATED, trunk.id, changed_fields=changed, outcome=outcome)
    if moved and was in UNMADE:
        await record(by, Action.TRUNK_PROVISIONED, trunk.id, changed_fields=STATUS, outcome=outcome)
    elif moved and changed is None:
        action = Action.TRUNK_RECOVERED if trunk.status is TrunkStatus.ACTIVE else Action.TRUNK_DEGRADED
        await record(by, action, trunk.id, changed_fields=STATUS, outcome=outcome)


def assistant_outcome(error: VoiceError) -> str:
    """The same for an assistant: a conflict is about its rule."""
    return Code.IN_USE if error.cause is VoiceCause.CONFLICT else outcome_of(error)


async def assistant_replaced(
    by: Caller, before: Assistant | None, after: Assistant | None, outcome: str = SUCCEEDED
) -> None:
    """One assistant stands in the place of another (None: none), or, with another outcome, does not after all."""
    await _assistant_ended(by, after or before, _columns(before), _columns(after), outcome)


async def trunk_degraded(trunk_id: str, workspace_id: str, why: str) -> None:
    """What was ACTIVE is not as it should be; no other status changes. `why`: a code, or the state of a leg."""
    async with in_transaction():
        if await SipTrunk.filter(id=trunk_id, status=TrunkStatus.ACTIVE).update(status=TrunkStatus.DEGRADED):
            by = by_itself(workspace_id)
            await record(by, Action.TRUNK_DEGRADED, trunk_id, changed_fields=STATUS, outcome=why)


async def assistant_requested(by: Caller, before: Assistant | None, after: Assistant | None) -> None:
    """The row is written; its dispatch rule follows."""
    standing, was, becomes = after or before, _columns(before), _columns(after)
    if standing:
        action, changed = REQUESTED[_action(was, becomes)], _differing(was, becomes)
        await record(by, action, standing.id, trunk_id=_trunk_of(was, becomes), changed_fields=changed)


async def assistant_decided(by: Caller, assistant: Assistant, outcome: str = SUCCEEDED) -> None:
    """A new or changed assistant has its rule, or, with another outcome, is taken back."""
    await _assistant_ended(by, assistant, assistant.previous or None, _columns(assistant), outcome)


async def assistant_bereft(by: Caller, assistant: Assistant) -> None:
    """Its trunk is being removed; what was undecided of it is decided by that."""
    if assistant.previous is not None:
        await assistant_decided(by, assistant)
    await _unassigned(by, assistant.id, assistant.trunk_id)


async def _unassigned(by: Caller, assistant_id: str, trunk_id: str | None) -> None:
    fields = (PHONE_NUMBER_ID,)
    await record(by, Action.ASSISTANT_UNASSIGNED, assistant_id, trunk_id=trunk_id, changed_fields=fields)


async def _assistant_ended(
    by: Caller, standing: Assistant | None, before: Columns | None, after: Columns | None, outcome: str
) -> None:
    if standing is None:
        return
    action, changed, trunk_id = _action(before, after), _differing(before, after), _trunk_of(before, after)
    await record(by, action, standing.id, trunk_id=trunk_id, changed_fields=changed, outcome=outcome)
    left = (before or {}).get("trunk_id")
    if outcome == SUCCEEDED and left not in (None, trunk_id):  # that trunk's history tells it too
        await _unassigned(by, standing.id, left)


def _columns(assistant: Assistant | None) -> Columns | None:
    return {name: getattr(assistant, name) for name in ASSISTANT_COLUMNS} if assistant else None


def _trunk_of(before: Columns | None, after: Columns | None) -> str | None:
    """The trunk that it comes to, else the one that it leaves."""
    return (after or {}).get("trunk_id") or (before or {}).get("trunk_id")


def _action(before: Columns | None, after: Columns | None) -> Action:
    if before is None:
        return Action.ASSISTANT_CREATED
    return Action.ASSISTANT_UPDATED if after else Action.ASSISTANT_DELETED


def _differing(before: Columns | None, after: Columns | None) -> list[str]:
    """Columns whose values differ; what is kept of a change's beginning has no type, which never changes."""
    if after is None:
        return []
    names = [name for name in ASSISTANT_COLUMNS if before is None or name in before]
    differing = [name for name in names if (before or {}).get(name) != after.get(name)]
    return [PHONE_NUMBER_ID if name == "trunk_id" else name for name in differing]
