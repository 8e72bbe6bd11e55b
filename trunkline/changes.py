"""The use case updateSipTrunk: the same rules as create on the merged trunk, then in place, or not at all."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tortoise.exceptions import IntegrityError
from tortoise.transactions import in_transaction

from models.assistant import Assistant
from models.event import Action
from models.secret import KeyringError, Secret
from models.sip_trunk import InboundAuthorizationType, SipTrunk, SipTrunkType, TrunkStatus
from models.trunk_leg import LegKind
from trunkline import claims, database, leases, presets, probing
from trunkline.causes import CERTAIN, problem_of
from trunkline.converge import UNREADABLE, converge
from trunkline.events import SUCCEEDED, input_name, record
from trunkline.history import UNMADE
from trunkline.keys import Caller
from trunkline.legs import content, password_place, wanted_legs
from trunkline.phone import without_separators
from trunkline.problems import Code, Notice, Problem
from trunkline.services import Services
from trunkline.snapshots import CHANGEABLE, snapshot
from trunkline.trunks import NOT_FOUND, UNDECIDED, examined, find_living
from trunkline.validation import NormalizedTrunk, TrunkDraft

FAILED = "Failed to update SIP trunk."
STALE = Problem(
    Code.STALE_REVISION,
    "The SIP trunk was changed meanwhile; read it again and repeat the change.",
    ("input", "expectedRevision"),
)
PASSWORD_NEEDED = Problem(Code.REQUIRED, UNREADABLE.detail, ("input", "sipPassword"))
# The password is compared as the secret it is; the date goes with the list.
UNSEEN = frozenset({"sip_password", "sip_password_key", "edge_key", "provider_as_of"})
DATED = frozenset({"provider", "allowed_inbound_ips"})
TEXTS = frozenset({"phone_number", "sip_username", "sip_address"})  # null is told like blank, by the rule of each
CHOICES = frozenset({"sip_calling_format", "inbound_authorization_type", "outbound_proxy"})  # have no blank


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change does: which legs are written, which fields differ, which assistants' calls it concerns."""

    changed: tuple[str, ...]
    legs: frozenset[LegKind]
    assistants: tuple[Assistant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a client wants changed, by column name; what is left out stays, None clears what may be cleared."""

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

    @property
    def is_done(self) -> bool:
        """Nothing differs, and no change waits for its end."""
        return not self.plan.changed and self.before.previous is None

    def ended(self, trunk: SipTrunk | None, problem: Problem | None = None) -> Change:
        return Change(trunk, self.plan, (problem,) if problem else (), self.notices)


GONE = Change(None, None, (NOT_FOUND,))


INPUT_ORDER = [input_name(each.name) for each in fields(TrunkDraft)]


async def update_trunk(services: Services, caller: Caller, wish: Wish) -> Change:
    """Change a trunk in place; a refused change leaves it as it was. A client that goes away does not stop it."""
    return await services.tasks.run(_update(services, caller, wish))


async def _update(services: Services, caller: Caller, wish: Wish) -> Change:
    deadline = asyncio.get_running_loop().time() + services.settings.provision_timeout
    planned = await _planned(services, caller, wish)
    if isinstance(planned, Change):
        return planned
    if wish.dry_run or planned.is_done:
        return planned.ended(planned.before)
    try:
        ended = await services.tasks.within(deadline, _apply(services, caller, planned, wish, deadline))
    except (TimeoutError, leases.LeaseLostError):
        ended = planned.ended(None, problem_of(UNDECIDED, FAILED))
    if ended.problems:
        services.work.set()  # what is left to do is the reconciler's
    elif ended.plan and not probing.WHERE.isdisjoint(ended.plan.changed):
        probing.soon(services, wish.trunk_id)
    if any(problem.code is Code.OUTCOME_UNKNOWN for problem in ended.problems):  # every other end has its event already
        await _record(caller, Action.TRUNK_UPDATED, planned, Code.OUTCOME_UNKNOWN)
    return await _with_trunk(caller, wish, ended)


async def _with_trunk(caller: Caller, wish: Wish, ended: Change) -> Change:
    trunk = await find_living(caller.workspace_id, wish.trunk_id)
    if trunk is None:  # it was deleted meanwhile
        return GONE
    return Change(trunk, ended.plan, ended.problems, ended.notices, ended.broke_rules)


async def _planned(services: Services, caller: Caller, wish: Wish) -> Change | _Planned:
    """Check the wish against the trunk as it stands, by the rules of create."""
    trunk = await find_living(caller.workspace_id, wish.trunk_id)
    if trunk is None:
        return GONE
    if wish.expected_revision not in (None, trunk.revision):
        return Change(trunk, None, (STALE,))
    password = _password(services, trunk)
    if password is None and "sip_password" not in wish.columns:
        return Change(trunk, None, (PASSWORD_NEEDED,))
    examination = await examined(services, caller, _merged(trunk, password or Secret(""), wish.columns))
    problems = _in_order((*examination.problems, *_null_problems(wish.columns)))
    if examination.normalized is None or problems:
        return Change(trunk, None, problems, examination.notices, broke_rules=True)
    found = await claims.obstacle(caller.workspace_id, examination.normalized, trunk.id)
    if found:
        return Change(trunk, None, (claims.told(found),), examination.notices)
    columns = claims.wanted_columns(services, trunk, examination.normalized)
    plan = await _plan(services, trunk, columns, password, examination.normalized.sip_password)
    return _Planned(trunk, examination.normalized, columns, plan, examination.notices)


def _password(services: Services, trunk: SipTrunk) -> Secret | None:
    """The stored password; None when it cannot be decrypted, which a new one mends."""
    try:
        return services.keyring.open(bytes(trunk.sip_password), password_place(trunk))
    except KeyringError:
        return None


def _merged(trunk: SipTrunk, password: Secret, columns: Mapping[str, Any]) -> TrunkDraft:
    kept = {each.name: getattr(trunk, each.name) for each in fields(TrunkDraft)} | {"sip_password": password}
    if _is_new_number(trunk, columns):
        kept["country_code"] = None  # detected anew
    if columns.get("inbound_authorization_type") is InboundAuthorizationType.AUTH:
        kept["allowed_inbound_ips"] = None
    kept["provider"] = presets.kept(trunk.provider, columns.get("sip_address"))
    return TrunkDraft(**(kept | {name: _given(kept, name, value) for name, value in columns.items()}))


def _is_new_number(trunk: SipTrunk, columns: Mapping[str, Any]) -> bool:
    """An extension tells no country, so that a new one keeps the old one's."""
    given = without_separators((columns.get("phone_number") or trunk.phone_number).strip())
    return trunk.sip_trunk_type is SipTrunkType.NUMBER and given != trunk.phone_number


def _given(kept: Mapping[str, Any], name: str, value: Any) -> Any:  # noqa: ANN401  # columns of any type
    if value is not None:
        return value
    if name == "sip_password":
        return Secret("")
    return "" if name in TEXTS else kept[name] if name in CHOICES else None


def _null_problems(columns: Mapping[str, Any]) -> list[Problem]:
    names = [input_name(name) for name, value in columns.items() if value is None and name in CHOICES]
    return [Problem(Code.REQUIRED, f"{name} cannot be null.", ("input", name)) for name in names]


def _in_order(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda each: INPUT_ORDER.index(each.field[1]) if each.field else 0))


