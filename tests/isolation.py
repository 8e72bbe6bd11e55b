"""Two workspaces with data; one takes every operation of the schema with the other's ids and must learn nothing.

What is another's looks exactly like what was never there: each answer is compared with that to a fresh id of the same
kind. An operation or a node type that is not covered fails.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from tortoise.queryset import QuerySet

from gql.context import Context, context_of
from gql.schema import schema
from models.event import Event
from models.identifiers import new_id
from tests.api import ASSISTANT_FIELDS, KEY, TRUNK_FIELDS, Api, codes, served_house
from tests.test_workspaces import make_key, make_workspace, viewer
from tests.whole_schema import Operation, Way, node_types, operations
from trunkline.keys import Caller
from trunkline.services import Services
from trunkline.settings import Settings

# Operations that take nothing by which another's things could be named. A new one has to be thought about.
NAMES_NOTHING = {
    "sipTrunks",
    "assistants",
    "events",
    "dialPreview",
    "providers",
    "provider",
    "voice",
    "viewer",
    "createSipTrunk",
    "validateSipTrunk",
    "createApiKey",
    "createWorkspace",
}
WHEN = re.compile(r'"(?:checkedAt|lastReconciledAt|lastUsedAt)":"[^"]*"')  # what goes on by itself
SHORTLY_SECONDS = 0.05
CURSORS = {"after", "before"}
OTHERS_NUMBER, OWN_NUMBER, NOBODYS_NUMBER = "+40741926265", "+40741926266", "+40741926267"
PICTURE = f"""{{
  sipTrunks(first: 100) {{ nodes {{ {TRUNK_FIELDS} }} }} assistants(first: 100) {{ nodes {{ {ASSISTANT_FIELDS} }} }}
  viewer {{ workspace {{ id name }} apiKeys {{ id name prefix scopes }} }}
}}"""


@dataclass
class Tenant:
    """A client and what its workspace has: ids by their type in the schema, and texts that stand nowhere else."""

    api: Api
    ids: dict[str, str]
    context: Any  # of one of its requests, for subscriptions
    marks: set[str] = field(default_factory=set)


@dataclass
class Attempts:
    """How often each operation was tried, and what came of it."""

    asker: Tenant
    other: Tenant
    count: Counter[str] = field(default_factory=Counter)

    async def answer(self, operation: Operation, given: dict[Way, Any]) -> str:
        """What is answered, as text; never anything of the other's but what was sent."""
        answer = await self.asker.api.raw(operation.document(), operation.variables(given))
        text = f"{answer.status_code} {WHEN.sub('', answer.text)}"
        for sent in given.values():
            text = text.replace(json.dumps(sent), '"…"').replace(str(sent), "…")
        self.count[str(operation)] += 1
        assert [mark for mark in self.other.marks if mark in text] == [], (operation, given, text)
        return text

    async def same(self, operation: Operation, way: Way, foreign: Any, unknown: Any, own: dict[Way, Any]) -> None:
        """What is another's is answered like what was never there."""
        answers = [await self.answer(operation, {**own, way: sent}) for sent in (foreign, unknown)]
        assert answers[0] == answers[1], (operation, way, answers)


async def tenant(api: Api, mark: str, number: str, contexts: dict[str, Any]) -> Tenant:
    """Fill a workspace."""
    made = await api.create(phoneNumber=number, nickname=f"{mark} trunk", sipUsername=f"{mark}-user")
    assert codes(made) == [], made
    trunk = made["sipTrunk"]
    assistant = await api.answered_by(trunk["id"], name=f"{mark} assistant")
    key = await make_key(api, f"{mark} key")
    told = await viewer(api)
    event = await Event.filter(workspace_id=told["workspace"]["id"]).order_by("-at").first()
    assert event
    ids = {
        "SipTrunk": trunk["id"],
        "Assistant": assistant["id"],
        "ApiKey": key["apiKey"]["id"],
        "Workspace": told["workspace"]["id"],
        "SipTrunkEvent": event.id,
    }
    voice_ids = {trunk["inboundTrunkId"], trunk["outboundTrunkId"]}
    marks = {mark, number, key["apiKey"]["prefix"], told["apiKey"]["id"], *voice_ids, *ids.values()}
    return Tenant(api, ids, contexts[ids["Workspace"]], marks)


@asynccontextmanager
async def two_workspaces(settings: Settings) -> AsyncIterator[Attempts]:
    """The default workspace is the other one; a tenant asks."""
    contexts: dict[str, Any] = {}

    def kept(services: Services, caller: Caller, *more: Any, **named: Any) -> Context:
        context = context_of(services, caller, *more, **named)
        contexts.setdefault(caller.workspace_id, context)
        return context

    with patch("trunkline.asgi.context_of", kept):
        async with served_house(settings) as house:
            other = await tenant(house.holding(KEY), "zaphod", OTHERS_NUMBER, contexts)
            made = await make_workspace(house.api, "trillian")
            yield Attempts(await tenant(house.holding(made["secret"]), "trillian", OWN_NUMBER, contexts), other)


