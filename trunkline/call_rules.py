"""Whom a test call may call, since it costs money: what the operator listed, never premium-rate, satellite, emergency.

A number is compared digit by digit after parsing; a text without "+" only as a whole, for what it means is the
carrier's affair.
"""

from collections.abc import Iterable, Iterator

from models.sip_trunk import SipTrunk
from trunkline.phone import E164, without_separators
from trunkline.problems import Code, Path, Problem

FIELD: Path = ("input", "destination")
RING_FIELD: Path = ("input", "ringSeconds")
RING_MIN, RING_MAX = 1, 30
SETTING = "TRUNKLINE_TEST_CALL_DESTINATIONS"
# ITU-T E.164 country codes of no country: satellites, networks, shared cost, premium rate.
COSTLY_CODES = frozenset({808, 870, 878, 881, 882, 883, 888, 979})
FORBIDDEN = f"This destination is not in {SETTING}, where the operator of this installation lists what may be called."
NEVER = "Premium-rate, shared-cost, satellite and emergency numbers are never called."
UNKNOWN_NUMBER = "A test call goes to a number that exists: this one belongs to no known range."


def ring_seconds_are_in_range(seconds: int) -> Problem | None:
    """A test call may ring for 1-30 seconds."""
    if RING_MIN <= seconds <= RING_MAX:
        return None
    return Problem(Code.OUT_OF_RANGE, f"ringSeconds must be from {RING_MIN} to {RING_MAX}.", RING_FIELD)


def destination_is_allowed(destination: str, allowed: Iterable[str], trunk: SipTrunk) -> Problem | None:
    """Only what is listed, and nothing that is costly by its nature."""
    text = destination.strip()
    bare = without_separators(text)
    is_number = bool(E164.fullmatch(bare))
    listed = (each for each in allowed if each.startswith("+") is is_number)
    if not any(bare.startswith(each) if is_number else text == each for each in listed):
        return Problem(Code.FORBIDDEN, FORBIDDEN, FIELD)
    if any(_is_costly(reading, region) for reading, region in _readings(text, bare, trunk.country_code)):
        return Problem(Code.FORBIDDEN, NEVER, FIELD)
    if is_number and not _exists(bare):  # digits too many would be passed over on the way to a premium-rate number
        return Problem(Code.FORBIDDEN, UNKNOWN_NUMBER, FIELD)
    return None


def _readings(text: str, bare: str, country: str) -> Iterator[tuple[str, str | None]]:
    """What a carrier may take the digits for: E.164 with or without "+", or a number as dialled in the country."""
    if E164.fullmatch(bare):
        yield bare, None
    elif text.isascii() and text.isdigit():
        yield "+" + text, None
        yield text, country


def _exists(e164: str) -> bool:
    import phonenumbers

    return phonenumbers.is_valid_number(phonenumbers.parse(e164))


def _is_costly(text: str, region: str | None) -> bool:
    import phonenumbers

    if region and phonenumbers.connects_to_emergency_number(text, region):
        return True
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return False
    costly = (phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST)
    return number.country_code in COSTLY_CODES or phonenumbers.number_type(number) in costly
