"""Requests that are meant to cost a server much more than their sender, against trunkline's own schema.

HOPELESS ones are refused before validation. DEAR ones keep every bound, so they are as dear as a request can be.
"""

import json

from gql.endpoint import MAX_BODY
from gql.limits import (
    MAX_ALIASES,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_DIRECTIVES,
    MAX_FETCHES,
    MAX_FRAGMENTS,
    MAX_OPERATIONS,
    MAX_ROOT_FIELDS,
    MAX_SUBSCRIPTION_FETCHES,
    MAX_SUBSCRIPTION_NODES,
    MAX_TOKENS,
)
from gql.sip_trunk_list import VALUES_MAX

FIELDS = "id sipTrunkType phoneNumber nickname sipUsername sipAddress sipPort status revision createdAt updatedAt"
VALIDATE = "mutation ($input: CreateSipTrunkInput!) { validateSipTrunk(input: $input) { valid } }"
OPERATION = "query Q{0}($a: ID!) { sipTrunk(id: $a) { ...F0 } }"
TRUNK = '{ sipTrunk(id: "x") { %s } }'
LEGS = "inbound { state attempts lastError { code message } }"
SHEET = "setupSheet { markdown }"
DIALLED = 'dialPreview(destination: "+12025550123") { requestUri toUser fromUser problem }'


def many(count: int, text: str) -> str:
    """The text so often, `{0}` being a number of its own each time."""
    return " ".join(text.replace("{0}", str(number)) for number in range(count))


def body(query: str, variables: object = None, **members: str) -> bytes:
    """A POST body."""
    return json.dumps({"query": query, "variables": variables, **members}).encode()


def nested(levels: int) -> str:
    """Trunks of assistants of trunks."""
    inner = "id"
    for level in range(levels - 1):
        inner = f"assistants {{ {inner} }}" if level % 2 else f"phoneNumber {{ {inner} }}"
    return TRUNK % (inner if levels % 2 else f"assistants {{ {inner} }}")


def doubling(count: int) -> str:
    """Each fragment spreads the next one twice."""
    links = " ".join(f"fragment F{i} on SipTrunk {{ ...F{i + 1} ...F{i + 1} }}" for i in range(count))
    return f"{TRUNK % '...F0'} {links} fragment F{count} on SipTrunk {{ id }}"


def siblings(count: int, inner: str) -> str:
    """Many fragments side by side, which are compared with one another."""
    spreads, fragments = many(count, "...F{0}"), many(count, f"fragment F{{0}} on SipTrunk {{ {inner} }}")
    return f"{TRUNK % spreads} {fragments}"


def chain(count: int) -> str:
    """Each fragment spreads the next one."""
    links = " ".join(f"fragment F{i} on SipTrunk {{ ...F{i + 1} id }}" for i in range(count))
    return f"{links} fragment F{count} on SipTrunk {{ id }}"


def deep_value(levels: int) -> object:
    """A text in so many lists."""
    value: object = "x"
    for _ in range(levels):
        value = [value]
    return value


def pages_of_each(trunks: int, count: int) -> bytes:
    """A page of trunks, with so many pages of events of each."""
    pages = many(count, "e{0}: events(first: 3) { nodes { id } }")
    return body(f"{{ sipTrunks(first: {trunks}) {{ nodes {{ {pages} }} }} }}")


def narrowed(count: int) -> bytes:
    """So many lists, each narrowed to as many values as a filter may have: all are looked up one by one."""
    lists = many(count, "a{0}: sipTrunks(filter: $f) { nodes { id } }")
    providers = [f"provider{number}" for number in range(VALUES_MAX)]
    return body(f"query ($f: SipTrunkFilter) {{ {lists} }}", {"f": {"provider": providers}})


def full_pages(inner: str) -> bytes:
    """As many trunks as a document may ask for."""
    pages = many(MAX_ROOT_FIELDS, "a{0}: sipTrunks(first: 100) { nodes { ...F } }")
    return body(f"{{ {pages} }} fragment F on SipTrunk {{ {inner} }}")


def watching(inner: str) -> bytes:
    """A subscription, whose document is run again at every change."""
    return body(f"subscription {{ sipTrunkChanged {{ sipTrunk {{ {inner} }} }} }}")


