"""The use case selfTestSipTrunk: a call to the trunk's own number through our own livekit-sip, without any carrier.

It proves number, digest, dispatch rule and agent. Nothing is stored for it at the voice backend, and its two rooms are
closed on every way out.
"""

import asyncio
import uuid
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, ip_network

from models.assistant import Assistant
from models.event import Action
from models.secret import Keyring, KeyringError, Secret
from models.sip_trunk import InboundAuthorizationType, MediaEncryption, SipTransport, SipTrunk
from trunkline import calling, events
from trunkline.call_outcomes import LOST, NO_SIP_SERVICE, outcome_of
from trunkline.call_outcomes import Outcome as CallOutcome
from trunkline.causes import problem_of
from trunkline.hosts import literal
from trunkline.keys import Caller
from trunkline.legs import ROOM_PREFIX, password_place
from trunkline.pace import SELF_TESTS
from trunkline.problems import Code, Problem
from trunkline.services import Services
from trunkline.setting_values import SipHost
from trunkline.trunks import NOT_FOUND, find_living
from trunkline.voice import Encryption, VoiceError
from trunkline.voice.calls import Arrival, CallEnd, Dial, Route

RING_SECONDS = 10  # a worker that has to start a process first needs two or three
LOOK_SECONDS = 0.1
TRIES = 3  # over TCP livekit-sip may miss its own challenge
FAILED = "Failed to test the SIP trunk."
NO_HOST = Problem(
    Code.VOICE_MISCONFIGURED,
    "TRUNKLINE_SIP_HOST is not set: it says where livekit-sip takes calls.",
)
NOT_LISTED = (
    "This SIP trunk takes calls only from allowedInboundIps, and {host}, from which the self test would call, is not "
    "among them. Let the carrier call, or list that address for the time of a test."
)
UNREADABLE = Problem(Code.VOICE_MISCONFIGURED, f"{FAILED} Its password cannot be decrypted; set it anew.")


class Outcome(StrEnum):
    """What a self test found."""

    ANSWERED = "ANSWERED"
    NO_ASSISTANT = "NO_ASSISTANT"
    NO_WORKER = "NO_WORKER"
    NO_AUDIO = "NO_AUDIO"
    NOT_MATCHED = "NOT_MATCHED"
    AMBIGUOUS = "AMBIGUOUS"
    CREDENTIALS_REFUSED = "CREDENTIALS_REFUSED"
    REFUSED = "REFUSED"
    UNREACHABLE = "UNREACHABLE"
    VOICE_UNAVAILABLE = "VOICE_UNAVAILABLE"


EXPLANATIONS = {
    Outcome.ANSWERED: "Number, credentials, dispatch rule and agent work: “{agent}” answered.",
    Outcome.NO_ASSISTANT: "No INBOUND assistant is assigned, so a call would ring for ever. createAssistant mends it.",
    Outcome.NO_WORKER: "Number, credentials and rule work, but no worker named “{agent}” is running, or it takes no "
    "more calls. Start one; a call that rings already is not offered to it any more.",
    Outcome.NO_AUDIO: "The agent “{agent}” joined but published no audio in time, and LiveKit answers only then.",
    Outcome.NOT_MATCHED: "The call rang but reached no room: LiveKit has another number or no rule for it. "
    "explainInboundCall tells which; reprovisionSipTrunk writes both again.",
    Outcome.AMBIGUOUS: "Two trunks at LiveKit answer to this number, one of them not made here; or its Redis is down.",
    Outcome.CREDENTIALS_REFUSED: "LiveKit has other credentials for this trunk; reprovisionSipTrunk writes them again.",
    Outcome.REFUSED: "livekit-sip refused the call.",
    Outcome.UNREACHABLE: "livekit-sip does not reach itself at TRUNKLINE_SIP_HOST: a wrong address or port, or a "
    "network that does not lead back to itself.",
    Outcome.VOICE_UNAVAILABLE: NO_SIP_SERVICE,
}


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What a self test found. `agent_name`: the agent that answers, or should."""

    outcome: Outcome
    agent_name: str | None
    sip_status: int | None
    duration_ms: int
    explanation: str


async def self_test(services: Services, caller: Caller, trunk_id: str) -> SelfTest | Problem:
    """Call a trunk's own number; a client that goes away does not stop it."""
    return await services.tasks.run(_self_test(services, caller, trunk_id))


