"""A client may send its password as anything: no name or value it chose is in an answer's errors or in the log."""

import json
import logging
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.tiny_api import NEEDLE, ask, client, tiny_app

APP = tiny_app()
CREATE = "mutation ($input: CreateInput!) { create(input: $input) }"
GOOD = {
    "nickname": "office",
    "credentials": {"sipUsername": "alice", "sipPassword": NEEDLE},
    "sipCallingFormat": "E164",
}
FORMATS = "SIP calling format must be one of: PLUS_E164, E164, NATIONAL."
LITERAL = f'{{nickname: "{NEEDLE}", credentials: {{sipUsername: "a", sipPassword: "{NEEDLE}"}}'

# What was sent, and what is said of it.
VARIABLES: dict[str, tuple[Any, str]] = {
    "missing beside it": ({**GOOD, "nickname": None}, "At 'nickname': A value of type 'String!' must not be null."),
    "missing field": ({"credentials": GOOD["credentials"]}, "Field 'nickname' is required."),
    "missing inside": (
        {**GOOD, "credentials": {"sipPassword": NEEDLE}},
        "At 'credentials': Field 'sipUsername' is required.",
    ),
    "unknown field": ({**GOOD, NEEDLE: 1}, "Type 'CreateInput' has no such field."),
    "unknown field like a known one": (
        {**GOOD, "sipPorts": NEEDLE},
        "Type 'CreateInput' has no such field. Did you mean 'sipPort'?",
    ),
    "unknown field that reads like a message": (
        {**GOOD, f"x'. Did you mean '{NEEDLE}'? Found": NEEDLE},
        "Type 'CreateInput' has no such field.",
    ),
    "wrong enum": ({**GOOD, "sipCallingFormat": NEEDLE}, FORMATS),
    "enum of another type": ({**GOOD, "sipCallingFormat": [NEEDLE]}, FORMATS),
    "enum in lower case": ({**GOOD, "sipCallingFormat": "e164"}, FORMATS),
    "enum that reads like a message": (
        {**GOOD, "sipCallingFormat": f"' does not exist in '{NEEDLE}' enum. Did you mean the enum value '{NEEDLE}'?"},
        FORMATS,
    ),
    "object for text": (
        {**GOOD, "nickname": {"sipPassword": NEEDLE}},
        "At 'nickname': String cannot represent a non string value.",
    ),
    "text for object": (
        {**GOOD, "credentials": NEEDLE},
        "At 'credentials': A value of type 'Credentials' must be an object.",
    ),
    "text for number": ({**GOOD, "sipPort": NEEDLE}, "At 'sipPort': Int cannot represent non-integer value."),
    "number out of range": (
        {**GOOD, "sipPort": 49291234123412},
        "At 'sipPort': Int cannot represent non 32-bit signed integer value.",
    ),
    "entry of a list": (
        {**GOOD, "allowedIps": ["192.0.2.1", {NEEDLE: NEEDLE}]},
        "At 'allowedIps[1]': String cannot represent a non string value.",
    ),
    "secret of another type": (
        {**GOOD, "credentials": {"sipUsername": "a", "sipPassword": [NEEDLE]}},
        "At 'credentials.sipPassword': A value of type 'Secret' is expected.",
    ),
    "text for everything": (NEEDLE, "A value of type 'CreateInput' must be an object."),
    "list for everything": ([NEEDLE], "A value of type 'CreateInput' must be an object."),
}
DOCUMENTS: dict[str, tuple[str, str]] = {
    "unknown field": (f"{{ {NEEDLE} }}", "Type 'Query' has no such field."),
    "unknown field like a known one": (
        f"{{ ech {NEEDLE}: ech }}",
        "Type 'Query' has no such field. Did you mean 'echo'?",
    ),
    "alias": (f"{{ {NEEDLE}: trunk }}", "Field 'trunk' of type 'Trunk!' needs a selection of its fields."),
    "conflicting aliases": (
        f'{{ {NEEDLE}: echo {NEEDLE}: echo(text: "{NEEDLE}") }}',
        "Fields of the same name conflict. Give one of them an alias.",
    ),
    "selection of a leaf": (f"{{ echo {{ {NEEDLE} }} }}", "Field 'echo' has no fields of its own to select."),
    "unknown argument": (f'{{ echo({NEEDLE}: "{NEEDLE}") }}', "Field 'echo' of type 'Query' has no such argument."),
    "argument twice": (f'{{ echo(text: "{NEEDLE}", text: "{NEEDLE}") }}', "An argument is given twice."),
    "missing argument": (
        f"mutation {NEEDLE} {{ create }}",
        "Argument 'input' of type 'CreateInput!' is required on 'create'.",
    ),
    "argument of another type": (f'{{ echo(count: "{NEEDLE}") }}', "Int cannot represent non-integer value."),
    "enum as a name for text": (f"{{ echo(text: {NEEDLE}) }}", "String cannot represent a non string value."),
    "wrong enum": (f"mutation {{ create(input: {LITERAL}, sipCallingFormat: {NEEDLE}}}) }}", FORMATS),
    "enum as text": (f'mutation {{ create(input: {LITERAL}, sipCallingFormat: "{NEEDLE}"}}) }}', FORMATS),
    "missing input field": (
        f"mutation {{ create(input: {LITERAL}}}) }}",
        "Field 'sipCallingFormat' is required.",
    ),
    "unknown input field": (
        f"mutation {{ create(input: {LITERAL}, sipCallingFormat: E164, {NEEDLE}: 1}}) }}",
        "Type 'CreateInput' has no such field.",
    ),
    "text for an input": (
        f'mutation {{ create(input: "{NEEDLE}") }}',
        "A value of type 'CreateInput' must be an object.",
    ),
    "unknown directive": (f"{{ echo @{NEEDLE} }}", "There is no such directive."),
    "argument of a directive": (
        f'{{ echo @include({NEEDLE}: "{NEEDLE}", if: true) }}',
        "Directive '@include' has no such argument.",
    ),
    "missing argument of a directive": (
        f"{{ {NEEDLE}: echo @skip }}",
        "Argument 'if' of type 'Boolean!' is required on 'skip'.",
    ),
    "directive elsewhere": (
        f"query {NEEDLE} @skip(if: true) {{ echo }}",
        "Directive '@skip' may not be used on query.",
    ),
    "directive twice": (
        f"{{ {NEEDLE}: echo @skip(if: true) @skip(if: true) }}",
        "Directive '@skip' is used twice at one place.",
    ),
    "unknown fragment": (f"{{ ...{NEEDLE} }}", "A fragment is used that the document does not define."),
    "unused fragment": (
        f"{{ echo }} fragment {NEEDLE} on Query {{ echo }}",
        "A fragment is defined and never used.",
    ),
    "fragment twice": (
        f"{{ ...{NEEDLE} }} fragment {NEEDLE} on Query {{ echo }} fragment {NEEDLE} on Query {{ echo }}",
        "Two fragments have the same name.",
    ),
    "fragment in a circle": (
        f"{{ ...{NEEDLE} }} fragment {NEEDLE} on Query {{ ...{NEEDLE} }}",
        "Fragments must not contain each other in a circle.",
    ),
    "fragment elsewhere": (
        f"{{ ...{NEEDLE} }} fragment {NEEDLE} on Trunk {{ name }}",
        "A fragment on 'Trunk' cannot be used on 'Query'.",
    ),
    "fragment on a leaf": (
        f"{{ ...{NEEDLE} }} fragment {NEEDLE} on String {{ a }}",
        "A fragment cannot be on 'String'.",
    ),
    "fragment on an unknown type": (f"{{ ... on {NEEDLE} {{ echo }} }}", "There is no such type."),
    "variable of an unknown type": (f"query ($a: {NEEDLE}) {{ echo(text: $a) }}", "There is no such type."),
    "variable of an output type": (f"query (${NEEDLE}: Trunk) {{ echo }}", "A variable cannot be of type 'Trunk'."),
    "variable twice": (
        f"query (${NEEDLE}: String!, ${NEEDLE}: String!) {{ echo(text: ${NEEDLE}) }}",
        "A variable is defined twice.",
    ),
    "unused variable": (f"query {NEEDLE}(${NEEDLE}: Int) {{ echo }}", "A variable is defined and never used."),
    "undefined variable": (
        f"query {NEEDLE} {{ echo(text: ${NEEDLE}) }}",
        "A variable is used that the operation does not define.",
    ),
    "variable elsewhere": (
        f"query (${NEEDLE}: Int!) {{ echo(text: ${NEEDLE}) }}",
        "A variable of type 'Int!' is used where type 'String!' is expected.",
    ),
    "missing variable": (
        f"query (${NEEDLE}: Int!) {{ echo(count: ${NEEDLE}) }}",
        "A value of type 'Int!' is required.",
    ),
    "default of another type": (
        f'query (${NEEDLE}: Int = "{NEEDLE}") {{ echo(count: ${NEEDLE}) }}',
        "Int cannot represent non-integer value.",
    ),
    "operation twice": (
        f"query {NEEDLE} {{ echo }} query {NEEDLE} {{ echo }}",
        "The document has several operations: operationName must say which one to run.",
    ),
    "definition of a type": (f"{{ echo }} type {NEEDLE} {{ a: Int }}", "Only operations and fragments can be sent."),
    "syntax: name": (f"{{ echo }} {NEEDLE}", "Syntax error: unexpected Name."),
    "syntax: expected": (f"{{ echo(text {NEEDLE}) }}", "Syntax error: expected ':', found Name."),
    "syntax: keyword": (f"{{ echo }} fragment A {NEEDLE} Query {{ echo }}", "Syntax error: expected 'on', found Name."),
    "syntax: text": (f'{{ "{NEEDLE}" }}', "Syntax error: expected Name, found String."),
    "syntax: block": (f'{{ """{NEEDLE}""" }}', "Syntax error: expected Name, found BlockString."),
    "syntax: number": ("{ 49291234123412 }", "Syntax error: expected Name, found Int."),
    "syntax: open text": (f'{{ echo(text: "{NEEDLE}) }}', "Syntax error: a string does not end."),
    "syntax: escape": (f'{{ echo(text: "{NEEDLE}\\q") }}', "Syntax error: a string holds an invalid escape sequence."),
    "syntax: unicode": (
        f'{{ echo(text: "{NEEDLE}\\uD800") }}',
        "Syntax error: a string holds an invalid escape sequence.",
    ),
    "syntax: single quote": (f"{{ echo(text: '{NEEDLE}') }}", "Syntax error: strings stand in double quotes."),
    "syntax: character": (f"{{ echo ; {NEEDLE} }}", "Syntax error: a character is not allowed here."),
    "syntax: malformed number": (f"{{ echo(count: 1{NEEDLE}) }}", "Syntax error: a number is malformed."),
    "syntax: open": (f"{{ {NEEDLE}", "Syntax error: expected Name, found <EOF>."),
}
VALUES = (NEEDLE, "49291234123412")


