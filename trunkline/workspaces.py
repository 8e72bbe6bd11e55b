"""The use cases of workspaces and their API keys. No key gives what it lacks: neither a scope nor a later end.

A workspace keeps its last working key with the scope OPERATOR: without one only the command line could make another.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tortoise.exceptions import IntegrityError
from tortoise.queryset import QuerySet
from tortoise.transactions import in_transaction

from models.identifiers import is_id, new_id
from models.secret import Keyring, Secret
from models.workspace import KEYS_MAX, NAME_MAX, ApiKey, ApiKeyScope, Workspace
from trunkline import database, events
from trunkline.keys import Caller, create_key, revoke_key, scopes_of, works
from trunkline.problems import Code, Problem
from trunkline.services import Services
from trunkline.text_rules import problems_of_a_name

KEY, WORKSPACE = "key", "ws"
FIRST_KEY_NAME = "first"
RULES = frozenset({Code.REQUIRED, Code.TOO_LONG, Code.INVALID_FORMAT, Code.OUT_OF_RANGE})
NOT_FOUND = Problem(Code.NOT_FOUND, "API key not found.", ("input", "id"))
LAST_OPERATOR = Problem(
    Code.IN_USE,
    "This is the last working API key of the workspace with the scope OPERATOR; make another one first.",
    ("input", "id"),
)
REVOKED_MEANWHILE = Problem(Code.FORBIDDEN, "This API key does not work any more.")
TOO_MANY_KEYS = Problem(Code.LIMIT_REACHED, f"A workspace has at most {KEYS_MAX} API keys; revoke one first.")
NO_SCOPES = Problem(Code.REQUIRED, "An API key needs at least one scope.", ("input", "scopes"))
PAST = Problem(Code.OUT_OF_RANGE, "expiresAt must be in the future.", ("input", "expiresAt"))
TOO_LATE = Problem(
    Code.FORBIDDEN, "An API key that expires may not make one that works longer than itself.", ("input", "expiresAt")
)
NAME_TAKEN = Problem(Code.ALREADY_EXISTS, "A workspace with this name already exists.", ("input", "name"))
NOT_THE_FIRST = Problem(
    Code.FORBIDDEN, f'Only API keys of the workspace "{database.DEFAULT_WORKSPACE}" may make workspaces.'
)


@dataclass(frozen=True, slots=True)
class KeyWish:
    """The key that is wanted."""

    name: str
    scopes: Collection[ApiKeyScope]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Made:
    """A key and its secret, this once, with the workspace when that is new; or the problems."""

    problems: Sequence[Problem] = ()
    key: ApiKey | None = None
    secret: Secret | None = None
    workspace: Workspace | None = None

    @property
    def broke_rules(self) -> bool:
        """Whether a field itself is wrong."""
        return any(problem.code in RULES for problem in self.problems)


def visible_keys(workspace_id: str) -> QuerySet[ApiKey]:
    """The keys that a workspace may see: those that were not revoked."""
    return ApiKey.filter(workspace_id=workspace_id, revoked_at=None)


async def runs_the_installation(caller: Caller) -> bool:
    """Whether somebody may do and see what concerns all workspaces: with OPERATOR, in the one that was there first."""
    first = Workspace.filter(id=caller.workspace_id, name=database.DEFAULT_WORKSPACE)
    return ApiKeyScope.OPERATOR in caller.scopes and await first.exists()


def operators_among(keys: Iterable[ApiKey]) -> set[str]:
    """The ids of those that work and may make others."""
    return {key.id for key in keys if works(key) and ApiKeyScope.OPERATOR in scopes_of(key)}


async def find_key(workspace_id: str, key_id: str) -> ApiKey | None:
    """A key by its id; a malformed id is an unknown one and never reaches the database."""
    return await visible_keys(workspace_id).get_or_none(id=key_id) if is_id(KEY, key_id) else None


async def find_workspace(workspace_id: str, wanted_id: str) -> Workspace | None:
    """The caller's own workspace; every other one is unknown."""
    return await Workspace.get_or_none(id=workspace_id) if wanted_id == workspace_id else None


