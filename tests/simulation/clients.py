"""The clients: each creates, updates, deletes and assigns trunks of its own, and writes down what it was told."""

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from models.assistant import AssistantType
from models.secret import Secret
from models.sip_trunk import InboundAuthorizationType, SipCallingFormat, SipTrunkType
from models.trunk_leg import LegKind
from tests.simulation.book import Book, Content, Fate, KnownAssistant, KnownTrunk, Post, goes_by_the_edge
from tests.simulation.invariants import Invariants
from tests.simulation.network import NEVER_IN, NEVER_OUT, NEVER_RULE
from tests.simulation.requests import Front, Unanswered
from trunkline import assistants, changes, creation, trunks
from trunkline.changes import Wish
from trunkline.creation import Manner
from trunkline.keys import Caller
from trunkline.problems import Code, Problem
from trunkline.validation import TrunkDraft

NUMBERS = ("+40741926260", "+40741926261", "+40741926262", "+40741926263", "+40741926264")
FORMATS = (SipCallingFormat.PLUS_E164, SipCallingFormat.NATIONAL)
UNDECIDED = {Code.OUTCOME_UNKNOWN, Code.VOICE_UNAVAILABLE, Code.VOICE_MISCONFIGURED, Code.RATE_LIMITED}


@dataclass(slots=True)
class Client:
    """One client of the API."""

    number: int
    front: Front
    book: Book
    caller: Caller
    invariants: Invariants
    rng: Random
    asked: int = 0

    async def create(self, *, background: bool = False) -> None:
        content = self._content()
        self.book.passwords.add(content.sip_password)
        key = self._word("key") if self.rng.random() < 0.5 else None
        manner = Manner(background=background, idempotency_key=key)
        while True:
            result = await self._ask(
                f"create {content}",
                lambda services: creation.create_trunk(services, self.caller, self._draft(content), manner),
            )
            if not isinstance(result, Unanswered) or key is None:
                break
            await asyncio.sleep(1.0)  # with its key the very same request may be sent again
        if isinstance(result, Unanswered):
            self.book.unanswered.add(content.sip_password)
        elif result.trunk:
            self._created(result.trunk.id, content, background=background)

    def _created(self, trunk_id: str, content: Content, *, background: bool) -> None:
        if trunk_id in self.book.trunks:
            self.invariants.fail(f"the id {trunk_id} was given twice")
        # In the background it may take over what an earlier attempt left, with the password of that one.
        passwords = set(self.book.passwords) if background else {content.sip_password}
        self.book.trunks[trunk_id] = KnownTrunk(self.number, {content}, passwords)
        if not background and not self.invariants.stand(trunk_id, content.legs):
            self.invariants.fail(f"{trunk_id} was acknowledged without its legs")

    async def update(self, trunk_id: str) -> None:
        known = self.book.trunks[trunk_id]
        wish = self._wish()
        before = known.possible()
        known.may = before | {content.changed(wish) for content in before}
        known.passwords |= {content.sip_password for content in known.may}
        self.book.passwords |= known.passwords
        columns = dict(wish)
        if password := wish.get("sip_password"):
            columns |= {"sip_password": Secret(password), "outbound_proxy": goes_by_the_edge(password)}
        update = Wish(trunk_id=trunk_id, columns=columns)
        result = await self._ask(
            f"update {trunk_id} {wish}", lambda services: changes.update_trunk(services, self.caller, update)
        )
        if result is Unanswered.LATE:
            known.late.append(wish)
        elif not isinstance(result, Unanswered):
            codes = {problem.code for problem in result.problems}
            if not codes:
                known.may = {content.changed(wish) for content in before}
            elif not codes & UNDECIDED:
                known.may = before

    async def delete(self, trunk_id: str) -> None:
        known = self.book.trunks[trunk_id]
        known.fate = Fate.DOUBTFUL
        self.book.unassign(trunk_id, surely=False)
        result = await self._ask(
            f"delete {trunk_id}", lambda services: trunks.delete_trunk(services, self.caller, trunk_id)
        )
        if isinstance(result, Unanswered):
            return
        done = result.problem is None or result.problem.code is Code.NOT_FOUND
        known.fate = Fate.GONE if done else Fate.GOING
        self.book.unassign(trunk_id, surely=True)

    async def reprovision(self, trunk_id: str) -> None:
        await self._ask(
            f"reprovision {trunk_id}", lambda services: trunks.reprovision_trunk(services, self.caller, trunk_id)
        )

    async def hire(self, trunk_id: str | None) -> None:
        """Create an assistant, with a trunk or without one."""
        post = Post(self._agent(), trunk_id)
        told = {"name": "Desk", "type": AssistantType.INBOUND, **_columns(post)}
        result = await self._ask(
            f"hire {post}", lambda services: assistants.create_assistant(services, self.caller, told)
        )
        if isinstance(result, Unanswered):
            self.book.unanswered_agents.add(post.agent_name)
        elif not result.problems:
            self.book.assistants[result.assistant.id] = KnownAssistant(self.number, self._whether_gone(post))
            self._rule_stands(post)
        elif Code.OUTCOME_UNKNOWN in _codes(result.problems):  # it ends in one of the two
            self.book.unanswered_agents.add(post.agent_name)

    async def reassign(self, assistant_id: str, trunk_id: str | None) -> None:
        """Give an assistant another trunk, or none."""
        known = self.book.assistants[assistant_id]
        before = set(known.may)
        known.may = before | {replace(post, trunk_id=trunk_id) for post in before}
        result = await self._ask(
            f"reassign {assistant_id} to {trunk_id}",
            partial(_reassigned, self.caller, assistant_id, trunk_id),
        )
        if isinstance(result, Unanswered) or _codes(result.problems) & UNDECIDED:
            return
        if result.problems:
            known.may = before
            return
        known.may = {each for post in before for each in self._whether_gone(replace(post, trunk_id=trunk_id))}
        self._rule_stands(Post("", trunk_id))

    async def fire(self, assistant_id: str) -> None:
        """Delete an assistant."""
        known = self.book.assistants[assistant_id]
        known.fate = Fate.DOUBTFUL
        known.may |= {replace(post, trunk_id=None) for post in known.may}
        result = await self._ask(
            f"fire {assistant_id}",
            lambda services: assistants.delete_assistant(services, self.caller, assistant_id),
        )
        if not isinstance(result, Unanswered) and (not result.problems or Code.NOT_FOUND in _codes(result.problems)):
            known.fate = Fate.GONE

    async def act(self) -> None:
        """One request, drawn."""
        mine, staff = self.book.living(self.number), self.book.staff(self.number)
        action = self.rng.choice(
            ("create", "create", "background", "update", "update", "delete", "reprovision", "staff")
        )
        if action == "staff":
            await self._act_on_staff(staff)
        elif not mine or action in {"create", "background"}:
            await self.create(background=action == "background")
        else:
            await getattr(self, action)(self.rng.choice(mine))

    async def _act_on_staff(self, staff: list[str]) -> None:
        if len(staff) < 2:
            await self.hire(self._some(self.book.living(self.number)))
        elif self.rng.random() < 0.8:
            await self.reassign(self.rng.choice(staff), self._some(self.book.living(self.number)))
        else:
            await self.fire(self.rng.choice(staff))

    def _whether_gone(self, post: Post) -> set[Post]:
        known = self.book.trunks.get(post.trunk_id or "")
        return {post} if known is None or known.fate is Fate.LIVE else {post, replace(post, trunk_id=None)}

    def _rule_stands(self, post: Post) -> None:
        if post.trunk_id and not self.invariants.stand(post.trunk_id, (LegKind.DISPATCH,)):
            self.invariants.fail(f"an assistant of {post.trunk_id} was acknowledged without its rule")

    def _draft(self, content: Content) -> TrunkDraft:
        return TrunkDraft(
            sip_trunk_type=SipTrunkType.NUMBER,
            phone_number=content.phone_number,
            nickname=content.nickname,
            sip_username=f"client{self.number}",  # so that it is the number that is in use, not the whole that exists
            sip_password=Secret(content.sip_password),
            sip_address="8.8.4.4",
            sip_calling_format=content.sip_calling_format,
            inbound_authorization_type=InboundAuthorizationType.AUTH,
            outbound_proxy=goes_by_the_edge(content.sip_password),
        )

    async def _ask(self, what: str, work: Any) -> Any:
        self.asked += 1
        return await self.front.ask(what, work)

    def _some(self, of: list[str]) -> str | None:
        return self.rng.choice(of) if of and self.rng.random() < 0.7 else None

    def _word(self, prefix: str) -> str:
        return f"{prefix}-{self.number}-{self.rng.getrandbits(32):08x}"

    def _name(self) -> str:
        return self.rng.choice((NEVER_IN, NEVER_OUT, "", "", "", "")) + self._word(" desk")

    def _agent(self) -> str:
        return self.rng.choice((NEVER_RULE, "", "", "")) + self._word("agent")

    def _content(self) -> Content:
        name = self._name().strip()
        return Content(self.rng.choice(NUMBERS), name, self._word("password"), self.rng.choice(FORMATS))

    def _wish(self) -> dict[str, Any]:
        wishes: list[dict[str, Any]] = [
            {"sip_password": self._word("password")},
            {"phone_number": self.rng.choice(NUMBERS)},
            {"nickname": self._name().strip()},
            {"sip_calling_format": self.rng.choice(FORMATS)},
        ]
        return self.rng.choice(wishes) | self.rng.choice(wishes)


async def _reassigned(caller: Caller, assistant_id: str, trunk_id: str | None, services: Any) -> Any:
    return await assistants.update_assistant(services, caller, assistant_id, {"trunk_id": trunk_id})


def _codes(problems: tuple[Problem, ...]) -> set[Code]:
    return {problem.code for problem in problems}


def _columns(post: Post) -> dict[str, Any]:
    return {"agent_name": post.agent_name, "trunk_id": post.trunk_id}
