"""Who is not LiveKit hears nothing of the edge, and is relayed nowhere."""

import asyncio
import contextlib
import re
import socket

import pytest

from scripts.daemon import LOOPBACK
from tests.real.behind import KEY_HEADER, Caller

STRANGER = "127.0.0.3"
SILENCE_SECONDS = 0.5
METHODS = ("INVITE", "OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "BYE", "CANCEL", "ACK")


def request(method: str, target: str, source: str, *headers: str, tag: str = "") -> bytes:
    """A request as a scanner writes it; with a tag as if it belonged to a call."""
    lines = [
        f"{method} sip:+40741926299@{target} SIP/2.0",
        f"Via: SIP/2.0/UDP {source};branch=z9hG4bK{method}{tag}",
        f"From: <sip:scanner@{source}>;tag=1",
        f"To: <sip:+40741926299@{target}>{tag and f';tag={tag}'}",
        f"Call-ID: {method}{tag}-{source}",
        f"CSeq: 1 {method}",
        f"Contact: <sip:scanner@{source}>",
        "Max-Forwards: 70",
        *headers,
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def bound(host: str) -> tuple[socket.socket, str]:
    """A socket that does not wait long, and its host:port."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind((host, 0))
    client.settimeout(SILENCE_SECONDS)
    return client, f"{host}:{client.getsockname()[1]}"


async def said_to(host: str, side: str, method: str, *headers: str, tag: str = "") -> str:
    """The first line that the edge answers; nothing when it says nothing."""
    client, own = bound(host)
    with client:
        to_host, port = side.split(":")
        client.sendto(request(method, side, own, *headers, tag=tag), (to_host, int(port)))
        try:
            return (await asyncio.to_thread(client.recv, 4096)).partition(b"\r\n")[0].decode()
        except TimeoutError:
            return ""


async def test_strangers_hear_nothing_even_with_a_key(caller: Caller) -> None:
    key = f"{KEY_HEADER}: {await caller.key_of(await caller.line())}"
    outer, inner = caller.edge.outer, caller.edge.inner
    for host, side in ((STRANGER, outer), (LOOPBACK, outer), (STRANGER, inner)):
        told = [(method, tag, said_to(host, side, method, key, tag=tag)) for method in METHODS for tag in ("", "2")]
        heard = await asyncio.gather(*(said for *_, said in told))
        assert set(heard) == {""}, (host, side, dict(zip([each[:2] for each in told], heard, strict=True)))


async def test_from_livekits_side_only_calls_begin(caller: Caller) -> None:
    told = {method: await said_to(LOOPBACK, caller.edge.inner, method) for method in METHODS}
    no_calls = dict.fromkeys(("OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "BYE"), "SIP/2.0 405 Method Not Allowed")
    assert told == no_calls | {"INVITE": "SIP/2.0 403 Unknown trunk key", "CANCEL": "", "ACK": ""}


@pytest.mark.parametrize("method", ["INVITE", "BYE", "OPTIONS"])
async def test_strangers_are_relayed_nowhere(caller: Caller, method: str) -> None:
    """Neither to themselves nor to third parties, whatever Route they write."""
    victim, target = bound(STRANGER)
    attacker, own = bound(STRANGER)
    outer, inner = caller.edge.outer, caller.edge.inner
    with victim, attacker:
        for route in (f"<sip:{outer};lr>", f"<sip:{outer};r2=on;lr>, <sip:{inner};r2=on;lr>", f"<sip:{target};lr>"):
            host, port = outer.split(":")
            attacker.sendto(request(method, target, own, f"Route: {route}", tag="2"), (host, int(port)))
            with pytest.raises(TimeoutError):
                await asyncio.to_thread(victim.recv, 4096)


@pytest.mark.parametrize("seal", ["", ";seal=", ";seal=d41d8cd98f00b204e9800998ecf8427e"])
async def test_strangers_have_nothing_relayed_to_livekits_side(caller: Caller, seal: str) -> None:
    """A BYE of no call that the edge ever had, to any port there."""
    victim, target = bound(LOOPBACK)
    attacker, own = bound(STRANGER)
    outer, inner = caller.edge.outer, caller.edge.inner
    host, port = outer.split(":")
    route = f"Route: <sip:{outer};r2=on;lr{seal}>, <sip:{inner};r2=on;lr{seal}>"
    with victim, attacker:
        attacker.sendto(request("BYE", target, own, route, tag="2"), (host, int(port)))
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(victim.recv, 4096)


async def test_a_seal_is_good_for_its_call_and_its_livekit_alone(caller: Caller) -> None:
    """What a carrier can do with the one it saw, when the edge has forgotten the call."""
    line = await caller.line()
    key = f"{KEY_HEADER}: {await caller.key_of(line)}"
    carrier = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    carrier.bind((LOOPBACK, line.trunk["sipPort"]))
    carrier.settimeout(10)
    (livekit, own), (victim, elsewhere) = bound(LOOPBACK), bound(LOOPBACK)
    inner, outer = (
        (host, int(port)) for host, port in (side.split(":") for side in (caller.edge.inner, caller.edge.outer))
    )
    with carrier, livekit, victim:
        livekit.sendto(request("INVITE", own, own, key), inner)
        invite = (await asyncio.to_thread(carrier.recv, 4096)).decode()
        route = ", ".join(re.findall(r"^Record-Route: (.*)\r", invite, re.MULTILINE))
        assert "seal=" in route
        caller.edge.kill()
        caller.edge.daemon.start()
        livekit.settimeout(SILENCE_SECONDS)
        for target, call_id, relayed in ((elsewhere, "INVITE", False), (own, "OTHER", False), (own, "INVITE", True)):
            bye = request("BYE", target, own, f"Route: {route}", tag="2").decode()
            carrier.sendto(bye.replace("Call-ID: BYE2", f"Call-ID: {call_id}").encode(), outer)
            heard = await asyncio.gather(*(asyncio.to_thread(_heard, each) for each in (livekit, victim)))
            assert any("BYE" in each for each in heard) == relayed, (target, call_id)


def _heard(listener: socket.socket) -> str:
    """The first lines of everything that arrives until it is quiet."""
    lines = []
    with contextlib.suppress(TimeoutError):
        while True:
            lines.append(listener.recv(4096).partition(b"\r\n")[0].decode())
    return " ".join(lines)
