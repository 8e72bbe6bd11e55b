"""LiveKit as it posts its webhooks: bodies as a real one wrote them, signed by LiveKit's own library."""

import asyncio
import base64
import hashlib
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
from livekit import api

from models.call import Call, CallOutcome, WebhookEvent
from models.event import Event
from models.secret import Keyring, Secret
from tests.api import KEY, Api
from trunkline.asgi import served
from trunkline.settings import LiveKit, Settings
from trunkline.voice.sandbox import SandboxVoice
from trunkline.webhooks import PATH

API_KEY, API_SECRET = "devkey", "devsecret-0123456789abcdef0123456789abcdef"
LIVEKIT = LiveKit("http://127.0.0.1:7880", API_KEY, Secret(API_SECRET))
CALLER = "+40741926299"
CALLS = """query($id: ID!, $first: Int) { sipTrunk(id: $id) { recentCalls(first: $first) {
  at direction from to outcome durationMs agentName sipCallId } } }"""
NUMBERS = itertools.count()


def token(body: bytes, *, key: str = API_KEY, secret: str = API_SECRET, seconds: int = 300) -> str:
    """What LiveKit puts into Authorization."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    made = api.AccessToken(key, secret).with_ttl(timedelta(seconds=seconds))
    return made.with_sha256(digest).to_jwt()


@dataclass(frozen=True, slots=True)
class Room:
    """The webhooks of one call's room; each may be posted in any order. `began`: seconds since 1970."""

    trunk_id: str
    began: int = field(default_factory=lambda: int(time.time()))
    direction: str = "INBOUND"
    number: int = field(default_factory=lambda: next(NUMBERS))
    room_name: str = ""

    @property
    def name(self) -> str:
        if self.room_name:
            return self.room_name
        return f"call-_{CALLER}_{self.number:012}" if self.direction == "INBOUND" else f"any-{self.number}"

    @property
    def call_id(self) -> str:
        return f"SCL_{self.number:012}"

    def event(self, name: str, after: float = 0, **more: Any) -> dict[str, Any]:
        room = {"sid": f"RM_{self.number}", "name": self.name}
        at = str(self.began + int(after))
        return {"event": name, "room": room, "id": f"EV_{next(NUMBERS):012}", "createdAt": at} | more

    def started(self) -> dict[str, Any]:
        return self.event("room_started")

    def caller(self, name: str, status: str, after: float) -> dict[str, Any]:
        attributes = {
            "sip.callID": self.call_id,
            "sip.callStatus": status,
            "sip.phoneNumber": CALLER,
            "sip.trunkID": self.trunk_id,
            "sip.trunkPhoneNumber": "+40741926265",
        }
        person = {"sid": "PA_1", "identity": f"sip_{CALLER}", "kind": "SIP", "attributes": attributes}
        return self.event(name, after, participant=person)

    def rings(self, after: float = 0) -> dict[str, Any]:
        return self.caller("participant_joined", "ringing" if self.direction == "INBOUND" else "dialing", after)

    def leaves(self, status: str, after: float) -> dict[str, Any]:
        return self.caller("participant_left", status, after)

    def caller_audio(self, after: float = 0) -> dict[str, Any]:
        person = {"sid": "PA_1", "identity": f"sip_{CALLER}"}
        return self.event("track_published", after, participant=person, track={"sid": "TR_1"})

    def agent(self, after: float = 0) -> dict[str, Any]:
        named = {"lk.agent.name": "echo", "lk.agent_name": "echo"}
        person = {"sid": "PA_2", "identity": "agent-AJ_1", "kind": "AGENT", "attributes": named}
        return self.event("participant_joined", after, participant=person)

    def agent_audio(self, after: float = 1, kind: str = "AUDIO") -> dict[str, Any]:
        person = {"sid": "PA_2", "identity": "agent-AJ_1"}
        return self.event("track_published", after, participant=person, track={"sid": "TR_2", "type": kind})

    def finished(self, after: float) -> dict[str, Any]:
        return self.event("room_finished", after)


@dataclass(frozen=True, slots=True)
class Posting:
    """A served trunkline with a LiveKit that posts to it, under a name of its own."""

    api: Api
    http: httpx.AsyncClient

    async def post(self, content: bytes, authorization: str | None) -> httpx.Response:
        headers = {"content-type": "application/webhook+json", "host": "trunkline:8000"}
        told = {} if authorization is None else {"authorization": authorization}
        raw = [(name.encode(), value.encode()) for name, value in (headers | told).items()]
        return await self.http.post(PATH, content=content, headers=raw)

    async def told(self, *events: dict[str, Any]) -> None:
        """Post webhooks one after the other."""
        for event in events:
            body = json.dumps(event).encode()
            response = await self.post(body, token(body))
            assert response.status_code == 200, response.text

    async def calls(self, trunk: dict[str, Any], first: int | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.api.ask(CALLS, {"id": trunk["id"], "first": first}))["sipTrunk"][
            "recentCalls"
        ]
        return found

    async def outcome(self, trunk: dict[str, Any]) -> str:
        """Of the one call there is."""
        (call,) = await self.calls(trunk)
        return str(call["outcome"])


def sandbox(settings: Settings, keyring: Keyring) -> SandboxVoice:
    return SandboxVoice(settings.sandbox_path, keyring)


@asynccontextmanager
async def posting_house(settings: Settings) -> AsyncIterator[Posting]:
    """Serve in this process as for LiveKit, whose webhooks are all that comes from it."""
    async with served(replace(settings, livekit=LIVEKIT), sandbox) as running:
        transport = httpx.ASGITransport(running.app)
        headers = {"authorization": f"Bearer {KEY}"}
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers) as client,
            httpx.AsyncClient(transport=transport, base_url="http://trunkline:8000") as http,
        ):
            yield Posting(Api(client), http)


async def webhooks_at_once_are_all_taken(house: Posting) -> None:
    """For SQLite and for PostgreSQL: the webhooks of some rooms, each twice, all at once."""
    trunk = (await house.api.create())["sipTrunk"]
    rooms = [Room(trunk["inboundTrunkId"]) for _ in range(6)]
    answered = [
        event
        for room in rooms[:4]
        for event in (room.rings(), room.agent(), room.agent_audio(), room.leaves("hangup", 9), room.finished(29))
    ]
    unanswered = [event for room in rooms[4:] for event in (room.rings(), room.leaves("ringing", 30))]
    await asyncio.gather(*(house.told(event) for event in [*answered, *unanswered] * 2))
    told = Counter((call["outcome"], call["agentName"]) for call in await house.calls(trunk))
    assert told == {("ANSWERED", "echo"): 4, ("NO_AGENT", None): 2}
    assert await WebhookEvent.all().count() == len(answered) + len(unanswered)
    alarmed = [event.subject_id for event in await Event.filter(action="call.ended", outcome="NO_AGENT")]
    assert len(alarmed) == len(set(alarmed)), "each at most once; an end that overtakes the audio is one, too"
    assert set(alarmed) >= {call.id for call in await Call.filter(outcome=CallOutcome.NO_AGENT)}
