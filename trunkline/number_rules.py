"""The rules of phoneNumber and of what depends on it: the calling format and the country."""

import re
from dataclasses import dataclass

from models.sip_trunk import EXTENSION_MAX, SipCallingFormat, SipTrunkType
from trunkline.countries import KNOWN_COUNTRIES
from trunkline.phone import (
    E164,
    NoForm,
    PhoneNumber,
    calling_code_of,
    in_calling_format,
    parse_number,
    without_separators,
)
from trunkline.problems import Code, Notice, NoticeCode, Path, Problem
from trunkline.setting_values import PhoneCheck

PHONE_NUMBER: Path = ("input", "phoneNumber")
CALLING_FORMAT: Path = ("input", "sipCallingFormat")
COUNTRY: Path = ("input", "countryCode")
EXTENSION_TEXT = re.compile(r"[A-Za-z0-9._*-]*")


@dataclass(frozen=True, slots=True)
class OwnNumber:
    """The trunk's own number as it was given.

    text    trimmed; of a NUMBER also without blanks, dashes, dots and brackets
    number  what phonenumbers made of it; None for an extension and for what is no number
    """

    kind: SipTrunkType
    given: str
    text: str
    number: PhoneNumber | None

    @property
    def is_good(self) -> bool:
        """Whether phoneNumber has no problem of its own."""
        if self.kind is SipTrunkType.NUMBER:
            return self.number is not None
        return 0 < len(self.text) <= EXTENSION_MAX and EXTENSION_TEXT.fullmatch(self.text) is not None

    @property
    def stored(self) -> str:
        """E.164 or the extension."""
        return self.number.e164 if self.number else self.text


def read_own_number(kind: SipTrunkType, given: str, check: PhoneCheck) -> OwnNumber:
    """Read phoneNumber once, for all of its rules."""
    trimmed = given.strip()
    if kind is SipTrunkType.EXTENSION:
        return OwnNumber(kind, trimmed, trimmed, None)
    text = without_separators(trimmed)
    return OwnNumber(kind, trimmed, text, parse_number(text, check) if E164.fullmatch(text) else None)


def country_of(own: OwnNumber, country: str | None) -> str | None:
    """The country that is stored: the number's own wins."""
    return own.number.region if own.number and own.number.region else country


def phone_number_is_given(own: OwnNumber) -> Problem | None:
    """A trunk without a number cannot be called."""
    return None if own.given else Problem(Code.REQUIRED, "Phone number is required.", PHONE_NUMBER)


def extension_is_not_too_long(own: OwnNumber) -> Problem | None:
    """Counted in characters."""
    if own.kind is not SipTrunkType.EXTENSION or len(own.text) <= EXTENSION_MAX:
        return None
    return Problem(Code.TOO_LONG, f"An extension may have at most {EXTENSION_MAX} characters.", PHONE_NUMBER)


def extension_is_dialable(own: OwnNumber) -> Problem | None:
    """Anything else would need escaping in a SIP URI, or would change its meaning."""
    if own.kind is not SipTrunkType.EXTENSION or EXTENSION_TEXT.fullmatch(own.text):
        return None
    return Problem(Code.INVALID_FORMAT, "An extension may only contain A-Z a-z 0-9 . _ - *.", PHONE_NUMBER)


def number_is_international(own: OwnNumber) -> Problem | None:
    """Phonenumbers alone would take letters, other scripts' digits and `;ext=`."""
    if own.kind is not SipTrunkType.NUMBER or not own.given or E164.fullmatch(own.text):
        return None
    message = (
        "A phone number starts with + and the country's calling code, such as +12025550123, and has at most 15 digits."
    )
    return Problem(Code.INVALID_FORMAT, message, PHONE_NUMBER)


def number_exists(own: OwnNumber) -> Problem | None:
    """What phonenumbers decides, by TRUNKLINE_PHONE_CHECK."""
    if own.kind is not SipTrunkType.NUMBER or own.number or not E164.fullmatch(own.text):
        return None
    message = "This phone number does not exist: check the calling code and the number of digits."
    return Problem(Code.INVALID_PHONE_NUMBER, message, PHONE_NUMBER)


def calling_format_has_a_form(own: OwnNumber, calling_format: SipCallingFormat) -> Problem | None:
    """NATIONAL needs a national form of the own number."""
    form = in_calling_format(own.number, calling_format) if own.number else ""
    return Problem(Code.INVALID_FORMAT, form.reason, CALLING_FORMAT) if isinstance(form, NoForm) else None


def country_is_known(country: str | None) -> Problem | None:
    """Told even while phoneNumber has a problem; nothing else about the country is."""
    if country is None or country in KNOWN_COUNTRIES:
        return None
    return Problem(
        Code.INVALID_COUNTRY, "The country code must be one of ISO 3166-1 alpha-2, such as US or RO.", COUNTRY
    )


def country_is_given_or_detected(own: OwnNumber, country: str | None) -> Problem | None:
    """An extension tells no country, nor does +800."""
    if country or not own.is_good or country_of(own, None):
        return None
    reason = "an extension" if own.kind is SipTrunkType.EXTENSION else "this number"
    return Problem(Code.REQUIRED, f"Country code is required: it cannot be told from {reason}.", COUNTRY)


def country_has_the_numbers_calling_code(own: OwnNumber, country: str | None) -> Problem | None:
    """A number of no country (+800) goes with any."""
    number = own.number
    if number is None or number.shared or country not in KNOWN_COUNTRIES or country == number.region:
        return None
    if calling_code_of(country) == number.calling_code:
        return None
    message = (
        f"The phone number has the calling code +{number.calling_code}, which {country} does not have. "
        "Leave the country code out: it is detected from the number."
    )
    return Problem(Code.COUNTRY_MISMATCH, message, COUNTRY)


def detected_country_is_the_one_given(own: OwnNumber, country: str | None) -> Notice | None:
    """Where countries share a calling code (+1, +44, +7) the number itself tells which one it is."""
    number = own.number
    if number is None or number.region in {None, country} or country not in KNOWN_COUNTRIES:
        return None
    if calling_code_of(country) != number.calling_code:
        return None
    message = f"The phone number belongs to {number.region}, not to {country}: {number.region} is stored."
    return Notice(NoticeCode.COUNTRY_DETECTED, message, COUNTRY)
