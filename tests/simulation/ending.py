"""What must be true after a quiet while: database, voice backend and clients agree, and nothing moves."""

import asyncio

from models.trunk_leg import LegKind
from tests.simulation.book import Book, Content, Fate, Post
from tests.simulation.eye import HIDDEN, Eye
from tests.simulation.network import NEVER_IN, NEVER_OUT, Network, password_of
from trunkline.voice import DispatchRule, EdgeRoute, InboundTrunk, Leg, OutboundTrunk

FOREIGN_TRUNK = "trunk_other"


class Ending:
    """`problems`: every disagreement that is left."""

    def __init__(self, book: Book, network: Network, eye: Eye) -> None:
        self.book = book
        self.eye = eye
        self.problems: list[str] = []
        ours = {key: each for key, each in network.objects.items() if each.marker}
        self.left = {key: each.held for key, each in ours.items() if each.trunk != FOREIGN_TRUNK}
        for trunk_id, row in eye.rows().items():
            if row.status in HIDDEN:
                self.fail(f"a claim was never cleared: {trunk_id} is {row.status}")
            else:
                self._trunk(trunk_id, row.status)
        if self.left:
            self.fail(f"left behind: {sorted(self.left)}")
        self._clients_agree()
        self._assistants_agree()

    def fail(self, what: str) -> None:
        self.problems.append(what)

    def _trunk(self, trunk_id: str, status: str) -> None:
        content, legs = self.eye.content(trunk_id), self.eye.voice_ids(trunk_id)
        refused = content.nickname.startswith((NEVER_IN, NEVER_OUT))
        if status != "ACTIVE" and not (status == "FAILED" and refused) and not self._rule_is_refused(trunk_id):
            self.fail(f"{trunk_id} never became true: it is {status}")
        if status != "ACTIVE":
            for voice_id in legs.values():
                self.left.pop(voice_id, None)
            return
        keys = set()
        for kind in content.legs:
            held = self.left.pop(legs.get(kind, ""), None)
            if held is None or held.leg.kind is not kind:
                self.fail(f"{trunk_id} has no {kind} leg")
            elif not _says(held.leg, content):
                self.fail(f"the {kind} leg of {trunk_id} is not as wanted")
            elif isinstance(held.leg, OutboundTrunk | EdgeRoute):
                keys.add(held.leg.edge_key)
        if len(keys) > 1:
            self.fail(f"{trunk_id} knocks at the edge with another key")
        self._rule(trunk_id, legs)

    def _rule(self, trunk_id: str, legs: dict[str, str]) -> None:
        agents = [agent for agent, _, answered in self.eye.assistants().values() if answered == trunk_id]
        held = self.left.pop(legs.get(LegKind.DISPATCH, ""), None)
        told = [held.leg.agent_name] if held and isinstance(held.leg, DispatchRule) else []
        if told != agents:
            self.fail(f"{trunk_id} is answered by {told}, wanted is {agents}")
        if held and isinstance(held.leg, DispatchRule) and held.leg.trunk_ids != (legs[LegKind.INBOUND],):
            self.fail(f"the rule of {trunk_id} is not bound to its inbound leg")

    def _rule_is_refused(self, trunk_id: str) -> bool:
        return any(agent.startswith("no rule") and at == trunk_id for agent, _, at in self.eye.assistants().values())

    def _clients_agree(self) -> None:
        rows = self.eye.rows()
        for trunk_id, known in self.book.trunks.items():
            if known.fate in {Fate.GONE, Fate.GOING} and trunk_id in rows:
                self.fail(f"{trunk_id} was to be deleted and is there")
            if known.fate is Fate.LIVE and trunk_id not in rows:
                self.fail(f"{trunk_id} was acknowledged and is lost")
            if trunk_id in rows and self.eye.content(trunk_id) not in known.possible():
                self.fail(f"{trunk_id} holds what nobody asked for last: {self.eye.content(trunk_id)}")
        for trunk_id in rows:
            if trunk_id not in self.book.trunks and not self._may_exist(trunk_id):
                self.fail(f"{trunk_id} exists, but its creation was answered with a failure")

    def _may_exist(self, trunk_id: str) -> bool:
        return self.eye.content(trunk_id).sip_password in self.book.unanswered

    def _assistants_agree(self) -> None:
        there = self.eye.assistants()
        for assistant_id, known in self.book.assistants.items():
            if known.fate is Fate.GONE and assistant_id in there:
                self.fail(f"{assistant_id} was deleted and is there")
            if known.fate is Fate.LIVE and assistant_id not in there:
                self.fail(f"{assistant_id} was acknowledged and is lost")
            if assistant_id in there and Post(*there[assistant_id][:2]) not in known.may:
                self.fail(f"{assistant_id} stands at {there[assistant_id]}, which nobody asked for last")
        for assistant_id, (agent, trunk_id, answered) in there.items():
            if trunk_id != answered:
                self.fail(f"{assistant_id} works for {trunk_id} and answers {answered}")
            if assistant_id not in self.book.assistants and agent not in self.book.unanswered_agents:
                self.fail(f"{assistant_id} exists, but its creation was answered with a failure")


async def moves_at_rest(network: Network, seconds: float) -> str | None:
    """What is asked of the voice backend in a while when nothing is to be done, besides one list per kind."""
    before = dict(network.calls)
    await asyncio.sleep(seconds)
    asked = {name: count - before.get(name, 0) for name, count in network.calls.items()}
    lists = [asked.pop(f"list {kind}", 0) for kind in LegKind]
    under_way = network.climate.replicas  # passes that the clock cuts in two
    if any(asked.values()) or max(lists) - min(lists) > under_way:
        return f"at rest the voice backend was asked for {asked} and {lists} lists"
    return None


def _says(leg: Leg, content: Content) -> bool:
    behind = isinstance(leg, OutboundTrunk) and LegKind.EDGE in content.legs
    known = password_of(leg) == ("" if behind else content.sip_password)
    answered = not isinstance(leg, InboundTrunk) or leg.numbers[:1] == (content.phone_number,)
    return known and answered and (isinstance(leg, EdgeRoute) or leg.name == content.nickname)
