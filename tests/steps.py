"""Requests of a client together with what they do to the world, and what an answer says of that."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.api import given
from tests.worlds import (
    Assistant,
    Belief,
    Effect,
    Trunk,
    Verdict,
    believed,
    changed_assistant,
    changed_trunk,
    unchanged,
    with_assistant,
    with_trunk,
    without_assistant,
    without_trunk,
)

SELECTED = {
    "createSipTrunk": "sipTrunk { id status }",
    "updateSipTrunk": "sipTrunk { id }",
    "deleteSipTrunk": "deletedId",
    "reprovisionSipTrunk": "sipTrunk { id }",
    "createAssistant": "assistant { id }",
    "updateAssistant": "assistant { id }",
    "deleteAssistant": "deletedId",
}
DIRECTORY = """{ sipTrunks(first: 100) { nodes { id phoneNumber } } assistants(first: 100) { nodes { id name } } }"""
INPUT_NAMES = {
    "number": "phoneNumber",
    "nickname": "nickname",
    "username": "sipUsername",
    "password": "sipPassword",
    "address": "sipAddress",
    "proxy": "outboundProxy",
}
UNFINISHED = frozenset({"OUTCOME_UNKNOWN", "VOICE_UNAVAILABLE", "RATE_LIMITED", "VOICE_MISCONFIGURED"})

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
Payload = dict[str, Any] | None  # None: nothing was asked
Ids = Mapping[str, str]  # of trunks by number, of assistants by name
Input = Callable[[Ids, str], dict[str, Any] | None]  # None: what it is about is not there


@dataclass(frozen=True, slots=True)
class Step:
    """A mutation, its input, and its effect. `base` is the beginning of the run's own numbers."""

    mutation: str
    input: Input
    effect: Effect

    @property
    def document(self) -> str:
        kind = f"{self.mutation[0].upper()}{self.mutation[1:]}Input!"
        answer = f"{SELECTED[self.mutation]} message userErrors {{ code message retryable }}"
        return f"mutation Do($input: {kind}) {{ {self.mutation}(input: $input) {{ {answer} }} }}"

    @property
    def is_keyed(self) -> bool:
        """Whether it has an idempotency key: then a repetition succeeds."""
        return self.mutation == "createSipTrunk" and "idempotencyKey" in (self.input({}, "") or {})

    async def take(self, ask: Ask, ids: Ids, base: str) -> Payload:
        """The payload; None when there was nothing to ask for."""
        told = self.input(ids, base)
        return None if told is None else dict((await ask(self.document, {"input": told}))[self.mutation])


async def directory(ask: Ask, base: str) -> dict[str, str]:
    """The ids of the first hundred of each kind."""
    found = await ask(DIRECTORY, {})
    trunks = {each["phoneNumber"].removeprefix(base): each["id"] for each in found["sipTrunks"]["nodes"]}
    return trunks | {each["name"]: each["id"] for each in found["assistants"]["nodes"]}


def codes_of(payload: Mapping[str, Any]) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


def verdict_of(mutation: str, payload: Mapping[str, Any] | None) -> Verdict:
    """What an answer promises. Not trusted further than that: silence and doubt keep both worlds."""
    codes = set(codes_of(payload)) if payload else set()
    if payload is None or not codes:
        return Verdict.DONE
    if mutation == "deleteSipTrunk":  # gone, or DELETING and finished by itself
        return Verdict.DONE if codes <= UNFINISHED | {"NOT_FOUND"} else Verdict.NOT_DONE
    if mutation == "createSipTrunk":  # a failed creation leaves nothing, whatever its cause
        return Verdict.NOT_DONE
    return Verdict.UNKNOWN if "OUTCOME_UNKNOWN" in codes else Verdict.NOT_DONE


def belief_after(belief: Belief, steps: Iterable[Step], told: list[Payload]) -> Belief:
    """What is possible after these answers; the request behind the last answer may have had its effect."""
    for number, step in enumerate(steps):
        if number >= len(told):
            return believed(belief, step.effect, Verdict.UNKNOWN)
        belief = believed(belief, step.effect, verdict_of(step.mutation, told[number]))
    return belief


def create(trunk: Trunk, **more: str) -> Step:
    def told(_ids: Ids, base: str) -> dict[str, Any]:
        return given(
            **inputs(base, number=trunk.number, nickname=trunk.nickname, proxy=trunk.proxy), **_secret(trunk), **more
        )

    return Step("createSipTrunk", told, with_trunk(trunk))


def update(number: str, /, **changes: Any) -> Step:
    def told(ids: Ids, base: str) -> dict[str, Any] | None:
        return {"id": ids[number], **inputs(base, **changes)} if number in ids else None

    return Step("updateSipTrunk", told, changed_trunk(number, **changes))


def delete(number: str) -> Step:
    return Step("deleteSipTrunk", _by_id(number), without_trunk(number))


def reprovision(number: str) -> Step:
    return Step("reprovisionSipTrunk", _by_id(number), unchanged)


def create_assistant(assistant: Assistant) -> Step:
    def told(ids: Ids, _base: str) -> dict[str, Any] | None:
        plain = {"name": assistant.name, "agentName": assistant.agent, "type": "INBOUND"}
        if assistant.name in ids or (assistant.number is not None and assistant.number not in ids):
            return None
        return plain | {"phoneNumberId": ids[assistant.number] if assistant.number else None}

    return Step("createAssistant", told, with_assistant(assistant))


def rename_agent(name: str, agent: str) -> Step:
    def told(ids: Ids, _base: str) -> dict[str, Any] | None:
        return {"id": ids[name], "agentName": agent} if name in ids else None

    return Step("updateAssistant", told, changed_assistant(name, agent=agent))


def assign(name: str, number: str | None) -> Step:
    def told(ids: Ids, _base: str) -> dict[str, Any] | None:
        if name not in ids or (number is not None and number not in ids):
            return None
        return {"id": ids[name], "phoneNumberId": ids[number] if number else None}

    return Step("updateAssistant", told, changed_assistant(name, number=number))


def delete_assistant(name: str) -> Step:
    return Step("deleteAssistant", _by_id(name), without_assistant(name))


def inputs(base: str, **values: Any) -> dict[str, Any]:
    """Values of a Trunk under their names in the API."""
    return {INPUT_NAMES[name]: base + value if name == "number" else value for name, value in values.items()}


def _secret(trunk: Trunk) -> dict[str, str]:
    return {"sipUsername": trunk.username, "sipPassword": trunk.password, "sipAddress": trunk.address}


def _by_id(key: str) -> Input:
    return lambda ids, _base: {"id": ids[key]} if key in ids else None
