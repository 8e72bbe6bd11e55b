"""What a host name resolves to, by the system's resolution. Waits 2 s at most and lets no tenant block another."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from trunkline.addresses import Address
from trunkline.hosts import is_localhost

GetAddrInfo = Callable[..., Iterable[tuple[object, object, object, object, tuple[object, ...]]]]

PATIENCE_SECONDS = 2.0
LOOKUPS = 64
LOOKUPS_PER_WORKSPACE = 4
LOOPBACK = IPv4Address("127.0.0.1")


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A name that a thread asks for. It keeps its place until the thread is back, even if nobody waits any more."""

    workspace: str
    answer: asyncio.Future[list[Address] | None]


class Resolver:
    """Lookups in threads of its own: one per name, a few per workspace, bounded in all.

    getaddrinfo cannot be cancelled and blocks for many seconds on a slow name. So its threads are daemons (those of
    ThreadPoolExecutor would hold up the interpreter's exit), and a workspace that has used up its own stays without an
    answer while the others still get one. Only a lookup that has a thread is shared: waiting behind another workspace's
    limit would let that workspace delay names for everybody.
    """

    def __init__(
        self,
        getaddrinfo: GetAddrInfo = socket.getaddrinfo,
        *,
        patience: float = PATIENCE_SECONDS,
        lookups: int = LOOKUPS,
        lookups_per_workspace: int = LOOKUPS_PER_WORKSPACE,
    ) -> None:
        self._getaddrinfo = getaddrinfo
        self._patience = patience
        self._lookups = lookups
        self._lookups_per_workspace = lookups_per_workspace
        self._running: dict[str, _Lookup] = {}
        self._changed = asyncio.Event()
        self._closed = False

    async def resolve(self, host: str, workspace: str) -> list[Address] | None:
        """Look a name up; None: no answer in time; empty: nothing found. localhost is known without asking."""
        if is_localhost(host):
            return [LOOPBACK]
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                return await self._answer(host, workspace)
        return None

    async def aclose(self) -> None:
        """Let everybody who waits go without an answer. Threads that still ask are left to end by themselves."""
        self._closed = True
        for lookup in self._running.values():
            _settle(lookup.answer, None)
        self._changed.set()

    async def _answer(self, host: str, workspace: str) -> list[Address] | None:
        while not self._closed:
            if host not in self._running and self._has_place(workspace):
                self._start(host, workspace)
            if host in self._running:
                return await asyncio.shield(self._running[host].answer)
            await self._changed.wait()
        return None

    def _has_place(self, workspace: str) -> bool:
        own = sum(lookup.workspace == workspace for lookup in self._running.values())
        return own < self._lookups_per_workspace and len(self._running) < self._lookups

    def _start(self, host: str, workspace: str) -> None:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._look_up, args=(host, loop), name="resolver", daemon=True).start()
        self._running[host] = _Lookup(workspace, loop.create_future())
        self._wake()  # who waits for a place may want this very name

    def _look_up(self, host: str, loop: asyncio.AbstractEventLoop) -> None:
        """Runs in a thread; whatever happens, the loop hears of the end."""
        found: list[Address] | None = None
        try:
            found = _addresses_of(self._getaddrinfo, host)
        finally:
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(self._finish, host, found)

    def _finish(self, host: str, found: list[Address] | None) -> None:
        _settle(self._running.pop(host).answer, found)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _settle(answer: asyncio.Future[list[Address] | None], found: list[Address] | None) -> None:
    if not answer.done():
        answer.set_result(found)


def _addresses_of(getaddrinfo: GetAddrInfo, host: str) -> list[Address] | None:
    """A and AAAA records and the hosts file, each address once; None when the name servers did not answer."""
    try:
        answers = getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return [] if error.errno in {socket.EAI_NONAME, socket.EAI_NODATA} else None
    except (OSError, ValueError):  # ValueError: a name that cannot be asked for
        return None
    texts = (str(answer[4][0]).partition("%")[0] for answer in answers)
    return list(dict.fromkeys(map(ip_address, texts)))
