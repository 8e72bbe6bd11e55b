"""The dial preview: what the carrier will see of a call, of a stored trunk and of a form, or why there is no call."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from models.sip_trunk import SipCallingFormat
from tests.api import House, codes, quick_settings, served_house
from tests.national_forms import NATIONAL_FORMS, WITHOUT_FORM, rows
from tests.queries import statements_about

FIELDS = "requestUri toUser fromUser problem"
OF_A_FORM = f"query ($input: DialPreviewInput!) {{ dialPreview(input: $input) {{ {FIELDS} }} }}"
OF_A_TRUNK = f"""query ($id: ID!, $destination: String!) {{
  sipTrunk(id: $id) {{ dialPreview(destination: $destination) {{ {FIELDS} }} }}
}}"""
FORM = {
    "destination": "+40741926265",
    "sipTrunkType": "NUMBER",
    "sipCallingFormat": "PLUS_E164",
    "countryCode": "RO",
    "phoneNumber": "+40211234567",
    "sipAddress": "sip.example.com",
}


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path_factory.mktemp("dialling"))) as made:
        yield made


async def of_a_form(house: House, **changes: Any) -> dict[str, str | None]:
    found: dict[str, str | None] = (await house.api.ask(OF_A_FORM, {"input": FORM | changes}))["dialPreview"]
    assert (found["problem"] is None) == all(found[name] for name in ("requestUri", "toUser", "fromUser"))
    assert found["problem"] is None or not any(found[name] for name in ("requestUri", "toUser", "fromUser"))
    return found


async def problem(house: House, **changes: Any) -> str:
    found = (await of_a_form(house, **changes))["problem"]
    assert found
    assert found.endswith(".")
    return found


@pytest.mark.parametrize(
    ("calling_format", "called", "caller"),
    [
        ("PLUS_E164", "+40741926265", "+40211234567"),
        ("E164", "40741926265", "40211234567"),
        ("NATIONAL", "0741926265", "0211234567"),
    ],
)
async def test_both_ends_are_in_the_calling_format(house: House, calling_format: str, called: str, caller: str) -> None:
    assert await of_a_form(house, sipCallingFormat=calling_format) == {
        "requestUri": f"sip:{called}@sip.example.com;transport=udp",
        "toUser": called,
        "fromUser": caller,
        "problem": None,
    }


@pytest.mark.parametrize(
    ("given", "tail"),
    [
        ({}, "sip.example.com;transport=udp"),
        ({"sipTransport": "UDP", "sipPort": 5060}, "sip.example.com:5060;transport=udp"),
        ({"sipTransport": "TCP"}, "sip.example.com;transport=tcp"),
        ({"sipTransport": "TCP", "sipPort": 5070}, "sip.example.com:5070;transport=tcp"),
        ({"sipTransport": "TLS"}, "sip.example.com;transport=tls"),
        ({"sipTransport": "TLS", "sipPort": 5061}, "sip.example.com:5061;transport=tls"),
        ({"sipAddress": " SIP.Example.COM. "}, "sip.example.com;transport=udp"),
        ({"sipAddress": "8.8.4.4", "sipPort": 65535}, "8.8.4.4:65535;transport=udp"),
        ({"sipAddress": "b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example"}, "xn--bcher-kva.example;transport=udp"),
    ],
)
async def test_a_port_is_written_only_when_it_is_given(house: House, given: dict[str, Any], tail: str) -> None:
    assert (await of_a_form(house, **given))["requestUri"] == f"sip:+40741926265@{tail}"


@pytest.mark.parametrize("destination", ["1000", "112", "*97", "anna.b_c-d", "0741926265"])
@pytest.mark.parametrize("calling_format", SipCallingFormat)
async def test_an_extension_or_short_code_goes_out_as_it_is(
    house: House, destination: str, calling_format: str
) -> None:
    found = await of_a_form(house, destination=f" {destination} ", sipCallingFormat=calling_format)
    assert (found["toUser"], found["requestUri"]) == (
        destination,
        f"sip:{destination}@sip.example.com;transport=udp",
    )


async def test_an_extension_calls_as_it_is(house: House) -> None:
    found = await of_a_form(house, sipTrunkType="EXTENSION", phoneNumber="1000", sipCallingFormat="NATIONAL")
    assert (found["fromUser"], found["toUser"]) == ("1000", "0741926265")


@pytest.mark.parametrize(("country", "number", "national"), rows(NATIONAL_FORMS))
async def test_a_number_is_dialled_as_inside_its_country(
    house: House, country: str, number: str, national: str
) -> None:
    own = {"sipCallingFormat": "NATIONAL", "phoneNumber": number, "countryCode": country}
    found = await of_a_form(house, destination=number, **own)
    assert (found["toUser"], found["fromUser"]) == (national, national)


@pytest.mark.parametrize(("country", "number"), rows(WITHOUT_FORM))
async def test_some_numbers_are_dialled_nationally_nowhere(house: House, country: str, number: str) -> None:
    extension = {"sipTrunkType": "EXTENSION", "phoneNumber": "1000", "countryCode": country}
    assert "national form" in await problem(house, destination=number, sipCallingFormat="NATIONAL", **extension)
    found = await of_a_form(house, destination=number, sipCallingFormat="E164", **extension)
    assert found["toUser"] == number.removeprefix("+")


async def test_there_is_no_national_form_across_borders(house: House) -> None:
    told = await problem(house, destination="+4930123456", sipCallingFormat="NATIONAL")
    assert told == (
        "The destination is not a number of RO, the trunk's country: a number of another country has no national form."
    )


@pytest.mark.parametrize("destination", ["1000;ext=2", "1000@host", "10 00", "sip:1000", "", "\x00", "1" * 65, "٣٤"])
async def test_what_could_change_the_uri_is_not_dialled(house: House, destination: str) -> None:
    assert (await problem(house, destination=destination)).startswith("A destination is a number such as +12025550123")


async def test_a_destination_that_cannot_exist_is_told(house: House) -> None:
    assert await problem(house, destination="+999123456") == "The destination is not a phone number that can exist."


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"phoneNumber": "0741926265"}, "starts with +"),
        ({"phoneNumber": "+999123456"}, "does not exist"),
        ({"phoneNumber": ""}, "is required"),
        ({"phoneNumber": "+5491123456789", "countryCode": "AR", "sipCallingFormat": "NATIONAL"}, "no national form"),
        ({"sipTrunkType": "EXTENSION", "phoneNumber": "10;00"}, "may only contain"),
        ({"sipTrunkType": "EXTENSION", "phoneNumber": "1000", "countryCode": " "}, "Country code is required"),
        ({"countryCode": "ZZ"}, "ISO 3166-1"),
        ({"countryCode": "US"}, "calling code +40"),
        ({"sipAddress": ""}, "is required"),
        ({"sipAddress": "sip.example.com:5060"}, "goes in sipPort"),
        ({"sipAddress": "example.com;transport=tcp"}, "only the host"),
        ({"sipAddress": "2001:db8::1"}, "IPv6"),
        ({"sipAddress": "10.0.0.1"}, "not on the public internet"),
        ({"sipPort": 0}, "from 1 to 65535"),
        ({"sipPort": 65536}, "from 1 to 65535"),
    ],
)
async def test_a_form_that_is_not_filled_in_yet_says_what_is_wrong(
    house: House, given: dict[str, Any], words: str
) -> None:
    assert words in await problem(house, **given)


async def test_the_country_of_a_number_need_not_be_told(house: House) -> None:
    found = await of_a_form(house, countryCode="", sipCallingFormat="NATIONAL")
    assert found["toUser"] == "0741926265"


@pytest.mark.parametrize(
    ("given", "caller"),
    [
        ({"sipAddress": "acme.pstn.twilio.com"}, "+40211234567"),
        ({"sipAddress": "acme.pstn.twilio.com", "sipPort": 5060}, "40211234567"),
        ({"sipAddress": "acme.pstn.twilio.com.example"}, "40211234567"),
    ],
)
async def test_livekit_calls_twilio_with_a_plus(house: House, given: dict[str, Any], caller: str) -> None:
    assert (await of_a_form(house, sipCallingFormat="E164", **given))["fromUser"] == caller


async def test_a_form_asks_neither_database_nor_voice_backend(house: House) -> None:
    with statements_about("sip_trunk") as statements:
        await of_a_form(house)
    assert statements == []


async def test_a_stored_trunk_previews_as_its_form_did(house: House) -> None:
    given = {"sipCallingFormat": "NATIONAL", "phoneNumber": "+40741926265", "sipPort": 5070, "sipTransport": "TCP"}
    payload = await house.api.create(**given)
    assert codes(payload) == []
    form = await of_a_form(house, sipAddress=payload["sipTrunk"]["sipAddress"], destination="+40211234567", **given)
    asked = {"id": payload["sipTrunk"]["id"], "destination": "+40211234567"}
    assert (await house.api.ask(OF_A_TRUNK, asked))["sipTrunk"]["dialPreview"] == form
    assert form["requestUri"] == "sip:0211234567@8.8.4.4:5070;transport=tcp"
    refused = await house.api.ask(OF_A_TRUNK, asked | {"destination": "+4930123456"})
    assert refused["sipTrunk"]["dialPreview"]["problem"]
