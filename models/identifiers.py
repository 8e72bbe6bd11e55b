"""TypeIDs: `trunk_` and 26 characters, a UUIDv7 inside, so that the text sorts by the time it was made."""

from typing import Final

from typeid import TypeID

ID_LENGTH: Final = 40  # the longest prefix, "_" and 26 characters, with room


def new_id(prefix: str) -> str:
    """Make an id such as `trunk_01m8...`; prefixes: trunk, ws, key, inst, run."""
    return str(TypeID(prefix=prefix))
