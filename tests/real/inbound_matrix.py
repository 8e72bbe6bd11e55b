"""The calls of a carrier that are tried: every way to be let in, and every reason not to be."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import product
from typing import Any

from livekit import api

from scripts.daemon import LOOPBACK
from tests.api import Api
from tests.real.calling import (
    AGENT_KIND,
    CREDENTIALS,
    Exchange,
    Line,
    answered,
    new_caller,
    new_extension,
    new_line,
    new_number,
    room_of,
)
from tests.real.sipp import Carrier, Sipp

SILENCE_SECONDS = 5.0
CALL_MILLISECONDS = 1_500
ANSWERED_AT_ONCE, RINGING_AT_ONCE = 4, 12
# LiveKit offers a call to an agent once, which may be too late for it; and when Redis or LiveKit is, it answers 503.
TOO_BUSY = {"486", "503"}
ELSEWHERE = "127.0.0.2"  # another address of this machine
KINDS = ("EXTENSION", "NUMBER")


class How(StrEnum):
    """What the carrier does, or what became of the line."""

    RIGHT = "as agreed"
    NATIONAL_TEXT = "by its national text"
    WITHOUT_PLUS = "without its plus"
    WRONG_PASSWORD = "wrong password"
    OTHER_SOURCE = "other source address"
    UNKNOWN_NUMBER = "unknown number"
    NO_ASSISTANT = "no assistant"
    DELETED = "deleted trunk"


class Outcome(StrEnum):
    """What the carrier sees in the end."""

    ANSWERED = "answered"
    REFUSED = "401"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Case:
    """One call. `kind` is EXTENSION, NUMBER, or NATIONAL for a number whose trunk has that calling format."""

    authorization: str
    kind: str
    transport: str
    how: How
    expected: Outcome

    def __str__(self) -> str:
        return f"{self.authorization} {self.kind} {self.transport} {self.how}"

    @property
    def line(self) -> tuple[str, str, How]:
        """Calls over UDP and TCP go to one line."""
        return self.authorization, self.kind, self.how


@dataclass(frozen=True, slots=True)
class Played:
    """The call as it went. `line` is as it was made, also when its trunk was deleted since."""

    line: Line
    called: str
    caller: str
    source: str
    statuses: tuple[str, ...]
    room: str | None
    agent: str | None = None
    attributes: dict[str, str] | None = None
    tries: int = 1

    @property
    def outcome(self) -> str:
        return outcome_of(self.statuses)


def outcome_of(statuses: Iterable[str]) -> str:
    """What it comes to; a challenge is not the end, and a status that is expected nowhere is told as it is."""
    final = [status for status in statuses if status >= "200" and status != "407"]
    return {"200": Outcome.ANSWERED}.get(final[-1], final[-1]) if final else Outcome.SILENT


def _cases() -> list[Case]:
    def each(
        how: How, expected: Outcome, authorizations: str = "AUTH IP", kinds: tuple[str, ...] = KINDS
    ) -> list[Case]:
        ways = product(authorizations.split(), kinds, ("UDP", "TCP"))
        return [Case(authorization, kind, transport, how, expected) for authorization, kind, transport in ways]

    return [
        *each(How.RIGHT, Outcome.ANSWERED, kinds=(*KINDS, "NATIONAL")),
        *each(How.NATIONAL_TEXT, Outcome.ANSWERED, kinds=("NATIONAL",)),
        *each(How.WITHOUT_PLUS, Outcome.ANSWERED, kinds=("NUMBER",)),
        *each(How.OTHER_SOURCE, Outcome.ANSWERED, "AUTH"),
        *each(How.OTHER_SOURCE, Outcome.SILENT, "IP"),
        *each(How.WRONG_PASSWORD, Outcome.REFUSED, "AUTH"),
        *each(How.UNKNOWN_NUMBER, Outcome.SILENT),
        *each(How.NO_ASSISTANT, Outcome.SILENT),
        *each(How.DELETED, Outcome.SILENT),
    ]


CASES = _cases()


async def play(exchange: Exchange, carrier: Carrier) -> dict[Case, Played]:
    """Play every case, side by side: silence takes its time."""
    async with exchange.client() as client, exchange.livekit() as lk:
        lines = {case.line: await _new_line(client, case) for case in CASES if case.transport == "UDP"}
        stage, (first, *others) = Stage(lk, carrier), CASES
        opening = await stage.play(first, lines[first.line])  # an agent's first call loads what the next ones find
        played = await asyncio.gather(*[stage.play(case, lines[case.line]) for case in others])
    return dict(zip(CASES, [opening, *played], strict=True))


async def _new_line(client: Api, case: Case) -> Line:
    inbound: dict[str, Any] = {"inboundAuthorizationType": case.authorization}
    if case.authorization == "IP":
        inbound["allowedInboundIps"] = [f"{LOOPBACK}/32"]
    kind: dict[str, Any] = {"sipCallingFormat": "NATIONAL"} if case.kind == "NATIONAL" else {}
    if case.kind == "EXTENSION":
        kind = {"sipTrunkType": "EXTENSION", "phoneNumber": new_extension(), "countryCode": "RO"}
    agent = {} if case.how is not How.NO_ASSISTANT else {"agent": None}
    line = await new_line(client, **inbound, **kind, **agent)
    if case.how is How.DELETED:
        deleted = await client.delete(line.trunk["id"])
        assert deleted["deletedId"] == line.trunk["id"], deleted
    return line


@dataclass(frozen=True, slots=True)
class Stage:
    """Where calls are played, not too many at once."""

    lk: api.LiveKitAPI
    carrier: Carrier
    answering: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ANSWERED_AT_ONCE))
    ringing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(RINGING_AT_ONCE))

    async def play(self, case: Case, line: Line) -> Played:
        """Play a call, and once more when the machine was too busy for it."""
        played = await self._call(case, line)
        return replace(await self._call(case, line), tries=2) if played.outcome in TOO_BUSY else played

    async def _call(self, case: Case, line: Line) -> Played:
        source = ELSEWHERE if case.how is How.OTHER_SOURCE else LOOPBACK
        called, caller = _called(case, line), new_caller()
        credentials = (CREDENTIALS[0], "another-password") if case.how is How.WRONG_PASSWORD else CREDENTIALS
        speaking = replace(self.carrier, transport=case.transport, source=source)
        untold = Played(line, called, caller, source, (), None)
        turn = self.answering if case.expected is Outcome.ANSWERED else self.ringing
        async with turn, speaking.calling(called, caller, credentials, CALL_MILLISECONDS) as call:
            return await _watch(self.lk, case, call, untold)


async def _watch(lk: api.LiveKitAPI, case: Case, call: Sipp, untold: Played) -> Played:
    """Follow a call to its end, or to its silence. What never came makes one case fail, not all."""
    with suppress(TimeoutError, EOFError):
        if case.expected is Outcome.SILENT:
            await silence(call)
        if case.expected is Outcome.ANSWERED:
            await call.heard("200")
            seen = await answered(lk, untold.caller)
            agent = seen.present[AGENT_KIND].attributes["lk.agent_name"]
            untold = replace(untold, agent=agent, attributes=seen.caller)
        if case.expected is not Outcome.SILENT:
            await call.ended()
    # a room that a call was sent to stays for minutes
    return replace(untold, statuses=tuple(call.statuses()), room=await room_of(lk, untold.caller))


async def silence(call: Sipp) -> None:
    """Let a call ring for as long as a final answer would have come; livekit-sip rings before it decides."""
    await call.heard("180")
    await asyncio.sleep(SILENCE_SECONDS)


def _called(case: Case, line: Line) -> str:
    match case.how:
        case How.UNKNOWN_NUMBER:
            return new_extension() if case.kind == "EXTENSION" else new_number()
        case How.NATIONAL_TEXT:
            return line.number.replace("+40", "0", 1)
        case How.WITHOUT_PLUS:
            return line.number.removeprefix("+")
        case _:
            return line.number
