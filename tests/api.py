"""The API as a client meets it: a served app in this process, spoken to over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from models.secret import Keyring, Secret
from models.trunk_leg import LegKind
from tests.faulty_voice import FaultyVoice, Plan, faultless
from tests.laid_tables import lay_tables
from trunkline.asgi import open_voice, served
from trunkline.settings import Settings
from trunkline.voice import Leg

KEY = "tl_a-key-of-the-tests-and-of-nobody-else"
PASSWORD = "correct-horse-battery"
PATIENCE_SECONDS = 30.0
TRUNK: dict[str, Any] = {
    "sipTrunkType": "NUMBER",
    "phoneNumber": "+40741926265",
    "nickname": "Front desk",
    "sipUsername": "alice",
    "sipPassword": PASSWORD,
    "sipAddress": "8.8.4.4",
    "sipCallingFormat": "PLUS_E164",
    "inboundAuthorizationType": "AUTH",
}
TRUNK_FIELDS = """
  id sipTrunkType phoneNumber nickname sipUsername sipAddress sipPort sipTransport mediaEncryption sipCallingFormat
  inboundAuthorizationType allowedInboundIps countryCode outboundProxy status inboundTrunkId outboundTrunkId
  revision createdAt updatedAt
"""
LEG_FIELDS = "voiceId state attempts nextAttemptAt checkedAt lastError { code message retryable occurredAt }"
ASSISTANT_FIELDS = "id name agentName type dispatchRuleId phoneNumber { id }"
ERRORS = "userErrors { code message field retryable retryAfter } warnings { code message field }"
CREATE = f"""mutation Create($input: CreateSipTrunkInput!) {{
  createSipTrunk(input: $input) {{ message sipTrunk {{ {TRUNK_FIELDS} }} {ERRORS} }}
}}"""
NORMALIZED = """phoneNumber nickname sipUsername sipAddress sipPort sipTransport mediaEncryption allowedInboundIps
  countryCode calledTexts callerId"""
VALIDATE = f"""mutation Validate($input: CreateSipTrunkInput!) {{
  validateSipTrunk(input: $input) {{ valid message normalized {{ {NORMALIZED} }} {ERRORS} }}
}}"""
UPDATE = f"""mutation Update($input: UpdateSipTrunkInput!) {{
  updateSipTrunk(input: $input) {{
    message sipTrunk {{ {TRUNK_FIELDS} }} {ERRORS}
    plan {{ inbound outbound dispatch changedFields assistantsAffected {{ id }} }}
  }}
}}"""
DELETE = f"""mutation Delete($input: DeleteSipTrunkInput!) {{
  deleteSipTrunk(input: $input) {{
    message deletedId unassigned {{ {ASSISTANT_FIELDS} }} userErrors {{ code message field retryable retryAfter }}
  }}
}}"""
REPROVISION = f"""mutation Reprovision($input: ReprovisionSipTrunkInput!) {{
  reprovisionSipTrunk(input: $input) {{
    message sipTrunk {{ {TRUNK_FIELDS} }} userErrors {{ code message field retryable retryAfter }}
  }}
}}"""
ANSWER = f"""mutation Answer($input: CreateAssistantInput!) {{
  createAssistant(input: $input) {{ assistant {{ {ASSISTANT_FIELDS} }} userErrors {{ code message }} }}
}}"""
TRUNK_QUERY = f"""query Trunk($id: ID!) {{
  sipTrunk(id: $id) {{
    {TRUNK_FIELDS} inbound {{ {LEG_FIELDS} }} outbound {{ {LEG_FIELDS} }} edge {{ {LEG_FIELDS} }}
    assistants {{ {ASSISTANT_FIELDS} }}
  }}
}}"""
LIST = f"{{ sipTrunks(first: 100) {{ totalCount nodes {{ {TRUNK_FIELDS} }} }} }}"


@dataclass(frozen=True, slots=True)
class Api:
    """A client with a key. Answers are checked to be 200 and free of request errors unless `raw` is used."""

    client: httpx.AsyncClient

    async def raw(self, query: str, variables: dict[str, Any] | None = None) -> httpx.Response:
        return await self.client.post("/graphql", json={"query": query, "variables": variables})

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        response = await self.raw(query, variables)
        answer = response.json()
        assert response.status_code == 200, answer
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    async def create(self, **changes: Any) -> dict[str, Any]:
        payload: dict[str, Any] = (await self.ask(CREATE, {"input": given(**changes)}))["createSipTrunk"]
        return payload

    async def validate(self, **changes: Any) -> dict[str, Any]:
        payload: dict[str, Any] = (await self.ask(VALIDATE, {"input": given(**changes)}))["validateSipTrunk"]
        return payload

    async def update(self, trunk_id: str, **changes: Any) -> dict[str, Any]:
        return await self._mutated(UPDATE, id=trunk_id, **changes)

    async def delete(self, trunk_id: str) -> dict[str, Any]:
        return await self._mutated(DELETE, id=trunk_id)

    async def reprovision(self, trunk_id: str) -> dict[str, Any]:
        return await self._mutated(REPROVISION, id=trunk_id)

    async def answered_by(self, trunk_id: str, name: str = "Desk", kind: str = "INBOUND") -> dict[str, Any]:
        """Make an assistant for the trunk."""
        wish = {"name": name, "agentName": "desk", "type": kind, "phoneNumberId": trunk_id}
        payload = await self._mutated(ANSWER, **wish)
        assert codes(payload) == [], payload
        assistant: dict[str, Any] = payload["assistant"]
        return assistant

    async def _mutated(self, mutation: str, **given: Any) -> dict[str, Any]:
        (payload,) = (await self.ask(mutation, {"input": given})).values()
        assert isinstance(payload, dict)
        return payload

    async def trunk(self, trunk_id: str) -> dict[str, Any] | None:
        """The trunk with its legs and assistants."""
        trunk: dict[str, Any] | None = (await self.ask(TRUNK_QUERY, {"id": trunk_id}))["sipTrunk"]
        return trunk

    async def trunk_in(self, trunk_id: str, status: str) -> dict[str, Any]:
        """Wait until the trunk has this status."""
        found: list[dict[str, Any] | None] = []

        async def has_it() -> bool:
            found.append(await self.trunk(trunk_id))
            return (found[-1] or {}).get("status") == status

        await until(has_it)
        return found[-1] or {}

    async def gone(self, trunk_id: str) -> None:
        """Wait until there is no such trunk any more."""

        async def is_gone() -> bool:
            return await self.trunk(trunk_id) is None

        await until(is_gone)

    async def trunks(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = (await self.ask(LIST))["sipTrunks"]["nodes"]
        return nodes


async def until(true: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until it is true; TimeoutError when it takes too long."""
    async with asyncio.timeout(seconds):
        while True:
            if await true():
                return
            await asyncio.sleep(0.02)


