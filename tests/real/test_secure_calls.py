"""A real softphone over TLS, with and without SRTP, both ways: what each mediaEncryption comes to, heard by ear."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from scripts.daemon import LOOPBACK, free_port
from tests.api import until
from tests.authority import Authority, new_authority
from tests.real import softphone
from tests.real.calling import (
    AGENT_KIND,
    AGENT_NAME,
    CREDENTIALS,
    Exchange,
    new_caller,
    new_line,
    running_exchange,
    running_worker,
)
from tests.real.inbound_matrix import TOO_BUSY
from tests.real.outbound_matrix import LOST
from tests.real.servers import VoiceStack, running_sip
from tests.real.softphone import Phone, new_phone, secured
from tests.real.test_test_calls import CALL, DESTINATION

SETTINGS = ("AUTO", "DISABLED", "ALLOWED", "REQUIRED")
MEDIA = {"none": None, "offered": "srtp", "demanded": "srtp-mand"}
CALLS_AT_ONCE = 4
RING_SECONDS = 10
HEAR_SECONDS, POLL_SECONDS = 10, 0.5
PLAIN, ENCRYPTED, SILENT = "plain, heard both ways", "encrypted, heard both ways", "answered and silent"
# On a busy machine an agent misses the one offer of a call, and livekit-sip what a carrier says over TLS: call again.
MISSED, TRIES = "not answered", 3


@dataclass(frozen=True, slots=True)
class Secure:
    """A stack that speaks TLS at `address`, its exchange, and who signs certificates."""

    exchange: Exchange
    address: str
    folder: Path
    baresip: str
    authority: Authority


@pytest.fixture(scope="module")
def secure(
    tmp_path_factory: pytest.TempPathFactory, needs: Callable[[str], str], livekit_sip: VoiceStack, agent_python: Path
) -> Iterator[Secure]:
    assert livekit_sip.sip.daemon.is_running  # it can be started here
    folder, port = tmp_path_factory.mktemp("secure"), free_port()
    authority = new_authority(folder)
    (folder / "trusted").mkdir()
    copied(authority.file, folder / "trusted" / "authority.pem")
    own = str(copied(authority.signed(LOOPBACK), folder / "good.pem"))
    tls = {"tls": {"port": port, "certs": [{"cert_file": own, "key_file": own}]}}
    with ExitStack() as running:
        stack = running.enter_context(running_sip(tls, SSL_CERT_DIR=str(folder / "trusted")))
        (folder / "worker").mkdir()
        (folder / "exchange").mkdir()
        running.enter_context(running_worker(folder / "worker", stack, agent_python))
        exchange = running.enter_context(running_exchange(folder / "exchange", stack))
        yield Secure(exchange, f"{LOOPBACK}:{port}", folder, needs("baresip"), authority)


def copied(file: Path, to: Path) -> Path:
    """A certificate's file of its own: the authority writes over that of the same name."""
    return Path(shutil.copy(file, to))


async def within(seconds: float, true: Callable[[], object]) -> bool:
    """Whether it comes true in time."""
    for _ in range(int(seconds / POLL_SECONDS)):
        if true():
            return True
        await asyncio.sleep(POLL_SECONDS)
    return False


async def heard(phone: Phone) -> str:
    """What a call comes to, told as soon as it is known."""
    if not await within(2 * RING_SECONDS, lambda: phone.is_up or phone.closed_with):
        return MISSED
    if phone.closed_with:
        return phone.closed_with
    if not await within(HEAR_SECONDS, phone.hears_both):
        return SILENT
    return ENCRYPTED if phone.profiles[-1] == "RTP/SAVP" else PLAIN


async def called_in(secure: Secure, setting: str, media: str, name: str) -> str:
    async with secure.exchange.client() as client:
        line = await new_line(client, sipTransport="TLS", mediaEncryption=setting)
    account = secured(new_caller(), *CREDENTIALS, secure.address, MEDIA[media])
    phone = new_phone(secure.folder / name, account)
    dial = f"d sip:{line.number}@{secure.address};transport=tls"
    async with softphone.running(secure.baresip, phone, "-e", dial):
        return await heard(phone)


async def called_out(secure: Secure, setting: str, media: str, name: str) -> str:
    encryption = f";mediaenc={MEDIA[media]}" if MEDIA[media] else ""
    account = f"<sip:front@{LOOPBACK}>;regint=0;answermode=auto{encryption}"
    phone = new_phone(secure.folder / name, account, secure.folder / "good.pem")
    async with softphone.running(secure.baresip, phone), secure.exchange.livekit() as lk:
        try:
            return await dialled(secure, lk, phone, name, mediaEncryption=setting) or await heard(phone)
        finally:
            await lk.room.delete_room(api.DeleteRoomRequest(room=name))


