"""Every operation of the schema with arguments and a selection, made from the schema itself: none is forgotten."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

from gql.schema import schema

BUILT = schema._schema  # noqa: SLF001  # Strawberry has no public name for graphql-core's schema
KINDS = {"query": BUILT.query_type, "mutation": BUILT.mutation_type, "subscription": BUILT.subscription_type}
SCALARS: dict[str, Any] = {
    "ID": "trunk_01h455vb4pex5vsknk084sn02q",
    "String": "text",
    "Int": 1,
    "Float": 1.0,
    "Boolean": True,
    "DateTime": "2099-01-01T00:00:00Z",
    "Secret": "correct-horse-battery",
}
DEEP_ENOUGH = 3
Way = tuple[str, ...]  # from the arguments down: ("input", "phoneNumberId")


@dataclass(frozen=True, slots=True)
class Operation:
    """One field of Query, Mutation or Subscription."""

    kind: str
    name: str
    field: GraphQLField = field(repr=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def document(self) -> str:
        """Ask for it with everything that it needs no more arguments for."""
        arguments = self.field.args.items()
        declared = ", ".join(f"${name}: {each.type}" for name, each in arguments)
        passed = ", ".join(f"{name}: ${name}" for name, _ in arguments)
        head, call = (f"({declared})", f"({passed})") if declared else ("", "")
        return f"{self.kind} Whole{head} {{ {self.name}{call} {selection(self.field.type)} }}"

    def variables(self, given: Mapping[Way, Any] | None = None) -> dict[str, Any]:
        """What is required, with other values at some places."""
        needed = {name: value(each.type) for name, each in self.field.args.items() if is_required_argument(each)}
        for way, said in (given or {}).items():
            _put(needed, way, said)
        return needed

    def places(self, type_name: str) -> list[Way]:
        """Where a value of a type may be given, required or not."""
        found = [_places((name,), each.type, type_name) for name, each in self.field.args.items()]
        return [way for ways in found for way in ways]


def operations(*kinds: str) -> list[Operation]:
    """Those of some kinds, or all there are."""
    chosen = [(kind, KINDS[kind]) for kind in kinds or KINDS]
    return [Operation(kind, name, each) for kind, of in chosen if of for name, each in of.fields.items()]


def node_types() -> set[str]:
    """What can be fetched by its id alone."""
    node = BUILT.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    return {each.name for each in BUILT.get_possible_types(node)}


def selection(kind: GraphQLType, above: tuple[str, ...] = ()) -> str:
    """Everything below a type that needs no arguments, each type once on the way down."""
    named = get_named_type(kind)
    if not isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
        return ""
    below = (*above, named.name)
    chosen = [f"{name} {selection(each.type, below)}" for name, each in named.fields.items() if _fits(each, below)]
    return f"{{ __typename {' '.join(chosen)} }}"


def _fits(each: GraphQLField, above: tuple[str, ...]) -> bool:
    named = get_named_type(each.type)
    needless = not any(is_required_argument(argument) for argument in each.args.values())
    return needless and (is_leaf_type(named) or (named.name not in above and len(above) < DEEP_ENOUGH))


def value(kind: GraphQLType) -> Any:
    """A value of an input type with only what is required."""
    if isinstance(kind, GraphQLNonNull):
        return value(kind.of_type)
    if isinstance(kind, GraphQLList):
        return [value(kind.of_type)]
    if isinstance(kind, GraphQLInputObjectType):
        return {name: value(each.type) for name, each in kind.fields.items() if is_required_input_field(each)}
    return next(iter(kind.values)) if isinstance(kind, GraphQLEnumType) else SCALARS[get_named_type(kind).name]


def _places(way: Way, kind: GraphQLType, wanted: str) -> Iterator[Way]:
    named = get_named_type(kind)
    if named.name == wanted:
        yield way
    elif isinstance(named, GraphQLInputObjectType):
        for name, each in named.fields.items():
            yield from _places((*way, name), each.type, wanted)


def _put(variables: dict[str, Any], way: Way, said: Any) -> None:
    *parents, last = way
    for name in parents:
        variables = variables.setdefault(name, {})
    variables[last] = said
