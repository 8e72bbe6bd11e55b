"""A voice backend in a file, with LiveKit's rules: for trying out, tests and demos. Refuses to place or take calls.

Its rules are the real server's, also where those overlook something: tests/voice_contract.py runs against both. Two
processes may share the file; the passwords in it are sealed.
"""

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, TypeVar

from models.secret import Keyring, KeyringError, Place, Secret, key_id_of
from models.sip_trunk import SipTransport
from models.trunk_leg import LegKind
from trunkline.phone import called_text_key
from trunkline.voice import DispatchRule, EdgeRoute, Encryption, Held, InboundTrunk, Leg, OutboundTrunk, VoiceKind
from trunkline.voice.sandbox_file import (
    PATIENCE_SECONDS,
    Run,
    SandboxFileError,
    error_of,
    in_a_thread,
    opened,
    transaction,
)
from trunkline.voice.verdicts import Refusal, conflict, missing, refuse_unsafe, refused, rule_conflict

ID_PREFIXES = {LegKind.INBOUND: "ST_", LegKind.OUTBOUND: "ST_", LegKind.DISPATCH: "SDR_", LegKind.EDGE: "EDGE_"}
ID_LENGTH = 12
ID_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"  # livekit/protocol, utils/guid
ANY_NUMBER = ""  # the text under which a trunk without numbers answers
NO_PASSWORD = Secret("")
TRUNKS = (LegKind.INBOUND, LegKind.OUTBOUND)
LEGS: dict[LegKind, Callable[..., Leg]] = {
    LegKind.INBOUND: InboundTrunk,
    LegKind.OUTBOUND: OutboundTrunk,
    LegKind.DISPATCH: DispatchRule,
    LegKind.EDGE: EdgeRoute,
}
FROM_JSON: dict[str, Callable[[Any], object]] = {
    "numbers": tuple,
    "allowed_addresses": tuple,
    "trunk_ids": tuple,
    "encryption": Encryption,
    "transport": SipTransport,
    "ringing_timeout": int,
}

T = TypeVar("T")


