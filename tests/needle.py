"""The searcher of the needle tests: whether a secret stands in some bytes, plainly or in a form that anybody can undo.

Both halves of the secret are looked for, so that neither a cut nor the end of a database page hides it.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

LEAST = 16  # characters; each half of a shorter secret could be there by chance


def traces(secret: str, haystack: bytes) -> list[str]:
    """The forms in which the haystack holds the secret, or half of it."""
    assert len(secret) >= LEAST
    lowered = haystack.lower()
    middle = len(secret) // 2
    found = {
        name
        for half in (secret[:middle], secret[middle:])
        for name, form in forms(half)
        if (form in haystack if name == "base64" else form.lower() in lowered)
    }
    return sorted(found)


def traces_in(folder: Path, secret: str) -> dict[str, list[str]]:
    """The files of a folder that hold the secret, each with the forms."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = {str(path.relative_to(folder)): traces(secret, path.read_bytes()) for path in files}
    return {name: names for name, names in found.items() if names}


def forms(text: str) -> Iterator[tuple[str, bytes]]:
    """Every form of a text, by the name of its encoding; case matters in base64 only."""
    raw = text.encode()
    yield "plain", raw
    yield "UTF-16", text.encode("utf-16-le")
    yield "UTF-16", text.encode("utf-16-be")
    yield "hex", raw.hex().encode()
    yield "hex", "".join(f"\\x{byte:02x}" for byte in raw).encode()
    yield "URL", quote(text, safe="").encode()
    yield "URL", "".join(f"%{byte:02x}" for byte in raw).encode()
    yield "JSON", json.dumps(text)[1:-1].encode()
    yield "JSON", "".join(f"\\u{ord(character):04x}" for character in text).encode()
    for before in range(3):
        encoded = _base64_within(raw, before)
        yield "base64", encoded
        yield "base64", encoded.translate(bytes.maketrans(b"+/", b"-_"))


def _base64_within(raw: bytes, before: int) -> bytes:
    """What base64 makes of some bytes wherever `before` (mod 3) others stand before them: the digits of ours alone."""
    encoded = base64.b64encode(bytes(before) + raw)
    return encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