def given(**changes: Any) -> dict[str, Any]:
    """The input of a good trunk with changes; a change to `...` leaves the field out."""
    return {name: value for name, value in (TRUNK | changes).items() if value is not ...}


def codes(payload: dict[str, Any]) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


@dataclass(frozen=True, slots=True)
class House:
    """A served app, its client and its voice backend."""

    api: Api
    voice: FaultyVoice
    settings: Settings

    def holding(self, secret: str) -> Api:
        """A client of the same app with another key."""
        transport = self.api.client._transport  # noqa: SLF001  # httpx has no public name for it
        headers = {"authorization": f"Bearer {secret}"}
        return Api(httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers))

    async def held(self) -> dict[str, Leg]:
        """All that the voice backend holds, by its ids; asked past all faults and counts."""
        return {held.voice_id: held.leg for kind in LegKind for held in await self.voice.inner.list(kind)}


def quick_settings(folder: Path, **changes: Any) -> Settings:
    """Settings of tests: a folder of their own with the tables in it, short times."""
    lay_tables(folder)
    plain = Settings(
        database_url=Secret(f"sqlite://{folder}/trunkline.db"),
        bootstrap_key=Secret(KEY),
        provision_timeout=1.5,
        settle_time=0.2,
        reconcile_interval=0.2,
        allowed_hosts=("testserver",),
        probe_new_trunks="no",  # the addresses belong to others
    )
    fields = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    return Settings(**(fields | changes))


@asynccontextmanager
async def served_house(settings: Settings, plan: Plan = faultless) -> AsyncIterator[House]:
    """Serve in this process; the calls of the voice backend of the settings may fail by plan."""
    made: list[FaultyVoice] = []

    def voice(settings: Settings, keyring: Keyring) -> FaultyVoice:
        made.append(FaultyVoice(open_voice(settings, keyring), plan))
        return made[0]

    async with served(settings, voice) as running:
        transport = httpx.ASGITransport(running.app)
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers) as client:
            yield House(Api(client), made[0], settings)
