"""Rules of phoneNumber, sipCallingFormat and countryCode."""

import pytest

from models.sip_trunk import SipCallingFormat, SipTrunkType
from tests.trunk_drafts import examined, extension_draft, notices, number_draft, problems
from trunkline.validation import Policy


@pytest.mark.parametrize("extension", ["1", "1000", "  1000  ", "anna.b_c-d*", "A" * 15, "007", "*97"])
def test_an_extension_is_stored_as_given(extension: str) -> None:
    normalized = examined(extension_draft(phone_number=extension)).normalized
    assert normalized
    assert normalized.phone_number == extension.strip()
    assert normalized.called_texts == (extension.strip(),)
    assert normalized.caller_id == extension.strip()


@pytest.mark.parametrize(
    ("extension", "codes"),
    [
        ("", ["REQUIRED"]),
        (" \u00a0 ", ["REQUIRED"]),
        ("1" * 16, ["TOO_LONG"]),
        ("10 00", ["INVALID_FORMAT"]),
        ("+1000", ["INVALID_FORMAT"]),
        ("1000;ext=2", ["INVALID_FORMAT"]),
        ("1000@host", ["INVALID_FORMAT"]),
        ("10#0", ["INVALID_FORMAT"]),
        ("1000\x00", ["INVALID_FORMAT"]),
        ("zoë", ["INVALID_FORMAT"]),
        ("\u0661\u0662", ["INVALID_FORMAT"]),
        ("\ud800", ["INVALID_FORMAT"]),
        ("+" + "1" * 15, ["TOO_LONG", "INVALID_FORMAT"]),
    ],
)
def test_a_bad_extension_is_told(extension: str, codes: list[str]) -> None:
    assert problems(extension_draft(phone_number=extension)) == [f"{code} phoneNumber" for code in codes]


@pytest.mark.parametrize(
    ("given", "stored", "country"),
    [
        ("+12025550123", "+12025550123", "US"),
        (" +1 (202) 555-01.23 ", "+12025550123", "US"),
        ("+40 741 926 265", "+40741926265", "RO"),
        ("+40\u00a0741\u202f926\t265", "+40741926265", "RO"),
        ("+400741926265", "+40741926265", "RO"),
        ("+390212345678", "+390212345678", "IT"),
        ("+14165550123", "+14165550123", "CA"),
        ("+441534440000", "+441534440000", "JE"),
        ("+38343201234", "+38343201234", "XK"),
    ],
)
def test_a_number_is_stored_as_e164_with_its_country(given: str, stored: str, country: str) -> None:
    normalized = examined(number_draft(phone_number=given)).normalized
    assert normalized
    assert (normalized.phone_number, normalized.country_code) == (stored, country)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("", "REQUIRED"),
        ("  ", "REQUIRED"),
        ("--", "INVALID_FORMAT"),
        ("12025550123", "INVALID_FORMAT"),
        ("0012025550123", "INVALID_FORMAT"),
        ("+02025550123", "INVALID_FORMAT"),
        ("+1", "INVALID_FORMAT"),
        ("++12025550123", "INVALID_FORMAT"),
        ("+1234567890123456", "INVALID_FORMAT"),
        ("+1800FLOWERS", "INVALID_FORMAT"),
        ("+12025550123;ext=5", "INVALID_FORMAT"),
        ("+12025550123 x5", "INVALID_FORMAT"),
        ("tel:+12025550123", "INVALID_FORMAT"),
        ("+1202\n5550123", "INVALID_FORMAT"),
        ("+12025550123\x00", "INVALID_FORMAT"),
        ("+1/2025550123", "INVALID_FORMAT"),
        ("+\u0661\u0662\u0660\u0662\u0665\u0665\u0665\u0660\u0661\u0662\u0663", "INVALID_FORMAT"),
        ("\uff0b12025550123", "INVALID_FORMAT"),
        ("+1202555\ud800", "INVALID_FORMAT"),
        ("+12005550123", "INVALID_PHONE_NUMBER"),
        ("+120255501234", "INVALID_PHONE_NUMBER"),
        ("+12", "INVALID_PHONE_NUMBER"),
        ("+999123456789", "INVALID_PHONE_NUMBER"),
        ("+123456789012345", "INVALID_PHONE_NUMBER"),
    ],
)
def test_a_bad_number_is_told(number: str, code: str) -> None:
    assert problems(number_draft(phone_number=number)) == [f"{code} phoneNumber"]


def test_possible_numbers_pass_where_the_operator_says_so() -> None:
    draft = number_draft(phone_number="+12005550123", country_code="US")
    assert problems(draft, Policy(phone_check="possible")) == []
    assert problems(draft) == ["INVALID_PHONE_NUMBER phoneNumber"]
    assert problems(number_draft(phone_number="+1202555012"), Policy(phone_check="possible")) != []


@pytest.mark.parametrize(
    ("calling_format", "called_texts", "caller_id"),
    [
        (SipCallingFormat.PLUS_E164, ("+40741926265",), "+40741926265"),
        (SipCallingFormat.E164, ("+40741926265",), "40741926265"),
        (SipCallingFormat.NATIONAL, ("+40741926265", "0741926265"), "0741926265"),
    ],
)
def test_the_calling_format_writes_the_caller_id_and_national_is_answered_too(
    calling_format: SipCallingFormat, called_texts: tuple[str, ...], caller_id: str
) -> None:
    normalized = examined(number_draft(phone_number="+40741926265", sip_calling_format=calling_format)).normalized
    assert normalized
    assert normalized.called_texts == called_texts
    assert normalized.caller_id == caller_id


