"""The use cases of assistants: who answers a trunk's calls. On failure nothing is changed, with one cause.

An INBOUND assistant with a trunk has a dispatch rule, a leg of that trunk: the rows are written first, then the trunk
is made true. When that fails the rows are put back, and the reconciler makes the trunk true to them again.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tortoise.exceptions import IntegrityError
from tortoise.queryset import QuerySet
from tortoise.transactions import in_transaction

from models.assistant import AGENT_NAME_MAX, NAME_MAX, Assistant, AssistantType
from models.identifiers import is_id, new_id
from models.sip_trunk import SipTrunk
from trunkline import database
from trunkline.causes import problem_of
from trunkline.keys import Caller
from trunkline.problems import Code, Path, Problem
from trunkline.services import Services
from trunkline.trunks import converged_by, find_living
from trunkline.voice import VoiceError

ASSISTANT = "asst"
NOT_FOUND = Problem(Code.NOT_FOUND, "Assistant not found.", ("input", "id"))
TRUNK_FIELD: Path = ("input", "phoneNumberId")
TRUNK_NOT_FOUND = Problem(Code.NOT_FOUND, "SIP trunk not found.", TRUNK_FIELD)
TRUNK_IN_USE = Problem(Code.IN_USE, "Another inbound assistant already answers this number.", TRUNK_FIELD)


@dataclass(frozen=True, slots=True)
class Outcome:
    """An assistant as it stands after a use case, and what kept it from succeeding."""

    assistant: Assistant | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """What a client decides of an assistant."""

    name: str
    agent_name: str
    type: AssistantType
    trunk_id: str | None

    @property
    def answers_trunk_id(self) -> str | None:
        return self.trunk_id if self.type is AssistantType.INBOUND else None

    def columns(self) -> dict[str, Any]:
        plain = {"name": self.name, "agent_name": self.agent_name, "type": self.type, "trunk_id": self.trunk_id}
        return plain | {"answers_trunk_id": self.answers_trunk_id}


def visible_assistants(workspace_id: str) -> QuerySet[Assistant]:
    """Every assistant that a workspace may see."""
    return Assistant.filter(workspace_id=workspace_id).prefetch_related("trunk__legs", "trunk__assistants")


async def find_assistant(workspace_id: str, assistant_id: str) -> Assistant | None:
    """An assistant by its id; a malformed id is an unknown one and never reaches the database."""
    known = is_id(ASSISTANT, assistant_id)
    return await visible_assistants(workspace_id).get_or_none(id=assistant_id) if known else None


async def create_assistant(services: Services, caller: Caller, wish: Mapping[str, Any]) -> Outcome:
    """Make an assistant; `wish` holds name, agent_name, type and trunk_id. Answers when its rule is in place."""
    return await services.tasks.run(_create(services, caller, wish))


async def update_assistant(services: Services, caller: Caller, assistant_id: str, wish: Mapping[str, Any]) -> Outcome:
    """Change an assistant; `wish` holds what is to change of name, agent_name and trunk_id (None unassigns)."""
    return await services.tasks.run(_update(services, caller, assistant_id, wish))


async def delete_assistant(services: Services, caller: Caller, assistant_id: str) -> Outcome:
    """Remove the rule, then the assistant."""
    return await services.tasks.run(_delete(services, caller, assistant_id))


async def _create(services: Services, caller: Caller, wish: Mapping[str, Any]) -> Outcome:
    row = _Row(wish["name"].strip(), wish["agent_name"].strip(), wish["type"], wish.get("trunk_id"))
    if problems := await _problems(caller, row):
        return Outcome(None, problems)
    at = await database.now()
    assistant = Assistant(id=new_id("asst"), workspace_id=caller.workspace_id, created_at=at, updated_at=at)
    try:
        async with in_transaction():
            await assistant.update_from_dict(row.columns()).save(force_create=True)
            await _make_due(row.answers_trunk_id)
    except IntegrityError:
        return Outcome(None, (TRUNK_IN_USE,))
    error = await _made_true(services, row.answers_trunk_id)
    if error:
        await Assistant.filter(id=assistant.id).delete()
        await _make_due(row.answers_trunk_id)
        services.work.set()
        return Outcome(None, (problem_of(error, "Failed to create assistant."),))
    return await _standing(caller, assistant.id)


async def _update(services: Services, caller: Caller, assistant_id: str, wish: Mapping[str, Any]) -> Outcome:
    found = await find_assistant(caller.workspace_id, assistant_id)
    if found is None:
        return Outcome(None, (NOT_FOUND,))
    before = _Row(found.name, found.agent_name, found.type, found.trunk_id)
    told: dict[str, Any] = {name: value.strip() if value else value for name, value in wish.items()}
    after = replace(before, **told)
    if problems := await _problems(caller, after):
        return Outcome(found, problems)
    error = await _changed(services, assistant_id, before, after)
    if isinstance(error, VoiceError):
        return Outcome(found, (problem_of(error, "Failed to update assistant."),))
    return Outcome(found, (error,)) if error else await _standing(caller, assistant_id)


async def _delete(services: Services, caller: Caller, assistant_id: str) -> Outcome:
    found = await find_assistant(caller.workspace_id, assistant_id)
    if found is None:
        return Outcome(None, (NOT_FOUND,))
    before = _Row(found.name, found.agent_name, found.type, found.trunk_id)
    error = await _changed(services, assistant_id, before, replace(before, trunk_id=None))
    if isinstance(error, VoiceError):
        return Outcome(found, (problem_of(error, "Failed to delete assistant."),))
    await Assistant.filter(id=assistant_id).delete()
    return Outcome(found, ())


async def _changed(services: Services, assistant_id: str, before: _Row, after: _Row) -> Problem | VoiceError | None:
    """Write the row, make the trunks true that it left and that it came to; put it back when that fails."""
    concerned = [each for each in (before.answers_trunk_id, after.answers_trunk_id) if each]
    trunk_ids = list(dict.fromkeys(concerned))
    if not await _written(assistant_id, after, trunk_ids):
        return TRUNK_IN_USE
    for trunk_id in trunk_ids:
        if error := await _made_true(services, trunk_id):
            await _written(assistant_id, before, trunk_ids)
            services.work.set()
            return error
    return None


async def _written(assistant_id: str, row: _Row, trunk_ids: list[str]) -> bool:
    at = await database.now()
    try:
        async with in_transaction():
            await Assistant.filter(id=assistant_id).update(**row.columns(), updated_at=at)
            for trunk_id in trunk_ids:
                await _make_due(trunk_id)
    except IntegrityError:
        return False
    return True


async def _make_due(trunk_id: str | None) -> None:
    """Whatever becomes of this process, somebody makes the trunk true."""
    if trunk_id:
        await SipTrunk.filter(id=trunk_id).update(next_attempt_at=await database.now())


async def _made_true(services: Services, trunk_id: str | None) -> VoiceError | None:
    if trunk_id is None:
        return None
    deadline = asyncio.get_running_loop().time() + services.settings.provision_timeout
    return await converged_by(services, trunk_id, deadline)


async def _standing(caller: Caller, assistant_id: str) -> Outcome:
    return Outcome(await visible_assistants(caller.workspace_id).get_or_none(id=assistant_id), ())


async def _problems(caller: Caller, row: _Row) -> tuple[Problem, ...]:
    """All problems at once, in the order of the input."""
    found = [
        *_text_problems(row.name, "name", NAME_MAX),
        *_text_problems(row.agent_name, "agentName", AGENT_NAME_MAX),
    ]
    if row.trunk_id is not None and not await find_living(caller.workspace_id, row.trunk_id):
        found.append(TRUNK_NOT_FOUND)
    return tuple(found)


def _text_problems(text: str, field: str, longest: int) -> list[Problem]:
    path = ("input", field)
    if not text:
        return [Problem(Code.REQUIRED, f"{field} is required.", path)]
    if not text.isprintable():
        return [Problem(Code.INVALID_FORMAT, f"{field} may not contain control characters.", path)]
    return [Problem(Code.TOO_LONG, f"{field} has at most {longest} characters.", path)] if len(text) > longest else []
