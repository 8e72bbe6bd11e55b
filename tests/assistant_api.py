"""Assistants as a client meets them, and an eye on every dispatch rule that the voice backend is ever told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from models.trunk_leg import LegKind
from tests.api import Api, House, served_house
from tests.faulty_voice import Plan, faultless
from trunkline.settings import Settings
from trunkline.voice import DispatchRule, Held, Leg, VoiceBackend, VoiceKind

FIELDS = """id name agentName type dispatchRuleId phoneNumber { id status } createdAt updatedAt
  dispatch { voiceId state lastError { code } }"""
ERRORS = "userErrors { code message field retryable retryAfter }"
ANSWER = f"message assistant {{ {FIELDS} }} {ERRORS}"
CREATE = f"mutation($input: CreateAssistantInput!) {{ a: createAssistant(input: $input) {{ {ANSWER} }} }}"
UPDATE = f"mutation($input: UpdateAssistantInput!) {{ a: updateAssistant(input: $input) {{ {ANSWER} }} }}"
DELETE = f"""mutation($input: DeleteAssistantInput!) {{
  a: deleteAssistant(input: $input) {{ message deletedId {ERRORS} }}
}}"""
ONE = f"query($id: ID!) {{ assistant(id: $id) {{ {FIELDS} }} }}"
PAGE = f"""query($first: Int, $after: String) {{ assistants(first: $first, after: $after) {{
  totalCount nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }}"""


@dataclass(frozen=True, slots=True)
class Assistants:
    """A client that works with assistants."""

    api: Api

    async def create(self, trunk: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        plain = {"name": "Reception", "agentName": "echo", "type": "INBOUND"}
        return await self._told(CREATE, plain | {"phoneNumberId": trunk["id"] if trunk else None} | changes)

    async def made(self, trunk: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """The same, and it must succeed."""
        payload = await self.create(trunk, **changes)
        assert payload["userErrors"] == []
        assert payload["message"] == "Assistant created successfully."
        assistant: dict[str, Any] = payload["assistant"]
        return assistant

    async def update(self, assistant: dict[str, Any], **changes: Any) -> dict[str, Any]:
        return await self._told(UPDATE, {"id": assistant["id"]} | changes)

    async def delete(self, assistant: dict[str, Any]) -> dict[str, Any]:
        return await self._told(DELETE, {"id": assistant["id"]})

    async def one(self, assistant: dict[str, Any]) -> dict[str, Any] | None:
        found: dict[str, Any] | None = (await self.api.ask(ONE, {"id": assistant["id"]}))["assistant"]
        return found

    async def page(self, first: int | None = None, after: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = (await self.api.ask(PAGE, {"first": first, "after": after}))["assistants"]
        return found

    async def all(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = (await self.page(first=100))["nodes"]
        return nodes

    async def _told(self, mutation: str, wish: dict[str, Any]) -> dict[str, Any]:
        payload: dict[str, Any] = (await self.api.ask(mutation, {"input": wish}))["a"]
        return payload


@dataclass(slots=True)
class Watched:
    """Fulfils VoiceBackend around another one and keeps every rule that it was told."""

    inner: VoiceBackend
    rules: list[DispatchRule] = field(default_factory=list)

    @property
    def kind(self) -> VoiceKind:
        return self.inner.kind

    async def create(self, leg: Leg) -> str:
        self._note(leg)
        return await self.inner.create(leg)

    async def replace(self, voice_id: str, leg: Leg) -> None:
        self._note(leg)
        await self.inner.replace(voice_id, leg)

    async def find(self, kind: LegKind, voice_id: str) -> Held | None:
        return await self.inner.find(kind, voice_id)

    async def list(self, kind: LegKind) -> list[Held]:
        return await self.inner.list(kind)

    async def delete(self, kind: LegKind, voice_id: str) -> None:
        await self.inner.delete(kind, voice_id)

    async def ping(self) -> None:
        await self.inner.ping()

    async def aclose(self) -> None:
        await self.inner.aclose()

    def _note(self, leg: Leg) -> None:
        if isinstance(leg, DispatchRule):
            self.rules.append(leg)


@asynccontextmanager
async def watched_house(settings: Settings, plan: Plan = faultless) -> AsyncIterator[House]:
    """Serve in this process. No rule that is ever told may be without its one trunk and an agent."""
    async with served_house(settings, plan) as house:
        watched = Watched(house.voice.inner)
        house.voice.inner = watched
        yield house
    assert all(len(rule.trunk_ids) == 1 and rule.trunk_ids[0] and rule.agent_name for rule in watched.rules)


async def rules(house: House) -> dict[str, DispatchRule]:
    """The rules that the voice backend holds, by their ids."""
    return {each: leg for each, leg in (await house.held()).items() if isinstance(leg, DispatchRule)}
