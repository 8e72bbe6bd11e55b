"""Whom a test call may call: what is listed, digit by digit, and never what is costly or urgent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.sip_trunk import SipCallingFormat, SipTrunk
from trunkline.call_rules import FORBIDDEN, NEVER, UNKNOWN_NUMBER, destination_is_allowed, ring_seconds_are_in_range
from trunkline.phone import dialled_form
from trunkline.problems import Code

TRUNK = SipTrunk(country_code="RO")
LISTED = ("+40", "+4930123", "1000")


def refused(destination: str, *allowed: str) -> str | None:
    problem = destination_is_allowed(destination, allowed or LISTED, TRUNK)
    if problem:
        assert (problem.code, problem.field) == (Code.FORBIDDEN, ("input", "destination"))
    return problem.message if problem else None


@pytest.mark.parametrize("destination", ["+40741926265", " +40 (741) 926-265 ", "+40.741.926.265", "1000", " 1000 "])
def test_what_is_listed_is_allowed(destination: str) -> None:
    assert refused(destination) is None


@pytest.mark.parametrize(
    "destination",
    [
        "+4930999999",
        "+49",
        "+441214960000",
        "40741926265",  # what it means is the carrier's affair
        "0040741926265",
        "0741926265",
        "10001",
        "100",
        "1 000",
        "1000;ext=2",
        "1000@elsewhere",
        "+1000",
        "++40741926265",
        "+0040741926265",
        "\N{FULLWIDTH PLUS SIGN}40741926265",
        "+\N{ARABIC-INDIC DIGIT FOUR}\N{ARABIC-INDIC DIGIT ZERO}741926265",
        "",
        "+",
    ],
)
def test_what_is_not_listed_is_not(destination: str) -> None:
    assert refused(destination)


def test_nothing_is_listed_by_default() -> None:
    problem = destination_is_allowed("+40741926265", (), TRUNK)
    assert problem
    assert "TRUNKLINE_TEST_CALL_DESTINATIONS" in problem.message


@pytest.mark.parametrize(
    ("destination", "listed"),
    [
        ("+40906123456", "+40"),  # premium rate
        ("+449098790879", "+44"),
        ("+8702123456", "+870"),
        ("+881612345678", "+8"),
        ("+88213123456", "+882"),
        ("+979123456789", "+979"),
        ("0906123456", "0906123456"),
        ("40906123456", "40906123456"),
        ("112", "112"),  # emergency
        ("1.1-2", "1.1-2"),
        ("40-906-123456", "40-906-123456"),
        ("_0906.123456*", "_0906.123456*"),
    ],
)
def test_what_is_costly_or_urgent_is_never_called(destination: str, listed: str) -> None:
    assert refused(destination, listed) == NEVER


@pytest.mark.parametrize("destination", ["+4074192626", "+407419262650", "+40112", "+40906123456789"])
def test_a_number_must_exist(destination: str) -> None:
    """Digits too many would be passed over on the way to a premium-rate number."""
    assert refused(destination, "+40") in {UNKNOWN_NUMBER, NEVER}


@pytest.mark.parametrize(
    ("destination", "listed", "dialled"),
    [("+54 11 15 2345 6789", "+5411", "+5491123456789"), ("+784951234567", "+784", "+74951234567")],
)
def test_what_counts_is_what_is_dialled(destination: str, listed: str, dialled: str) -> None:
    assert dialled_form(destination, SipCallingFormat.PLUS_E164, "RO") == dialled
    assert refused(destination, listed) == FORBIDDEN
    assert refused(destination, dialled) is None


@pytest.mark.parametrize("destination", ["front.desk-911", "1-000", "*43*", "_"])
def test_an_extension_of_any_form_is_allowed(destination: str) -> None:
    assert refused(destination, destination) is None


@given(st.text(max_size=30))
def test_no_text_gets_outside(text: str) -> None:
    no_text_gets_outside(text)


def no_text_gets_outside(text: str) -> None:
    if refused(text) is None:
        dialled = dialled_form(text, SipCallingFormat.PLUS_E164, "RO")
        assert isinstance(dialled, str)
        assert dialled.startswith(("+40", "+4930123")) or dialled == "1000"


@given(st.text("+-(). 0123456789;@\u00a0", max_size=25))
def test_no_formatting_gets_outside(text: str) -> None:
    no_text_gets_outside(text)


@pytest.mark.parametrize("seconds", [0, -1, 31, 2_147_483_647])
def test_ringing_has_bounds(seconds: int) -> None:
    problem = ring_seconds_are_in_range(seconds)
    assert problem
    assert (problem.code, problem.field) == (Code.OUT_OF_RANGE, ("input", "ringSeconds"))
    assert ring_seconds_are_in_range(1) is ring_seconds_are_in_range(30) is None