async def every_operation_looks_as_if_nothing_were_there(settings: Settings) -> Counter[str]:
    """The attempts by operation."""
    async with two_workspaces(settings) as attempts:
        assert node_types() <= attempts.other.ids.keys(), "a node type that is not covered"
        for operation in operations("subscription"):
            await _listen(attempts, operation)
        before = await attempts.other.api.ask(PICTURE)
        for operation in operations("query", "mutation"):
            await _attempt(attempts, operation)
        await _numbers(attempts)
        assert await attempts.other.api.ask(PICTURE) == before
        return attempts.count


async def _attempt(attempts: Attempts, operation: Operation) -> None:
    await attempts.answer(operation, {})
    ids, cursors = operation.places("ID"), [way for way in operation.places("String") if way[-1] in CURSORS]
    named = bool(ids) or operation.name == "explainInboundCall"
    assert named != (operation.name in NAMES_NOTHING), f"{operation} is not covered"
    for way in ids:
        own = _own(attempts.asker, operation) if way != ("input", "id") else {}
        for kind, foreign in attempts.other.ids.items():
            unknown = new_id(foreign.partition("_")[0])
            assert kind
            await attempts.same(operation, way, foreign, unknown, own)
    for way in cursors:
        await attempts.same(operation, way, await _cursor(attempts.other, operation), "nonsense", {})


async def _listen(attempts: Attempts, operation: Operation) -> None:
    """Changes of the other's trunk are told to the other alone; to listen for one is like listening for none."""
    places = operation.places("ID")
    assert places, f"{operation} is not covered"
    pairs = [
        (way, foreign, new_id(foreign.partition("_")[0])) for way in places for foreign in attempts.other.ids.values()
    ]
    for way, foreign, unknown in pairs:
        given: list[dict[Way, Any]] = [{}, {way: foreign}, {way: unknown}]
        asking = [asyncio.create_task(_heard(attempts.asker, operation, each)) for each in given]
        theirs = asyncio.create_task(_heard(attempts.other, operation, {}))
        while not theirs.done():
            await attempts.other.api.update(attempts.other.ids["SipTrunk"], nickname=new_id("zaphod"))
            await asyncio.sleep(SHORTLY_SECONDS)
        for each in asking:
            each.cancel()
        everything, of_foreign, of_unknown = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(everything, asyncio.CancelledError), everything
        assert (type(of_foreign), str(of_foreign)) == (type(of_unknown), str(of_unknown))
        assert "zaphod" in theirs.result()
        attempts.count[str(operation)] += len(given)
    await attempts.other.api.update(attempts.other.ids["SipTrunk"], nickname="zaphod trunk")


async def _heard(tenant: Tenant, operation: Operation, given: dict[Way, Any]) -> str:
    """The first thing that a subscriber is told."""
    variables = operation.variables(given)
    stream: Any = await schema.subscribe(operation.document(), variables, tenant.context)
    async for result in stream:
        return f"{result.data} {[error.message for error in result.errors or ()]}"
    return "nothing"


def _own(asker: Tenant, operation: Operation) -> dict[Way, Any]:
    """For an operation with more than one id: what it is about, of the asker's own."""
    return {("input", "id"): asker.ids["Assistant"]} if operation.name == "updateAssistant" else {}


async def _cursor(other: Tenant, operation: Operation) -> str:
    found = (await other.api.ask(f"{{ {operation.name}(first: 1) {{ edges {{ cursor }} }} }}"))[operation.name]
    cursor: str = found["edges"][0]["cursor"]
    return cursor


async def _numbers(attempts: Attempts) -> None:
    """A number of the other's rings elsewhere, which is told; where, and whose it is, is not."""
    by_name = {each.name: each for each in operations("query", "mutation")}
    if explain := by_name.get("explainInboundCall"):
        call: dict[Way, Any] = {("input", "from"): NOBODYS_NUMBER, ("input", "sourceIp"): "8.8.8.8"}
        await attempts.same(explain, ("input", "to"), OTHERS_NUMBER, NOBODYS_NUMBER, call)
    attempts.other.marks.discard(OTHERS_NUMBER)  # the asker says it itself
    for name in ("validate", "create"):
        payload = await getattr(attempts.asker.api, name)(phoneNumber=OTHERS_NUMBER)
        attempts.count[f"mutation {name}SipTrunk"] += 1
        assert codes(payload) == ["NUMBER_IN_USE"]
        assert [mark for mark in attempts.other.marks if mark in json.dumps(payload)] == []


@contextmanager
def our_own_filters_off() -> Iterator[None]:
    """No query of ours asks for a workspace any more."""
    filtered = QuerySet._filter_or_exclude  # noqa: SLF001  # where all of Tortoise's filters meet

    def unfiltered(self: QuerySet[Any], *args: Any, negate: bool, **kwargs: Any) -> QuerySet[Any]:
        kwargs.pop("workspace_id", None)
        return filtered(self, *args, negate=negate, **kwargs)

    with patch.object(QuerySet, "_filter_or_exclude", unfiltered):
        yield


def told(count: Counter[str]) -> str:
    """The table: operations and attempts."""
    lines = [f"{operation}: {attempts}" for operation, attempts in count.items()]
    return f"{len(count)} operations, {count.total()} attempts; " + ", ".join(lines)
