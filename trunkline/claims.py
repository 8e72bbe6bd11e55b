"""Claims: the leased row before the first voice call, by which a crash is cleaned up and no number is given twice.

A claim lives as CLAIMED while a creation runs, then becomes the trunk (ACTIVE) or is freed. One that failed with an
unknown outcome, or whose process died, is RELEASING until the voice backend is proven clear of it; the same request may
take it over at once. Its row, its called texts and its lease are all that there is: it is invisible in the API.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tortoise.exceptions import IntegrityError
from tortoise.expressions import Q
from tortoise.queryset import QuerySet
from tortoise.transactions import in_transaction

from models.event import Action
from models.identifiers import new_id
from models.secret import KeyringError, Secret, key_id_of
from models.sip_trunk import HIDDEN, CalledText, RetiredTrunk, SipTrunk, TrunkStatus
from models.trunk_leg import TrunkLeg
from trunkline import database
from trunkline.causes import NUMBER_IN_USE
from trunkline.events import record
from trunkline.idempotency import BoundKey
from trunkline.keys import Caller
from trunkline.leases import NO_LEASE
from trunkline.legs import edge_key_place, password_place, text_keys
from trunkline.limits import no_room
from trunkline.problems import Code, Problem
from trunkline.services import Services
from trunkline.snapshots import filled
from trunkline.validation import NormalizedTrunk

EDGE_KEY_BYTES = 24
LEASE_RESERVE = 5.0  # seconds beyond the longest creation, so that a slow commit is not taken for a death

ALREADY_EXISTS = Problem(
    Code.ALREADY_EXISTS, "A SIP trunk with the same phone number, username, and address already exists."
)
BEING_CREATED = Problem(
    Code.NUMBER_IN_USE,
    "A SIP trunk with this number is being created right now; try again in a moment.",
    ("input", "phoneNumber"),
    retryable=True,
)


@dataclass(frozen=True, slots=True)
class Order:
    """What a creation is to make. `background`: the trunk is visible at once and the reconciler makes it."""

    caller: Caller
    wanted: NormalizedTrunk
    background: bool = False
    key: BoundKey | None = None

    @property
    def workspace_id(self) -> str:
        """Whose trunk it is."""
        return self.caller.workspace_id

    async def shown(self, trunk: SipTrunk) -> None:
        """The trunk is visible from here on; to be called inside its transaction."""
        if self.key:
            await self.key.bind(trunk.id)
        await record(self.caller, Action.TRUNK_CREATED, trunk.id, changed_fields=filled(trunk))


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that is held. `continued`: earlier attempts may have left objects at the voice backend."""

    trunk: SipTrunk
    continued: bool

    @property
    def held(self) -> QuerySet[SipTrunk]:
        """The claim's row, as long as nobody took the lease over."""
        return SipTrunk.filter(id=self.trunk.id, status=self.trunk.status, lease_owner=self.trunk.lease_owner)


@dataclass(frozen=True, slots=True)
class Busy:
    """A claim of our own that the clean-up is looking at in this instant."""


async def obstacle(workspace_id: str, wanted: NormalizedTrunk, itself: str | None = None) -> Problem | SipTrunk | None:
    """What stands in the way of a trunk: a problem, remains of our own that may be taken over, or nothing."""
    rivals = [rival for rival in await _rivals(workspace_id, wanted) if rival.id != itself]
    visible = [rival for rival in rivals if rival.status not in HIDDEN]
    if any(_is_same(rival, workspace_id, wanted) for rival in visible):
        return ALREADY_EXISTS
    if visible:
        return NUMBER_IN_USE
    if not rivals:
        return None
    at = await database.now()
    remains = rivals[0]
    ours = len(rivals) == 1 and remains.workspace_id == workspace_id and remains.phone_number == wanted.phone_number
    return remains if ours and _is_abandoned(remains, at) else BEING_CREATED


def told(found: Problem | SipTrunk | None) -> Problem:
    """What `obstacle` found, for those who cannot take remains over."""
    return found if isinstance(found, Problem) else BEING_CREATED