async def said_of(query: str, caplog: Any, capsys: Any, **members: Any) -> list[str]:
    """The messages of the answer, after looking for what the client sent in it and in everything that was logged."""
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logged:
        answer = await ask(query, app=APP, **members)
    written = capsys.readouterr()
    everything = [
        answer.text,
        str(answer.headers),
        json.dumps(logged, default=repr),
        caplog.text,
        written.out,
        written.err,
    ]
    assert not [text for text in everything if any(value in text for value in VALUES)]
    assert answer.status_code == 400
    messages = [error["message"] for error in answer.json()["errors"]]
    assert [entry["problem"] for entry in logged] in (messages, [])  # what is refused before Strawberry is not logged
    return messages


@pytest.mark.parametrize("name", VARIABLES)
async def test_values_in_variables_are_not_told(name: str, caplog: Any, capsys: Any) -> None:
    value, message = VARIABLES[name]
    assert message in await said_of(CREATE, caplog, capsys, variables={"input": value})


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_names_and_values_in_documents_are_not_told(name: str, caplog: Any, capsys: Any) -> None:
    query, message = DOCUMENTS[name]
    assert message in await said_of(query, caplog, capsys)


async def test_name_of_an_operation_is_not_told(caplog: Any, capsys: Any) -> None:
    messages = await said_of("query A { echo }", caplog, capsys, operationName=NEEDLE)
    assert messages == ["The document has no such operation."]


