"""SIPp as the carrier: it calls a number of ours, or takes a call of ours. What it saw on the wire is read back."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from pathlib import Path

from sipmessage import Address, AuthCredentials

from scripts.daemon import LOOPBACK, free_port

SCENARIOS = Path(__file__).resolve().parent.parent.parent / "examples" / "sipp"
PATIENCE_SECONDS = 45.0  # longer than livekit-sip lets a trunk of ours ring
NOBODY = 9  # the port named "discard"
TRANSPORTS = {"UDP": "u1", "TCP": "t1"}
WRITTEN = re.compile(
    r"^-{40,} (?P<at>\S+\s+\S+)\n\w+ message (?P<how>sent|received).*?:\n\n(?P<text>.*?)(?=^-{40,} |\Z)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Message:
    """A message on the wire, to the letter."""

    at: datetime
    sent: bool
    text: str

    @property
    def start(self) -> str:
        return self.text.partition("\n")[0].strip()

    @property
    def status(self) -> str | None:
        """`"200"`; None for a request."""
        return self.start.split()[1] if self.start.startswith("SIP/2.0 ") else None

    @property
    def method(self) -> str | None:
        return None if self.status else self.start.split()[0]

    @property
    def request_uri(self) -> str:
        return self.start.split()[1]

    def header(self, name: str) -> str | None:
        found = re.search(rf"^{name}\s*:\s*(.*?)\s*$", self.text, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else None

    def user(self, header: str) -> str:
        """The user part of To or From."""
        return Address.parse(self.header(header) or "").uri.user or ""

    @property
    def digest(self) -> dict[str, str]:
        """What answers a challenge of 401 or 407; nothing when nothing does."""
        text = self.header("Authorization") or self.header("Proxy-Authorization")
        told = AuthCredentials.parse(text).parameters if text else None
        return {name: value or "" for name, value in told.items()} if told else {}


@dataclass(slots=True)
class Sipp:
    """A SIPp process with one call at its `port`. Its log is complete when it has ended."""

    process: asyncio.subprocess.Process
    log: Path
    port: int

    async def ended(self) -> int:
        """0 when the scenario was followed to its end."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.process.wait()

    async def heard(self, status: str) -> None:
        """Wait for an answer of this status."""
        await self.until(lambda: status in self.statuses())

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for it; TimeoutError when it takes too long, EOFError with SIPp's words when that ends before."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not happened():
                if self.process.returncode is not None and not happened():
                    raise EOFError(self.log.with_suffix(".err").read_text(errors="replace"))
                await asyncio.sleep(0.05)

    def messages(self) -> list[Message]:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return [_message(found) for found in WRITTEN.finditer(text.replace("\r\n", "\n"))]

    def requests(self, method: str) -> list[Message]:
        return [message for message in self.messages() if message.method == method]

    def statuses(self) -> list[str]:
        """The answers in their order, repetitions once."""
        return [status for status, _ in itertools.groupby(each.status for each in self.messages() if each.status)]

    def milliseconds_to(self, status: str) -> int:
        """From the first INVITE to the first message of this status."""
        messages = self.messages()
        first = next(each.at for each in messages if each.status == status)
        return round((first - messages[0].at).total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Carrier:
    """SIPp as a carrier at `source`; it calls `server`, and hears audio where nobody listens unless told.

    Another transport or source: dataclasses.replace.
    """

    command: str
    folder: Path
    server: str
    transport: str = "UDP"
    source: str = LOOPBACK
    audio_port: int = NOBODY

    @asynccontextmanager
    async def calling(
        self,
        called: str,
        caller: str,
        credentials: tuple[str, str] | None = None,
        milliseconds: int = 1_000,
        scenario: Path = SCENARIOS / "call.xml",
    ) -> AsyncIterator[Sipp]:
        """A call, hung up after a while or when the block is left."""
        digest = ["-au", credentials[0], "-ap", credentials[1]] if credentials else []
        said = ["-s", called, "-key", "caller", caller, "-d", str(milliseconds), *digest, self.server]
        async with self._running(scenario, said) as call:
            yield call

    @asynccontextmanager
    async def answering(
        self, scenario: Path = SCENARIOS / "answer.xml", port: int | None = None
    ) -> AsyncIterator[Sipp]:
        """Take one call at `port`, a free one unless told; it listens when the block is entered."""
        async with self._running(scenario, port=port) as call:
            await call.until(lambda: _is_bound(call.port, self.transport))
            yield call

    @asynccontextmanager
    async def _running(self, scenario: Path, said: Sequence[str] = (), port: int | None = None) -> AsyncIterator[Sipp]:
        """SIPp, ended by its own process id: its own time-out does not end a call that rings."""
        port = port or free_port()
        log = self.folder / f"{port}.log"
        where = ["-i", self.source, "-mi", self.source, "-bind_local", "-p", str(port), "-cp", str(free_port())]
        once = ["-t", TRANSPORTS[self.transport], "-m", "1", "-nostdin", "-trace_msg", "-message_file", str(log)]
        with log.with_suffix(".err").open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *[self.command, "-sf", str(scenario), "-key", "audio_port", str(self.audio_port), *where, *once, *said],
                stdout=asyncio.subprocess.DEVNULL,
                stderr=errors,
                cwd=self.folder,
            )
        try:
            yield Sipp(process, log, port)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _is_bound(port: int, transport: str) -> bool:
    """Whether somebody has this port; asked without taking it, which could take it from SIPp."""
    table = Path(f"/proc/net/{transport.lower()}").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") for line in table)


def _message(found: re.Match[str]) -> Message:
    at = datetime.fromisoformat(re.sub(r"\s+", " ", found["at"]))
    return Message(at, found["how"] == "sent", found["text"].strip())


def answers_challenge(invite: Message, challenge: Message, username: str, password: str) -> bool:
    """Whether the digest is what RFC 3261 section 22.4 says for these credentials."""
    given = invite.digest
    if not given:
        return False
    asked = challenge.header("WWW-Authenticate") or challenge.header("Proxy-Authenticate") or ""
    counted = [given[name] for name in ("nc", "cnonce", "qop")] if "qop" in given else []
    secret, request = _hash(username, given["realm"], password), _hash(str(invite.method), given["uri"])
    same_challenge = all(f'{name}="{given[name]}"' in asked for name in ("realm", "nonce"))
    answer = _hash(secret, given["nonce"], *counted, request)
    return same_challenge and (given["username"], given["response"]) == (username, answer)


def _hash(*parts: str) -> str:
    return md5(":".join(parts).encode()).hexdigest()  # noqa: S324  # what SIP's digest is made of
