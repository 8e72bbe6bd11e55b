"""Every way in which a client can send a secret: as a password, as any other part of a request, as its API key."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.api import CREATE, VALIDATE, given

NEEDLE = "Xq7vBn2KtR9wLp4Z"  # also a GraphQL name
PASSWORD = f'{NEEDLE} "\\ü%/+'
SHOWN = "tl_shown001"  # of an API key its first eleven characters are shown to its owner
KEY_NEEDLE = "Hd3mYc8sVf6jTg1N"
KEY = SHOWN + KEY_NEEDLE
USERNAME = "looked-for-and-found"  # not a secret: shows that the search looks where it should

JSON = {"content-type": "application/json"}
INPUT = given(sipUsername=USERNAME, sipPassword=PASSWORD)
LITERAL = (
    'sipTrunkType: NUMBER, phoneNumber: "+40741926266", sipUsername: "literal", sipAddress: "8.8.4.4", '
    "sipCallingFormat: E164, inboundAuthorizationType: AUTH"
)
SELECTION = "{ message userErrors { code message } }"
LIST = "query ($after: String, $first: Int) { sipTrunks(first: $first, after: $after) { totalCount } }"


@dataclass(frozen=True, slots=True)
class Sent:
    """What was answered to what."""

    name: str
    response: httpx.Response

    @property
    def text(self) -> bytes:
        headers = "\n".join(f"{name}: {value}" for name, value in self.response.headers.items())
        return headers.encode() + self.response.content


def send_everything(url: str) -> list[Sent]:
    """Send the secrets in every way there is; the answers."""
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {KEY}"}, trust_env=False) as client:
        return [Sent(name, send(client)) for name, send in _requests()]


Send = Callable[[httpx.Client], httpx.Response]


def _requests() -> Iterator[tuple[str, Send]]:
    for name, input_ in _inputs():
        yield f"create: {name}", _graphql(CREATE, {"input": input_})
        yield f"validate: {name}", _graphql(VALIDATE, {"input": input_})
    for name, document in _documents():
        yield f"document: {name}", _graphql(document)
    for name, query, variables in _variables():
        yield f"variables: {name}", _graphql(query, variables)
    for name, body in _bodies():
        yield f"body: {name}", _body(body)
    for name, headers in _headers():
        yield f"header: {name}", _body(b'{"query": "{ __typename }"}', headers)
    for name, parameters in _addresses():
        yield f"address: {name}", _get(parameters)


def _graphql(query: str, variables: object = None) -> Send:
    return lambda client: client.post("/graphql", json={"query": query, "variables": variables})


def _body(body: bytes, headers: dict[str, str] | None = None) -> Send:
    return lambda client: client.post("/graphql", content=body, headers={**JSON, **(headers or {})})


def _get(parameters: dict[str, str]) -> Send:
    return lambda client: client.get(f"/graphql?{urlencode(parameters)}")


def _inputs() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "good", INPUT
    yield "the same again", INPUT
    yield "a number in use", {**INPUT, "sipUsername": "somebody-else"}
    yield "too long a password", {**INPUT, "sipPassword": PASSWORD * 20}
    yield "a line break in the password", {**INPUT, "sipPassword": f"{PASSWORD}\n"}
    yield "no character in the password", {**INPUT, "sipPassword": f"{PASSWORD}\0"}
    yield (
        "every other field is wrong",
        {
            **INPUT,
            "phoneNumber": "x",
            "nickname": "x" * 51,
            "sipUsername": "",
            "sipAddress": "sip:x",
            "sipPort": 0,
            "inboundAuthorizationType": "IP",
            "countryCode": "XX",
            "outboundProxy": True,
        },
    )
    for field in ("phoneNumber", "sipAddress", "countryCode"):
        yield f"as {field}", {**INPUT, field: PASSWORD}
    yield "as nickname", {**INPUT, "nickname": PASSWORD * 3}
    yield "within sipAddress", {**INPUT, "sipAddress": f"sip:alice:{NEEDLE}@8.8.4.4"}
    yield "as an allowed IP", {**INPUT, "inboundAuthorizationType": "IP", "allowedInboundIps": [NEEDLE]}


def _documents() -> Iterator[tuple[str, str]]:
    create = f"mutation {{ createSipTrunk(input: {{%s}}) {SELECTION} }}"
    yield "good literal", create % f'{LITERAL}, sipPassword: "{NEEDLE}"'
    yield "block literal", create % f'{LITERAL}, sipPassword: """{NEEDLE}"""'
    yield "literal as a name", create % f"{LITERAL}, sipPassword: {NEEDLE}"
    yield "literal in a list", create % f'{LITERAL}, sipPassword: ["{NEEDLE}"]'
    yield "beside an unknown field", create % f'{LITERAL}, sipPassword: "{NEEDLE}", port: 1'
    yield "beside a missing field", create % f'sipPassword: "{NEEDLE}"'
    yield "enum value", create % LITERAL.replace("E164", NEEDLE)
    yield "field of the input", create % f"{LITERAL}, {NEEDLE}: 1"
    yield "unfinished string", f'{{ sipTrunk(id: "{NEEDLE}'
    yield "syntax error", f'mutation {{ createSipTrunk(input: {{sipPassword: "{NEEDLE}" }}}} '
    yield "not GraphQL", NEEDLE
    yield "field", f"{{ {NEEDLE} }}"
    yield "field of a type", f"{{ sipTrunks {{ {NEEDLE} }} }}"
    yield "argument", f"{{ sipTrunks({NEEDLE}: 1) {{ totalCount }} }}"
    yield "directive", f"{{ sipTrunks @{NEEDLE} {{ totalCount }} }}"
    yield "fragment", f"{{ ...{NEEDLE} }}"
    yield "unused fragment", f"{{ __typename }} fragment {NEEDLE} on Query {{ __typename }}"
    yield "type condition", f"{{ ... on {NEEDLE} {{ __typename }} }}"
    yield "variable", f"{{ sipTrunk(id: ${NEEDLE}) {{ id }} }}"
    yield "type of a variable", f"query ($x: {NEEDLE}) {{ sipTrunk(id: $x) {{ id }} }}"
    yield "default of a variable", f'query ($x: Int = "{NEEDLE}") {{ sipTrunks(first: $x) {{ totalCount }} }}'
    yield "operation", f"query {NEEDLE} {{ nothing }}"
    yield "comment", f"{{ nothing }} # {NEEDLE}"
    yield "id", f'{{ node(id: "{NEEDLE}") {{ id }} sipTrunk(id: "{NEEDLE}") {{ id }} }}'


def _variables() -> Iterator[tuple[str, str, object]]:
    yield "unknown field of the input", CREATE, {"input": {**INPUT, NEEDLE: NEEDLE}}
    yield "enum value", CREATE, {"input": {**INPUT, "sipCallingFormat": NEEDLE}}
    yield "password in a list", CREATE, {"input": {**INPUT, "sipPassword": [PASSWORD]}}
    yield "password in an object", CREATE, {"input": {**INPUT, "sipPassword": {NEEDLE: PASSWORD}}}
    yield "missing field", CREATE, {"input": {"sipPassword": PASSWORD}}
    yield "text for a number", CREATE, {"input": {**INPUT, "sipPort": NEEDLE}}
    yield "text for a flag", CREATE, {"input": {**INPUT, "outboundProxy": NEEDLE}}
    yield "text for the input", CREATE, {"input": PASSWORD}
    yield "list for the input", CREATE, {"input": [INPUT, INPUT]}
    yield "another name", CREATE, {NEEDLE: INPUT}
    yield "null beside it", CREATE, {"input": {**INPUT, "sipAddress": None}}
    yield "cursor", LIST, {"after": NEEDLE}
    yield "page size", LIST, {"first": NEEDLE}
    yield "not an object", LIST, [NEEDLE]


def _bodies() -> Iterator[tuple[str, bytes]]:
    whole = json.dumps({"query": CREATE, "variables": {"input": INPUT}}).encode()
    yield "cut off", whole[:-20]
    yield "batch", b"[" + whole + b"]"
    yield "not UTF-8", whole + b"\xff"
    yield "half a surrogate pair", whole.replace(NEEDLE.encode(), b"\\ud800" + NEEDLE.encode())
    yield "too long", whole + b" " * 300_000
    yield "text", json.dumps(NEEDLE).encode()
    yield "unknown member", json.dumps({"query": "{ __typename }", NEEDLE: NEEDLE}).encode()
    yield "operation name", json.dumps({"query": "{ __typename }", "operationName": NEEDLE}).encode()
    yield "extensions", json.dumps({"query": "{ nothing }", "extensions": {NEEDLE: NEEDLE}}).encode()


def _headers() -> Iterator[tuple[str, dict[str, str]]]:
    yield "wrong key", {"authorization": f"Bearer tl_{NEEDLE}{NEEDLE}"}
    yield "another scheme", {"authorization": f"Basic {KEY}"}
    yield "no scheme", {"authorization": KEY}
    yield "key and more", {"authorization": f"Bearer {KEY}x"}
    yield "Host", {"host": NEEDLE}
    yield "Origin", {"origin": f"https://{NEEDLE}"}
    yield "Content-Type", {"content-type": f"text/{NEEDLE}"}
    yield "Cookie", {"cookie": f"key={KEY}"}
    yield "User-Agent", {"user-agent": NEEDLE}
    yield "Accept", {"accept": f"text/{NEEDLE}"}
    yield "traceparent", {"traceparent": NEEDLE, "tracestate": f"a={NEEDLE}", "baggage": f"a={NEEDLE}"}
    good = f"00-{'a' * 32}-{'b' * 16}-01"
    yield "tracestate", {"traceparent": good, "tracestate": f"a={NEEDLE}", "baggage": f"a={NEEDLE}"}


def _addresses() -> Iterator[tuple[str, dict[str, str]]]:
    mutation = f'mutation {{ createSipTrunk(input: {{{LITERAL}, sipPassword: "{NEEDLE}"}}) {SELECTION} }}'
    yield "mutation", {"query": mutation}
    yield "query", {"query": f'{{ sipTrunk(id: "{NEEDLE}") {{ id }} }}'}
    yield "variables", {"query": LIST, "variables": json.dumps({"after": NEEDLE})}
    yield "malformed variables", {"query": LIST, "variables": NEEDLE}
    yield "key", {"key": KEY, NEEDLE: NEEDLE}
