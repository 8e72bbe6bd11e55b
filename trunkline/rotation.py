"""Key rotation while serving: a new key writes, everything is sealed again with it, only then is an old one dropped.

Every row is changed only if it is still as it was read, so an update that runs beside is never undone. A process that
serves learns a new key from the ring's file, at the latest with the first secret that it cannot open otherwise.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tortoise.expressions import Q
from tortoise.functions import Count
from tortoise.queryset import QuerySet

from models.assistant import Assistant
from models.idempotency_key import IdempotencyKey
from models.secret import Keyring, KeyringError
from models.sip_trunk import SEALED, SipTrunk
from models.trunk_leg import LegKind, TrunkLeg
from models.workspace import ApiKey
from trunkline import database
from trunkline.legs import content, dispatch_rule, legs_of, sealed_again
from trunkline.settings import Settings
from trunkline.snapshots import kept_with, resealed
from trunkline.start import Started, ring_locked, write_private
from trunkline.voice import Leg
from trunkline.voice.sandbox import SandboxVoice

BATCH = 100
ROUNDS = 20  # until nothing is left: whoever seals with the old key just now is met in the next round
RESERVE_SECONDS = 10.0  # as of idempotency keys: nothing that began with the old key is still under way then

PASSWORDS = "passwords"
CHANGES = "changes under way"
SANDBOX = "objects of the sandbox"
API_KEYS = "API keys"
IDEMPOTENCY = "idempotency keys"
FINGERPRINTS = "fingerprints of legs"
NEEDLESS = frozenset({FINGERPRINTS})  # one whose key is gone costs a write of its leg, and nothing else


@dataclass(frozen=True, slots=True)
class Use:
    """How many things of a kind a key has sealed or digested."""

    what: str
    key_id: str
    count: int


class RotationError(Exception):
    """A key that cannot be dropped: a sentence that says what still needs it."""


async def uses(sandbox: SandboxVoice | None) -> list[Use]:
    """What each key is used for, by key."""
    found = {
        PASSWORDS: await _counted(SipTrunk.all(), "sip_password_key"),
        CHANGES: Counter(map(kept_with, await _snapshots())),
        SANDBOX: await sandbox.sealed_with() if sandbox else {},
        FINGERPRINTS: Counter(str(each).partition(":")[0] for each in await _fingerprints()),
        IDEMPOTENCY: await _counted(IdempotencyKey.filter(expires_at__gt=await database.now()), "digest_key"),
        API_KEYS: await _counted(ApiKey.filter(revoked_at=None), "pepper_id"),
    }
    each = (Use(what, key_id, count) for what, counts in found.items() for key_id, count in counts.items())
    return sorted(each, key=lambda use: (use.key_id, use.what))


def new_key(path: Path) -> str:
    """Put a new key in front of the ring in a file; its id."""
    with ring_locked(path):
        text = path.read_text()
        taken = Keyring.parse(text).key_ids
        key_id = next(each for each in _names(taken) if each not in taken)
        write_private(path, f"{Keyring.generate(key_id)}\n{text}")
    return key_id


async def rotate(settings: Settings, start: Started, sandbox: SandboxVoice | None) -> Counter[str]:
    """Seal everything again that the writing key has not sealed; how much of what that was."""
    keyring = start.keyring
    done: Counter[str] = Counter()
    for _ in range(ROUNDS):
        before = done.total()
        async for trunk in _stale_trunks(keyring):
            done.update(await _reseal(keyring, trunk))
        async for trunk in _trunks_with_stale_legs(keyring):
            done[FINGERPRINTS] += await _fingerprint(settings, start, trunk)
        if sandbox:
            done[SANDBOX] += await sandbox.reseal()
        if done.total() == before:
            break
    return +done


async def drop(settings: Settings, path: Path, key_id: str, sandbox: SandboxVoice | None) -> None:
    """Take a key out of the ring's file, when nothing needs it any more; RotationError when something does."""
    with ring_locked(path):
        entries = _entries(path)
        ids = [entry.partition(":")[0] for entry in entries]
        if key_id not in ids:
            raise RotationError(f"The ring has no key {key_id}.")
        if key_id == ids[0]:
            raise RotationError(f"{key_id} is the key that writes; `keyring rotate` puts a new one in its place.")
        _refuse_a_young_ring(settings, path)
        if needed := [use for use in await uses(sandbox) if use.key_id == key_id and use.what not in NEEDLESS]:
            raise RotationError(f"{key_id} is still needed: {told(needed)}. {await _advice(needed, key_id)}".rstrip())
        kept = [entry for entry, each in zip(entries, ids, strict=True) if each != key_id]
        write_private(path, "\n".join(kept) + "\n")


def told(found: Sequence[Use]) -> str:
    """Counts for a person."""
    return ", ".join(f"{use.count} {use.what}" for use in found)


def _entries(path: Path) -> list[str]:
    return path.read_text().split()


