"""What a start needs before anything is served: the key ring, the database's identity, a first API key."""

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from tortoise.exceptions import IntegrityError
from tortoise.transactions import in_transaction

from models.secret import Keyring, KeyringError, Secret
from models.sip_trunk import SipTrunk
from models.workspace import ApiKey
from trunkline import claims, database, events, idempotency, leases
from trunkline.keys import authenticate, create_key, find_key, is_mistyped, made_key
from trunkline.legs import password_place
from trunkline.settings import SettingError, Settings
from trunkline.snapshots import kept_with

KEYS_SETTING = "TRUNKLINE_SECRET_KEYS"
EDGE_SETTING = "TRUNKLINE_OUTBOUND_PROXY"
KEYRING_FILE = "secret-keys"
API_KEY_FILE = "api-key"
FIRST_KEY_ID = "k1"
FIRST_KEY_NAME = "first start"
BOOTSTRAP_SETTING = "TRUNKLINE_BOOTSTRAP_KEY"
BOOTSTRAP_NAME = "bootstrap"
PROBES = 5  # passwords opened per key at the start: one damaged row does not stop it

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Started:
    """What is known once the database is open."""

    keyring: Keyring
    installation_id: str
    workspace_id: str


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[Started]:
    """Open and migrate the database, with a key ring that fits it; SettingError or DatabaseError in one line if not."""
    keyring = load_keyring(settings)
    async with database.migrated(settings):
        await _refuse_a_wrong_ring(keyring)
        await _refuse_a_missing_edge(settings)
        installation = await database.installation()
        workspace = await database.default_workspace()
        yield Started(keyring, installation.id, workspace.id)


def load_keyring(settings: Settings) -> Keyring:
    """The ring of the settings; on SQLite, unless told otherwise, of a file that is made at the first start."""
    ring, path = settings.secret_keys, ring_file(settings)
    try:
        return _kept(path) if path else Keyring.parse(ring.reveal() if ring else "")
    except KeyringError as error:
        raise SettingError(str(path or KEYS_SETTING), str(error)) from None
    except (OSError, UnicodeError) as error:
        why = f"the file cannot be used ({type(error).__name__})"
        raise SettingError(str(path), why) from None


def ring_file(settings: Settings) -> Path | None:
    """The file that holds the ring; None when the settings hold it."""
    if settings.secret_keys:
        return None
    if settings.sqlite_file is None:
        raise SettingError(KEYS_SETTING, "is required with PostgreSQL; `python -m trunkline keyring new` makes one")
    return settings.data_folder / KEYRING_FILE


def _kept(path: Path) -> Keyring:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ring_locked(path):  # of two first starts at once only one makes the ring
        if not path.exists():
            write_private(path, Keyring.generate(FIRST_KEY_ID) + "\n")
        changes = _changes(path)
        return Keyring.parse(path.read_text(), changes)


@contextmanager
def ring_locked(path: Path) -> Iterator[None]:
    """Be the only one who changes the ring's file."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _changes(path: Path) -> Callable[[], str | None]:
    """What the file holds, whenever it is another one than last time: `write_private` always makes a new one."""
    known = path.stat()

    def newer() -> str | None:
        nonlocal known
        with contextlib.suppress(OSError, UnicodeError):
            found = path.stat()
            if (found.st_ino, found.st_mtime_ns) != (known.st_ino, known.st_mtime_ns):
                known = found
                return path.read_text()
        return None

    return newer


def write_private(path: Path, text: str) -> None:
    """Write a new file that only we can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


async def _refuse_a_wrong_ring(keyring: Keyring) -> None:
    kept = await SipTrunk.exclude(previous=None).values_list("previous", flat=True)
    sealed_with = {str(key_id) for key_id in await SipTrunk.all().distinct().values_list("sip_password_key", flat=True)}
    peppers = {str(key_id) for key_id in await ApiKey.filter(revoked_at=None).values_list("pepper_id", flat=True)}
    before = {kept_with(dict(previous)) for previous in kept}
    if missing := sorted((sealed_with | peppers | before) - set(keyring.key_ids)):
        raise SettingError(KEYS_SETTING, f"lacks the key {', '.join(missing)}, which this database needs")
    for key_id in sorted(sealed_with):
        trunks = await SipTrunk.filter(sip_password_key=key_id).limit(PROBES)
        if not any(_opens(keyring, trunk) for trunk in trunks):
            why = f"its key {key_id} is another one than the {key_id} that this database was written with"
            raise SettingError(KEYS_SETTING, why)


async def _refuse_a_missing_edge(settings: Settings) -> None:
    """Without it their calls would leave from another address, or not at all."""
    if settings.livekit and settings.edge is None:
        behind = await SipTrunk.filter(outbound_proxy=True).exclude(edge_key=None).count()
        if behind:
            raise SettingError(EDGE_SETTING, f"is missing; {behind} trunks of this database go out through the edge")


def _opens(keyring: Keyring, trunk: SipTrunk) -> bool:
    try:
        keyring.open(bytes(trunk.sip_password), password_place(trunk))
    except KeyringError:
        return False
    return True


async def ensure_keys(settings: Settings, start: Started) -> Path | None:
    """See to it that there is an API key; the file of the one that the first start made, as long as that one works."""
    path = settings.data_folder / API_KEY_FILE
    if settings.bootstrap_key:
        await _ensure_bootstrap_key(start, settings.bootstrap_key)
        return None
    if not await ApiKey.exists(workspace_id=start.workspace_id):
        secret = made_key()
        write_private(path, secret.reveal() + "\n")  # first, so that a crash leaves no key that nobody knows
        await _store_key(start, FIRST_KEY_NAME, secret)
    works = path.exists() and await authenticate(start.keyring, f"Bearer {first_key(path).reveal()}")
    return path if works else None


async def _ensure_bootstrap_key(start: Started, secret: Secret) -> None:
    """See to it that the supplied key is known; one that was revoked stays so."""
    text = secret.reveal()
    if is_mistyped(text):
        raise SettingError(BOOTSTRAP_SETTING, "looks like a key made by trunkline with a typing error in it")
    known = await find_key(start.keyring, text)
    if known is None:
        with contextlib.suppress(IntegrityError):  # another replica stored it in this instant
            await _store_key(start, BOOTSTRAP_NAME, secret)
    elif known.revoked_at:
        notice = f"{BOOTSTRAP_SETTING}: the key {known.id} was revoked and stays revoked"
        log.warning("bootstrap_key_revoked", notice=notice)


async def _store_key(start: Started, name: str, secret: Secret) -> None:
    async with in_transaction():
        key, _ = await create_key(start.keyring, start.workspace_id, name, secret)
        actor = events.by_itself(start.workspace_id, "start")
        await events.record(actor, "api_key.created", key.id, changed_fields=("name", "scopes"))


def first_key(path: Path) -> Secret:
    """Read the key that the first start made."""
    return Secret(path.read_text().strip())


async def take_claims_over(settings: Settings) -> None:
    """On SQLite this process is the only one, so whoever held a claim is dead."""
    if settings.sqlite_file:
        await claims.abandon_all()
        await leases.end_all()
        await idempotency.forget_running()