TYPES = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }"
HOPELESS: dict[str, bytes] = {
    "alias bomb": body(TRUNK % many(MAX_ALIASES + 1, "a{0}: id")),
    "alias bomb of mutations": body(
        "mutation {" + many(MAX_ROOT_FIELDS + 1, 'a{0}: deleteSipTrunk(input: {id: "x"}) { message }') + "}"
    ),
    "alias bomb by fragments": body(f"{TRUNK % many(7, '...F')} fragment F on SipTrunk {{ {many(8, 'a{0}: id')} }}"),
    "deep nesting": body(nested(MAX_DEPTH + 1)),
    "deep inline fragments": body(TRUNK % ("... { " * 90 + "id" + " }" * 90)),
    "deep beyond the parser": body(TRUNK % ("... { " * 250 + "id" + " }" * 250)),
    "circular fragments": body(f"{TRUNK % '...A'} fragment A on SipTrunk {{ ...B }} fragment B on SipTrunk {{ ...A }}"),
    "circular through fields": body(
        f"{TRUNK % '...A'} fragment A on SipTrunk {{ assistants {{ phoneNumber {{ ...A }} }} }}"
    ),
    "fragment doubling": body(doubling(25)),
    "fragment flood": body(siblings(MAX_FRAGMENTS + 1, "id")),
    "operation flood": body(many(MAX_OPERATIONS + 1, "query Q{0} { voice { kind } }")),
    "directive flood": body(TRUNK % ("id" + " @skip(if: false)" * (MAX_DIRECTIVES + 1))),
    "unknown directive flood": body(TRUNK % ("id" + " @a" * 250)),
    "directive flood by fragments": body(
        f"{TRUNK % many(6, '...F')} fragment F on SipTrunk {{ id{' @skip(if: false)' * 10} }}"
    ),
    "introspection loop": body(TYPES),
    "introspection twice": body("{ a: __schema { queryType { name } } b: __schema { queryType { name } } }"),
    "field-suggestion probing, wide": body("{" + many(MAX_ROOT_FIELDS + 1, "sipTrunk{0}") + "}"),
    "field-suggestion probing, long": body(TRUNK % many(MAX_TOKENS, "sipTrunkTyp{0}")),
    "page sizes multiplied": body(
        "{ sipTrunks(first: 100) { nodes { " + "assistants { phoneNumber { " * 3 + "id" + " } }" * 3 + " } } }"
    ),
    "pages inside pages": pages_of_each(100, MAX_ALIASES),
    "many values of filters": narrowed(MAX_ROOT_FIELDS),
    "fetches at every change": watching(many(MAX_SUBSCRIPTION_FETCHES + 1, "e{0}: events(first: 1) { nodes { id } }")),
    "nodes at every change": watching(f"events(first: {MAX_SUBSCRIPTION_NODES + 1}) {{ nodes {{ id }} }}"),
    "tokens": body(TRUNK % many(MAX_TOKENS, "id")),
    "long document": body("{ voice { kind } } #" + "x" * MAX_BYTES),
    "huge list": body("{ sipTrunk(id: [" + many(MAX_TOKENS, "{0}") + "]) { id } }"),
    "deep list": body("{ sipTrunk(id: " + "[" * 250 + "]" * 250 + ") { id } }"),
    "huge literal": body('{ sipTrunk(id: "' + "x" * MAX_BYTES + '") { id } }'),
    "array batch": json.dumps([{"query": "{ voice { kind } }"}] * 1000).encode(),
    "deep JSON": b'{"variables":' + b"[" * (MAX_BODY - 20),
    "huge number": b'{"query": "{ voice { kind } }", "variables": {"a": ' + b"9" * (MAX_BODY - 200) + b"}}",
}

GOOD = {
    "sipTrunkType": "NUMBER", "phoneNumber": "+40741926265", "sipUsername": "alice", "sipPassword": "correct-horse",
    "sipAddress": "8.8.4.4", "sipCallingFormat": "PLUS_E164", "inboundAuthorizationType": "IP",
}  # fmt: skip


def given(**members: object) -> bytes:
    """A good trunk's input with these members."""
    return body(VALIDATE, {"input": {**GOOD, **members}})


DEAR: dict[str, bytes] = {
    "same fields at many roots": body("{" + many(19, 'sipTrunk(id: "x") { ' + FIELDS + f" {LEGS} }}") + "}"),
    "same field again and again": body(TRUNK % many(MAX_TOKENS - 20, "id")),
    "overlapping fragments": body(siblings(MAX_FRAGMENTS - 1, FIELDS)),
    "overlapping nested fragments": body(siblings(14, f"{LEGS} outbound {{ state lastError {{ code }} }} {FIELDS}")),
    "overlapping lists": body(
        "{" + many(12, 'sipTrunk(id: "x") { assistants { phoneNumber { assistants { id name } } } }') + "}"
    ),
    "operations times fragments": body(
        f"{many(MAX_OPERATIONS, OPERATION)} {chain(14)}", {"a": "x"}, operationName="Q0"
    ),
    "a page inside each of a page": pages_of_each(100, 1),
    "pages inside a page": pages_of_each((MAX_FETCHES - 1) // 3, 3),
    "values of filters": narrowed(MAX_FETCHES // VALUES_MAX),
    "full pages": full_pages("id status"),
    "full pages of nearly everything": full_pages(f"{FIELDS} {LEGS} {SHEET} {DIALLED} countryCode inboundTrunkId"),
    "variables": body("query (" + many(140, "$a{0}: Int") + ') { sipTrunk(id: "x") { id } }'),
    "field-suggestion probing": body(TRUNK % many(MAX_TOKENS - 20, "sipTrunkTyp{0}")),
    "unknown input fields": body(
        "mutation { validateSipTrunk(input: {" + many(140, "sipAddres{0}: 1") + "}) { valid } }"
    ),
    "literal list": body("{ sipTrunk(id: [" + many(MAX_TOKENS - 20, "{0}") + "]) { id } }"),
    "block string": body('{ sipTrunk(id: """' + "\n" * (MAX_BYTES // 2) + '""") { id } }'),
    "escapes": body('{ sipTrunk(id: "' + "\\u0041" * (MAX_BYTES // 7) + '") { id } }'),
    "unknown variables' fields": given(**{f"sipAddres{number}": 1 for number in range(MAX_BODY // 22)}),
    "wrong entries": given(allowedInboundIps=[1] * (MAX_BODY // 4)),
    "many entries": given(allowedInboundIps=[f"8.{n % 256}.{n // 256}.4" for n in range(MAX_BODY // 16)]),
    "deep variables": body(VALIDATE, {"input": deep_value(900)}),
}
