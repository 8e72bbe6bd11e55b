"""Whom a test call may call, since it costs money: what the operator listed, never premium-rate, satellite, emergency.

A number is compared as it is dialled, digit by digit; a text without "+" only as a whole, for what it means is the
carrier's affair.
"""

import re
from collections.abc import Iterable, Iterator

from models.sip_trunk import SipTrunk
from trunkline.phone import E164, PhoneNumber, parse_number, without_separators
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
    number = parse_number(bare, None) if E164.fullmatch(bare) else None
    called = number.e164 if number else text  # what is dialled: phonenumbers takes away prefixes of a country's own
    listed = (each for each in allowed if each.startswith("+") is bool(number))
    if not any(called.startswith(each) if number else called == each for each in listed):
        return Problem(Code.FORBIDDEN, FORBIDDEN, FIELD)
    if any(_is_costly(reading, region) for reading, region in _readings(called, number, trunk.country_code)):
        return Problem(Code.FORBIDDEN, NEVER, FIELD)
    if number and not _exists(called):  # digits too many would be passed over on the way to a premium-rate number
        return Problem(Code.FORBIDDEN, UNKNOWN_NUMBER, FIELD)
    return None


def _readings(called: str, number: PhoneNumber | None, country: str) -> Iterator[tuple[str, str | None]]:
    """What a carrier may take the digits for: E.164 with or without "+", or a number as dialled in the country."""
    if number:
        yield called, None
    elif digits := re.sub("[^0-9]", "", called) if not re.search("[A-Za-z]", called) else "":
        yield "+" + digits, None
        yield digits, country


def _exists(e164: str) -> bool:
    number = parse_number(e164, "valid")
    return number is not None and number.e164 == e164


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