async def take(services: Services, order: Order) -> Claim | Busy | Problem:
    """Claim the number and the trunk's identity, taking over what an earlier attempt of the workspace left."""
    workspace_id, wanted = order.workspace_id, order.wanted
    found = await obstacle(workspace_id, wanted)
    if isinstance(found, Problem):
        return found
    try:
        return await (_insert(services, order) if found is None else _take_over(services, found, order))
    except IntegrityError:  # somebody was faster; who it was decides the answer
        found = await obstacle(workspace_id, wanted)
        return found if isinstance(found, Problem) else Busy()


async def _rivals(workspace_id: str, wanted: NormalizedTrunk) -> list[SipTrunk]:
    """Whoever has the number, in whichever workspace: who it is never leaves this module."""
    same = Q(
        workspace_id=workspace_id,
        phone_number=wanted.phone_number,
        sip_username=wanted.sip_username,
        sip_address=wanted.sip_address,
    )
    with database.as_installation():
        owners = await CalledText.filter(text__in=text_keys(wanted.called_texts)).values_list("trunk_id", flat=True)
        return await SipTrunk.filter(same | Q(id__in=list(owners)))


def _is_same(trunk: SipTrunk, workspace_id: str, wanted: NormalizedTrunk) -> bool:
    identity = (trunk.workspace_id, trunk.phone_number, trunk.sip_username, trunk.sip_address)
    return identity == (workspace_id, wanted.phone_number, wanted.sip_username, wanted.sip_address)


def _is_abandoned(trunk: SipTrunk, at: datetime) -> bool:
    expired = trunk.lease_until is None or trunk.lease_until < at
    return trunk.status is TrunkStatus.RELEASING or (trunk.status is TrunkStatus.CLAIMED and expired)


async def _insert(services: Services, order: Order) -> Claim | Problem:
    trunk = SipTrunk(id=new_id("trunk"), workspace_id=order.workspace_id)
    trunk.update_from_dict(await _columns(services, trunk, order))
    async with in_transaction():
        if problem := await no_room(services.settings, order.workspace_id):
            return problem
        await trunk.save(force_create=True)
        await write_texts(trunk, order.wanted)
        if order.background:
            await order.shown(trunk)
    return Claim(trunk, continued=False)


async def _take_over(services: Services, remains: SipTrunk, order: Order) -> Claim | Busy:
    columns = await _columns(services, remains, order)
    free = Q(lease_until=None) | Q(lease_until__lt=columns["created_at"])
    async with in_transaction():
        if not await SipTrunk.filter(free, id=remains.id, status__in=HIDDEN).update(**columns):
            return Busy()
        await write_texts(remains, order.wanted)  # what is missing first, in one order for all
        kept = text_keys(order.wanted.called_texts)
        await CalledText.filter(trunk_id=remains.id).exclude(text__in=kept).delete()
        remains.update_from_dict(columns)
        if order.background:
            await order.shown(remains)
    return Claim(remains, continued=True)


async def write_texts(trunk: SipTrunk, wanted: NormalizedTrunk) -> None:
    """Claim the texts that the trunk does not hold yet; IntegrityError when one of them is somebody else's."""
    held = {row.text for row in await CalledText.filter(trunk_id=trunk.id)}
    for text in text_keys(wanted.called_texts):
        if text not in held:
            await CalledText.create(text=text, trunk_id=trunk.id)


async def _columns(services: Services, trunk: SipTrunk, order: Order) -> dict[str, Any]:
    at = await database.now()
    return (
        wanted_columns(services, trunk, order.wanted)
        | _standing(services, order, at)
        | {
            "absent_since": None,
            "created_at": at,
            "updated_at": at,
        }
    )


def _standing(services: Services, order: Order, at: datetime) -> dict[str, Any]:
    if order.background:
        return {"status": TrunkStatus.PROVISIONING, "next_attempt_at": at, **NO_LEASE}
    lease = timedelta(seconds=services.settings.provision_timeout + LEASE_RESERVE)
    return {"status": TrunkStatus.CLAIMED, "lease_owner": new_id("lease"), "lease_until": at + lease}


