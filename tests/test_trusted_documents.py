"""Trusted documents: the listed ones run, however they are sent; any other is refused before it is parsed."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from graphql import get_introspection_query
from structlog.testing import capture_logs

from gql.event_stream import COMPLETE
from gql.schema import schema
from gql.trusted import UNKNOWN, TrustedDocuments
from tests.api import CREATE, KEY, House, given, quick_settings, served_house
from tests.commands import refusal
from tests.live import CHANGED, introduced, place_of

TRUNKS = "query Trunks($first: Int) {\n  sipTrunks(first: $first) {\n    totalCount\n  }\n}"
LISTED = {"4fa6b2": TRUNKS, "sha256:abc": CREATE}
SHA256 = hashlib.sha256(TRUNKS.encode()).hexdigest()
ANSWER = {"data": {"sipTrunks": {"totalCount": 0}}}


def listing(folder: Path, documents: object = LISTED) -> Path:
    file = folder / "persisted-documents.json"
    file.write_text(json.dumps(documents))
    return file


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path, trusted_documents=listing(tmp_path))) as house:
        yield house


async def sent(house: House, **members: Any) -> Any:
    return (await house.api.client.post("/graphql", json=members)).json()


@pytest.mark.parametrize(
    "members",
    [
        {"query": TRUNKS},
        {"query": "query Trunks($first:Int){sipTrunks(first:$first){totalCount}}"},
        {"query": f"# from our code\n{TRUNKS}\n,,"},
        {"documentId": "4fa6b2"},
        {"documentId": f"sha256:{SHA256}"},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": SHA256}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "4fa6b2"}}},
        {"query": "", "documentId": "4fa6b2"},
        {"documentId": "4fa6b2", "operationName": "Trunks", "variables": {"first": 5}},
    ],
    ids=str,
)
async def test_a_listed_document_runs_however_it_is_sent(house: House, members: dict[str, Any]) -> None:
    assert await sent(house, **members) == ANSWER


async def test_a_listed_document_runs_by_get(house: House) -> None:
    for parameters in (
        {"documentId": "4fa6b2"},
        {"extensions": json.dumps({"persistedQuery": {"sha256Hash": SHA256}})},
        {"query": TRUNKS, "variables": '{"first": 1}'},
    ):
        assert (await house.api.client.get("/graphql", params=parameters)).json() == ANSWER


async def test_a_listed_mutation_runs_with_its_variables(house: House) -> None:
    answer = await sent(house, documentId="abc", variables={"input": given()})
    assert answer["data"]["createSipTrunk"]["sipTrunk"]["status"] == "ACTIVE"
    for parameters in ({"documentId": "abc"}, {"query": CREATE}):
        assert (await house.api.client.get("/graphql", params=parameters)).status_code == 405


UNLISTED_SUBSCRIPTION = "subscription { sipTrunkChanged { id } }"
UNLISTED: list[dict[str, Any]] = [
    {"query": "{ __typename }"},
    {"query": get_introspection_query()},
    {"query": TRUNKS.replace("totalCount", "total: totalCount")},
    {"query": TRUNKS + " { voice { kind } }"},
    {"query": TRUNKS.replace("Trunks(", "Trunks_(")},
    {"query": "{" * 5000},
    {"query": '"'},
    {"query": "# nothing but a comment"},
    {"documentId": "unknown"},
    {"documentId": SHA256[:-1]},
    {"extensions": {"persistedQuery": {"sha256Hash": ""}}, "documentId": "x"},
    {"query": "{ __typename }", "documentId": "4fa6b2"},
]


@pytest.mark.parametrize("members", UNLISTED, ids=lambda members: str(members)[:60])
async def test_any_other_document_is_refused_unread(tmp_path: Path, members: dict[str, Any]) -> None:
    own = schema.trusting(TrustedDocuments(LISTED))
    before = own.documents.parsed
    settings = quick_settings(tmp_path, trusted_documents=listing(tmp_path))
    async with served_house(settings) as house:
        with capture_logs() as lines:
            answer = await sent(house, **members)
    assert list(answer) == ["errors"]
    assert [error["message"] for error in answer["errors"]] == [UNKNOWN]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["outcome"], "operations" in line) == ("request_error", False)
    if "query" in members:
        with pytest.raises(Exception, match="not trusted"):
            own.documents.open(members["query"], None)
    assert own.documents.parsed == before


async def test_nothing_else_of_a_request_brings_a_server_error(house: House) -> None:
    values: list[object] = [7, [], {}, True, {"sha256Hash": 7}, {"sha256Hash": ["x"]}]
    for value in values:
        for members in ({"documentId": value}, {"extensions": {"persistedQuery": value}}):
            answer = await house.api.client.post("/graphql", json=members)
            assert (answer.status_code, list(answer.json())) == (400, ["errors"])


async def test_the_page_is_off_and_introspection_unless_it_is_listed(tmp_path: Path) -> None:
    listed = listing(tmp_path, {"introspection": get_introspection_query()})
    async with served_house(quick_settings(tmp_path, trusted_documents=listed)) as house:
        page = await house.api.client.get("/graphql", headers={"accept": "text/html"})
        answer = await sent(house, query=get_introspection_query())
    assert page.status_code == 400
    assert answer["data"]["__schema"]["queryType"]


async def test_the_name_of_a_trusted_document_is_told(house: House) -> None:
    with capture_logs() as lines:
        await sent(house, documentId="4fa6b2")
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["document"], line["operations"]) == ("Trunks", ["sipTrunks"])


async def test_without_a_list_an_id_is_refused_clearly(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        answer = await house.api.client.post("/graphql", json={"documentId": "4fa6b2"})
        assert (answer.status_code, answer.json()["errors"][0]["message"]) == (
            400,
            "Documents are not known by id here: send the text, in query.",
        )
        both = await sent(house, query="{ voice { kind } }", extensions={"persistedQuery": {"sha256Hash": "x"}})
        assert both == {"data": {"voice": {"kind": "SANDBOX"}}}


async def test_other_apps_of_the_process_are_not_touched() -> None:
    schema.trusting(TrustedDocuments(LISTED))
    assert schema.documents.trusted is None


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ({}, "must hold one JSON object"),
        ([TRUNKS], "must hold one JSON object"),
        ({"a": 7}, "must hold one JSON object"),
        ({"a": TRUNKS, "b": "{ nothing }"}, "the document b does not fit the schema: "),
        ({"b": "{ voice {"}, "the document b does not fit the schema: Syntax Error"),
        ({"b": "{ voice { kind } }" + "#" * 40_000}, "the document b does not fit the schema: The document is longer"),
    ],
    ids=str,
)
def test_a_wrong_file_stops_the_start_with_one_line(tmp_path: Path, documents: object, said: str) -> None:
    line = wrong_start(tmp_path, listing(tmp_path, documents))
    assert line.startswith("trunkline: TRUNKLINE_TRUSTED_DOCUMENTS: ")
    assert said in line
    assert not list(tmp_path.glob("*.db")), "nothing was touched"


def test_a_file_that_is_no_json_or_is_not_there_stops_the_start(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in wrong_start(tmp_path, tmp_path / "missing.json")
    (tmp_path / "bad.json").write_bytes(b'{"a": "\xff"}')
    assert "is not JSON in UTF-8" in wrong_start(tmp_path, tmp_path / "bad.json")


def wrong_start(folder: Path, file: Path) -> str:
    return refusal(folder, "serve", "--port", "0", TRUNKLINE_TRUSTED_DOCUMENTS=str(file), TRUNKLINE_BOOTSTRAP_KEY=KEY)


async def test_subscriptions_are_held_to_the_list_over_web_sockets(tmp_path: Path) -> None:
    async with (
        place_of(quick_settings(tmp_path, trusted_documents=listing(tmp_path, {"changes": CHANGED}))) as place,
        introduced(place) as socket,
    ):
        listed = (
            {"query": CHANGED},
            {"documentId": "changes"},
            {"extensions": {"persistedQuery": {"sha256Hash": "changes"}}},
        )
        for number, payload in enumerate(listed):
            await socket.say(id=str(number), type="subscribe", payload=payload)
            await socket.is_quiet()
        assert place.subscriptions == len(listed)
        await socket.subscribe("x", UNLISTED_SUBSCRIPTION)
        told = await socket.said()
        assert (told["type"], told["id"], told["payload"][0]["message"]) == ("error", "x", UNKNOWN)
        assert place.subscriptions == len(listed)


async def test_subscriptions_are_held_to_the_list_as_event_streams(tmp_path: Path) -> None:
    async with place_of(quick_settings(tmp_path, trusted_documents=listing(tmp_path, {"changes": CHANGED}))) as place:
        streamed = {"accept": "text/event-stream"}
        for member in ({"query": CHANGED}, {"documentId": "changes"}):
            async with place.api.client.stream("POST", "/graphql", json=member, headers=streamed) as answer:
                assert await anext(answer.aiter_lines()) == ":"
        answer = await place.api.client.post("/graphql", json={"query": UNLISTED_SUBSCRIPTION}, headers=streamed)
        assert UNKNOWN in answer.text
        assert answer.text.endswith(COMPLETE)