async def create_api_key(services: Services, caller: Caller, wish: KeyWish) -> Made:
    """Make a key of the caller's workspace."""
    return await services.tasks.run(_create_key(services, caller, wish))


async def _create_key(services: Services, caller: Caller, wish: KeyWish) -> Made:
    async with in_transaction():
        keys = await _locked(caller.workspace_id)
        own = next((key for key in keys if key.id == caller.key_id and works(key)), None)
        if own is None:
            return Made([REVOKED_MEANWHILE])
        if problems := await _problems(own, wish):
            return Made(problems)
        if len(keys) >= KEYS_MAX:
            return Made([TOO_MANY_KEYS])
        name, scopes, until = wish.name.strip(), wish.scopes, wish.expires_at
        key, secret = await create_key(services.keyring, own.workspace_id, name, scopes=scopes, expires_at=until)
        await events.record(caller, "api_key.created", key.id, changed_fields=("name", "scopes", "expiresAt"))
    return Made(key=key, secret=secret)


async def _locked(workspace_id: str) -> list[ApiKey]:
    """All keys, seen by one after the other: no two revocations each leave the other's key as the last."""
    await database.take_turns(f"keys of {workspace_id}")
    return await visible_keys(workspace_id)


async def _problems(own: ApiKey, wish: KeyWish) -> list[Problem]:
    """All problems at once, in the order of the input."""
    found = problems_of_a_name(wish.name.strip(), "name", NAME_MAX)
    lacking = ", ".join(scope for scope in ApiKeyScope if scope in wish.scopes and scope not in scopes_of(own))
    if not wish.scopes:
        found.append(NO_SCOPES)
    if lacking:
        why = f"An API key cannot give what it lacks itself: {lacking}."
        found.append(Problem(Code.FORBIDDEN, why, ("input", "scopes")))
    if wish.expires_at and wish.expires_at <= await database.now():
        found.append(PAST)
    elif own.expires_at and (wish.expires_at is None or wish.expires_at > own.expires_at):
        found.append(TOO_LATE)
    return found


async def revoke_api_key(services: Services, caller: Caller, key_id: str) -> Problem | None:
    """Revoke a key of the caller's workspace for good, its own too; never the last one with the scope OPERATOR."""
    return await services.tasks.run(_revoke(caller, key_id))


async def _revoke(caller: Caller, key_id: str) -> Problem | None:
    async with in_transaction():
        keys = await _locked(caller.workspace_id)
        if key_id not in {key.id for key in keys}:
            return NOT_FOUND
        if operators_among(keys) == {key_id}:
            return LAST_OPERATOR
        await revoke_key(key_id)
        await events.record(caller, "api_key.revoked", key_id)
    return None


async def create_workspace(services: Services, caller: Caller, name: str) -> Made:
    """Make a workspace with a first key, which may do what the caller's may."""
    return await services.tasks.run(_create_workspace(services, caller, name.strip()))


async def _create_workspace(services: Services, caller: Caller, name: str) -> Made:
    if problems := problems_of_a_name(name, "name", NAME_MAX):
        return Made(problems)
    if not await runs_the_installation(caller):
        return Made([NOT_THE_FIRST])
    return await new_workspace(services.keyring, caller, name)


async def new_workspace(keyring: Keyring, caller: Caller, name: str) -> Made:
    """The same for whoever may; the name is in order."""
    with database.as_installation():
        try:
            async with in_transaction():
                workspace = await Workspace.create(id=new_id(WORKSPACE), name=name, created_at=await database.now())
                key, secret = await create_key(keyring, workspace.id, FIRST_KEY_NAME, scopes=caller.scopes)
                await events.record(caller, "workspace.created", workspace.id, changed_fields=("name",))
        except IntegrityError:
            return Made([NAME_TAKEN])
    return Made(key=key, secret=secret, workspace=workspace)
