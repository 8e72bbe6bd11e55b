"""Phone numbers, how they are written, and which texts LiveKit takes for equal. Refuses to guess a form."""

import re
from dataclasses import dataclass
from typing import Literal

from models.sip_trunk import SipCallingFormat, SipTrunkType
from trunkline.countries import SHARED_CALLING_CODES

E164 = re.compile(r"\+[1-9][0-9]{1,14}")  # ITU-T E.164: at most 15 digits
DIALLED_TEXT = re.compile(r"[+0-9A-Za-z._*-]{1,64}")  # no ";" or "@": LiveKit sends it as it is into the request URI
LIVEKIT_NUMBER = re.compile(r"\+?[0-9\- ()]+")  # livekit/protocol, livekit/sip.go: reNumber
SEPARATORS = str.maketrans("", "", " \t\u00a0\u202f-.()")  # blanks as people and web pages write them
LIVEKIT_SEPARATORS = str.maketrans("", "", " -()")
NO_REGION = "001"  # phonenumbers: the region of +800, +870 and the like


@dataclass(frozen=True, slots=True)
class NoForm:
    """Why a number cannot be written in the form that was asked for: a sentence for a person."""

    reason: str


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A number as phonenumbers understands it, read once.

    e164          with "+"
    calling_code  1, 40, 800 ...
    shared        the calling code belongs to no country (+800, +870 ...)
    region        ISO 3166-1 alpha-2, AC, TA or XK; None when the number belongs to no one country
    national      the digits one dials inside the country, or why there are none
    """

    e164: str
    calling_code: int
    shared: bool
    region: str | None
    national: str | NoForm


def without_separators(text: str) -> str:
    """Take away blanks, dashes, dots and brackets."""
    return text.translate(SEPARATORS)


def parse_number(e164: str, check: Literal["valid", "possible"] | None) -> PhoneNumber | None:
    """Read a text that matches E164; None when no such number exists (`valid`) or could exist (`possible`).

    Without a check only an unknown calling code gives None: what was stored once must be read for ever.
    """
    import phonenumbers

    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return None
    if check == "valid" and not phonenumbers.is_valid_number(number):
        return None
    if check == "possible" and not phonenumbers.is_possible_number(number):
        return None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not E164.fullmatch(written):
        return None
    calling_code = number.country_code or 0
    shared = phonenumbers.region_code_for_country_code(calling_code) == NO_REGION
    formatted = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    return PhoneNumber(
        e164=written,
        calling_code=calling_code,
        shared=shared,
        region=None if shared else phonenumbers.region_code_for_number(number),
        national=_national_form(formatted, phonenumbers.national_significant_number(number), shared=shared),
    )


def _national_form(formatted: str, significant: str, *, shared: bool) -> str | NoForm:
    """Digits of the NATIONAL format: it has the country's trunk prefix exactly where one is dialled."""
    if shared:
        return NoForm("This number belongs to no country, so it has no national form. Use PLUS_E164 or E164.")
    digits = re.sub("[^0-9]", "", formatted)
    if not digits.endswith(significant):
        # Argentine mobiles alone: the 9 goes and a 15 comes into the middle, and carriers agree on neither.
        return NoForm("An Argentine mobile number has no national form that carriers take. Use PLUS_E164 or E164.")
    return digits


def calling_code_of(country: str) -> int | None:
    """The calling code of a known country; None when it has none."""
    import phonenumbers

    return phonenumbers.country_code_for_region(country) or SHARED_CALLING_CODES.get(country)


def in_calling_format(number: PhoneNumber, calling_format: SipCallingFormat) -> str | NoForm:
    """Write a number as the carrier wants to see it."""
    match calling_format:
        case SipCallingFormat.PLUS_E164:
            return number.e164
        case SipCallingFormat.E164:
            return number.e164.removeprefix("+")
        case SipCallingFormat.NATIONAL:
            return number.national


def called_texts(kind: SipTrunkType, stored: str, calling_format: SipCallingFormat) -> tuple[str, ...]:
    """What an inbound trunk answers to: with NATIONAL the carrier may deliver the national digits, too."""
    if kind is SipTrunkType.EXTENSION or calling_format is not SipCallingFormat.NATIONAL:
        return (stored,)
    return tuple(dict.fromkeys((stored, caller_id(kind, stored, calling_format))))


def caller_id(kind: SipTrunkType, stored: str, calling_format: SipCallingFormat) -> str:
    """What the carrier sees as the caller: the own number in the calling format, an extension as it is."""
    if kind is SipTrunkType.EXTENSION:
        return stored
    number = parse_number(stored, None)
    form = in_calling_format(number, calling_format) if number else stored
    return stored if isinstance(form, NoForm) else form


def dialled_form(destination: str, calling_format: SipCallingFormat, trunk_country: str) -> str | NoForm:
    """What is sent as the called user: a number in the trunk's calling format, an extension or short code as it is.

    Args:
        destination: E.164 with "+" (blanks, dashes, dots and brackets are taken away), an extension or a short code.
        calling_format: the trunk's.
        trunk_country: the trunk's country code; a number of another country has no national form.
    """
    text = destination.strip()
    bare = without_separators(text)
    if E164.fullmatch(bare):
        return _number_as_dialled(bare, calling_format, trunk_country)
    if DIALLED_TEXT.fullmatch(text):
        return text
    return NoForm("A destination is a number such as +12025550123, or an extension of A-Z a-z 0-9 + . _ * -.")


def _number_as_dialled(e164: str, calling_format: SipCallingFormat, trunk_country: str) -> str | NoForm:
    number = parse_number(e164, "possible")
    if number is None:
        return NoForm("The destination is not a phone number that can exist.")
    if calling_format is SipCallingFormat.NATIONAL and number.region != trunk_country:
        return NoForm(
            f"The destination is not a number of {trunk_country}, the trunk's country: "
            "a number of another country has no national form."
        )
    return in_calling_format(number, calling_format)


def called_text_key(text: str) -> str:
    """The text under which LiveKit compares called numbers: `10-00` and `+1000` are one, texts with a letter are exact.

    The same steps as NormalizeNumber in livekit/protocol, livekit/sip.go; its `d` class means ASCII digits.
    """
    if not LIVEKIT_NUMBER.fullmatch(text):
        return text
    return "+" + text.translate(LIVEKIT_SEPARATORS).removeprefix("+")
