"""The attack shapes against the real schema: each is refused before validation, and what people really send is not."""

import json
import re
from pathlib import Path

import pytest
from graphql import (
    GraphQLError,
    GraphQLObjectType,
    get_introspection_query,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from gql.bodies import BodyError, operation_in_body
from gql.documents import Documents
from gql.limits import MAX_FETCHES, MAX_SUBSCRIPTION_NODES, MAX_TOKENS
from gql.schema import schema
from gql.sip_trunk_list import VALUES_MAX
from scripts.attack_shapes import DEAR, HOPELESS, VALIDATE
from tests import api

ROOT = Path(__file__).resolve().parent.parent
BUILT = schema._schema  # noqa: SLF001  # Strawberry has no public name for it


def opened(documents: Documents, query: str, variables: dict[str, object] | None) -> list[GraphQLError]:
    return documents.problems_in(documents.open(query, variables))


@pytest.mark.parametrize("name", HOPELESS)
def test_a_hopeless_shape_is_refused_before_validation(name: str) -> None:
    documents = Documents(BUILT)
    try:
        request = operation_in_body(HOPELESS[name])
    except BodyError:
        return  # before there is a document at all
    with pytest.raises(GraphQLError):
        opened(documents, request.query or "", request.variables)
    assert documents.validated == 0


@pytest.mark.parametrize("name", DEAR)
def test_a_dear_shape_gets_as_far_as_it_was_made_for(name: str) -> None:
    """Else it would measure something else."""
    documents = Documents(BUILT)
    request = operation_in_body(DEAR[name])
    opened(documents, request.query or "", request.variables)
    assert documents.validated == 1


def everything(kind: GraphQLObjectType, levels: int) -> str:
    """Every field of a type that needs no argument, so many levels down."""
    chosen = []
    for name, field in kind.fields.items():
        named = get_named_type(field.type)
        if any(is_required_argument(argument) for argument in field.args.values()):
            continue
        if is_leaf_type(named):
            chosen.append(name)
        elif levels and isinstance(named, GraphQLObjectType):
            chosen.append(f"{name} {{ {everything(named, levels - 1)} }}")
    return " ".join(chosen)


def real_documents() -> dict[str, str]:
    """The page's introspection, README's examples, those of the tests, and a trunk with all that it has."""
    trunk = BUILT.get_type("SipTrunk")
    assert isinstance(trunk, GraphQLObjectType)
    fields = everything(trunk, 2)  # what is nested deeper leads back to trunks
    examples = re.findall(r'^  "query": (".*?"),?$', (ROOT / "README.md").read_text(), re.MULTILINE)
    options = ("descriptions", "specified_by_url", "directive_is_repeatable", "schema_description")
    return {
        "introspection": get_introspection_query(**dict.fromkeys(options, True), input_value_deprecation=True),
        "a page of everything": f"{{ sipTrunks(first: 20) {{ totalCount edges {{ cursor }} nodes {{ {fields} }} }} }}",
        **{f"README {number}": json.loads(text) for number, text in enumerate(examples)},
        **{
            name: text
            for name, text in vars(api).items()
            if isinstance(text, str) and text.startswith(("mutation", "query"))
        },
        "colocated fragments": "query { sipTrunks(first: 50) { nodes { "
        + " ".join(f"...F{i}" for i in range(12))
        + " } } } "
        + " ".join(
            f"fragment F{i} on SipTrunk {{ __typename id status nickname phoneNumber updatedAt }}" for i in range(12)
        ),
    }


@pytest.mark.parametrize("name", real_documents())
def test_what_people_send_passes_with_room_to_spare(name: str) -> None:
    documents = Documents(BUILT)
    document = documents.open(real_documents()[name], None)
    assert opened(documents, real_documents()[name], None) == []
    assert document.tokens < MAX_TOKENS * 3 / 4


def test_there_are_such_documents() -> None:
    assert len(real_documents()) > 15


VALUES = [f"provider{number}" for number in range(VALUES_MAX)]
LITERAL = json.dumps(VALUES)


def lists(count: int, narrowed_to: str) -> str:
    return "{" + " ".join(f"a{i}: sipTrunks(filter: {narrowed_to}) {{ nodes {{ id }} }}" for i in range(count)) + "}"


@pytest.mark.parametrize(
    ("head", "narrowed_to", "variables"),
    [
        ("", f"{{ provider: {LITERAL} }}", None),
        ("", f'{{ assigned: true, countryCode: "DE", provider: {LITERAL} }}', None),
        ("query ($f: SipTrunkFilter)", "$f", {"f": {"provider": VALUES, "assigned": True}}),
        ("query ($p: [String!])", "{ provider: $p }", {"p": VALUES}),
        (f"query ($f: SipTrunkFilter = {{ provider: {LITERAL} }})", "$f", None),
        (f"query ($p: [String!] = {LITERAL})", "{ provider: $p }", {}),
    ],
)
def test_each_value_of_a_filter_is_a_fetch(head: str, narrowed_to: str, variables: dict[str, object] | None) -> None:
    most = MAX_FETCHES // VALUES_MAX
    documents = Documents(BUILT)
    assert opened(documents, head + lists(most, narrowed_to), variables) == []
    with pytest.raises(GraphQLError, match=f"fetches by its page sizes and filters: {MAX_FETCHES} are allowed"):
        opened(documents, head + lists(most + 1, narrowed_to), variables)


def test_values_in_variables_are_counted_again_in_a_document_that_is_known() -> None:
    documents = Documents(BUILT)
    query = "query ($f: SipTrunkFilter)" + lists(MAX_FETCHES // VALUES_MAX + 1, "$f")
    assert opened(documents, query, {"f": {"provider": VALUES[1:]}}) == []
    assert opened(documents, query, {"f": None}) == []
    with pytest.raises(GraphQLError):
        opened(documents, query, {"f": {"provider": VALUES}})


def watching(inner: str) -> str:
    return f"subscription {{ sipTrunkChanged {{ kind sipTrunk {{ {inner} }} }} }}"


def test_a_subscription_may_ask_for_all_that_a_trunk_has() -> None:
    trunk = BUILT.get_type("SipTrunk")
    assert isinstance(trunk, GraphQLObjectType)
    for inner in (everything(trunk, 2), f"events(first: {MAX_SUBSCRIPTION_NODES}) {{ nodes {{ id }} }}"):
        assert opened(Documents(BUILT), watching(inner), None) == []


@pytest.mark.parametrize(
    ("inner", "found"),
    [
        (f"events(first: {MAX_SUBSCRIPTION_NODES + 1}) {{ nodes {{ id }} }}", "nodes at every change: 100"),
        ("assistants { phoneNumber { assistants { id } } }", "nodes at every change: 100"),
        ("recentCalls { at } a: recentCalls { at } b: recentCalls { at }", "fetches at every change: 2"),
        ("assistants { phoneNumber { recentCalls(first: 1) { at } } }", "fetches at every change: 2"),
    ],
)
def test_a_subscription_may_ask_for_no_more(inner: str, found: str) -> None:
    """It is one request, and its document is run at every change."""
    with pytest.raises(GraphQLError, match=f"asks for too many {found} are allowed"):
        opened(Documents(BUILT), watching(inner), None)


def test_a_real_input_of_the_largest_size_passes() -> None:
    addresses = [f"2001:db8:{number:x}:ffff:ffff:ffff:ffff:ffff/128" for number in range(100)]
    body = json.dumps(
        {"query": VALIDATE, "variables": {"input": {**api.TRUNK, "allowedInboundIps": addresses}}}, indent=4
    )
    request = operation_in_body(body.encode())
    assert opened(Documents(BUILT), request.query or "", request.variables) == []
