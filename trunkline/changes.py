"""The use case updateSipTrunk: the same rules as create on the merged trunk, then in place, or not at all."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tortoise.exceptions import IntegrityError
from tortoise.transactions import in_transaction

from models.assistant import Assistant
from models.secret import Secret
from models.sip_trunk import CalledText, InboundAuthorizationType, SipTrunk, TrunkStatus
from models.trunk_leg import LegKind
from trunkline import claims, database, leases
from trunkline.causes import problem_of
from trunkline.converge import converge
from trunkline.keys import Caller
from trunkline.legs import content, password_place, text_keys, wanted_legs
from trunkline.problems import Code, Notice, Problem
from trunkline.services import Services
from trunkline.snapshots import CHANGEABLE, snapshot
from trunkline.trunks import NOT_FOUND, UNDECIDED, examined, find_living, visible_trunks
from trunkline.validation import NormalizedTrunk, TrunkDraft

FAILED = "Failed to update SIP trunk."
STALE = Problem(
    Code.STALE_REVISION,
    "The SIP trunk was changed meanwhile; read it again and repeat the change.",
    ("input", "expectedRevision"),
)
LIST_NEEDED = Problem(
    Code.IP_REQUIRED,
    "At least one allowed IP address is required when authorization type is IP.",
    ("input", "allowedInboundIps"),
)
UNSEEN = frozenset({"sip_password", "sip_password_key"})  # compared as the secret it is


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change does: which legs are written, which fields differ, which assistants' calls it concerns."""

    changed: tuple[str, ...]
    legs: frozenset[LegKind]
    assistants: tuple[Assistant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a client wants changed, by column name; what is left out stays."""

    trunk_id: str
    columns: Mapping[str, Any]
    expected_revision: int | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """How a change ended; the trunk as it stands now."""

    trunk: SipTrunk | None
    plan: Plan | None
    problems: tuple[Problem, ...]
    notices: tuple[Notice, ...] = ()
    broke_rules: bool = False


@dataclass(frozen=True, slots=True)
class _Planned:
    before: SipTrunk
    wanted: NormalizedTrunk
    columns: dict[str, Any]
    plan: Plan
    notices: tuple[Notice, ...]


async def update_trunk(services: Services, caller: Caller, wish: Wish) -> Change:
    """Change a trunk in place; a refused change leaves it as it was. A client that goes away does not stop it."""
    return await services.tasks.run(_update(services, caller, wish))


async def _update(services: Services, caller: Caller, wish: Wish) -> Change:
    deadline = asyncio.get_running_loop().time() + services.settings.provision_timeout
    planned = await _planned(services, caller, wish)
    if isinstance(planned, Change):
        return planned
    if wish.dry_run or not planned.plan.changed:
        return Change(planned.before, planned.plan, (), planned.notices)
    problem = await _apply(services, caller, planned, wish, deadline)
    trunk = await visible_trunks(caller.workspace_id).get_or_none(id=wish.trunk_id)
    return Change(trunk, planned.plan, (problem,) if problem else (), planned.notices)


async def _planned(services: Services, caller: Caller, wish: Wish) -> Change | _Planned:
    """Check the wish against the trunk as it stands, by the rules of create."""
    trunk = await find_living(caller.workspace_id, wish.trunk_id)
    if trunk is None:
        return Change(None, None, (NOT_FOUND,))
    if wish.expected_revision not in (None, trunk.revision):
        return Change(trunk, None, (STALE,))
    password = services.keyring.open(bytes(trunk.sip_password), password_place(trunk))
    examination = await examined(services, caller, _merged(trunk, password, wish.columns))
    problems = examination.problems or _list_problem(trunk, wish.columns)
    if examination.normalized is None or problems:
        return Change(trunk, None, problems, examination.notices, broke_rules=True)
    found = await claims.obstacle(caller.workspace_id, examination.normalized, trunk.id)
    if isinstance(found, Problem | SipTrunk):
        return Change(
            trunk, None, (found if isinstance(found, Problem) else claims.BEING_CREATED,), examination.notices
        )
    columns = claims.wanted_columns(services, trunk, examination.normalized)
    plan = await _plan(services, trunk, columns, same_password=password == examination.normalized.sip_password)
    return _Planned(trunk, examination.normalized, columns, plan, examination.notices)


def _merged(trunk: SipTrunk, password: Secret, columns: Mapping[str, Any]) -> TrunkDraft:
    kept = {each.name: getattr(trunk, each.name) for each in fields(TrunkDraft)} | {"sip_password": password}
    if "phone_number" in columns:
        kept["country_code"] = kept["country_code"] if trunk.sip_trunk_type == "EXTENSION" else None  # detected anew
    if columns.get("inbound_authorization_type") is InboundAuthorizationType.AUTH:
        kept["allowed_inbound_ips"] = None
    return TrunkDraft(**(kept | dict(columns)))


def _list_problem(trunk: SipTrunk, columns: Mapping[str, Any]) -> tuple[Problem, ...]:
    to_ip = columns.get("inbound_authorization_type") is InboundAuthorizationType.IP
    was_ip = trunk.inbound_authorization_type is InboundAuthorizationType.IP
    return (LIST_NEEDED,) if to_ip and not was_ip and not columns.get("allowed_inbound_ips") else ()


async def _plan(services: Services, trunk: SipTrunk, columns: dict[str, Any], *, same_password: bool) -> Plan:
    changed = [name for name in CHANGEABLE if name not in UNSEEN and getattr(trunk, name) != columns[name]]
    if not same_password:
        changed.append("sip_password")
    after = SipTrunk(id=trunk.id, workspace_id=trunk.workspace_id, revision=trunk.revision + 1)
    after.update_from_dict({"sip_trunk_type": trunk.sip_trunk_type, **columns})
    legs = {
        new.kind
        for old, new in zip(_legs(services, trunk), _legs(services, after), strict=True)
        if content(old) != content(new)
    }
    assistants = await Assistant.filter(trunk_id=trunk.id).order_by("id") if legs else []
    return Plan(tuple(changed), frozenset(legs), tuple(assistants))


def _legs(services: Services, trunk: SipTrunk) -> tuple[Any, ...]:
    return wanted_legs(trunk, services.keyring, services.installation_id)


async def _apply(services: Services, caller: Caller, planned: _Planned, wish: Wish, deadline: float) -> Problem | None:
    """Write what is wanted, then make it true; what happens in between is finished by the reconciler."""
    try:
        return await services.tasks.within(deadline, _apply_leased(services, caller, planned, wish, deadline))
    except (TimeoutError, leases.LeaseLostError):
        return problem_of(UNDECIDED, FAILED)


async def _apply_leased(
    services: Services, caller: Caller, planned: _Planned, wish: Wish, deadline: float
) -> Problem | None:
    async with leases.held(services, wish.trunk_id, deadline) as trunk:
        if trunk is None or trunk.status is TrunkStatus.DELETING:
            return NOT_FOUND
        if trunk.revision != planned.before.revision:
            return STALE
        if problem := await _persist(caller, trunk, planned):
            return problem
        error = await converge(services, trunk)
        return problem_of(error, FAILED) if error else None


async def _persist(caller: Caller, trunk: SipTrunk, planned: _Planned) -> Problem | None:
    """Store the change beside what it replaces, its called texts claimed; both texts stay ours until it is decided."""
    at = await database.now()
    standing = TrunkStatus.PROVISIONING if trunk.status in _UNMADE else TrunkStatus.DEGRADED
    kept = {"previous": trunk.previous or snapshot(trunk), "next_attempt_at": at, "updated_at": at}
    columns = planned.columns | kept | {"status": standing, "revision": trunk.revision + 1}
    try:
        async with in_transaction():
            await SipTrunk.filter(id=trunk.id, lease_owner=trunk.lease_owner).update(**columns)
            await _claim_texts(trunk, planned.wanted)
    except IntegrityError:
        found = await claims.obstacle(caller.workspace_id, planned.wanted, trunk.id)
        return found if isinstance(found, Problem) else claims.BEING_CREATED
    trunk.update_from_dict(columns)
    return None


_UNMADE = (TrunkStatus.PROVISIONING, TrunkStatus.FAILED)


async def _claim_texts(trunk: SipTrunk, wanted: NormalizedTrunk) -> None:
    held = {row.text for row in await CalledText.filter(trunk_id=trunk.id)}
    for text in text_keys(wanted.called_texts):
        if text not in held:
            await CalledText.create(text=text, trunk_id=trunk.id)
