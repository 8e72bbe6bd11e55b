"""Probes: does anybody speak SIP where a trunk points? Asked for, and once by itself for a new trunk.

The address rule is applied anew before each probe, and what is connected to is an address that passed it.
"""

import asyncio
import contextlib
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from ipaddress import IPv4Address

from models.sip_trunk import HIDDEN, SipTransport, SipTrunk, TrunkStatus
from trunkline import database
from trunkline.address_rules import address_is_allowed
from trunkline.hosts import literal
from trunkline.keys import Caller
from trunkline.log import outlived
from trunkline.pace import PROBES, UNASKED_PROBES
from trunkline.problems import Code, Path, Problem
from trunkline.services import Services
from trunkline.sip_options import NoReply, Reply, Target, ask
from trunkline.trunks import NOT_FOUND, find_living
from trunkline.voice import VoiceKind

ASKERS = 4  # new trunks that are probed at a time
PORT, TLS_PORT = 5060, 5061
WHERE = frozenset({"sip_address", "sip_port", "sip_transport"})  # the columns that say what is probed
PROBED = "of"  # beside a stored probe: what it is about
FIELD: Path = ("input", "id")
BUSY_SECONDS = 5
BUSY = Problem(
    Code.RATE_LIMITED,
    "Too many probes are under way; try again in a moment.",
    None,
    retryable=True,
    retry_after=BUSY_SECONDS,
)
UNRESOLVED = "No IPv4 address was found for {host}: LiveKit needs a name with an A record."


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe saw. It proves what can be reached from this process's address, not from livekit-sip's."""

    at: datetime
    reachable: bool
    address: str | None = None
    round_trip_ms: float | None = None
    sip_status: int | None = None
    reason: str | None = None
    server: str | None = None
    problem: str | None = None


def last_probe(trunk: SipTrunk) -> Probe | None:
    """What the last probe saw, unless the trunk has pointed elsewhere since."""
    kept = dict(trunk.last_probe or {})
    if kept.pop(PROBED, None) != _where(trunk):
        return None
    return Probe(**(kept | {"at": datetime.fromisoformat(kept["at"])}))


async def _keep(trunk: SipTrunk, seen: Probe) -> None:
    """Remember a probe, unless the trunk points elsewhere by now: that is probed by itself, and may be already."""
    kept = asdict(seen) | {"at": seen.at.isoformat(), PROBED: _where(trunk)}
    probed = {name: getattr(trunk, name) for name in WHERE}
    await SipTrunk.filter(id=trunk.id, **probed).update(last_probe=kept)


def _where(trunk: SipTrunk) -> str:
    return f"{trunk.sip_address}:{_port(trunk)}/{trunk.sip_transport}"


async def probe_trunk(services: Services, caller: Caller, trunk_id: str) -> Probe | Problem:
    """Probe a trunk now and remember what was seen; a client that goes away does not stop it."""
    return await services.tasks.run(_probe(services, caller, trunk_id))


async def _probe(services: Services, caller: Caller, trunk_id: str) -> Probe | Problem:
    trunk = await find_living(caller.workspace_id, trunk_id)
    if trunk is None:
        return NOT_FOUND
    if problem := services.pace.take(PROBES, caller.workspace_id):
        return problem
    seen = await _seen(services, trunk, await database.now())
    if isinstance(seen, Probe):
        await _keep(trunk, seen)
    return seen


async def _seen(services: Services, trunk: SipTrunk, at: datetime) -> Probe | Problem:
    """Look, without the database: this may be cancelled."""
    own = literal(trunk.sip_address)
    addresses = [own] if own else await services.resolver.resolve(trunk.sip_address, trunk.workspace_id) or []
    if problem := address_is_allowed(trunk.sip_address, addresses, services.settings.allowed_networks):
        return replace(problem, field=FIELD)
    address = next((each for each in addresses if isinstance(each, IPv4Address)), None)
    if address is None:
        return Probe(at, reachable=False, problem=UNRESOLVED.format(host=trunk.sip_address))
    if services.probes.locked():
        return BUSY
    async with services.probes:
        target = Target(trunk.sip_address, address, _port(trunk), trunk.sip_transport)
        return _probe_of(at, target, await ask(target))


def _port(trunk: SipTrunk) -> int:
    """The port that LiveKit dials."""
    return trunk.sip_port or (TLS_PORT if trunk.sip_transport is SipTransport.TLS else PORT)


def _probe_of(at: datetime, target: Target, answer: Reply | NoReply) -> Probe:
    if isinstance(answer, NoReply):
        return Probe(at, reachable=False, address=str(target), problem=answer.problem)
    return Probe(at, True, str(target), answer.milliseconds, answer.status, answer.reason, answer.server)


def soon(services: Services, trunk_id: str) -> None:
    """Have a trunk probed that is new or points elsewhere. Not in the sandbox: nothing leaves the machine there."""
    if services.settings.probe_new_trunks == "yes" and services.voice.kind is not VoiceKind.SANDBOX:
        with contextlib.suppress(asyncio.QueueFull):
            services.unprobed.put_nowait(trunk_id)


async def watch(services: Services) -> None:
    """Probe what `soon` was told, until the process ends."""
    await asyncio.gather(*(_watch(services) for _ in range(ASKERS)))


async def _watch(services: Services) -> None:
    while trunk_id := await services.unless_stopping(services.unprobed.get()):
        with outlived():
            await _probe_unasked(services, trunk_id)


async def _probe_unasked(services: Services, trunk_id: str) -> None:
    trunk = await SipTrunk.exclude(status__in=(*HIDDEN, TrunkStatus.DELETING)).get_or_none(id=trunk_id)
    if trunk is None or services.pace.take(UNASKED_PROBES, trunk.workspace_id):
        return
    seen = await services.unless_stopping(_seen(services, trunk, await database.now()))
    if isinstance(seen, Probe):
        await _keep(trunk, seen)