async def test_name_of_a_variable_is_not_told(caplog: Any, capsys: Any) -> None:
    query = f"mutation (${NEEDLE}: CreateInput!) {{ create(input: ${NEEDLE}) }}"
    messages = await said_of(query, caplog, capsys, variables={NEEDLE: {**GOOD, "sipPort": True}})
    assert messages == ["At 'sipPort': Int cannot represent non-integer value."]


@pytest.mark.parametrize(
    "body", [f'{{"query": {NEEDLE}}}', f'["{NEEDLE}"]', f'"{NEEDLE}"', f'{{"query": ["{NEEDLE}"]}}']
)
async def test_malformed_bodies_are_not_quoted(body: str) -> None:
    async with client(APP) as http:
        answer = await http.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert NEEDLE not in answer.text


async def test_places_are_told() -> None:
    answer = await ask("{\n  echo\n  nope\n}", app=APP)
    assert answer.json()["errors"][0]["locations"] == [{"line": 3, "column": 3}]


async def test_variable_that_is_null_against_its_type_is_told_with_its_place() -> None:
    answer = await ask("query ($count: Int = 5) { echo(count: $count) }", {"count": None}, app=APP)
    (error,) = answer.json()["errors"]
    assert error["message"] == "A variable has no value where a value of type 'Int!' is required."
    assert error["path"] == ["echo"]


