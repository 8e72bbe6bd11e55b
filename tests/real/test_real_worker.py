"""One whole call: a carrier's INVITE to a trunk of createSipTrunk, answered by the worker that createAssistant named.

LiveKit, livekit-sip, the worker and SIPp are real; there is no AI model.
"""

import asyncio
import itertools
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from livekit import api

from scripts.daemon import LOOPBACK, Daemon, free_port
from tests.api import KEY, PASSWORD, Api
from tests.assistant_api import Assistants
from tests.real.servers import VoiceStack
from tests.server_process import ServerProcess

HERE = Path(__file__).parent
NUMBER = "+40741926265"
CALLER = "+40741926299"
AGENT = "echo"
CALL_MILLISECONDS = 2_500
PATIENCE_SECONDS = 20.0
SIP_KIND, AGENT_KIND = 3, 4
MESSAGE = re.compile(r"^-+ (\S+[ \t]+\S+)$.*?^(SIP/2\.0 \d{3}|INVITE|ACK|BYE)", re.MULTILINE | re.DOTALL)


@dataclass(slots=True)
class Call:
    """A call of SIPp's; `log` is complete when it has ended."""

    process: asyncio.subprocess.Process
    log: Path

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.process.wait()

    def milliseconds_to(self, status: str) -> int:
        """From the first INVITE to the first message of this status."""
        seen = [(datetime.fromisoformat(at.replace("\t", " ")), what) for at, what in MESSAGE.findall(self._text())]
        first = next(at for at, what in seen if what == f"SIP/2.0 {status}")
        return round((first - seen[0][0]).total_seconds() * 1000)

    def statuses(self) -> list[str]:
        """The answers in their order, repetitions once."""
        return [status for status, _ in itertools.groupby(re.findall(r"^SIP/2\.0 (\d{3})", self._text(), re.MULTILINE))]

    def _text(self) -> str:
        return self.log.read_text(errors="replace")


@pytest.fixture(scope="module")
def trunkline(tmp_path_factory: pytest.TempPathFactory, livekit_sip: VoiceStack) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("trunkline")
    with ServerProcess(folder, livekit_sip.livekit.environment, key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, livekit_sip: VoiceStack, agent_python: Path) -> Iterator[Daemon]:
    """A registered worker: one that registers while it rings would not be asked any more."""
    folder = tmp_path_factory.mktemp("worker")
    own = {"AGENT_NAME": AGENT, "AGENT_PORT": str(free_port())}
    environment = {**os.environ, **livekit_sip.livekit.environment, **own}
    log = folder / "worker.log"
    worker = Daemon(
        [str(agent_python), str(HERE / "agent.py"), "start"],
        log,
        lambda: "registered worker" in log.read_text(errors="replace"),
        environment,
        folder,
    )
    worker.start(60)
    yield worker
    worker.stop()


@pytest.fixture(scope="module")
async def trunk(trunkline: ServerProcess, worker: Daemon) -> dict[str, Any]:
    """The trunk, with the assistant that answers it and that one's worker."""
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=trunkline.url, headers=headers, timeout=30) as client:
        made: dict[str, Any] = (await Api(client).create(phoneNumber=NUMBER))["sipTrunk"]
        assistant = await Assistants(Api(client)).made(made, agentName=AGENT)
        return made | {"assistant": assistant, "worker": worker}


def client_of(stack: VoiceStack) -> api.LiveKitAPI:
    """LiveKit's own client."""
    return api.LiveKitAPI(stack.livekit.url, stack.livekit.api_key, stack.livekit.api_secret)


@asynccontextmanager
async def calling(sipp: str, folder: Path, address: str, password: str = PASSWORD) -> AsyncIterator[Call]:
    """A call to our number, hung up after a while. SIPp is ended by its own process id."""
    log = folder / "messages.log"
    scenario = ["-sf", str(HERE / "call_with_digest.xml"), "-s", NUMBER, "-key", "caller", CALLER]
    digest = ["-au", "alice", "-ap", password, "-d", str(CALL_MILLISECONDS)]
    where = ["-i", LOOPBACK, "-mi", LOOPBACK, "-p", str(free_port()), "-mp", str(free_port()), "-m", "1", "-nostdin"]
    process = await asyncio.create_subprocess_exec(
        *[sipp, *scenario, *digest, *where, "-trace_msg", "-message_file", str(log), address],
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        yield Call(process, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def answered_room(lk: api.LiveKitAPI) -> tuple[str, dict[int, Any]]:
    """The room of the one call that is up, and by their kinds who is in it, once the call is answered."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for room in (await lk.room.list_rooms(api.ListRoomsRequest())).rooms:
                request = api.ListParticipantsRequest(room=room.name)
                present = {int(each.kind): each for each in (await lk.room.list_participants(request)).participants}
                if AGENT_KIND in present and present[SIP_KIND].attributes["sip.callStatus"] == "active":
                    return room.name, present
            await asyncio.sleep(0.05)


async def test_a_call_is_answered_by_the_assistants_worker(
    tmp_path: Path,
    needs: Callable[[str], str],
    livekit_sip: VoiceStack,
    trunk: dict[str, Any],
    record_property: Callable[[str, object], None],
) -> None:
    assert trunk["worker"].is_running
    async with calling(needs("sipp"), tmp_path, livekit_sip.sip.address) as call, client_of(livekit_sip) as lk:
        room, present = await answered_room(lk)
        (dispatch,) = await lk.agent_dispatch.list_dispatch(room)
        assert await call.ended() == 0, call.statuses()
    assert room.startswith("call-")
    assert dispatch.agent_name == present[AGENT_KIND].attributes["lk.agent_name"] == AGENT
    told = present[SIP_KIND].attributes
    assert (told["sip.phoneNumber"], told["sip.trunkPhoneNumber"]) == (CALLER, NUMBER)
    assert told["sip.trunkID"] == trunk["inboundTrunkId"]
    assert told["sip.ruleID"] == trunk["assistant"]["dispatchRuleId"]
    assert [status for status in call.statuses() if status != "180"] == ["100", "407", "100", "200"]
    record_property("milliseconds from INVITE to 200", call.milliseconds_to("200"))


async def test_a_wrong_password_is_told_and_reaches_nobody(
    tmp_path: Path, needs: Callable[[str], str], livekit_sip: VoiceStack, trunk: dict[str, Any]
) -> None:
    assert trunk["status"] == "ACTIVE"
    async with calling(needs("sipp"), tmp_path, livekit_sip.sip.address, "another-password") as call:
        assert await call.ended() != 0
    assert call.statuses()[-1] == "401"
    assert "200" not in call.statuses()
