"""Secrets in memory and at rest. Refuses to print one, and to open a ciphertext that was moved elsewhere."""

import base64
import hmac
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT_VERSION = 1
KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID_MAX = 16
KEY_ID = re.compile(r"[a-z0-9]{1,16}")


class Secret:
    """Text that is not printed: `repr`, `str` and formatting show a mask. `reveal()` is the only way to the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text; the places that may call this are listed in tests/test_secret.py."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(********)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> str:
        message = "a Secret is not pickled"
        raise TypeError(message)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ciphertext belongs: it opens nowhere else."""

    workspace: str
    row: str
    column: str

    def bound_to(self, key_id: str) -> bytes:
        """Additional authenticated data: the place, the key and the format version."""
        return "\x00".join((str(FORMAT_VERSION), key_id, self.workspace, self.row, self.column)).encode()


class KeyringError(Exception):
    """A key ring that cannot be used, or a ciphertext that this ring or this place cannot open; never holds a key."""


class Keyring:
    """Named 256-bit keys; the first one writes, all of them read.

    The text form is `id:base64[,id:base64 ...]`, newest first, each key 32 random bytes. `newer` gives that text once
    whenever it has changed since, so that a process which runs learns a new key.
    """

    def __init__(self, keys: Mapping[str, bytes], newer: Callable[[], str | None] | None = None) -> None:
        self._newer = newer
        self._take(keys)

    def _take(self, keys: Mapping[str, bytes]) -> None:
        self._keys = {key_id: _Derived.of(key) for key_id, key in keys.items()}
        self.writing = next(iter(keys))

    @classmethod
    def parse(cls, text: str, newer: Callable[[], str | None] | None = None) -> Self:
        """Read a ring from its text form, or raise KeyringError saying which entry is wrong, never quoting a key."""
        return cls(cls._read(text), newer)

    def refresh(self) -> None:
        """Take over what the ring's source holds by now; KeyringError when that is no ring, and the old one stays."""
        if text := self._newer and self._newer():
            self._take(self._read(text))

    @staticmethod
    def _read(text: str) -> dict[str, bytes]:
        keys: dict[str, bytes] = {}
        for position, entry in enumerate(filter(None, re.split(r"[,\s]+", text)), start=1):
            key_id, _, encoded = entry.partition(":")
            if not KEY_ID.fullmatch(key_id) or key_id in keys:
                message = (
                    f"entry {position} needs an id of its own of 1-16 lower case letters or digits before the colon"
                )
                raise KeyringError(message)
            keys[key_id] = _decoded(encoded, position)
        if not keys:
            message = "it holds no key"
            raise KeyringError(message)
        return keys

    @staticmethod
    def generate(key_id: str) -> str:
        """Make the text form of one new random key."""
        return f"{key_id}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all keys, the writing one first."""
        return tuple(self._keys)

    def seal(self, secret: Secret, place: Place) -> bytes:
        """Encrypt for one place: version byte, length of the key id, key id, nonce, AES-256-GCM ciphertext."""
        nonce = os.urandom(NONCE_BYTES)
        key_id = self.writing.encode()
        sealed = self._keys[self.writing].cipher.encrypt(nonce, secret.reveal().encode(), place.bound_to(self.writing))
        return bytes((FORMAT_VERSION, len(key_id))) + key_id + nonce + sealed

    def open(self, sealed: bytes, place: Place) -> Secret:
        """Decrypt what `seal` made for this very place, or raise KeyringError with the cause."""
        key_id = key_id_of(sealed)
        if not self.knows(key_id):
            message = f"the key ring lacks the key {key_id!r}"
            raise KeyringError(message)
        body = sealed[2 + sealed[1] :]
        try:
            text = self._keys[key_id].cipher.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], place.bound_to(key_id))
        except (InvalidTag, ValueError):  # the second: what was cut off within the nonce
            message = (
                f"a secret of {place.row} does not open: it was altered, moved, or sealed with another key {key_id!r}"
            )
            raise KeyringError(message) from None
        return Secret(text.decode())

    def knows(self, key_id: str) -> bool:
        """Whether the ring has a key; one that it lacks may have come since."""
        if key_id not in self._keys:
            self.refresh()
        return key_id in self._keys

    def digest(self, text: str, key_id: str | None = None) -> bytes:
        """HMAC-SHA-256 of a text under the pepper of one key (the writing one unless told)."""
        return hmac.digest(self._keys[key_id or self.writing].pepper, text.encode(), "sha256")

    def digest_of(self, parts: Iterable[str | Secret], key_id: str | None = None) -> str:
        """HMAC of several texts and secrets together, in hex, with the id of the key that made it in front."""
        texts = [part.reveal() if isinstance(part, Secret) else part for part in parts]
        key_id = key_id or self.writing
        return f"{key_id}:{self.digest(json.dumps(texts), key_id).hex()}"

    def agrees(self, digest: str | None, parts: Iterable[str | Secret]) -> bool:
        """Whether `digest_of` made this digest of these parts; a digest of a dropped key agrees with nothing."""
        key_id = (digest or "").partition(":")[0]
        return self.knows(key_id) and hmac.compare_digest(digest or "", self.digest_of(parts, key_id))


def key_id_of(sealed: bytes) -> str:
    """Tell which key a ciphertext needs, or raise KeyringError."""
    if len(sealed) < 2 or sealed[0] != FORMAT_VERSION:  # noqa: PLR2004  # version and length bytes
        message = "a sealed secret has an unknown format"
        raise KeyringError(message)
    return sealed[2 : 2 + sealed[1]].decode(errors="replace")


@dataclass(frozen=True, slots=True, repr=False)
class _Derived:
    """The two working keys of one ring entry, so that encryption and HMAC never share a key (RFC 5869)."""

    cipher: AESGCM
    pepper: bytes

    @classmethod
    def of(cls, key: bytes) -> Self:
        def derive(purpose: bytes) -> bytes:
            return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"trunkline " + purpose).derive(key)

        return cls(AESGCM(derive(b"encrypt")), derive(b"pepper"))


def _decoded(encoded: str, position: int) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        message = f"entry {position} needs {KEY_BYTES} bytes in base64 after the colon"
        raise KeyringError(message)
    return key
