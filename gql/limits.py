"""The one cost rule: what a document may ask for at most, found in one walk, memoised per fragment, before validation.

Each fragment is weighed once however often it is spread, so that the walk costs no more than the text is long. Refusals
are RequestErrors that name the bound and what was found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_introspection_type,
    is_list_type,
)
from graphql.validation.rules import overlapping_fields_can_be_merged

from gql.request_errors import refuse

MAX_BYTES = 32 * 1024  # of the document, before it is read at all
MAX_TOKENS = 600  # GraphiQL's introspection has 183, a page of trunks with everything about 200
MAX_OPERATIONS = 20
MAX_FRAGMENTS = 30
MAX_DEPTH = 20  # GraphiQL's introspection needs about 15
MAX_ALIASES = 30
MAX_ROOT_FIELDS = 20
MAX_SCHEMA_FIELDS = 1  # __schema: the whole schema, each time
MAX_INTROSPECTION_LISTS = 2  # inside one another; each multiplies the answer by the size of the schema
MAX_FIELDS = 1_000
MAX_DIRECTIVES = 50
MAX_NODES = 10_000
MAX_FETCHES = 250  # a page of 100 trunks is one, and two pages of each of them are 200 more
MAX_SUBSCRIPTION_NODES = 100  # a subscription's document is run again for each change and each subscriber
MAX_SUBSCRIPTION_FETCHES = 2  # the trunk's events, and its calls

MAX_NESTING = 3 * MAX_DEPTH  # of selections of any kind: what the walk itself may recurse
PAGE_ARGUMENTS = ("first", "last")
PAGE_DEFAULT = 20
FILTER_ARGUMENT = "filter"
MAX_MEMBERS = 50  # of a filter; among more there are some that no filter has, so that the variables are refused
INTROSPECTION_LISTS = {"fields", "inputFields", "interfaces", "possibleTypes"}
LONGEST_INT = 10  # digits; what is longer is no Int and refused by validation

# The budget of the one validation rule whose work can grow faster than the document: comparing overlapping fields.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 5_000


@dataclass(slots=True)
class Weight:
    """What a selection asks for, its fragments expanded. It grows while it is walked, and not after."""

    depth: int = 0
    width: int = 0  # fields at this level
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    schemas: int = 0
    introspection_lists: int = 0  # inside one another
    nodes: int = 0
    fetches: int = 0  # of pages: one query or a few each, for every object that has one

    def add(self, other: "Weight") -> None:
        """Take in what stands beside it, in one selection."""
        self.depth = max(self.depth, other.depth)
        self.width += other.width
        self.fields += other.fields
        self.aliases += other.aliases
        self.directives += other.directives
        self.schemas += other.schemas
        self.introspection_lists = max(self.introspection_lists, other.introspection_lists)
        self.nodes += other.nodes
        self.fetches += other.fetches


def refuse_long(text: str) -> None:
    """Refuse a document by its bytes, before it is parsed."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        refuse(f"The document is longer than {MAX_BYTES} bytes.")


