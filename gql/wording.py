"""The allow-list of request errors: graphql-core's messages that are known, said without the client's words.

A pattern reads a message; only its named groups can come out again, and only when each is a name of the schema. The
other groups, `kind` and `wanted`, match nothing but words of graphql-core's own.
"""

import re
from collections.abc import Iterable

from graphql import GraphQLSchema, is_enum_type, is_input_object_type, is_interface_type, is_object_type

INVALID = "The request is not valid for this schema."
CHOICE = " must be one of: "
FIXED_GROUPS = {"kind", "wanted"}
ACRONYMS = {"Sip": "SIP", "Id": "ID", "Ip": "IP"}
TYPE = r"[\w\[\]!]+"
TOKEN = r"(?:'[!?$&()*+\-.:=@\[\]{|}]{1,3}'|Name|Int|Float|String|BlockString|Comment|<EOF>)"  # noqa: S105  # a pattern
REFUSED_VALUE = (
    r"a non string value|a non boolean value|non-integer value|non 32-bit signed integer value|non numeric value|"
    r"a non-string and non-integer value|value"
)
KEYWORD = r"'(?:on|fragment|query|mutation|subscription)'"

Rule = tuple[re.Pattern[str], str]


def _rules(*pairs: tuple[str, str]) -> tuple[Rule, ...]:
    return tuple((re.compile(pattern, re.DOTALL), said) for pattern, said in pairs)


SYNTAX = _rules(
    (r"Document contains more than \d+ (?:tokens|comments)", "The document has too many tokens."),
    (r"Document is nested too deeply", "The document is nested too deeply."),
    (
        rf"Expected (?P<wanted>{KEYWORD}|{TOKEN}), found (?P<kind>{TOKEN})",
        "Syntax error: expected {wanted}, found {kind}.",
    ),
    (rf"Unexpected (?P<kind>{TOKEN})", "Syntax error: unexpected {kind}."),
    (r"Unterminated string", "Syntax error: a string does not end."),
    (r"Unexpected single quote", "Syntax error: strings stand in double quotes."),
    (r"Invalid number", "Syntax error: a number is malformed."),
    (r"Invalid (?:character|Unicode) escape", "Syntax error: a string holds an invalid escape sequence."),
    (r"(?:Invalid|Unexpected) character", "Syntax error: a character is not allowed here."),
    (r"", "Syntax error."),
)
VALUES = _rules(
    (
        rf"Expected value of type '{TYPE}' to include required field '(?P<field>\w+)'",
        "Field '{field}' is required.",
    ),
    (r"Expected value of type '(?P<type>\w+)' not to include unknown field ", "Type '{type}' has no such field."),
    (rf"Expected value of type '(?P<type>{TYPE})' to be an object", "A value of type '{type}' must be an object."),
    (rf"Expected a value of non-null type '(?P<type>{TYPE})'", "A value of type '{type}' is required."),
    (rf"Expected value of non-null type '(?P<type>{TYPE})'", "A value of type '{type}' must not be null."),
    (
        rf"Expected variable '\$\w+' provided to (?:non-null )?type '(?P<type>{TYPE})'",
        "A variable has no value where a value of type '{type}' is required.",
    ),
    (
        r"Expected value of type '[^']*', found null\. (?:Field|Argument) '(?P<field>\w+)' of type 'Maybe",
        "Field '{field}' must not be null.",
    ),
    (r"Value '.*' does not exist in '(?P<enum>\w+)' enum", ""),
    (r"Enum '(?P<enum>\w+)' cannot represent non-(?:string|enum) value", ""),
    (
        rf"(?P<type>\w+) cannot represent (?P<kind>{REFUSED_VALUE})",
        "{type} cannot represent {kind}.",
    ),
    (rf"Expected value of type '(?P<type>{TYPE})'", "A value of type '{type}' is expected."),
    (
        r"Within OneOf Input Object type '(?P<type>\w+)'",
        "Exactly one field of '{type}' must be given, and not as null.",
    ),
    (r"OneOf Input Object '(?P<type>\w+)'", "Exactly one field of '{type}' must be given, and not as null."),
)
DOCUMENT = _rules(
    (rf"Cannot query field '\w+' on type '(?P<type>{TYPE})'", "Type '{type}' has no such field."),
    (r"Field '(?P<field>\w+)' must not have a selection", "Field '{field}' has no fields of its own to select."),
    (
        rf"Field '(?P<field>\w+)' of type '(?P<type>{TYPE})' must have (?:a selection|at least one field)",
        "Field '{field}' of type '{type}' needs a selection of its fields.",
    ),
    (
        r"Unknown argument '\w+' on field '(?P<type>\w+)\.(?P<field>\w+)'",
        "Field '{field}' of type '{type}' has no such argument.",
    ),
    (r"Unknown argument '\w+' on directive '@(?P<directive>\w+)'", "Directive '@{directive}' has no such argument."),
    (
        rf"Argument '@?(?:\w+\.)?(?P<field>\w+)\((?P<argument>\w+):\)' of type '(?P<type>{TYPE})' is required",
        "Argument '{argument}' of type '{type}' is required on '{field}'.",
    ),
    (
        rf"Variable '\$\w+' of type '(?P<given>{TYPE})' used in position expecting type '(?P<type>{TYPE})'",
        "A variable of type '{given}' is used where type '{type}' is expected.",
    ),
    (rf"Variable '\$\w+' cannot be non-input type '(?P<type>{TYPE})'", "A variable cannot be of type '{type}'."),
    (r"Variable '\$\w+' is not defined", "A variable is used that the operation does not define."),
    (r"Variable '\$\w+' is never used", "A variable is defined and never used."),
    (r"There can be only one argument named", "An argument is given twice."),
    (r"There can be only one input field named", "An input field is given twice."),
    (r"There can be only one variable named", "A variable is defined twice."),
    (r"There can be only one operation named", "Two operations have the same name."),
    (r"There can be only one fragment named", "Two fragments have the same name."),
    (r"Unknown type '", "There is no such type."),
    (r"Unknown fragment '", "A fragment is used that the document does not define."),
    (r"Unknown directive '", "There is no such directive."),
    (r"Fragment '\w+' is never used", "A fragment is defined and never used."),
    (
        r"Fragment .*cannot be spread here as objects of type '(?P<given>\w+)' can never be of type '(?P<type>\w+)'",
        "A fragment on '{type}' cannot be used on '{given}'.",
    ),
    (
        r"Fragment (?:'\w+' )?cannot condition on non composite type '(?P<type>\w+)'",
        "A fragment cannot be on '{type}'.",
    ),
    (r"Cannot spread fragment '", "Fragments must not contain each other in a circle."),
    (r"This anonymous operation must be the only", "An operation without a name must be the only one."),
    (
        r"Directive '@(?P<directive>\w+)' may not be used on (?P<kind>[a-zA-Z_ ]+)\.",
        "Directive '@{directive}' may not be used on {kind}.",
    ),
    (
        r"The directive '@(?P<directive>\w+)' can only be used once",
        "Directive '@{directive}' is used twice at one place.",
    ),
    (r"Fields '", "Fields of the same name conflict. Give one of them an alias."),
    (r"The .* definition is not executable", "Only operations and fragments can be sent."),
    (
        r"The (?P<kind>query|mutation|subscription) operation is not supported",
        "This schema has no {kind} operations.",
    ),
    (r"Maximum introspection depth exceeded", "The introspection is nested too deeply."),
    (r"Too many (?:validation )?errors", "There are more errors than are listed."),
    (r"Validation aborted", "The document is too complex to be checked."),
    (r"Variable values are nested too deeply", "The variables are nested too deeply."),
)
ARGUMENT = _rules(
    (
        rf"Argument '(?P<argument>\w+)' of required type '(?P<type>{TYPE})' was not provided",
        "Argument '{argument}' of type '{type}' is required.",
    ),
)
PREFIX = re.compile(
    r"(?:Variable '\$\w+'|Argument '\w+') has invalid (?:default )?value(?: at ([.\w\[\]]+))?: (.*)", re.DOTALL
)
SYNTAX_PREFIX = "Syntax Error: "
SUGGESTIONS = re.compile(
    r" Did you mean (?:the enum value |to use an inline fragment on )?((?:'\w+'|, | or |, or )+)\?"
)
NAME = re.compile(r"\w+")


