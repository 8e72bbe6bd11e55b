"""phone.py: numbers, national forms, the dialled form, LiveKit's normalisation."""

import re

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sip_trunk import SipCallingFormat, SipTrunkType
from trunkline.countries import ISO_3166_1, KNOWN_COUNTRIES, OTHERS_WITH_NUMBERS, SHARED_CALLING_CODES
from trunkline.phone import (
    E164,
    NoForm,
    called_text_key,
    called_texts,
    caller_id,
    calling_code_of,
    dialled_form,
    parse_number,
    without_separators,
)

PLUS_E164, PLAIN, NATIONAL = SipCallingFormat.PLUS_E164, SipCallingFormat.E164, SipCallingFormat.NATIONAL


# What "national" produces, fixed line and mobile, for the countries that differ.
@pytest.mark.parametrize(
    ("e164", "national"),
    [
        ("+12015550123", "2015550123"),
        ("+15062345678", "5062345678"),
        ("+441212345678", "01212345678"),
        ("+447400123456", "07400123456"),
        ("+40741926265", "0741926265"),
        ("+40211234567", "0211234567"),
        ("+390212345678", "0212345678"),
        ("+393123456789", "3123456789"),
        ("+34612345678", "612345678"),
        ("+73011234567", "83011234567"),
        ("+79123456789", "89123456789"),
        ("+77710009998", "87710009998"),
        ("+375294911911", "80294911911"),
        ("+36201234567", "06201234567"),
        ("+5511961234567", "11961234567"),
        ("+573211234567", "3211234567"),
        ("+8613123456789", "13123456789"),
        ("+541123456789", "01123456789"),
        ("+819012345678", "09012345678"),
        ("+6581234567", "81234567"),
    ],
)
def test_the_national_form_is_what_is_dialled_inside_the_country(e164: str, national: str) -> None:
    number = parse_number(e164, "valid")
    assert (number and number.national) == national


def test_of_all_example_numbers_only_argentine_mobiles_have_no_national_form() -> None:
    without_form = set()
    for region in phonenumbers.SUPPORTED_REGIONS:
        for kind in phonenumbers.PhoneNumberType.values():
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None:
                continue
            number = parse_number(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164), "possible")
            assert number
            if isinstance(number.national, NoForm):
                without_form.add(number.e164[:4])
    assert without_form == {"+549"}


@pytest.mark.parametrize("e164", ["+80012345678", "+870301234567", "+8823421234", "+979123456789"])
def test_a_number_of_no_country_has_neither_region_nor_national_form(e164: str) -> None:
    number = parse_number(e164, "valid")
    assert number
    assert number.shared
    assert number.region is None
    assert isinstance(number.national, NoForm)


@pytest.mark.parametrize("e164", ["+999123456", "+15555555555", "+401", "+49", "+4412"])
def test_a_number_that_does_not_exist_is_none(e164: str) -> None:
    assert parse_number(e164, "valid") is None


def test_a_possible_number_need_not_be_valid() -> None:
    assert parse_number("+12005550123", "valid") is None
    number = parse_number("+12005550123", "possible")
    assert number
    assert number.region is None
    assert not number.shared


@given(st.from_regex(r"\+[1-9][0-9]{1,14}", fullmatch=True), st.sampled_from(["valid", "possible"]))
@settings(deadline=None, max_examples=300)
def test_what_is_stored_is_e164_and_reads_the_same_again(text: str, check: str) -> None:
    number = parse_number(text, "valid" if check == "valid" else "possible")
    if number is not None:
        assert E164.fullmatch(number.e164)
        assert parse_number(number.e164, None) == number


def test_the_country_list_is_iso_and_not_the_list_of_phonenumbers() -> None:
    regions = set(phonenumbers.SUPPORTED_REGIONS)
    assert len(ISO_3166_1) == 249
    assert ISO_3166_1 - regions == set(SHARED_CALLING_CODES)
    assert regions - ISO_3166_1 == OTHERS_WITH_NUMBERS
    assert all(re.fullmatch("[A-Z]{2}", country) for country in KNOWN_COUNTRIES)


def test_every_known_country_has_a_calling_code() -> None:
    assert [country for country in KNOWN_COUNTRIES if not calling_code_of(country)] == []
    assert (calling_code_of("XK"), calling_code_of("AC"), calling_code_of("TA")) == (383, 247, 290)
    assert calling_code_of("PN") == 64


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("14155551234", "+14155551234"),
        ("+14155551234", "+14155551234"),
        ("10-00", "+1000"),
        ("+1000", "+1000"),
        ("12-1000", "+121000"),
        ("49 30 123", "+4930123"),
        ("(030) 123", "+030123"),
        ("030123", "+030123"),
        ("--", "+"),
        ("", ""),
        ("+", "+"),
        ("++1", "++1"),
        ("1+1", "1+1"),
        ("1.000", "1.000"),
        ("*97", "*97"),
        ("10_00", "10_00"),
        ("w12.1000", "w12.1000"),
        ("1000-w13", "1000-w13"),
        ("Anna", "Anna"),
        ("1000\n", "1000\n"),
        ("1000\t", "1000\t"),
        ("1000\u00a0", "1000\u00a0"),
        ("\u0661\u0662", "\u0661\u0662"),
    ],
)
def test_called_texts_are_compared_as_livekit_does(text: str, key: str) -> None:
    assert called_text_key(text) == key


