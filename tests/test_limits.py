"""What a document may ask for at most: each attack is refused before validation, which is counted, not timed."""

from typing import Any

import pytest
from graphql import get_introspection_query
from graphql.validation.rules import overlapping_fields_can_be_merged

from gql import limits
from tests.tiny_api import ask, client, tiny_app, tiny_schema

TYPE_LOOP = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }"


def doubling(count: int) -> str:
    """The document that keeps Strawberry's own limiters busy for many seconds."""
    links = " ".join(f"fragment F{i} on Trunk {{ ...F{i + 1} ...F{i + 1} }}" for i in range(count))
    return f"{{ trunk {{ ...F0 }} }} {links} fragment F{count} on Trunk {{ name }}"


def nested(levels: int) -> str:
    return "{ trunk " + "{ child " * (levels - 2) + "{ name }" + " }" * (levels - 1)


ATTACKS = {
    "long document": "{ echo } #" + "x" * limits.MAX_BYTES,
    "long document by its bytes": "{ echo } #" + "\N{GRINNING FACE}" * (limits.MAX_BYTES // 4),
    "tokens": "{" + " echo" * limits.MAX_TOKENS + "}",
    "comments": "{ echo }" + "\n#" * (limits.MAX_TOKENS + 1),
    "deep nesting": nested(limits.MAX_DEPTH + 1),
    "very deep nesting": nested(150),
    "nesting beyond the parser": nested(450),
    "deep inline fragments": "{" + " ... {" * 100 + " echo " + "}" * 101,
    "deep nesting by fragments": "{ trunk { ...A } } fragment A on Trunk { child { child { child { ...B } } } } "
    "fragment B on Trunk " + "{ child " * 18 + "{ name }" + " }" * 18,
    "deep list value": "{ echo(text: " + "[" * 400 + "]" * 400 + ") }",
    "aliases": "{ trunk {" + " ".join(f"a{i}: name" for i in range(limits.MAX_ALIASES + 1)) + "} }",
    "aliases by fragments": "{ trunk { ...F child { ...F child { ...F child { ...F } } } } } fragment F on Trunk {"
    + " ".join(f"a{i}: name" for i in range(10))
    + "}",
    "root fields": "{" + " ".join("echo" for _ in range(limits.MAX_ROOT_FIELDS + 1)) + "}",
    "root fields by fragments": "{" + " ...F" * 7 + "} fragment F on Query { echo echo echo }",
    "mutations": "mutation {" + " __typename" * (limits.MAX_ROOT_FIELDS + 1) + "}",
    "doubling fragments": doubling(25),
    "fields": "{ trunk {" + " ...F" * 21 + " } } fragment F on Trunk {" + " name" * 50 + "}",
    "fragments": "{ echo }" + "".join(f" fragment F{i} on Query {{ echo }}" for i in range(limits.MAX_FRAGMENTS + 1)),
    "operations": " ".join(f"query Q{i} {{ echo }}" for i in range(limits.MAX_OPERATIONS + 1)),
    "circle of one": "{ ...F } fragment F on Query { ...F }",
    "circle of two": "{ ...A } fragment A on Query { ...B } fragment B on Query { echo ...A }",
    "circle through a field": "{ trunk { ...F } } fragment F on Trunk { child { ...F } }",
    "circle that is not used": "{ echo } fragment F on Query { ... { ...F } }",
    "directives": "{ echo" + " @include(if: true)" * (limits.MAX_DIRECTIVES + 1) + " }",
    "unknown directives": "{ echo" + " @a" * 300 + " }",
    "directives of the operation": "query" + " @a" * (limits.MAX_DIRECTIVES + 1) + " { echo }",
    "directives by fragments": "{" + " ...F" * 6 + " } fragment F on Query { echo" + " @skip(if: false)" * 10 + " }",
    "schema twice": "{ __schema { queryType { name } } again: __schema { queryType { name } } }",
    "schema twice by fragments": "{ ...F ...F } fragment F on Query { __schema { queryType { name } } }",
    "introspection loop": TYPE_LOOP,
    "introspection loop by fragments": '{ __type(name: "Trunk") { ...A } } '
    "fragment A on __Type { fields { type { ...B } } } "
    "fragment B on __Type { fields { type { ...C } } } fragment C on __Type { interfaces { name } }",
    "page sizes": "{ trunks(first: 101) { nodes { children(first: 100) { nodes { name } } } } }",
    "page sizes by last": "{ trunks(last: 101) { nodes { children(last: 100) { nodes { name } } } } }",
    "page sizes left out": "{ trunks { nodes " + "{ children { nodes " * 3 + "{ name }" + " } }" * 4,
    "one huge page": "{ trunks(first: 1" + "0" * 5000 + ") { nodes { name } } }",
    "pages of each": "{ trunks(first: 100) { nodes {"
    + " ".join(f"a{i}: children(first: 1) {{ nodes {{ name }} }}" for i in range(3))
    + "} } }",
    "pages of each by fragments": "{ trunks(first: 100) { nodes { ...F child { ...F child { ...F } } } } } "
    "fragment F on Trunk { children(first: 1) { nodes { name } } }",
    "page sizes by fragments": "{ trunks(first: 100) { ...F } } fragment F on TrunkConnection { nodes { "
    "a: children(first: 60) { nodes { name } } b: children(first: 60) { nodes { name } } } }",
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_attack_is_refused_before_validation(name: str) -> None:
    schema = tiny_schema()
    answer = await ask(ATTACKS[name], app=tiny_app(schema))
    assert (answer.status_code, schema.documents.validated) == (400, 0)
    (error,) = answer.json()["errors"]
    assert "document" in error["message"].lower() or "circle" in error["message"]


def test_doubling_attack_is_the_short_one() -> None:
    assert len(doubling(25)) < 1024


async def test_refused_batch_runs_nothing() -> None:
    schema = tiny_schema()
    async with client(tiny_app(schema)) as http:
        answer = await http.post("/graphql", json=[{"query": "{ echo }"}] * 100)
    assert (answer.status_code, schema.documents.parsed) == (400, 0)


USUAL = {
    "introspection of GraphiQL": get_introspection_query(
        descriptions=True,
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    ),
    "as deep as allowed": nested(limits.MAX_DEPTH),
    "two full pages": "{ trunks(first: 100) { nodes { children(first: 100) { nodes { name } } } } }",
    "two pages of each": "{ trunks(first: 100) { nodes { a: children(first: 1) { nodes { name } } "
    "b: children(last: 1) { nodes { name } } } } }",
    "two pages as they come": "{ trunks { nodes { children { nodes { name } } } } }",
    "aliases": "{" + " ".join(f"a{i}: echo" for i in range(limits.MAX_ROOT_FIELDS)) + "}",
    "fragments": "{ trunk { ...A } } fragment A on Trunk { name ...B } "
    "fragment B on Trunk { child { ... on Trunk { name } } }",
    "one type": '{ __type(name: "Trunk") { fields { name type { name ofType { name } } } } }',
}


@pytest.mark.parametrize("name", USUAL)
async def test_usual_document_passes(name: str) -> None:
    answer = await ask(USUAL[name])
    assert answer.status_code == 200
    assert "errors" not in answer.json()


PAGES = "query ($a: Int = 10, $b: Int) { trunks(first: $a) { nodes { children(last: $b) { nodes { name } } } } }"


@pytest.mark.parametrize(
    ("variables", "status"),
    [
        ({"a": 100, "b": 100}, 200),
        ({"a": 101, "b": 100}, 400),
        ({"b": 1000}, 200),
        ({"b": 1001}, 400),
        ({"a": 501}, 400),
        ({"a": 501.0}, 400),
        ({"a": 100.0, "b": 100.0}, 200),
        ({"a": None, "b": None}, 200),
        ({"a": -5, "b": 10**9}, 400),
        ({}, 200),
    ],
)
async def test_page_sizes_in_variables_count(variables: dict[str, Any], status: int) -> None:
    assert (await ask(PAGES, variables)).status_code == status


async def test_page_sizes_are_looked_at_again_in_a_document_that_is_known() -> None:
    schema = tiny_schema()
    app = tiny_app(schema)
    found = [(await ask(PAGES, {"a": size, "b": 100}, app=app)).status_code for size in (1, 1, 101, 1)]
    assert (found, schema.documents.parsed, schema.documents.validated) == ([200, 200, 400, 200], 1, 1)


async def test_refusal_names_the_bound() -> None:
    answer = await ask(ATTACKS["deep nesting"])
    assert answer.json()["errors"][0]["message"] == "The document asks for too many levels of fields: 20 are allowed."


async def test_unknown_fields_and_types_are_left_to_validation() -> None:
    schema = tiny_schema()
    query = "{ nope(first: 5) { nope } ...F ...Nope } fragment F on Nope { trunks { nope } }"
    answer = await ask(query, app=tiny_app(schema))
    assert (answer.status_code, schema.documents.validated) == (400, 1)


async def test_at_most_five_errors_are_looked_for() -> None:
    answer = await ask("{ trunk {" + " ".join(f"nam{i}" for i in range(200)) + "} }")
    errors = answer.json()["errors"]
    assert (len(errors), errors[-1]["message"]) == (6, "There are more errors than are listed.")


async def test_at_most_five_errors_of_variables_are_looked_for() -> None:
    answer = await ask(
        "mutation ($i: CreateInput!) { create(input: $i) }", {"i": {f"nicknam{i}": 1 for i in range(200)}}
    )
    errors = answer.json()["errors"]
    assert (len(errors), errors[-1]["message"]) == (6, "There are more errors than are listed.")


def test_comparing_fields_has_a_budget() -> None:
    assert overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET == 5_000
