"""resolver.py: patience, sharing, fairness between workspaces, a clean end."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from trunkline.resolver import Resolver

Answer = tuple[int, int, int, str, tuple[object, ...]]


def answer(*addresses: str) -> list[Answer]:
    return [(0, 0, 0, "", (address, 0)) for address in addresses]


class NameServer:
    """A getaddrinfo that knows a few names; those with `slow` in them block until `release`."""

    def __init__(self) -> None:
        self.asked = Counter[str]()
        self.slow = threading.Event()

    def __call__(self, host: str, _port: None, **_hints: object) -> list[Answer]:
        self.asked[host] += 1
        if "slow" in host:
            assert self.slow.wait(20)
        if "unknown" in host:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if "broken" in host:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return answer("8.8.8.8", "2606:4700::1111", "8.8.8.8", "fe80::1%eth0")


@contextmanager
def name_server() -> Iterator[NameServer]:
    server = NameServer()
    try:
        yield server
    finally:
        server.slow.set()


async def test_each_address_is_found_once() -> None:
    with name_server() as server:
        found = await Resolver(server).resolve("sip.example.com", "ws_a")
    assert found == [ip_address(text) for text in ("8.8.8.8", "2606:4700::1111", "fe80::1")]


async def test_a_name_that_does_not_exist_has_no_addresses() -> None:
    with name_server() as server:
        assert await Resolver(server).resolve("unknown.example.com", "ws_a") == []


async def test_name_servers_that_fail_are_no_answer() -> None:
    with name_server() as server:
        assert await Resolver(server).resolve("broken.example.com", "ws_a") is None


@pytest.mark.parametrize("host", ["a" * 64 + ".example.com", "a\x00b", "a..b"])
async def test_a_name_that_cannot_be_asked_is_no_answer(host: str) -> None:
    assert await Resolver().resolve(host, "ws_a") in (None, [])


async def test_the_hosts_file_counts() -> None:
    found = await Resolver().resolve("127.0.0.1", "ws_a")
    assert found == [ip_address("127.0.0.1")]


async def test_localhost_is_never_asked() -> None:
    with name_server() as server:
        resolver = Resolver(server)
        for host in ("localhost", "sip.localhost"):
            assert await resolver.resolve(host, "ws_a") == [ip_address("127.0.0.1")]
        assert not server.asked


async def test_a_slow_name_is_given_up_in_time() -> None:
    with name_server() as server:
        start = time.monotonic()
        assert await Resolver(server, patience=0.1).resolve("slow.example.com", "ws_a") is None
        assert time.monotonic() - start < 1.9  # the usual patience is 2


async def test_one_lookup_answers_all_who_ask_for_the_name() -> None:
    with name_server() as server:
        resolver = Resolver(server)
        asking = [asyncio.create_task(resolver.resolve("slow.example.com", f"ws_{n % 7}")) for n in range(50)]
        await asyncio.sleep(0.05)
        server.slow.set()
        answers = await asyncio.gather(*asking)
        assert server.asked == {"slow.example.com": 1}
    assert all(found and found[0] == ip_address("8.8.8.8") for found in answers)


async def test_a_lookup_that_everybody_gave_up_is_still_the_only_one() -> None:
    with name_server() as server:
        resolver = Resolver(server, patience=0.05)
        assert await resolver.resolve("slow.example.com", "ws_a") is None
        assert await resolver.resolve("slow.example.com", "ws_b") is None
        assert server.asked == {"slow.example.com": 1}


async def test_a_new_question_is_asked_anew() -> None:
    with name_server() as server:
        resolver = Resolver(server)
        await resolver.resolve("sip.example.com", "ws_a")
        await resolver.resolve("sip.example.com", "ws_a")
        assert server.asked == {"sip.example.com": 2}


async def test_slow_names_of_one_workspace_leave_the_others_their_answers() -> None:
    with name_server() as server:
        resolver = Resolver(server, patience=0.3, lookups=6, lookups_per_workspace=2)
        flood = [asyncio.create_task(resolver.resolve(f"slow{n}.example.com", "ws_bad")) for n in range(100)]
        await asyncio.sleep(0.02)
        assert await resolver.resolve("sip.example.com", "ws_good") is not None
        assert await asyncio.gather(*flood) == [None] * 100
        assert await resolver.resolve("sip.example.net", "ws_good") is not None
        assert sum(count for host, count in server.asked.items() if "slow" in host) == 2


async def test_a_name_that_waits_behind_another_workspaces_limit_is_not_delayed_for_others() -> None:
    with name_server() as server:
        resolver = Resolver(server, patience=1.0, lookups_per_workspace=1)
        blocking = asyncio.create_task(resolver.resolve("slow.example.com", "ws_bad"))
        await asyncio.sleep(0.02)
        waiting = asyncio.create_task(resolver.resolve("sip.example.com", "ws_bad"))
        await asyncio.sleep(0.02)
        assert server.asked == {"slow.example.com": 1}
        assert await resolver.resolve("sip.example.com", "ws_good") is not None
        server.slow.set()
        assert await blocking is not None
        assert await waiting is not None


async def test_a_place_that_becomes_free_goes_to_who_waits() -> None:
    with name_server() as server:
        resolver = Resolver(server, lookups_per_workspace=1)
        asking = [asyncio.create_task(resolver.resolve(f"slow{n}.example.com", "ws_a")) for n in range(20)]
        await asyncio.sleep(0.02)
        assert len(server.asked) == 1
        server.slow.set()
        assert all(await asyncio.gather(*asking))
        assert len(server.asked) == 20


async def test_all_lookups_together_are_bounded() -> None:
    with name_server() as server:
        resolver = Resolver(server, patience=0.1, lookups=3)
        asking = [resolver.resolve(f"slow{n}.example.com", f"ws_{n}") for n in range(10)]
        assert await asyncio.gather(*asking) == [None] * 10
        assert len(server.asked) == 3


async def test_a_caller_who_goes_away_takes_no_answer_from_the_others() -> None:
    with name_server() as server:
        resolver = Resolver(server)
        leaving = asyncio.create_task(resolver.resolve("slow.example.com", "ws_a"))
        staying = asyncio.create_task(resolver.resolve("slow.example.com", "ws_b"))
        await asyncio.sleep(0.02)
        leaving.cancel()
        await asyncio.sleep(0)
        server.slow.set()
        assert await staying is not None


async def test_closing_lets_everybody_go_at_once() -> None:
    with name_server() as server:
        resolver = Resolver(server, lookups_per_workspace=1)
        asking = [asyncio.create_task(resolver.resolve(f"slow{n}.example.com", "ws_a")) for n in range(3)]
        await asyncio.sleep(0.02)
        start = time.monotonic()
        await resolver.aclose()
        assert await asyncio.gather(*asking) == [None] * 3
        assert await resolver.resolve("sip.example.com", "ws_a") is None
        assert time.monotonic() - start < 1.5


STUCK = """
import asyncio, threading
from trunkline.resolver import Resolver
resolver = Resolver(lambda *_, **__: threading.Event().wait(), patience=0.05)
print(asyncio.run(resolver.resolve("slow.example.com", "ws_a")))
"""


def test_a_stuck_lookup_does_not_hold_up_the_exit() -> None:
    ended = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=20, check=True)
    assert ended.stdout == "None\n"
    assert ended.stderr == ""


LATE = """
import asyncio, threading
from trunkline.resolver import Resolver
late = threading.Event()
resolver = Resolver(lambda *_, **__: late.wait() and [], patience=0.05)
print(asyncio.run(resolver.resolve("slow.example.com", "ws_a")))
late.set()
for thread in threading.enumerate():
    if thread.name == "resolver":
        thread.join(5)
"""


def test_an_answer_after_the_loops_end_is_dropped_in_silence() -> None:
    ended = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, timeout=20, check=True)
    assert (ended.stdout, ended.stderr) == ("None\n", "")