async def speaks(lk: api.LiveKitAPI, room: str) -> bool:
    """Whether the agent is in the room."""
    present = await lk.room.list_participants(api.ListParticipantsRequest(room=room))
    return any(each.kind == AGENT_KIND and each.tracks for each in present.participants)


async def dialled(secure: Secure, lk: api.LiveKitAPI, phone: Phone, room: str, **changes: Any) -> str | None:
    """Call the phone from a room with the agent, through a trunk of createSipTrunk; what refused it."""
    async with secure.exchange.client() as client:
        line = await new_line(client, None, sipTransport="TLS", sipPort=phone.port + 1, **changes)
    agent = api.RoomAgentDispatch(agent_name=AGENT_NAME)
    request = api.CreateSIPParticipantRequest(
        sip_trunk_id=line.trunk["outboundTrunkId"], sip_call_to="front", room_name=room, wait_until_answered=True
    )
    request.ringing_timeout.FromSeconds(RING_SECONDS)
    try:
        await lk.room.create_room(api.CreateRoomRequest(name=room, agents=[agent]))
        await until(lambda: speaks(lk, room), 2 * RING_SECONDS)
        await lk.sip.create_sip_participant(request, timeout=2 * RING_SECONDS)
    except (api.ServerError, TimeoutError) as error:
        status = error.sip_status_code if isinstance(error, api.SipCallError) and LOST not in error.message else None
        return str(status or f"{MISSED}: {error}")
    return None


INBOUND = {
    ("DISABLED", "none"): PLAIN,
    ("DISABLED", "offered"): PLAIN,
    ("DISABLED", "demanded"): SILENT,
    ("REQUIRED", "none"): "400",
} | {
    (setting, media): PLAIN if media == "none" else ENCRYPTED
    for setting, media in product(("AUTO", "ALLOWED", "REQUIRED"), MEDIA)
    if (setting, media) != ("REQUIRED", "none")
}
OUTBOUND = {
    (setting, media): ("488" if media == "demanded" else PLAIN)
    if setting in {"AUTO", "DISABLED"}
    else ("488" if media == "none" else ENCRYPTED)
    for setting, media in product(SETTINGS, MEDIA)
}


@pytest.mark.parametrize(("way", "expected"), [(called_in, INBOUND), (called_out, OUTBOUND)], ids=["in", "out"])
async def test_every_setting_with_every_phone(
    secure: Secure,
    way: Callable[..., Awaitable[str]],
    expected: dict[Any, str],
    record_property: Callable[[str, object], None],
) -> None:
    few = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(setting: str, media: str) -> str:
        for turn in range(TRIES):
            async with few:
                came_to = await way(secure, setting, media, f"{way.__name__}-{setting}-{media}-{turn}")
            if came_to not in TOO_BUSY and not came_to.startswith(MISSED):
                break
        tries = f", at try {turn + 1}" if turn else ""
        record_property("calls over TLS", f"{way.__name__:10} {setting:9} SRTP {media:9} {came_to}{tries}")
        return came_to

    cases = list(product(SETTINGS, MEDIA))
    seen = await asyncio.gather(*(one(*case) for case in cases))
    assert dict(zip(cases, seen, strict=True)) == expected


@pytest.mark.parametrize("told", ["signed by unknown authority", "has expired"])
async def test_a_certificate_that_is_not_trusted_is_told(secure: Secure, tmp_path: Path, told: str) -> None:
    authority, days = (secure.authority, (-3, -1)) if "expired" in told else (new_authority(tmp_path), (-1, 1))
    account = f"<sip:{DESTINATION}@{LOOPBACK}>;regint=0;answermode=auto"
    phone = new_phone(tmp_path / "phone", account, copied(authority.signed(LOOPBACK, days=days), tmp_path / "of.pem"))
    async with softphone.running(secure.baresip, phone), secure.exchange.client() as client:
        line = await new_line(client, None, sipTransport="TLS", sipPort=phone.port + 1)
        wish = {"id": line.trunk["id"], "destination": DESTINATION, "ringSeconds": 5}
        call = (await client.ask(CALL, {"input": wish}))["testCallSipTrunk"]["call"]
    assert call["outcome"] == "UNREACHABLE"
    assert told in " ".join(call["likelyCauses"])
    assert "SSL_CERT_DIR" in " ".join(call["likelyCauses"])