async def _self_test(services: Services, caller: Caller, trunk_id: str) -> SelfTest | Problem:
    trunk = await find_living(caller.workspace_id, trunk_id)
    if trunk is None:
        return NOT_FOUND
    host = services.settings.sip_host
    if host is None:
        return NO_HOST
    assistant = next((each for each in trunk.assistants if each.answers_trunk_id == trunk.id), None)
    if assistant is None:
        return SelfTest(Outcome.NO_ASSISTANT, None, None, 0, EXPLANATIONS[Outcome.NO_ASSISTANT])
    if problem := await _obstacle(services, trunk, host):
        return problem
    with calling.alone(services, trunk.id):
        found = await _called(services, trunk, host, assistant)
    outcome = found.code if isinstance(found, Problem) else found.outcome
    await events.record(caller, Action.TRUNK_SELF_TESTED, trunk.id, trunk_id=trunk.id, outcome=outcome)
    return found


async def _obstacle(services: Services, trunk: SipTrunk, host: SipHost) -> Problem | None:
    if trunk.inbound_authorization_type is InboundAuthorizationType.IP and not await _lists(services, trunk, host):
        return Problem(Code.IP_NOT_ALLOWED, NOT_LISTED.format(host=host.host), ("input", "id"))
    if trunk.id in services.testing:  # last, so that nothing comes between it and taking the turn
        return calling.UNDER_WAY
    return services.pace.take(SELF_TESTS, trunk.workspace_id)


async def _lists(services: Services, trunk: SipTrunk, host: SipHost) -> bool:
    own = literal(host.host)
    found = [own] if own else await services.resolver.resolve(host.host, trunk.workspace_id) or []
    listed = [ip_network(each) for each in trunk.allowed_inbound_ips or ()]
    return any(isinstance(each, IPv4Address) and each in network for each in found for network in listed)


async def _called(services: Services, trunk: SipTrunk, host: SipHost, assistant: Assistant) -> SelfTest | Problem:
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        route = _route(services.keyring, trunk, host)
        for _ in range(TRIES):
            end, arrival = await _end_of_call(services, trunk, route)
            if LOST not in end.words:
                break
    except KeyringError:
        return UNREADABLE
    except VoiceError as error:
        return problem_of(error, FAILED)
    outcome = _outcome(end, arrival)
    explanation = EXPLANATIONS[outcome].format(agent=assistant.agent_name)
    return SelfTest(outcome, assistant.agent_name, end.sip_status, round((clock() - began) * 1000), explanation)


def _route(keyring: Keyring, trunk: SipTrunk, host: SipHost) -> Route:
    by_address = trunk.inbound_authorization_type is InboundAuthorizationType.IP
    encrypted = trunk.media_encryption is MediaEncryption.REQUIRED
    return Route(
        address=str(host),
        transport=SipTransport.TCP if encrypted else SipTransport.UDP,  # with SRTP and digest too large for UDP
        username="" if by_address else trunk.sip_username,
        password=Secret("") if by_address else keyring.open(bytes(trunk.sip_password), password_place(trunk)),
        caller=f"selftest-{uuid.uuid4().hex[:12]}",
        encryption=Encryption.REQUIRE if encrypted else Encryption.DISABLE,
    )


async def _end_of_call(services: Services, trunk: SipTrunk, route: Route) -> tuple[CallEnd, Arrival | None]:
    """How the call ended, and the room that it reached: LiveKit names that after the rule's prefix and the caller."""
    room = calling.room_of(services)
    dial = Dial(room=room, callee=trunk.phone_number, ring_seconds=RING_SECONDS, by=route)
    rooms = f"{ROOM_PREFIX}_{route.caller}_"
    placing = asyncio.ensure_future(services.calls.place(dial))
    arrival: Arrival | None = None
    try:
        while not placing.done():
            await asyncio.wait({placing}, timeout=LOOK_SECONDS)
            arrival = next(iter(await services.calls.arrivals(rooms)), arrival)
        return placing.result(), arrival
    finally:
        placing.cancel()
        await asyncio.wait({placing})
        await services.calls.close(rooms)


def _outcome(end: CallEnd, arrival: Arrival | None) -> Outcome:
    if end.answered:
        return Outcome.ANSWERED
    if arrival:
        return Outcome.NO_AUDIO if arrival.agents else Outcome.NO_WORKER
    return _unarrived(end)


def _unarrived(end: CallEnd) -> Outcome:
    if end.sip_status == 503:  # noqa: PLR2004  # Try again later
        return Outcome.AMBIGUOUS
    match outcome_of(end):
        case CallOutcome.CREDENTIALS_REFUSED:
            return Outcome.CREDENTIALS_REFUSED
        case CallOutcome.RANG:
            return Outcome.NOT_MATCHED
        case CallOutcome.UNREACHABLE | CallOutcome.NO_REPLY:
            return Outcome.UNREACHABLE
        case CallOutcome.VOICE_UNAVAILABLE:
            return Outcome.VOICE_UNAVAILABLE
        case _:
            return Outcome.REFUSED
