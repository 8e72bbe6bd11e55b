"""The schema: printed freshly, described throughout, named as agreed, and honest about what is remembered."""

from collections.abc import Iterator
from pathlib import Path

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    NullValueNode,
    build_schema,
    get_named_type,
    is_introspection_type,
    is_specified_scalar_type,
    print_ast,
)
from strawberry.utils.str_converters import to_camel_case

from gql.schema import schema
from gql.sip_trunk_creating import CreateSipTrunkInput
from models.sip_trunk import HIDDEN, SipTrunk, TrunkStatus
from trunkline.problems import Code, NoticeCode
from trunkline.snapshots import CHANGEABLE
from trunkline.validation import NormalizedTrunk, TrunkDraft

ROOT = Path(__file__).resolve().parent.parent
BUILT = schema._schema  # noqa: SLF001  # Strawberry has no public name for graphql-core's schema
Fielded = GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType

SECRETS = {"sipPassword", "sipPasswordKey", "edgeKey"}
# Fields of the output that are no column: they are read from other tables, or follow from the columns.
DERIVED = {
    "inboundTrunkId",
    "outboundTrunkId",
    "inbound",
    "outbound",
    "edge",
    "assistants",
    "dialPreview",
    "setupSheet",
    "recentCalls",
    "events",
}
# Fields of the input that say how to work and are not remembered with the trunk.
OF_THE_OPERATION = {"provisioning", "idempotencyKey"}

# Names are a promise: what is here may be added to and is never renamed, moved or removed.
AGREED = (Path(__file__).parent / "agreed.graphql").read_text()


def own_types(of: GraphQLSchema = BUILT) -> dict[str, GraphQLNamedType]:
    """The types of a schema that are not GraphQL's own."""
    kinds = of.type_map.items()
    return {
        name: kind for name, kind in kinds if not is_introspection_type(kind) and not is_specified_scalar_type(kind)
    }


def fields_of(name: str) -> set[str]:
    found = own_types()[name]
    assert isinstance(found, Fielded)
    return set(found.fields)


def camel(names: object) -> set[str]:
    return {to_camel_case(name) for name in names}  # type: ignore[attr-defined]  # any iterable of names


def lines_of(kind: GraphQLNamedType) -> Iterator[str]:
    """What a client may rely on, one line for each thing that can be named."""
    if isinstance(kind, GraphQLEnumType):
        yield from (f"{kind}.{value}" for value in kind.values)
    elif isinstance(kind, Fielded):
        yield from (f"{kind} implements {each}" for each in getattr(kind, "interfaces", ()))
        for name, field in kind.fields.items():
            yield f"{kind}.{name}: {field.type}{_default(field)}"
            arguments = getattr(field, "args", {})
            yield from (
                f"{kind}.{name}({argument}: {each.type}{_default(each)})" for argument, each in arguments.items()
            )
    else:
        yield f"scalar {kind}"


def _default(given: GraphQLArgument | GraphQLInputField | GraphQLField) -> str:
    default = getattr(given.ast_node, "default_value", None)
    return "" if default is None or isinstance(default, NullValueNode) else f" = {print_ast(default)}"


def promised(of: GraphQLSchema) -> set[str]:
    return {line for kind in own_types(of).values() for line in lines_of(kind)}


def test_the_printed_schema_is_fresh() -> None:
    assert (ROOT / "schema.graphql").read_text() == schema.as_str() + "\n"


def test_the_names_are_the_agreed_ones() -> None:
    assert promised(build_schema(schema.as_str())) == promised(build_schema(AGREED))


def test_everything_is_described() -> None:
    silent = [name for name, kind in own_types().items() if not kind.description]
    for name, kind in own_types().items():
        if isinstance(kind, Fielded):
            silent += [f"{name}.{field}" for field, each in kind.fields.items() if not each.description]
            silent += [
                f"{name}.{field}({argument})"
                for field, each in kind.fields.items()
                for argument, definition in getattr(each, "args", {}).items()
                if not definition.description
            ]
    assert silent == []


def test_what_goes_in_is_remembered() -> None:
    columns = camel(SipTrunk._meta.db_fields)  # noqa: SLF001  # Tortoise's list of columns
    assert fields_of("CreateSipTrunkInput") - OF_THE_OPERATION <= columns
    assert fields_of("CreateSipTrunkInput") - OF_THE_OPERATION == camel(TrunkDraft.__dataclass_fields__)


def test_the_input_keeps_the_order_in_which_problems_are_told() -> None:
    assert list(CreateSipTrunkInput.__dataclass_fields__)[:-2] == list(TrunkDraft.__dataclass_fields__)


def test_what_can_be_changed_is_what_was_given_but_for_the_type() -> None:
    of_the_request = {"id", "expectedRevision", "dryRun"}
    changeable = fields_of("CreateSipTrunkInput") - OF_THE_OPERATION - {"sipTrunkType"}
    assert fields_of("UpdateSipTrunkInput") - of_the_request == changeable
    assert camel(CHANGEABLE) - {"sipPasswordKey", "edgeKey", "providerAsOf"} == changeable


def test_what_comes_out_is_remembered_and_no_secret() -> None:
    columns = camel(SipTrunk._meta.db_fields)  # noqa: SLF001  # the same
    assert columns >= SECRETS
    assert fields_of("SipTrunk") - DERIVED <= columns - SECRETS
    assert not DERIVED & columns
    assert fields_of("NormalizedSipTrunk") <= camel(NormalizedTrunk.__dataclass_fields__) - SECRETS


def test_no_secret_comes_out() -> None:
    outputs = [kind for kind in own_types().values() if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)]
    told = {
        f"{kind}.{name}": get_named_type(field.type).name for kind in outputs for name, field in kind.fields.items()
    }
    assert [place for place, name in told.items() if name == "Secret" or "password" in place.lower()] == []


def test_passwords_go_in_as_secrets() -> None:
    inputs = [kind for kind in own_types().values() if isinstance(kind, GraphQLInputObjectType)]
    told = {f"{kind}.{name}": str(field.type) for kind in inputs for name, field in kind.fields.items()}
    assert {place: name for place, name in told.items() if "password" in place.lower()} == {
        "CreateSipTrunkInput.sipPassword": "Secret!",
        "UpdateSipTrunkInput.sipPassword": "Secret",
    }


def test_the_enums_are_those_of_the_house() -> None:
    def values(name: str) -> list[str]:
        kind = own_types()[name]
        assert isinstance(kind, GraphQLEnumType)
        return list(kind.values)

    assert values("UserErrorCode") == list(Code)
    assert values("WarningCode") == list(NoticeCode)
    assert values("SipTrunkStatus") == [status for status in TrunkStatus if status not in HIDDEN]
