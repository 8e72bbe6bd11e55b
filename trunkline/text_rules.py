"""The rules of the plain fields: names, credentials, port and media encryption. The password is never quoted."""

import re

from models.sip_trunk import (
    NICKNAME_MAX,
    PASSWORD_MAX,
    PASSWORD_MIN,
    PASSWORD_STRONG,
    PORT_MAX,
    PORT_MIN,
    USERNAME_MAX,
    USERNAME_MIN,
    MediaEncryption,
    SipTransport,
)
from trunkline.problems import Code, Notice, NoticeCode, Path, Problem

NICKNAME: Path = ("input", "nickname")
USERNAME: Path = ("input", "sipUsername")
PASSWORD: Path = ("input", "sipPassword")
PORT: Path = ("input", "sipPort")
ENCRYPTION: Path = ("input", "mediaEncryption")

# Unicode Cc, and lone surrogates, which JSON can carry but UTF-8 and with it every database and LiveKit cannot.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
USERNAME_TEXT = re.compile(r"[!#-\[\]-~]*")  # printable ASCII without blank, quotation mark and backslash


def problems_of_a_name(text: str, field: str, longest: int) -> list[Problem]:
    """A trimmed text that has to be there: the name of an assistant, a workspace, a key."""
    path: Path = ("input", field)
    if not text:
        return [Problem(Code.REQUIRED, f"{field} is required.", path)]
    if CONTROL.search(text):
        return [Problem(Code.INVALID_FORMAT, f"{field} may not contain control characters.", path)]
    return [Problem(Code.TOO_LONG, f"{field} has at most {longest} characters.", path)] if len(text) > longest else []


def nickname_is_not_too_long(nickname: str) -> Problem | None:
    """Counted in characters."""
    if len(nickname) <= NICKNAME_MAX:
        return None
    return Problem(Code.TOO_LONG, f"The nickname may have at most {NICKNAME_MAX} characters.", NICKNAME)


def nickname_has_no_control_characters(nickname: str) -> Problem | None:
    """A nickname is one line of text."""
    if not CONTROL.search(nickname):
        return None
    return Problem(Code.INVALID_FORMAT, "The nickname may not contain control characters.", NICKNAME)


def username_is_given(username: str) -> Problem | None:
    """Every carrier's digest has a user name."""
    return None if username else Problem(Code.REQUIRED, "SIP username is required.", USERNAME)


def username_is_not_too_short(username: str) -> Problem | None:
    """A blank one is told as missing."""
    if not username or len(username) >= USERNAME_MIN:
        return None
    return Problem(Code.TOO_SHORT, f"The SIP username needs at least {USERNAME_MIN} characters.", USERNAME)


def username_is_not_too_long(username: str) -> Problem | None:
    """Counted in characters."""
    if len(username) <= USERNAME_MAX:
        return None
    return Problem(Code.TOO_LONG, f"The SIP username may have at most {USERNAME_MAX} characters.", USERNAME)


def username_is_plain_text(username: str) -> Problem | None:
    """It stands between quotation marks in the digest header (RFC 3261 section 22.4)."""
    if USERNAME_TEXT.fullmatch(username):
        return None
    message = 'The SIP username may only contain printable ASCII characters, without blanks, " and \\.'
    return Problem(Code.INVALID_FORMAT, message, USERNAME)


def password_is_given(password: str) -> Problem | None:
    """A password of blanks is one: it is never trimmed."""
    return None if password else Problem(Code.REQUIRED, "SIP password is required.", PASSWORD)


def password_is_not_too_short(password: str) -> Problem | None:
    """An empty one is told as missing."""
    if not password or len(password) >= PASSWORD_MIN:
        return None
    return Problem(Code.TOO_SHORT, f"The SIP password needs at least {PASSWORD_MIN} characters.", PASSWORD)


def password_is_not_too_long(password: str) -> Problem | None:
    """Counted in characters."""
    if len(password) <= PASSWORD_MAX:
        return None
    return Problem(Code.TOO_LONG, f"The SIP password may have at most {PASSWORD_MAX} characters.", PASSWORD)


def password_has_no_control_characters(password: str) -> Problem | None:
    """A line break in it is a slip of copying."""
    if not CONTROL.search(password):
        return None
    return Problem(Code.INVALID_FORMAT, "The SIP password may not contain control characters.", PASSWORD)


def password_is_strong(password: str) -> Notice | None:
    """Scanners guess short SIP passwords all day; a carrier may leave no choice."""
    if not PASSWORD_MIN <= len(password) < PASSWORD_STRONG:
        return None
    message = f"The SIP password has fewer than {PASSWORD_STRONG} characters: a longer one is harder to guess."
    return Notice(NoticeCode.WEAK_PASSWORD, message, PASSWORD)


def port_is_in_range(port: int | None) -> Problem | None:
    """Left out: the transport's default."""
    if port is None or PORT_MIN <= port <= PORT_MAX:
        return None
    return Problem(Code.OUT_OF_RANGE, f"The SIP port must be from {PORT_MIN} to {PORT_MAX}.", PORT)


def srtp_keys_travel_encrypted(encryption: MediaEncryption, transport: SipTransport) -> Notice | None:
    """SDES keys stand in the SIP message (RFC 4568 section 7): without TLS everybody on the way can read them."""
    if transport is SipTransport.TLS or encryption not in {MediaEncryption.ALLOWED, MediaEncryption.REQUIRED}:
        return None
    message = (
        f"Over {transport} the SRTP keys can be read on the way, so they protect nothing: set sipTransport to TLS."
    )
    return Notice(NoticeCode.SRTP_KEYS_EXPOSED, message, ENCRYPTION)
