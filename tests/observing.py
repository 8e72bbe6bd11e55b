"""What is really there: the API, the database and the voice backend, each read for itself, told as one world.

`observed` refuses a world in which they disagree: an orphan, a leg that is missing or holds something else, rows that
wait for nothing.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from models import assistant as model
from models.secret import Secret
from models.sip_trunk import HIDDEN, CalledText, SipTrunk
from models.trunk_leg import LegKind, LegState, TrunkLeg
from models.workspace import Installation
from tests.steps import Ask
from tests.worlds import Assistant, Trunk, World
from trunkline import database
from trunkline.phone import called_text_key
from trunkline.voice import DispatchRule, EdgeRoute, Encryption, Held, InboundTrunk, OutboundTrunk, VoiceBackend

LEG = "{ state voiceId attempts lastError { code } nextAttemptAt }"
TRUNKS = f"""query Trunks($after: String) {{ sipTrunks(first: 100, after: $after) {{
  nodes {{
    id phoneNumber nickname sipUsername sipAddress outboundProxy status inboundTrunkId outboundTrunkId
    inbound {LEG} outbound {LEG} edge {LEG}
  }}
  pageInfo {{ hasNextPage endCursor }}
}} }}"""
ASSISTANTS = f"""query Assistants($after: String) {{ assistants(first: 100, after: $after) {{
  nodes {{ id name agentName dispatchRuleId dispatch {LEG} phoneNumber {{ id phoneNumber }} }}
  pageInfo {{ hasNextPage endCursor }}
}} }}"""

Objects = dict[str, Held]


class UntrueError(Exception):
    """What is there does not fit together (yet)."""


def demand(holds: object, complaint: str) -> None:
    if not holds:
        raise UntrueError(complaint)


@dataclass(frozen=True, slots=True)
class Observer:
    """Eyes: the API, a voice client of our own, and the open database. `base`: how all numbers of the run begin."""

    ask: Ask
    voice: VoiceBackend
    base: str

    async def observed(self) -> World:
        """The one world that all three tell; UntrueError when there is none."""
        await rows_are_settled()
        trunks = await all_pages(self.ask, "sipTrunks", TRUNKS)
        assistants = await all_pages(self.ask, "assistants", ASSISTANTS)
        objects = await self.objects()
        rules = {each["phoneNumber"]["id"]: each for each in assistants if each["phoneNumber"]}
        seen = [_trunk(self.base, trunk, objects, rules.get(trunk["id"])) for trunk in trunks]
        demand(not objects, f"orphans: {sorted(objects)}")
        await texts_are(self.base + each.number for each in seen)
        return World(frozenset(seen), frozenset(map(self._assistant, assistants)))

    async def objects(self) -> Objects:
        """What the voice backend holds of this installation."""
        ours = (await Installation.get()).id
        everything = [held for kind in LegKind for held in await self.voice.list(kind)]
        return {held.voice_id: held for held in everything if held.marker and held.marker.installation == ours}

    def _assistant(self, told: dict[str, Any]) -> Assistant:
        trunk = told["phoneNumber"]
        demand(trunk or not told["dispatchRuleId"], f"{told['name']} has a rule without a trunk")
        return Assistant(told["name"], told["agentName"], trunk and trunk["phoneNumber"].removeprefix(self.base))


async def all_pages(ask: Ask, noun: str, query: str) -> list[dict[str, Any]]:
    """Every row of a noun."""
    rows: list[dict[str, Any]] = []
    after = None
    while True:
        page = (await ask(query, {"after": after}))[noun]
        rows += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return rows
        after = page["pageInfo"]["endCursor"]


async def rows_are_settled() -> None:
    """No row is hidden, due, leased or between two states."""
    now = await database.now()
    for row in await SipTrunk.all():
        standing = f"{row.id} {row.status}"
        demand(row.status not in HIDDEN, f"{standing} is a claim")
        demand(row.next_attempt_at is None, f"{standing} is due at {row.next_attempt_at}")
        demand(row.previous is None, f"{standing} keeps what was before")
        demand(row.lease_until is None or row.lease_until < now, f"{standing} is leased")
    for each in await model.Assistant.exclude(previous=None):
        raise UntrueError(f"{each.id} keeps what was before")
    for leg in await TrunkLeg.exclude(state=LegState.READY, error_code=None, attempts=0):
        raise UntrueError(f"{leg.trunk_id} {leg.kind} {leg.state} {leg.error_code}")


async def texts_are(numbers: Any) -> None:
    """Exactly the texts of these numbers are claimed."""
    claimed = Counter([row.text for row in await CalledText.all()])
    wanted = Counter(map(called_text_key, numbers))
    demand(claimed == wanted, f"called texts: {sorted((claimed - wanted) | (wanted - claimed))}")


def _trunk(base: str, told: dict[str, Any], objects: Objects, assistant: dict[str, Any] | None) -> Trunk:
    """A trunk whose legs hold exactly what the API says; they are taken out of `objects`."""
    demand(told["status"] == "ACTIVE", f"{told['id']} is {told['status']}")
    inbound = _taken(objects, told, LegKind.INBOUND, told["inboundTrunkId"])
    outbound = _taken(objects, told, LegKind.OUTBOUND, told["outboundTrunkId"])
    if not isinstance(inbound, InboundTrunk) or not isinstance(outbound, OutboundTrunk):
        raise UntrueError(f"legs of other kinds: {told['id']}")
    password = inbound.auth_password
    name, number, username = told["nickname"] or told["phoneNumber"], told["phoneNumber"], told["sipUsername"]
    said = (name, (number,), (), username, Encryption.ALLOW)
    does = (inbound.name, inbound.numbers, inbound.allowed_addresses, inbound.auth_username, inbound.encryption)
    demand(does == said, f"inbound of {told['id']}: {does} is not {said}")
    shows = (outbound.name, outbound.numbers)
    demand(shows == (name, (number,)), f"outbound of {told['id']}: {shows}")
    dials = _last_hop(told, objects, outbound)
    at_the_carrier = (dials.address, dials.auth_username, dials.auth_password)
    demand(at_the_carrier == (told["sipAddress"], username, password), f"{told['id']} dials {at_the_carrier}")
    _check_rule(told, objects, assistant)
    known = (number.removeprefix(base), told["nickname"], username, password.reveal(), told["sipAddress"])
    return Trunk(*known, proxy=told["outboundProxy"])


def _last_hop(told: dict[str, Any], objects: Objects, outbound: OutboundTrunk) -> OutboundTrunk | EdgeRoute:
    """Who dials the carrier: the outbound trunk itself, or the edge, which it knows by a key instead of credentials."""
    if not told["outboundProxy"]:
        demand(outbound.edge_key is None, f"outbound of {told['id']} has a key")
        return outbound
    route = _taken(objects, told, LegKind.EDGE, (told["edge"] or {}).get("voiceId"))
    if not isinstance(route, EdgeRoute):
        raise UntrueError(f"a route of another kind: {told['id']}")
    knocks = (outbound.edge_key, outbound.auth_username, outbound.auth_password)
    demand(knocks == (route.edge_key, "", Secret("")), f"outbound of {told['id']} does not suit its route")
    return route


def _check_rule(told: dict[str, Any], objects: Objects, assistant: dict[str, Any] | None) -> None:
    if assistant is None:
        return  # a rule all the same is left over in `objects`
    rule = _taken(objects, told, LegKind.DISPATCH, assistant["dispatchRuleId"])
    if not isinstance(rule, DispatchRule):
        raise UntrueError(f"a rule of another kind: {told['id']}")
    does = (rule.name, rule.trunk_ids, rule.agent_name)
    said = (assistant["name"], (told["inboundTrunkId"],), assistant["agentName"])
    demand(does == said, f"rule of {told['id']}: {does} is not {said}")


def _taken(objects: Objects, told: dict[str, Any], kind: LegKind, voice_id: str | None) -> object:
    held = objects.pop(voice_id or "", None)
    if held is None:
        raise UntrueError(f"{told['id']} has no {kind}: {voice_id}")
    demand(held.exact, f"{kind} of {told['id']} is not exact")
    demand(held.marker and held.marker.trunk == told["id"], f"{kind} of {told['id']} has another marker")
    return held.leg