@given(st.text())
@settings(deadline=None)
def test_a_key_is_its_own_key(text: str) -> None:
    assert called_text_key(called_text_key(text)) == called_text_key(text)


def test_blanks_dashes_dots_and_brackets_are_taken_away() -> None:
    assert without_separators("+1 (202) 555-01.23\u00a0\u202f\t") == "+12025550123"
    assert without_separators("+1/202\n555") == "+1/202\n555"


@pytest.mark.parametrize(
    ("kind", "stored", "calling_format", "texts", "caller"),
    [
        (SipTrunkType.NUMBER, "+40741926265", PLUS_E164, ("+40741926265",), "+40741926265"),
        (SipTrunkType.NUMBER, "+40741926265", PLAIN, ("+40741926265",), "40741926265"),
        (SipTrunkType.NUMBER, "+40741926265", NATIONAL, ("+40741926265", "0741926265"), "0741926265"),
        (SipTrunkType.NUMBER, "+5491123456789", NATIONAL, ("+5491123456789",), "+5491123456789"),
        (SipTrunkType.NUMBER, "+12005550123", NATIONAL, ("+12005550123", "2005550123"), "2005550123"),
        (SipTrunkType.EXTENSION, "1000", NATIONAL, ("1000",), "1000"),
        (SipTrunkType.EXTENSION, "anna.b", E164, ("anna.b",), "anna.b"),
    ],
)
def test_a_trunk_answers_to_its_number_and_calls_with_it(
    kind: SipTrunkType, stored: str, calling_format: SipCallingFormat, texts: tuple[str, ...], caller: str
) -> None:
    assert called_texts(kind, stored, calling_format) == texts
    assert caller_id(kind, stored, calling_format) == caller


@pytest.mark.parametrize(
    ("destination", "calling_format", "country", "form"),
    [
        ("+40741926265", PLUS_E164, "RO", "+40741926265"),
        ("+40741926265", PLAIN, "RO", "40741926265"),
        ("+40741926265", NATIONAL, "RO", "0741926265"),
        (" +40 741-926.265 ", NATIONAL, "RO", "0741926265"),
        ("+12015550123", NATIONAL, "US", "2015550123"),
        ("+390212345678", NATIONAL, "IT", "0212345678"),
        ("+79123456789", NATIONAL, "RU", "89123456789"),
        ("+40741926265", PLUS_E164, "US", "+40741926265"),
        ("+5491123456789", PLAIN, "AR", "5491123456789"),
        ("1000", NATIONAL, "RO", "1000"),
        ("*97", PLUS_E164, "RO", "*97"),
        ("anna.b_c-d", PLAIN, "RO", "anna.b_c-d"),
        ("0741926265", PLAIN, "RO", "0741926265"),
    ],
)
def test_a_destination_is_dialled_in_the_calling_format(
    destination: str, calling_format: SipCallingFormat, country: str, form: str
) -> None:
    assert dialled_form(destination, calling_format, country) == form


@pytest.mark.parametrize(
    ("destination", "calling_format", "country"),
    [
        ("+40741926265", NATIONAL, "US"),
        ("+14165550123", NATIONAL, "US"),
        ("+80012345678", NATIONAL, "US"),
        ("+12005550123", NATIONAL, "RO"),
        ("+5491123456789", NATIONAL, "AR"),
        ("+999123456", PLUS_E164, "US"),
        ("1000;ext=2", PLUS_E164, "US"),
        ("1000@host", PLUS_E164, "US"),
        ("10 00", PLUS_E164, "US"),
        ("sip:1000", PLUS_E164, "US"),
        ("", PLUS_E164, "US"),
        ("1000\x00", PLUS_E164, "US"),
        ("\u0661\u0662\u0663", PLUS_E164, "US"),
        ("1" * 65, PLUS_E164, "US"),
    ],
)
def test_a_destination_without_a_form_is_told_with_the_reason(
    destination: str, calling_format: SipCallingFormat, country: str
) -> None:
    form = dialled_form(destination, calling_format, country)
    assert isinstance(form, NoForm)
    assert form.reason.endswith(".")


@given(st.text(), st.sampled_from(SipCallingFormat))
@settings(deadline=None)
def test_nothing_is_dialled_that_could_inject_into_the_uri(text: str, calling_format: SipCallingFormat) -> None:
    form = dialled_form(text, calling_format, "US")
    assert isinstance(form, NoForm) or re.fullmatch(r"[+0-9A-Za-z._*-]+", form)