def wanted_columns(services: Services, trunk: SipTrunk, wanted: NormalizedTrunk) -> dict[str, Any]:
    """The columns that a client decides, with the secrets sealed for this row."""
    sealed = services.keyring.seal(wanted.sip_password, password_place(trunk))
    return {
        "sip_trunk_type": wanted.sip_trunk_type,
        "phone_number": wanted.phone_number,
        "nickname": wanted.nickname,
        "sip_username": wanted.sip_username,
        "sip_password": sealed,
        "sip_password_key": key_id_of(sealed),
        "sip_address": wanted.sip_address,
        "sip_port": wanted.sip_port,
        "sip_transport": wanted.sip_transport,
        "media_encryption": wanted.media_encryption,
        "sip_calling_format": wanted.sip_calling_format,
        "inbound_authorization_type": wanted.inbound_authorization_type,
        "allowed_inbound_ips": None if wanted.allowed_inbound_ips is None else list(wanted.allowed_inbound_ips),
        "country_code": wanted.country_code,
        "outbound_proxy": wanted.outbound_proxy,
        "edge_key": _edge_key(services, trunk, wanted),
        "provider": wanted.provider,
        "provider_as_of": wanted.provider_as_of,
    }


def _edge_key(services: Services, trunk: SipTrunk, wanted: NormalizedTrunk) -> bytes | None:
    """The key by which the edge knows the trunk: made when it is first needed, and the same for the trunk's life."""
    keyring, place = services.keyring, edge_key_place(trunk)
    if trunk.edge_key is None and not wanted.outbound_proxy:
        return None
    try:
        key = keyring.open(bytes(trunk.edge_key or b""), place)
    except KeyringError:  # there is none, or none that opens
        key = Secret(secrets.token_urlsafe(EDGE_KEY_BYTES))
    return keyring.seal(key, place)


async def activate(claim: Claim, legs: Iterable[TrunkLeg], order: Order) -> bool:
    """Turn the claim into a trunk that everybody sees; False when the lease was lost meanwhile."""
    at = await database.now()
    shown: dict[str, Any] = {"status": TrunkStatus.ACTIVE, "created_at": at, "updated_at": at, **NO_LEASE}
    async with in_transaction():
        if not await claim.held.update(**shown):
            return False
        for leg in legs:
            await leg.save()
        await order.shown(claim.trunk)
    claim.trunk.update_from_dict(shown)
    return True


async def free(claim: Claim) -> None:
    """Forget a claim that has nothing at the voice backend; its id is kept, so that what arrives late is known."""
    at = await database.now()
    async with in_transaction():
        if await claim.held.delete():
            await RetiredTrunk.create(id=claim.trunk.id, retired_at=at)


async def abandon(claim: Claim) -> None:
    """Leave a claim to the clean-up, because it may have something at the voice backend."""
    await claim.held.update(status=TrunkStatus.RELEASING, absent_since=None, **NO_LEASE)


async def any_abandoned() -> bool:
    """Whether there are remains that nobody has looked at yet."""
    return await SipTrunk.filter(status=TrunkStatus.RELEASING, absent_since=None).exists()


async def abandon_all() -> None:
    """At the start of the only process of a database: every claim in it belongs to a dead one."""
    await SipTrunk.filter(status__in=HIDDEN).update(status=TrunkStatus.RELEASING, **NO_LEASE)


async def abandon_expired() -> None:
    """Claims whose process let the lease run out."""
    expired = SipTrunk.filter(status=TrunkStatus.CLAIMED, lease_until__lt=await database.now())
    await expired.update(status=TrunkStatus.RELEASING, absent_since=None, **NO_LEASE)


async def lease_remains(seconds: float) -> list[Claim]:
    """Take every abandoned claim that nobody else is looking at, for this many seconds."""
    at = await database.now()
    free_now = Q(lease_until=None) | Q(lease_until__lt=at)
    token = new_id("lease")
    leased = {"lease_owner": token, "lease_until": at + timedelta(seconds=seconds)}
    await SipTrunk.filter(free_now, status=TrunkStatus.RELEASING).update(**leased)
    return [Claim(row, continued=True) for row in await SipTrunk.filter(lease_owner=token)]