async def _plan(
    services: Services, trunk: SipTrunk, columns: dict[str, Any], before: Secret | None, wanted: Secret
) -> Plan:
    changed = [name for name in CHANGEABLE if name not in UNSEEN and getattr(trunk, name) != columns[name]]
    if not DATED.intersection(changed):
        columns["provider_as_of"] = trunk.provider_as_of
    if before != wanted:
        changed.append("sip_password")
    after = SipTrunk(id=trunk.id, workspace_id=trunk.workspace_id, revision=trunk.revision + 1)
    after.update_from_dict({"sip_trunk_type": trunk.sip_trunk_type, **columns})
    old = {} if before is None else _contents(services, trunk)
    legs = {kind for kind, told in _contents(services, after).items() if told != old.get(kind)}
    assistants = await Assistant.filter(trunk_id=trunk.id).order_by("id") if legs else []
    return Plan(tuple(sorted(changed, key=_position)), frozenset(legs), tuple(assistants))


def _position(column: str) -> int:
    return INPUT_ORDER.index(input_name(column))


def _contents(services: Services, trunk: SipTrunk) -> dict[LegKind, list[str | Secret]]:
    return {leg.kind: content(leg) for leg in wanted_legs(services, trunk)}


async def _apply(services: Services, caller: Caller, planned: _Planned, wish: Wish, deadline: float) -> Change:
    """Store what is wanted, then make it true; what a crash or a doubt leaves open is the reconciler's to end."""
    async with leases.held(services, wish.trunk_id, deadline) as trunk:
        if trunk is None:
            return GONE
        if _version(trunk) != _version(planned.before):  # another change came first
            again = await _planned(services, caller, wish)
            if isinstance(again, Change) or again.is_done:
                return again if isinstance(again, Change) else again.ended(trunk)
            planned = again
        if planned.plan.changed and (problem := await _persist(caller, trunk, planned)):
            return planned.ended(trunk, problem)
        error = await converge(services, trunk, back_on=CERTAIN, by=caller)
        return planned.ended(trunk, problem_of(error, FAILED) if error else None)


def _version(trunk: SipTrunk) -> tuple[Any, ...]:
    return trunk.revision, trunk.updated_at, trunk.status is TrunkStatus.DELETING


async def _persist(caller: Caller, trunk: SipTrunk, planned: _Planned) -> Problem | None:
    """Store the change beside what it replaces, its called texts claimed; both texts stay ours until it is decided."""
    at = await database.now()
    standing = TrunkStatus.PROVISIONING if trunk.status in UNMADE else TrunkStatus.DEGRADED
    kept = {"previous": trunk.previous or snapshot(trunk), "next_attempt_at": at, "updated_at": at}
    columns = planned.columns | kept | {"status": standing, "revision": trunk.revision + 1}
    living = SipTrunk.filter(id=trunk.id, lease_owner=trunk.lease_owner).exclude(status=TrunkStatus.DELETING)
    try:
        async with in_transaction():
            if not await living.update(**columns):
                raise leases.LeaseLostError
            await claims.write_texts(trunk, planned.wanted)
            await _record(caller, Action.TRUNK_UPDATE_REQUESTED, planned)
    except IntegrityError:
        found = await claims.obstacle(caller.workspace_id, planned.wanted, trunk.id)
        return claims.told(found)
    trunk.update_from_dict(columns)
    return None


async def _record(caller: Caller, action: Action, planned: _Planned, outcome: str = SUCCEEDED) -> None:
    await record(caller, action, planned.before.id, changed_fields=planned.plan.changed, outcome=outcome)