class Wording:
    """Says graphql-core's messages anew for one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.names = frozenset(_names(schema))
        self.enums = {name: list(kind.values) for name, kind in schema.type_map.items() if is_enum_type(kind)}

    def of(self, message: str) -> str | None:
        """Say a request error anew; None when it is not on the list."""
        if message.startswith(SYNTAX_PREFIX):
            return self._first(SYNTAX, message.removeprefix(SYNTAX_PREFIX))
        return self._of_prefixed(message) or self._first(VALUES, message) or self._first(DOCUMENT, message)

    def of_argument(self, message: str) -> str | None:
        """Say an error anew that the arguments of a field brought while it ran; None for every other."""
        return self._of_prefixed(message) or self._first(ARGUMENT, message)

    def _of_prefixed(self, message: str) -> str | None:
        """A bad variable: graphql-core puts its name and the way to the bad part before what is wrong there."""
        match = PREFIX.match(message)
        if not match:
            return None
        way, problem = (match[1] or "").lstrip("."), self._first(VALUES, match[2]) or "The value is not valid."
        tells_itself = CHOICE in problem or not way
        known = self._all_known(name for name in NAME.findall(way) if not name.isdigit())
        return problem if tells_itself or not known else f"At '{way}': {problem}"

    def _first(self, rules: Iterable[Rule], message: str) -> str | None:
        for pattern, said in rules:
            if match := pattern.match(message):
                return self._said(match, said)
        return None

    def _said(self, match: re.Match[str], said: str) -> str:
        groups = match.groupdict()
        if not self._all_known(
            name for key, text in groups.items() if key not in FIXED_GROUPS for name in NAME.findall(text)
        ):
            return INVALID
        if "enum" in groups:
            return self._choice(groups["enum"])
        return said.format(**groups) + self._suggestions(match.string)

    def _choice(self, enum: str) -> str:
        words = [ACRONYMS.get(word, word.lower()) for word in re.findall(r"[A-Z][a-z0-9]*", enum)]
        subject = " ".join(words)
        return f"{subject[:1].upper()}{subject[1:]}{CHOICE}{', '.join(self.enums.get(enum, []))}."

    def _suggestions(self, message: str) -> str:
        match = SUGGESTIONS.search(message)
        known = [name for name in NAME.findall(match[1]) if name in self.names] if match else []
        return f" Did you mean {' or '.join(repr(name) for name in known)}?" if known else ""

    def _all_known(self, names: Iterable[str]) -> bool:
        return all(name in self.names for name in names)


def _names(schema: GraphQLSchema) -> Iterable[str]:
    """Every name that a reader of the schema can see."""
    for directive in schema.directives:
        yield directive.name
        yield from directive.args
    for name, kind in schema.type_map.items():
        yield name
        if is_enum_type(kind):
            yield from kind.values
        elif is_input_object_type(kind):
            yield from kind.fields
        elif is_object_type(kind) or is_interface_type(kind):
            for field, definition in kind.fields.items():
                yield field
                yield from definition.args
