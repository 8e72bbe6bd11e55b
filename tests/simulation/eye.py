"""The oracle's own look into the database: plain SQL over a connection of its own, never through the product."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.secret import Keyring, Place
from models.sip_trunk import SipCallingFormat
from tests.simulation.book import Content

HIDDEN = ("CLAIMED", "RELEASING")


@dataclass(frozen=True, slots=True)
class Row:
    """What counts of a trunk's row."""

    trunk_id: str
    status: str
    lease_owner: str | None
    lease_until: float


class Eye:
    """Reads what is committed."""

    def __init__(self, path: Path, keyring: Keyring) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._keyring = keyring

    def close(self) -> None:
        self._db.close()

    def rows(self) -> dict[str, Row]:
        found = self._db.execute("SELECT id, status, lease_owner, lease_until FROM sip_trunk").fetchall()
        return {each[0]: Row(each[0], each[1], each[2], _seconds(each[3])) for each in found}

    def row(self, trunk_id: str) -> Row | None:
        select = "SELECT id, status, lease_owner, lease_until FROM sip_trunk WHERE id = ?"
        each = self._db.execute(select, (trunk_id,)).fetchone()
        return Row(each[0], each[1], each[2], _seconds(each[3])) if each else None

    def content(self, trunk_id: str) -> Content:
        """What is stored of a trunk, its password opened."""
        select = """SELECT phone_number, nickname, sip_password, sip_calling_format, workspace_id
            FROM sip_trunk WHERE id = ?"""
        number, nickname, sealed, calling, workspace = self._db.execute(select, (trunk_id,)).fetchone()
        password = self._keyring.open(sealed, Place(workspace, trunk_id, "sip_password")).reveal()
        return Content(number, nickname, password, SipCallingFormat(calling))

    def voice_ids(self, trunk_id: str) -> dict[str, str]:
        """The voice ids of a trunk's legs, by kind."""
        select = "SELECT kind, voice_id FROM trunk_leg WHERE trunk_id = ? AND voice_id IS NOT NULL"
        return {str(kind): str(voice_id) for kind, voice_id in self._db.execute(select, (trunk_id,))}

    def is_a_leg(self, voice_id: str) -> bool:
        return bool(self._db.execute("SELECT 1 FROM trunk_leg WHERE voice_id = ?", (voice_id,)).fetchone())

    def assistants(self) -> dict[str, tuple[str, str | None, str | None]]:
        """Agent name, trunk and answered trunk of every assistant."""
        found = self._db.execute("SELECT id, agent_name, trunk_id, answers_trunk_id FROM assistant")
        return {each[0]: (each[1], each[2], each[3]) for each in found}

    def count(self, table: str) -> int:
        return int(self._db.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])  # noqa: S608  # names of ours


def _seconds(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
