"""The use cases of assistants: who answers a trunk's calls. On failure nothing is changed, with one cause.

An INBOUND assistant with a trunk has a dispatch rule, a leg of that trunk; an OUTBOUND one has none.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tortoise.queryset import QuerySet

from models.assistant import AGENT_NAME_MAX, NAME_MAX, Assistant, AssistantType
from models.identifiers import is_id, new_id
from trunkline import database
from trunkline.assignments import (
    TRUNK_FIELD,
    TRUNK_NOT_FOUND,
    ChangedMeanwhileError,
    Failure,
    replace_assistant,
)
from trunkline.causes import problem_of
from trunkline.history import ASSISTANT_COLUMNS
from trunkline.keys import Caller
from trunkline.problems import Code, Problem
from trunkline.services import Services
from trunkline.text_rules import problems_of_a_name
from trunkline.trunks import find_living
from trunkline.voice import VoiceCause

ASSISTANT = "asst"
NOT_FOUND = Problem(Code.NOT_FOUND, "Assistant not found.", ("input", "id"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """An assistant as it stands after a use case, and what kept it from succeeding."""

    assistant: Assistant | None
    problems: tuple[Problem, ...]
    broke_rules: bool = False  # the problems are those of the fields; nothing was asked of anybody


def visible_assistants(workspace_id: str) -> QuerySet[Assistant]:
    """Every assistant that a workspace may see."""
    return Assistant.filter(workspace_id=workspace_id)


async def find_assistant(workspace_id: str, assistant_id: str) -> Assistant | None:
    """An assistant by its id; a malformed id is an unknown one and never reaches the database."""
    known = is_id(ASSISTANT, assistant_id)
    return await visible_assistants(workspace_id).get_or_none(id=assistant_id) if known else None


async def create_assistant(services: Services, caller: Caller, wish: Mapping[str, Any]) -> Outcome:
    """Make an assistant; `wish` holds name, agent_name, type and trunk_id. Answers when its rule is in place."""
    return await services.tasks.run(_create(services, caller, wish))


async def update_assistant(services: Services, caller: Caller, assistant_id: str, wish: Mapping[str, Any]) -> Outcome:
    """Change an assistant; `wish` holds what is to change of name, agent_name and trunk_id (None unassigns)."""
    return await services.tasks.run(_until_unchanged(partial(_update, services, caller, assistant_id, wish)))


async def delete_assistant(services: Services, caller: Caller, assistant_id: str) -> Outcome:
    """Remove the assistant and its rule."""
    return await services.tasks.run(_until_unchanged(partial(_delete, services, caller, assistant_id)))


async def _until_unchanged(use_case: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """Begin again when somebody else changed the assistant between our reading it and our writing it."""
    while True:
        try:
            return await use_case()
        except ChangedMeanwhileError:
            continue


async def _create(services: Services, caller: Caller, wish: Mapping[str, Any]) -> Outcome:
    at = await database.now()
    assistant = Assistant(id=new_id(ASSISTANT), workspace_id=caller.workspace_id, created_at=at, updated_at=at)
    _decide(assistant, wish)
    if problems := await _problems(caller, assistant):
        return Outcome(None, problems, broke_rules=_any_rule(problems))
    assistant.previous = {} if assistant.answers_trunk_id else None
    failure = await replace_assistant(services, caller, None, assistant)
    if failure:
        return Outcome(None, (_problem(failure, "Failed to create assistant."),))
    return await _standing(caller, assistant.id)


async def _update(services: Services, caller: Caller, assistant_id: str, wish: Mapping[str, Any]) -> Outcome:
    found = await find_assistant(caller.workspace_id, assistant_id)
    if found is None:
        return Outcome(None, (NOT_FOUND,))
    after = Assistant(id=found.id, workspace_id=found.workspace_id, created_at=found.created_at)
    _decide(after, {name: getattr(found, name) for name in ASSISTANT_COLUMNS} | dict(wish))
    after.updated_at = await database.now()
    if problems := await _problems(caller, after):
        return Outcome(found, problems, broke_rules=_any_rule(problems))
    if all(getattr(after, name) == getattr(found, name) for name in ASSISTANT_COLUMNS):
        return Outcome(found, ())
    after.previous = _previous(found) if after.answers_trunk_id else None
    failure = await replace_assistant(services, caller, found, after)
    standing = await _standing(caller, assistant_id)
    return Outcome(standing.assistant, (_problem(failure, "Failed to update assistant."),)) if failure else standing


async def _delete(services: Services, caller: Caller, assistant_id: str) -> Outcome:
    found = await find_assistant(caller.workspace_id, assistant_id)
    if found is None:
        return Outcome(None, (NOT_FOUND,))
    failure = await replace_assistant(services, caller, found, None)
    return Outcome(found, (_problem(failure, "Failed to delete assistant."),) if failure else ())


def _decide(assistant: Assistant, columns: Mapping[str, Any]) -> None:
    """Write what a client decides, texts trimmed, and what follows from it."""
    assistant.name, assistant.agent_name = columns["name"].strip(), columns["agent_name"].strip()
    assistant.type, assistant.trunk_id = columns["type"], columns["trunk_id"]
    assistant.answers_trunk_id = assistant.trunk_id if assistant.type is AssistantType.INBOUND else None


def _previous(found: Assistant) -> dict[str, Any]:
    """What to go back to, as JSON. A change that is still undecided goes back to what was before it."""
    columns = {name: getattr(found, name) for name in ("name", "agent_name", "trunk_id")}
    return columns | {"updated_at": found.updated_at.isoformat()} if found.previous is None else found.previous


def _problem(failure: Failure, failed_to: str) -> Problem:
    if isinstance(failure, Problem):
        return failure
    if failure.cause is VoiceCause.CONFLICT:  # somebody else's rule at the voice backend
        return Problem(Code.IN_USE, f"{failed_to} {failure.detail}", TRUNK_FIELD)
    return problem_of(failure, failed_to)


async def _standing(caller: Caller, assistant_id: str) -> Outcome:
    return Outcome(await visible_assistants(caller.workspace_id).get_or_none(id=assistant_id), ())


async def _problems(caller: Caller, assistant: Assistant) -> tuple[Problem, ...]:
    """All problems at once, in the order of the input."""
    found = [
        *problems_of_a_name(assistant.name, "name", NAME_MAX),
        *problems_of_a_name(assistant.agent_name, "agentName", AGENT_NAME_MAX),
    ]
    if assistant.trunk_id is not None and not await find_living(caller.workspace_id, assistant.trunk_id):
        found.append(TRUNK_NOT_FOUND)
    return tuple(found)


def _any_rule(problems: tuple[Problem, ...]) -> bool:
    return any(problem is not TRUNK_NOT_FOUND for problem in problems)