async def _advice(needed: Sequence[Use], key_id: str) -> str:
    whats = {use.what for use in needed}
    said = "Run `keyring rotate` again." if whats & {PASSWORDS, CHANGES, SANDBOX} else ""
    if API_KEYS in whats:
        rows = await ApiKey.filter(revoked_at=None, pepper_id=key_id).order_by("id").limit(BATCH)
        named = ", ".join(row.id for row in rows)
        said += f" An API key moves at its next use; or revoke it: {named}."
    if IDEMPOTENCY in whats:
        last = await IdempotencyKey.filter(digest_key=key_id).order_by("-expires_at").first()
        said += f" Idempotency keys are forgotten by {last.expires_at:%Y-%m-%d %H:%M} UTC." if last else ""
    return said.strip()


def _refuse_a_young_ring(settings: Settings, path: Path) -> None:
    """Whoever serves may know only the old ring until it has looked again, and may have begun something with it."""
    longest = settings.reconcile_interval + settings.provision_timeout + RESERVE_SECONDS
    age = time.time() - path.stat().st_mtime
    if age < longest:
        why = f"The ring was changed a moment ago; a server may still write with the old key for {longest - age:.0f} s."
        raise RotationError(why)


def _names(taken: Sequence[str]) -> list[str]:
    """Numbers that go on from the highest, so that an id which was dropped does not come back as another key."""
    numbers = [int(each[1:]) for each in taken if each[:1] == "k" and each[1:].isdecimal()]
    return [f"k{number}" for number in range(max(numbers, default=0) + 1, max(numbers, default=0) + len(taken) + 2)]


async def _counted(rows: QuerySet[Any], column: str) -> dict[str, int]:
    counted = await rows.annotate(count=Count("id")).group_by(column).values_list(column, "count")
    return {str(key_id): int(count) for key_id, count in counted}


async def _snapshots() -> list[dict[str, Any]]:
    return [dict(each) for each in await SipTrunk.exclude(previous=None).values_list("previous", flat=True)]


async def _fingerprints() -> list[object]:
    return [*await TrunkLeg.exclude(applied_fingerprint=None).values_list("applied_fingerprint", flat=True)]


async def _stale_trunks(keyring: Keyring) -> AsyncIterator[SipTrunk]:
    stale = ~Q(sip_password_key=keyring.writing) | Q(previous__isnull=False)
    after = ""
    while rows := await SipTrunk.filter(stale, id__gt=after).order_by("id").limit(BATCH):
        for row in rows:
            kept = kept_with(row.previous) if row.previous else keyring.writing
            if {row.sip_password_key, kept} != {keyring.writing}:
                yield row
        after = rows[-1].id


async def _reseal(keyring: Keyring, trunk: SipTrunk) -> dict[str, int]:
    """Seal a row's secrets again, and those to go back to. A change brings new ciphertexts, so that tells one."""
    try:
        columns = sealed_again(trunk, {name: getattr(trunk, name) for name in SEALED}, keyring)
        before = resealed(trunk.previous, keyring, trunk) if trunk.previous else None
    except KeyringError:  # one damaged row does not stop the others; it is told at that trunk
        return {}
    row = SipTrunk.filter(id=trunk.id, sip_password=trunk.sip_password, previous__isnull=before is None)
    if not await row.update(**columns, **({"previous": before} if before else {})):
        return {}  # it was changed meanwhile and has its turn in the next round
    return {PASSWORDS: 1, CHANGES: int(before is not None)}


async def _trunks_with_stale_legs(keyring: Keyring) -> AsyncIterator[SipTrunk]:
    after = ""
    stale = TrunkLeg.exclude(applied_fingerprint=None).exclude(applied_fingerprint__startswith=f"{keyring.writing}:")
    while (
        ids := await stale.filter(trunk_id__gt=after)
        .order_by("trunk_id")
        .limit(BATCH)
        .values_list("trunk_id", flat=True)
    ):
        for row in await SipTrunk.filter(id__in=[str(each) for each in ids]):
            yield row
        after = str(ids[-1])


async def _fingerprint(settings: Settings, start: Started, trunk: SipTrunk) -> int:
    """Digest the legs again that are as they are wanted; the others are written by the reconciler anyway."""
    keyring = start.keyring
    applied = {leg.kind: leg for leg in await TrunkLeg.filter(trunk_id=trunk.id).exclude(applied_fingerprint=None)}
    renewed = 0
    for wanted in await _wanted(settings, start, trunk, applied):
        old = applied[wanted.kind].applied_fingerprint if wanted.kind in applied else None
        if old and not old.startswith(f"{keyring.writing}:") and keyring.agrees(old, content(wanted)):
            leg = TrunkLeg.filter(trunk_id=trunk.id, kind=wanted.kind, applied_fingerprint=old)
            renewed += await leg.update(applied_fingerprint=keyring.digest_of(content(wanted)))
    return renewed


async def _wanted(
    settings: Settings, start: Started, trunk: SipTrunk, applied: Mapping[LegKind, TrunkLeg]
) -> list[Leg]:
    try:
        wanted: list[Leg] = [*legs_of(trunk, start.keyring, start.installation_id, settings.edge_address)]
    except KeyringError:  # one trunk's damage
        return []
    assistant = await Assistant.get_or_none(answers_trunk_id=trunk.id)
    if assistant and LegKind.INBOUND in applied:
        inbound_id = applied[LegKind.INBOUND].voice_id or ""
        wanted.append(dispatch_rule(trunk, assistant, inbound_id, start.installation_id))
    return wanted