async def test_refusal_of_a_resolver_is_told_in_its_words() -> None:
    answer = await ask("{ trunks(first: 1, last: 1) { nodes { name } } }", app=APP)
    assert answer.json()["errors"][0]["message"] == "Give either first or last, not both."


async def masked(query: str, caplog: Any, capsys: Any) -> dict[str, Any]:
    """What the log says of a failure of ours, after looking for what the client sent in it and in the message."""
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logged:
        answer = await ask(query, app=APP)
    (error,) = answer.json()["errors"]
    written = capsys.readouterr()
    assert error["message"] == f"Internal error. Please report the request id {answer.headers['x-request-id']}."
    # An alias itself is in the answer's data and path: that is what an alias is for.
    assert NEEDLE not in f"{logged}{caplog.text}{written.out}{written.err}"
    (entry,) = logged
    return dict(entry)


async def test_exception_of_a_resolver_is_masked_and_logged_by_type_and_place(caplog: Any, capsys: Any) -> None:
    entry = await masked(f'{{ {NEEDLE}x: boom(text: "{NEEDLE}") }}', caplog, capsys)
    assert (entry["event"], entry["field"], entry["error"]) == ("request_failed", "boom", ["builtins.LookupError"])
    assert entry["at"].startswith("tests/tiny_api.py:")


async def test_value_that_its_type_cannot_represent_is_masked(caplog: Any, capsys: Any) -> None:
    entry = await masked("{ brokenNumber }", caplog, capsys)
    assert (entry["field"], entry["error"], entry["at"]) == ("brokenNumber", ["builtins.ValueError"], None)
