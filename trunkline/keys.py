"""API keys: made, shown once, stored as an HMAC, recognised. Refuses typing errors before it asks the database.

A key made here is `tl_` + 8 characters of id + `_` + 32 random base62 characters + 6 of CRC-32, so that secret scanners
and typing errors are recognised (the form follows GitHub's). A supplied TRUNKLINE_BOOTSTRAP_KEY has no id: it is looked
up by its HMAC.
"""

import hmac
import re
import secrets
import string
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from models.identifiers import new_id
from models.secret import Keyring, Secret
from models.workspace import ApiKey, ApiKeyScope
from trunkline import database
from trunkline.setting_values import BOOTSTRAP_KEY

BASE62 = string.digits + string.ascii_letters
ID_CHARACTERS = 8
RANDOM_CHARACTERS = 32
CHECKSUM_CHARACTERS = 6
MADE = re.compile(r"tl_([0-9A-Za-z]{8})_[0-9A-Za-z]{38}")
SHOWN_CHARACTERS = 11  # tl_ and the id
EVERY_SCOPE = frozenset(ApiKeyScope)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request."""

    workspace_id: str
    key_id: str
    scopes: frozenset[ApiKeyScope] = EVERY_SCOPE
    request_id: str | None = None


def made_key() -> Secret:
    """Make a new random key."""

    def drawn(count: int) -> str:
        return "".join(secrets.choice(BASE62) for _ in range(count))

    body = f"tl_{drawn(ID_CHARACTERS)}_{drawn(RANDOM_CHARACTERS)}"
    return Secret(body + _checksum(body))


def is_mistyped(text: str) -> bool:
    """Tell a key of our own form whose checksum is wrong."""
    return bool(MADE.fullmatch(text)) and _checksum(text[:-CHECKSUM_CHARACTERS]) != text[-CHECKSUM_CHARACTERS:]


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(BASE62))
        digits = BASE62[digit] + digits
    return digits


async def create_key(  # noqa: PLR0913  # each by its name
    keyring: Keyring,
    workspace_id: str,
    name: str,
    secret: Secret | None = None,
    *,
    scopes: Collection[ApiKeyScope] = EVERY_SCOPE,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, Secret]:
    """Store a key, a new one unless told; the secret is returned this once."""
    secret = secret or made_key()
    text, pepper_id = secret.reveal(), keyring.writing
    key = await ApiKey.create(
        id=new_id("key"),
        workspace_id=workspace_id,
        name=name,
        prefix=text[:SHOWN_CHARACTERS],
        lookup=text[3 : 3 + ID_CHARACTERS] if MADE.fullmatch(text) else _hmac_lookup(keyring, text),
        digest=keyring.digest(text, pepper_id),
        pepper_id=pepper_id,
        scopes=" ".join(scope for scope in ApiKeyScope if scope in scopes),
        expires_at=expires_at,
        created_at=await database.now(),
    )
    return key, secret


async def authenticate(keyring: Keyring, header: str | None) -> Caller | None:
    """Recognise the caller from an Authorization header's value."""
    scheme, _, text = (header or "").partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not BOOTSTRAP_KEY.fullmatch(text) or is_mistyped(text):
        return None
    key = await find_key(keyring, text)
    if key is None or not works(key):
        return None
    return Caller(key.workspace_id, key.id, scopes_of(key))


async def find_key(keyring: Keyring, text: str) -> ApiKey | None:
    """The key of this text, be it revoked or expired."""
    made = MADE.fullmatch(text)
    lookups = [made[1]] if made else [_hmac_lookup(keyring, text, key_id) for key_id in keyring.key_ids]
    key = await ApiKey.get_or_none(lookup__in=lookups)
    if key is None or not keyring.knows(key.pepper_id):
        return None
    if not hmac.compare_digest(keyring.digest(text, key.pepper_id), bytes(key.digest)):
        return None
    if key.pepper_id != keyring.writing:
        await _renew(keyring, key, text, is_made=made is not None)
    return key


def scopes_of(key: ApiKey) -> frozenset[ApiKeyScope]:
    """What a key may do."""
    return frozenset(ApiKeyScope(scope) for scope in key.scopes.split())


def works(key: ApiKey) -> bool:
    """Whether a key is neither revoked nor expired, by this machine's clock."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > datetime.now(UTC))


async def still_works(key_id: str) -> bool:
    """Ask the database again, for what stays open longer than a request."""
    key = await ApiKey.get_or_none(id=key_id)
    return key is not None and works(key)


async def _renew(keyring: Keyring, key: ApiKey, text: str, *, is_made: bool) -> None:
    """Digest a key with the writing pepper at its first use after a rotation: only its owner knows its text."""
    pepper_id = keyring.writing
    renewed = {"digest": keyring.digest(text, pepper_id), "pepper_id": pepper_id}
    if not is_made:
        renewed["lookup"] = _hmac_lookup(keyring, text, pepper_id)
    await ApiKey.filter(id=key.id, pepper_id=key.pepper_id).update(**renewed)


def _hmac_lookup(keyring: Keyring, text: str, key_id: str | None = None) -> str:
    return keyring.digest("lookup " + text, key_id).hex()


async def revoke_key(key_id: str) -> bool:
    """Revoke a key for good; False when there is no such key that still works."""
    return bool(await ApiKey.filter(id=key_id, revoked_at=None).update(revoked_at=await database.now()))