class SandboxVoice:
    """Fulfils VoiceBackend. Raises SandboxFileError when the file, or what the key ring makes of it, cannot be used."""

    kind = VoiceKind.SANDBOX

    def __init__(
        self,
        path: Path,
        keyring: Keyring,
        *,
        run: Run | None = None,
        random: Random | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._keyring = keyring
        self._run = run or in_a_thread()
        self._random = random or SystemRandom()
        self._db = opened(path, patience)
        self._prove_keys(path)

    async def create(self, leg: Leg) -> str:
        """Make an object and return its id."""
        return await self._do(partial(self._created, leg))

    async def replace(self, voice_id: str, leg: Leg) -> None:
        """Set every field; as with LiveKit a number, or a rule's trunk, that it did not hold before is not checked."""
        await self._do(partial(self._replaced, voice_id, leg))

    async def find(self, kind: LegKind, voice_id: str) -> Held | None:
        """Look one object up by its id."""
        found = await self._do(partial(self._held, kind, " AND voice_id = ?", voice_id), writing=False)
        return found[0] if found else None

    async def list(self, kind: LegKind) -> list[Held]:
        """Every object of a kind, by id."""
        return [*await self._do(partial(self._held, kind, " ORDER BY voice_id"), writing=False)]

    async def delete(self, kind: LegKind, voice_id: str) -> None:
        """Remove an object; a trunk of either kind, for LiveKit does not ask which."""
        await self._do(partial(self._deleted, kind, voice_id))

    async def ping(self) -> None:
        """Prove that the file can be read."""
        await self._do(lambda: self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone(), writing=False)

    async def reseal(self) -> int:
        """Seal with the writing key what is sealed with another one; how many passwords that were."""
        return await self._do(self._resealed)

    async def sealed_with(self) -> dict[str, int]:
        """How many passwords each key of the ring has sealed."""
        counts = "SELECT key_id, count(*) FROM held GROUP BY key_id"
        return await self._do(lambda: dict(self._db.execute(counts).fetchall()), writing=False)

    async def aclose(self) -> None:
        """Close the file."""
        await self._run(self._db.close)

    async def _do(self, work: Callable[[], T], *, writing: bool = True) -> T:
        try:
            return await self._run(work)
        except (sqlite3.Error, KeyringError, UnicodeError) as error:
            failure, cause = error_of(error, writing=writing), error
        raise failure from (None if isinstance(cause, UnicodeError) else cause)  # that one holds the whole text

    def _created(self, leg: Leg) -> str:
        _refuse(leg)
        voice_id = ID_PREFIXES[leg.kind] + "".join(self._random.choices(ID_ALPHABET, k=ID_LENGTH))
        with transaction(self._db):
            _refuse_collision(self._db, voice_id, leg, is_new=True)
            self._store(voice_id, leg)
        return voice_id

    def _replaced(self, voice_id: str, leg: Leg) -> None:
        _refuse(leg)
        with transaction(self._db):
            of_kind = "SELECT 1 FROM held WHERE voice_id = ? AND kind = ?"
            if not self._db.execute(of_kind, (voice_id, leg.kind)).fetchone():
                raise missing()
            _refuse_collision(self._db, voice_id, leg, is_new=False)
            self._store(voice_id, leg)

    def _store(self, voice_id: str, leg: Leg) -> None:
        told = {field.name: getattr(leg, field.name) for field in fields(leg) if field.name != "auth_password"}
        if key := told.get("edge_key"):
            told["edge_key"] = self._keyring.seal(key, _place(voice_id, "edge_key")).hex()
        password = NO_PASSWORD if isinstance(leg, DispatchRule) else leg.auth_password
        sealed = self._keyring.seal(password, _place(voice_id))
        row = (voice_id, leg.kind, json.dumps(told, ensure_ascii=False), key_id_of(sealed), sealed)
        self._db.execute("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?)", row)
        self._db.execute("DELETE FROM called WHERE voice_id = ?", (voice_id,))
        answered = [(text, voice_id) for text in answered_texts(leg)]
        self._db.executemany("INSERT INTO called VALUES (?, ?)", answered)

    def _deleted(self, kind: LegKind, voice_id: str) -> None:
        with transaction(self._db):
            if kind not in TRUNKS:
                self._db.execute("DELETE FROM held WHERE voice_id = ? AND kind = ?", (voice_id, kind))
                return
            self._db.execute("DELETE FROM held WHERE voice_id = ? AND kind IN (?, ?)", (voice_id, *TRUNKS))
            self._db.execute("DELETE FROM called WHERE voice_id = ?", (voice_id,))

    def _held(self, kind: LegKind, which: str, *values: str) -> Sequence[Held]:
        select = "SELECT voice_id, leg, auth_password FROM held WHERE kind = ?"
        rows = self._db.execute(select + which, (kind, *values)).fetchall()
        return [Held(voice_id, self._leg(kind, voice_id, text, sealed)) for voice_id, text, sealed in rows]

    def _leg(self, kind: LegKind, voice_id: str, text: str, sealed: bytes) -> Leg:
        told = {name: FROM_JSON.get(name, str)(value) for name, value in json.loads(text).items() if value is not None}
        if key := told.get("edge_key"):
            told["edge_key"] = self._keyring.open(bytes.fromhex(str(key)), _place(voice_id, "edge_key"))
        if kind is LegKind.DISPATCH:
            return LEGS[kind](**told)
        return LEGS[kind](auth_password=self._keyring.open(sealed, _place(voice_id)), **told)

    def _resealed(self) -> int:
        with transaction(self._db):
            stale = [each for kind in LegKind for each in self._held(kind, " AND key_id <> ?", self._keyring.writing)]
            for held in stale:
                self._store(held.voice_id, held.leg)
        return len(stale)

    def _prove_keys(self, path: Path) -> None:
        """Open one password of each key that wrote any, so that a wrong ring is told at the start."""
        for voice_id, sealed in self._db.execute("SELECT voice_id, auth_password FROM held GROUP BY key_id").fetchall():
            try:
                self._keyring.open(sealed, _place(voice_id))
            except KeyringError as error:
                self._db.close()
                message = f"{path} was written with other secret keys than TRUNKLINE_SECRET_KEYS holds: {error}"
                raise SandboxFileError(message) from None


def refusal_of(leg: InboundTrunk | OutboundTrunk) -> Refusal | None:
    """Tell what LiveKit would refuse about a leg's own fields (protocol/livekit/sip.go, ValidateResult)."""
    if isinstance(leg, InboundTrunk):
        protected = leg.auth_username or leg.auth_password != NO_PASSWORD or leg.allowed_addresses or leg.numbers
        return None if protected else Refusal.UNPROTECTED
    if not leg.numbers:
        return Refusal.NO_NUMBERS
    if not leg.address:
        return Refusal.NO_ADDRESS
    if "transport=" in leg.address:
        return Refusal.ADDRESS_HAS_TRANSPORT
    if "@" in leg.address or ";" in leg.address or leg.address.startswith(("sip:", "sips:")):
        return Refusal.ADDRESS_IS_URI
    return None


def answered_texts(leg: Leg) -> frozenset[str]:
    """The texts that an inbound trunk answers to, as LiveKit compares them."""
    if not isinstance(leg, InboundTrunk):
        return frozenset()
    return frozenset(map(called_text_key, leg.numbers)) or frozenset({ANY_NUMBER})


def _collides(db: sqlite3.Connection, voice_id: str, leg: Leg, *, is_new: bool) -> bool:
    """Tell whether LiveKit would see a conflict (protocol/sip/sip.go, ValidateTrunksIter).

    It compares the trunks that share one of the new numbers or have none; after an update that brings a number the
    stored copy is not among them, so the update itself is never compared.
    """
    texts = answered_texts(leg)
    listed: dict[str, frozenset[str]] = {}
    for owner, text in _sharing(db, texts):
        listed[owner] = listed.get(owner, frozenset()) | {text}
    if texts and (is_new or voice_id in listed):
        listed[voice_id] = texts
    owners: dict[str, str] = {}
    return any(owners.setdefault(text, owner) != owner for owner, each in listed.items() for text in each)


def _sharing(db: sqlite3.Connection, texts: frozenset[str]) -> list[tuple[str, str]]:
    if not texts:
        return []
    if ANY_NUMBER in texts:  # LiveKit's filter by no number lets all trunks through
        return db.execute("SELECT voice_id, text FROM called").fetchall()
    sharing = "SELECT voice_id FROM called WHERE text = '' OR text IN (SELECT value FROM json_each(?))"
    wanted = json.dumps(sorted(texts), ensure_ascii=False)
    return db.execute(f"SELECT voice_id, text FROM called WHERE voice_id IN ({sharing})", (wanted,)).fetchall()  # noqa: S608  # no value is in it


def _rules_collide(db: sqlite3.Connection, rule: DispatchRule, *, is_new: bool) -> bool:
    """Tell whether LiveKit would see a conflict (protocol/sip/sip.go, ValidateDispatchRulesIter).

    It compares the rules of the new trunk; as with numbers, an update that brings the trunk is never among them.
    """
    of_trunk = "SELECT count(*) FROM held WHERE kind = 'dispatch' AND json_extract(leg, '$.trunk_ids[0]') = ?"
    (stored,) = db.execute(of_trunk, rule.trunk_ids).fetchone()
    return bool(stored if is_new else stored > 1)


def _place(voice_id: str, column: str = "auth_password") -> Place:
    return Place(workspace="sandbox", row=voice_id, column=column)


def _refuse(leg: Leg) -> None:
    refuse_unsafe(leg)
    if isinstance(leg, InboundTrunk | OutboundTrunk) and (refusal := refusal_of(leg)):
        raise refused(refusal)


def _refuse_collision(db: sqlite3.Connection, voice_id: str, leg: Leg, *, is_new: bool) -> None:
    if isinstance(leg, DispatchRule):
        if _rules_collide(db, leg, is_new=is_new):
            raise rule_conflict()
    elif _collides(db, voice_id, leg, is_new=is_new):
        raise conflict()
