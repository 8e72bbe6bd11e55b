"""TypeIDs: `trunk_` and 26 characters, a UUIDv7 inside, so that the text sorts by the time it was made."""

import re
from typing import Final

from typeid import TypeID

ID_LENGTH: Final = 40  # the longest prefix, "_" and 26 characters, with room
SUFFIX = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")  # Crockford's base 32


def new_id(prefix: str) -> str:
    """Make an id such as `trunk_01m8...`; prefixes: trunk, asst, ws, key, evt, call, inst, run."""
    return str(TypeID(prefix=prefix))


def is_id(prefix: str, text: str) -> bool:
    """Tell whether a text has the form of an id of this kind."""
    kind, _, suffix = text.partition("_")
    return kind == prefix and bool(SUFFIX.fullmatch(suffix))
