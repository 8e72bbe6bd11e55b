"""What a client may believe of its trunks and assistants: worlds as values, and the set of those still possible.

An answer narrows the set, silence keeps both: the world before the request and the one after it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from tests.api import PASSWORD


@dataclass(frozen=True, slots=True)
class Trunk:
    """A trunk by what a client said of it. `number` is the part behind the run's own beginning."""

    number: str
    nickname: str = "Front desk"
    username: str = "alice"
    password: str = field(default=PASSWORD, repr=False)
    address: str = "8.8.4.4"
    proxy: bool = False


@dataclass(frozen=True, slots=True)
class Assistant:
    """An INBOUND assistant; its name is its identity here. `number`: the trunk that it answers."""

    name: str
    agent: str
    number: str | None = None


@dataclass(frozen=True, slots=True)
class World:
    """Everything there is at one instant."""

    trunks: frozenset[Trunk] = frozenset()
    assistants: frozenset[Assistant] = frozenset()

    def trunk(self, number: str) -> Trunk | None:
        return next((each for each in self.trunks if each.number == number), None)

    def assistant(self, name: str) -> Assistant | None:
        return next((each for each in self.assistants if each.name == name), None)

    def answering(self, number: str) -> Assistant | None:
        return next((each for each in self.assistants if each.number == number), None)


Effect = Callable[[World], World]
Belief = frozenset[World]
NOTHING = World()


class Verdict(Enum):
    """What an answer says of the request's effect."""

    DONE = "done"
    NOT_DONE = "not done"
    UNKNOWN = "unknown"


def believed(belief: Belief, effect: Effect, verdict: Verdict) -> Belief:
    """The worlds that are possible after an answer, or after none (UNKNOWN)."""
    after = frozenset(map(effect, belief))
    return {Verdict.DONE: after, Verdict.NOT_DONE: belief, Verdict.UNKNOWN: belief | after}[verdict]


def with_trunk(trunk: Trunk) -> Effect:
    def effect(world: World) -> World:
        return world if world.trunk(trunk.number) else replace(world, trunks=world.trunks | {trunk})

    return effect


def changed_trunk(number: str, /, **changes: Any) -> Effect:
    def effect(world: World) -> World:
        old = world.trunk(number)
        if old is None:
            return world
        trunks = world.trunks - {old} | {replace(old, **changes)}
        return World(trunks, _renumbered(world.assistants, number, changes.get("number", number)))

    return effect


def without_trunk(number: str) -> Effect:
    """Removing a trunk leaves its assistants, which lose their number."""

    def effect(world: World) -> World:
        trunks = frozenset(each for each in world.trunks if each.number != number)
        return World(trunks, _renumbered(world.assistants, number, None))

    return effect


def with_assistant(assistant: Assistant) -> Effect:
    def effect(world: World) -> World:
        is_there = world.assistant(assistant.name)
        return replace(world, assistants=world.assistants | {assistant}) if _fits(world, assistant, is_there) else world

    return effect


def changed_assistant(name: str, /, **changes: Any) -> Effect:
    def effect(world: World) -> World:
        old = world.assistant(name)
        new = replace(old, **changes) if old else None
        if old is None or new is None or not _may_answer(world, new):
            return world
        return replace(world, assistants=world.assistants - {old} | {new})

    return effect


def without_assistant(name: str) -> Effect:
    def effect(world: World) -> World:
        return replace(world, assistants=frozenset(each for each in world.assistants if each.name != name))

    return effect


def unchanged(world: World) -> World:
    return world


def _fits(world: World, assistant: Assistant, is_there: Assistant | None) -> bool:
    return is_there is None and _may_answer(world, assistant)


def _may_answer(world: World, assistant: Assistant) -> bool:
    if assistant.number is None:
        return True
    other = world.answering(assistant.number)
    return world.trunk(assistant.number) is not None and (other is None or other.name == assistant.name)


def _renumbered(assistants: frozenset[Assistant], old: str, new: str | None) -> frozenset[Assistant]:
    return frozenset(replace(each, number=new) if each.number == old else each for each in assistants)
