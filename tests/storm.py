"""Clients of the fault storm: random operations, and for each trunk the set of worlds that are still possible.

A client works at its own slots, one request at a time, so that what it may believe follows from its answers alone. The
seed decides every choice; what the machine makes of the timing is its own.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import httpx

from tests.api import KEY
from tests.observing import ASSISTANTS, TRUNKS, Observer, all_pages
from tests.steps import (
    Payload,
    Step,
    assign,
    codes_of,
    create,
    create_assistant,
    delete,
    delete_assistant,
    rename_agent,
    reprovision,
    update,
    verdict_of,
)
from tests.worlds import (
    NOTHING,
    Assistant,
    Belief,
    Effect,
    Trunk,
    Verdict,
    World,
    believed,
    changed_assistant,
    changed_trunk,
    with_assistant,
    without_trunk,
)

REPLY_SECONDS = 30.0  # a replica answers, or dies, long before
COMMITTED_SECONDS = 0.3  # a transaction whose client was killed has ended then
PASSWORDS = ("correct-horse-battery", "another-long-password", "a-third-one-for-the-storm")
ADDRESSES = ("8.8.4.4", "9.9.9.9", "1.1.1.1")


class ViolationError(AssertionError):
    """An answer that no possible world gives."""


@dataclass(slots=True)
class Tally:
    """What happened."""

    operations: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    refused: int = 0  # connections to a replica that was down
    converged_seconds: float = 0.0

    def lines(self) -> list[str]:
        """For people."""
        counters = {
            "operations": self.operations,
            "outcomes": self.outcomes,
            "faults": self.faults,
            "calls": self.calls,
        }
        told = [f"{name}: {sum(each.values())} ({_listed(each)})" for name, each in counters.items()]
        return [
            *told,
            f"kills: {self.kills}, connections refused meanwhile: {self.refused}",
            f"convergence: {self.converged_seconds:.1f} s",
        ]


@dataclass(slots=True)
class Slot:
    """Room for one trunk, which has one of two numbers, and for one assistant."""

    key: str
    belief: Belief = frozenset({NOTHING})
    ids: dict[str, str] = field(default_factory=dict)  # of the trunk by the slot's key, of the assistant by its name
    pending: Step | None = None  # its end is not known: nothing else is asked for until it is

    @property
    def numbers(self) -> tuple[str, str]:
        return f"0{self.key}", f"1{self.key}"

    @property
    def agent(self) -> str:
        return f"Agent {self.key}"

    def narrow(self, holds: Callable[[World], bool], why: str) -> None:
        """Learn something; ViolationError when it cannot be."""
        possible = frozenset(filter(holds, self.belief))
        if not possible:
            raise ViolationError(f"slot {self.key}: {why}, but {self.belief}")
        self.belief = possible


def _listed(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common())


def of_the_one(effect_on: Callable[[str], Effect]) -> Effect:
    """The effect on the trunk of a slot, whichever number it has."""

    def effect(world: World) -> World:
        trunk = next(iter(world.trunks), None)
        return effect_on(trunk.number)(world) if trunk else world

    return effect


def chosen(slot: Slot, random: Random) -> Step:
    """What to ask for next at a slot."""
    if slot.pending:
        return slot.pending
    if slot.key not in slot.ids:
        return _creation(slot, random)
    kinds = [_update, _update, _update, _removal, _reprovision, _assistant, _assistant, _assistant]
    return random.choice(kinds)(slot, random)


def _creation(slot: Slot, random: Random) -> Step:
    trunk = Trunk(slot.numbers[0], f"Desk {random.randrange(100)}", password=random.choice(PASSWORDS))
    more = {"provisioning": "BACKGROUND"} if random.random() < 0.3 else {}
    if random.random() < 0.5:
        more["idempotencyKey"] = f"{slot.key} {random.random()}"
    return create(trunk, **more)


def _update(slot: Slot, random: Random) -> Step:
    change: dict[str, str] = random.choice([
        {"nickname": f"Desk {random.randrange(100)}"},
        {"password": random.choice(PASSWORDS)},
        {"address": random.choice(ADDRESSES), "username": random.choice(("alice", "bob"))},
        {"number": random.choice(slot.numbers)},
    ])  # fmt: skip
    return replace(update(slot.key, **change), effect=of_the_one(lambda number: changed_trunk(number, **change)))


def _removal(slot: Slot, _random: Random) -> Step:
    return replace(delete(slot.key), effect=of_the_one(without_trunk))


def _reprovision(slot: Slot, _random: Random) -> Step:
    return reprovision(slot.key)


def _assistant(slot: Slot, random: Random) -> Step:
    if slot.agent not in slot.ids:
        assistant = Assistant(slot.agent, f"agent-{random.randrange(9)}", slot.key)
        effect = of_the_one(lambda number: with_assistant(replace(assistant, number=number)))
        return replace(create_assistant(assistant), effect=effect)
    kind = random.randrange(4)
    if kind == 0:
        return delete_assistant(slot.agent)
    if kind == 1:
        return rename_agent(slot.agent, f"agent-{random.randrange(9)}")
    if kind == 2:
        return assign(slot.agent, None)
    effect = of_the_one(lambda number: changed_assistant(slot.agent, number=number))
    return replace(assign(slot.agent, slot.key), effect=effect)


@dataclass(frozen=True, slots=True)
class Client:
    """One of many: it asks a replica by chance, and believes what follows."""

    http: httpx.AsyncClient
    urls: Sequence[str]
    base: str
    slots: Sequence[Slot]
    random: Random
    tally: Tally

    async def run(self, over: asyncio.Event) -> None:
        while not over.is_set():
            slot = self.random.choice(self.slots)
            await self.one(slot, chosen(slot, self.random))

    async def one(self, slot: Slot, step: Step) -> None:
        """Ask, and draw the conclusions."""
        self.tally.operations[step.mutation] += 1
        try:
            payload = await step.take(self.ask, slot.ids, self.base)
        except httpx.HTTPError:
            self.tally.outcomes["no reply"] += 1
            slot.belief = believed(slot.belief, step.effect, Verdict.UNKNOWN)
            await self._conclude(slot, step, ["OUTCOME_UNKNOWN"], None)
            return
        codes = codes_of(payload) if payload else []
        self.tally.outcomes[" ".join(codes) or "done"] += 1
        slot.belief = believed(slot.belief, step.effect, verdict_of(step.mutation, payload))
        await self._conclude(slot, step, codes, payload)

    async def _conclude(self, slot: Slot, step: Step, codes: list[str], payload: Payload) -> None:
        match step.mutation:
            case "createSipTrunk":
                await self._created(slot, step, codes, payload)
            case "createAssistant":
                await self._assistant_created(slot, codes, payload)
            case "deleteSipTrunk":
                _removed(slot, step, slot.key, codes)
            case "deleteAssistant":
                _removed(slot, step, slot.agent, codes)
            case _:
                await self._changed(slot, step, codes)

    async def _created(self, slot: Slot, step: Step, codes: list[str], payload: Payload) -> None:
        """Until it is decided the same creation is asked for again, as a client would."""
        slot.pending = None
        if not codes and payload:
            slot.ids[slot.key] = payload["sipTrunk"]["id"]
            slot.belief = frozenset(map(step.effect, slot.belief))
        elif codes == ["ALREADY_EXISTS"]:
            slot.narrow(lambda world: bool(world.trunks), "it exists")
            slot.ids[slot.key] = await self._found("sipTrunks", TRUNKS, "phoneNumber", self.base + slot.numbers[0])
            slot.narrow(lambda _world: bool(slot.ids[slot.key]), "it exists and is not listed")
        elif any(world.trunks for world in slot.belief) or "NUMBER_IN_USE" in codes:
            slot.pending = step

    async def _assistant_created(self, slot: Slot, codes: list[str], payload: Payload) -> None:
        if not codes and payload:
            slot.ids[slot.agent] = payload["assistant"]["id"]
        elif "OUTCOME_UNKNOWN" in codes:
            await asyncio.sleep(COMMITTED_SECONDS)
            if found := await self._found("assistants", ASSISTANTS, "name", slot.agent):
                slot.ids[slot.agent] = found  # it may yet be taken back
            else:
                slot.narrow(lambda world: world.assistant(slot.agent) is None, "no assistant")

    async def _changed(self, slot: Slot, step: Step, codes: list[str]) -> None:
        if "NOT_FOUND" not in codes:
            return
        if step.mutation == "updateAssistant" and not await self._found("assistants", ASSISTANTS, "name", slot.agent):
            slot.narrow(lambda world: world.assistant(slot.agent) is None, "the assistant is gone")
            del slot.ids[slot.agent]
            return
        slot.narrow(lambda world: not world.trunks, "the trunk is gone")
        slot.pending = _removal(slot, self.random)

    async def _found(self, noun: str, query: str, name: str, value: str) -> str:
        """The id of what has this value, empty when there is none; asked until a replica answers."""
        while True:
            try:
                rows = await all_pages(self.ask, noun, query)
            except httpx.HTTPError:
                await asyncio.sleep(0.1)
            else:
                return next((str(row["id"]) for row in rows if row[name] == value), "")

    async def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """One request to any replica; httpx.HTTPError when there is no good answer."""
        response = await self._sent({"query": query, "variables": variables})
        answer: dict[str, Any] = response.json() if response.is_success else {"errors": response.status_code}
        if "errors" in answer:
            self.tally.outcomes[f"HTTP {response.status_code} with errors"] += 1
            raise httpx.RemoteProtocolError(str(answer))
        return dict(answer["data"])

    async def _sent(self, body: dict[str, Any]) -> httpx.Response:
        """To the other replica where one is down."""
        while True:
            try:
                return await self.http.post(f"{self.random.choice(self.urls)}/graphql", json=body)
            except httpx.ConnectError:  # nothing was sent
                self.tally.refused += 1
                await asyncio.sleep(0.05)


def _removed(slot: Slot, step: Step, key: str, codes: list[str]) -> None:
    """Removals are repeated until it is gone."""
    gone = not codes or "NOT_FOUND" in codes
    slot.pending = None if gone else step
    if gone:
        slot.belief = frozenset(map(step.effect, slot.belief))
        del slot.ids[key]


def client_of(timeout: float = REPLY_SECONDS) -> httpx.AsyncClient:
    """A connection pool with the key."""
    return httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}, timeout=timeout, trust_env=False)


def slots_of(world: World) -> dict[str, World]:
    """The world cut into those of the slots."""
    trunks = {each.number[1:]: World(trunks=frozenset({each})) for each in world.trunks}
    for each in world.assistants:
        key = each.name.removeprefix("Agent ")
        trunks[key] = replace(trunks.get(key, NOTHING), assistants=frozenset({each}))
    return trunks


async def impossible(observer: Observer, slots: Sequence[Slot]) -> list[str]:
    """The slots in which something else is than may be; UntrueError as long as there is not one truth."""
    there = slots_of(await observer.observed())
    doubts = [f"{slot.key}: {there.get(slot.key, NOTHING)} is none of {set(slot.belief)}" for slot in slots]
    return [doubt for slot, doubt in zip(slots, doubts, strict=True) if there.get(slot.key, NOTHING) not in slot.belief]