def test_national_is_refused_for_an_argentine_mobile_only() -> None:
    national = SipCallingFormat.NATIONAL
    mobile = number_draft(phone_number="+5491123456789", sip_calling_format=national)
    assert problems(mobile) == ["INVALID_FORMAT sipCallingFormat"]
    assert problems(number_draft(phone_number="+541123456789", sip_calling_format=national)) == []
    assert problems(number_draft(phone_number="+5491123456789", sip_calling_format=SipCallingFormat.E164)) == []
    assert problems(extension_draft(sip_calling_format=national)) == []


@pytest.mark.parametrize(
    ("number", "country", "stored", "notice"),
    [
        ("+12025550123", None, "US", []),
        ("+12025550123", "", "US", []),
        ("+12025550123", " us ", "US", []),
        ("+12025550123", "CA", "US", ["COUNTRY_DETECTED countryCode"]),
        ("+12025550123", "um", "US", ["COUNTRY_DETECTED countryCode"]),
        ("+441534440000", "GB", "JE", ["COUNTRY_DETECTED countryCode"]),
        ("+77710009998", "RU", "KZ", ["COUNTRY_DETECTED countryCode"]),
        ("+6448314000", "PN", "NZ", ["COUNTRY_DETECTED countryCode"]),
        ("+80012345678", "DE", "DE", []),
        ("+80012345678", "ac", "AC", []),
        ("+38343201234", "XK", "XK", []),
    ],
)
def test_the_country_of_a_number_is_detected(number: str, country: str | None, stored: str, notice: list[str]) -> None:
    draft = number_draft(phone_number=number, country_code=country)
    normalized = examined(draft).normalized
    assert normalized
    assert normalized.country_code == stored
    assert notices(draft) == notice


@pytest.mark.parametrize(
    ("number", "country", "code"),
    [
        ("+12025550123", "RO", "COUNTRY_MISMATCH"),
        ("+40741926265", "US", "COUNTRY_MISMATCH"),
        ("+40741926265", "AQ", "COUNTRY_MISMATCH"),
        ("+80012345678", None, "REQUIRED"),
        ("+80012345678", "  ", "REQUIRED"),
        ("+80012345678", "ZZ", "INVALID_COUNTRY"),
        ("+12025550123", "ZZ", "INVALID_COUNTRY"),
        ("+12025550123", "USA", "INVALID_COUNTRY"),
        ("+12025550123", "001", "INVALID_COUNTRY"),
        ("+12025550123", "EU", "INVALID_COUNTRY"),
        ("+12025550123", "UK", "INVALID_COUNTRY"),
        ("+12025550123", "ß", "INVALID_COUNTRY"),
        ("+12025550123", "u\u017f", "INVALID_COUNTRY"),
        ("+12025550123", "u\x00", "INVALID_COUNTRY"),
        ("+12025550123", "\ud800", "INVALID_COUNTRY"),
    ],
)
def test_a_country_that_does_not_fit_the_number_is_told(number: str, country: str | None, code: str) -> None:
    draft = number_draft(phone_number=number, country_code=country)
    assert problems(draft) == [f"{code} countryCode"]
    assert notices(draft) == []


def test_a_possible_number_without_a_region_keeps_to_its_calling_code() -> None:
    policy = Policy(phone_check="possible")
    assert problems(number_draft(phone_number="+12005550123"), policy) == ["REQUIRED countryCode"]
    elsewhere = number_draft(phone_number="+12005550123", country_code="RO")
    assert problems(elsewhere, policy) == ["COUNTRY_MISMATCH countryCode"]
    normalized = examined(number_draft(phone_number="+12005550123", country_code="ca"), policy).normalized
    assert normalized
    assert normalized.country_code == "CA"


@pytest.mark.parametrize(("country", "told"), [(None, ["REQUIRED countryCode"]), (" ", ["REQUIRED countryCode"])])
def test_an_extension_needs_a_country(country: str | None, told: list[str]) -> None:
    assert problems(extension_draft(country_code=country)) == told


@pytest.mark.parametrize("country", ["US", "ro", "XK", "AC", "TA", "AQ", "BV", "GS", "HM", "PN", "TF", "UM", "SS"])
def test_an_extension_takes_every_known_country(country: str) -> None:
    normalized = examined(extension_draft(country_code=country)).normalized
    assert normalized
    assert normalized.country_code == country.upper()


@pytest.mark.parametrize("kind", SipTrunkType)
@pytest.mark.parametrize(("country", "told"), [(None, []), ("RO", []), ("ZZ", ["INVALID_COUNTRY countryCode"])])
def test_beside_a_bad_number_only_an_unknown_country_is_told(
    kind: SipTrunkType, country: str | None, told: list[str]
) -> None:
    draft = number_draft(sip_trunk_type=kind, phone_number="+1;2", country_code=country)
    assert problems(draft) == ["INVALID_FORMAT phoneNumber", *told]
    assert notices(draft) == []