def refuse_costly(schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any] | None) -> bool:
    """Refuse a document that asks for too much. True: it depends on the variables, so it is to be weighed each time."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
    _bound("operations", len(operations), MAX_OPERATIONS)
    _bound("fragments", len(fragments), MAX_FRAGMENTS)
    walk = _Walk(schema, fragments, _defaults(operations), variables or {})
    for fragment in fragments:
        _refuse(walk.fragment(fragment.name.value, 0))
    for operation in operations:
        weight = walk.operation(operation)
        _bound("root fields", weight.width, MAX_ROOT_FIELDS)
        _refuse(weight)
        if operation.operation is OperationType.SUBSCRIPTION:
            _bound("nodes at every change", weight.nodes, MAX_SUBSCRIPTION_NODES)
            _bound("fetches at every change", weight.fetches, MAX_SUBSCRIPTION_FETCHES)
    return walk.depends_on_variables


def _refuse(weight: Weight) -> None:
    _bound("levels of fields", weight.depth, MAX_DEPTH)
    _bound("fields", weight.fields, MAX_FIELDS)
    _bound("aliases", weight.aliases, MAX_ALIASES)
    _bound("directives", weight.directives, MAX_DIRECTIVES)
    _bound("__schema fields", weight.schemas, MAX_SCHEMA_FIELDS)
    _bound("introspection lists inside one another", weight.introspection_lists, MAX_INTROSPECTION_LISTS)
    _bound("nodes by its page sizes", weight.nodes, MAX_NODES)
    _bound("fetches by its page sizes and filters", weight.fetches, MAX_FETCHES)


def _bound(what: str, found: int, most: int) -> None:
    if found > most:
        refuse(f"The document asks for too many {what}: {most} are allowed.")


def _defaults(operations: list[OperationDefinitionNode]) -> dict[str, list[ValueNode | None]]:
    """What variables are when they are not given: in each operation, to weigh them all at once."""
    found: dict[str, list[ValueNode | None]] = {}
    for operation in operations:
        for definition in operation.variable_definitions or ():
            found.setdefault(definition.variable.name.value, []).append(definition.default_value)
    return found


def _number(value: object) -> int:
    """A page size, of the document or of JSON."""
    if isinstance(value, IntValueNode):
        value = int(value.value) if len(value.value) <= LONGEST_INT else MAX_NODES + 1
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as GraphQL takes 100.0 for an Int
    return max(1, value) if isinstance(value, int) and not isinstance(value, bool) else PAGE_DEFAULT


def _length(value: object) -> int:
    """How many values a member of a filter has, in the document or in JSON."""
    if isinstance(value, ListValueNode):
        return len(value.values)
    return len(value) if isinstance(value, list) else 1


class _Walk:
    """One walk over one document, with what it has weighed already."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: list[FragmentDefinitionNode],
        defaults: Mapping[str, list[ValueNode | None]],
        variables: Mapping[str, Any],
    ) -> None:
        self.schema = schema
        self.fragments = {fragment.name.value: fragment for fragment in fragments}
        self.defaults, self.variables = defaults, variables
        self.weighed: dict[str, Weight] = {}
        self.open: set[str] = set()
        self.depends_on_variables = False

    def operation(self, node: OperationDefinitionNode) -> Weight:
        kind = self.schema.get_root_type(node.operation)
        weight = self.selections(node.selection_set, kind, 0)
        weight.directives += len(node.directives or ())
        weight.directives += sum(len(each.directives or ()) for each in node.variable_definitions or ())
        return weight

    def fragment(self, name: str, level: int) -> Weight:
        if name in self.weighed:
            return self.weighed[name]
        if name in self.open:
            refuse("Fragments must not contain each other in a circle.")
        node = self.fragments.get(name)
        if node is None:
            return Weight()  # for validation to refuse
        self.open.add(name)
        inside = self.selections(node.selection_set, self._named(node.type_condition.name.value), level + 1)
        self.open.remove(name)
        inside.directives += len(node.directives or ())
        self.weighed[name] = inside
        return inside

    def selections(self, node: SelectionSetNode | None, parent: GraphQLNamedType | None, level: int) -> Weight:
        if level > MAX_NESTING:
            refuse("The document is nested too deeply.")
        weight = Weight()
        for selection in node.selections if node else ():
            weight.add(self._selection(selection, parent, level))
            weight.directives += len(selection.directives or ())
        return weight

    def _selection(self, node: SelectionNode, parent: GraphQLNamedType | None, level: int) -> Weight:
        if isinstance(node, FieldNode):
            return self._field(node, parent, level)
        if isinstance(node, FragmentSpreadNode):
            return self.fragment(node.name.value, level)
        if isinstance(node, InlineFragmentNode):
            kind = self._named(node.type_condition.name.value) if node.type_condition else parent
            return self.selections(node.selection_set, kind, level + 1)
        return Weight()

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, level: int) -> Weight:
        name, definition = node.name.value, self._definition(parent, node.name.value)
        kind = get_named_type(definition.type) if definition else None
        inside = self.selections(node.selection_set, kind, level + 1)
        page = size = self._page_size(node, definition)
        if size is None and definition and _is_unpaged_list(parent, definition):
            size = PAGE_DEFAULT  # a list without pages: its length is not known before it is read
        if size is not None:
            inside.nodes = size * max(1, inside.nodes)
            inside.fetches *= size
        if page is not None:
            inside.fetches += self._lookups(node)
        inside.depth += 1
        inside.width = 1
        inside.fields += 1
        inside.aliases += bool(node.alias)
        inside.schemas += name == "__schema"
        inside.introspection_lists += parent is not None and parent.name == "__Type" and name in INTROSPECTION_LISTS
        return inside

    def _page_size(self, node: FieldNode, definition: GraphQLField | None) -> int | None:
        """How many nodes a page may have: the larger of first and last; None for a field that has no pages."""
        given = [
            _number(value)
            for argument in node.arguments or ()
            if argument.name.value in PAGE_ARGUMENTS
            for value in self._known(argument.value)
        ]
        if given:
            return max(given)
        return PAGE_DEFAULT if definition and any(name in definition.args for name in PAGE_ARGUMENTS) else None

    def _lookups(self, node: FieldNode) -> int:
        """How many queries find one page: one for each value of a list that it is narrowed to."""
        given = [each.value for each in node.arguments or () if each.name.value == FILTER_ARGUMENT]
        filters = [value for argument in given for value in self._known(argument)]
        return max([1, *(_length(member) for each in filters for member in self._members(each))])

    def _members(self, value: object) -> list[Any]:
        if isinstance(value, ObjectValueNode):
            return [known for field in value.fields for known in self._known(field.value)]
        return list(value.values()) if isinstance(value, dict) and len(value) <= MAX_MEMBERS else []

    def _known(self, node: ValueNode) -> list[Any]:
        """What a value may be: itself, or what the variable is, or in the operations' defaults."""
        if not isinstance(node, VariableNode):
            return [node]
        self.depends_on_variables = True
        name = node.name.value
        return [self.variables[name]] if name in self.variables else list(self.defaults.get(name, [None]))

    def _definition(self, parent: GraphQLNamedType | None, name: str) -> GraphQLField | None:
        return self.schema.get_field(parent, name) if is_composite_type(parent) else None

    def _named(self, name: str) -> GraphQLNamedType | None:
        return self.schema.type_map.get(name)


def _is_unpaged_list(parent: GraphQLNamedType | None, definition: GraphQLField) -> bool:
    """A list of objects that no argument bounds. Those of a page count with it; introspection has its own bound."""
    named = get_named_type(definition.type)
    of_ours = is_composite_type(named) and not is_introspection_type(named)
    on_a_page = str(parent).endswith("Connection")  # as Relay wants them named
    return of_ours and not on_a_page and is_list_type(get_nullable_type(definition.type))
