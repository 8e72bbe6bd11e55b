"""The whole schema under fire: schemathesis makes documents for every operation, a served sandbox answers each of them.

500 examples; 2,000 with TRUNKLINE_FULL=1. An answer is well-formed, never a 5xx, and no error is a masked one of ours.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.graphql import nodes

from gql.schema import schema
from tests.api import ANSWER, CREATE, TRUNK
from tests.server_process import ServerProcess

EXAMPLES = 2_000 if os.environ.get("TRUNKLINE_FULL") else 500
SETTINGS = {
    "TRUNKLINE_LIMIT_REQUESTS_PER_MINUTE": "0",
    "TRUNKLINE_LIMIT_TRUNKS": "0",
    "TRUNKLINE_PROVISION_TIMEOUT": "5",
}
FUZZ = settings(
    deadline=None,
    database=None,
    derandomize=EXAMPLES == 500,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
ID_ARGUMENT = re.compile(r'\b(id|\w+Id): (?:"(?:[^"\\]|\\.)*"|-?\d+)')
OPERATIONS = {
    name
    for kind in (schema._schema.query_type, schema._schema.mutation_type)  # noqa: SLF001  # Strawberry has no public name
    for name in (kind.fields if kind else ())
}

schemathesis.graphql.scalar("Secret", st.text(max_size=40).map(nodes.String))
schemathesis.graphql.scalar(
    "DateTime", (st.datetimes().map(lambda at: f"{at.isoformat()}Z") | st.text()).map(nodes.String)
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, SETTINGS) as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {server.key}", "accept": "application/graphql-response+json"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


def made(client: httpx.Client) -> list[str]:
    """Ids of things that are there, so that not every example ends with "not found"."""
    found = []
    for number in range(3):
        trunk = {**TRUNK, "phoneNumber": f"+4074192626{number}"}
        made = ask(client, CREATE, {"input": trunk})["createSipTrunk"]["sipTrunk"]
        wish = {"name": "Desk", "agentName": "desk", "type": "INBOUND", "phoneNumberId": made["id"]}
        found += [made["id"], ask(client, ANSWER, {"input": wish})["createAssistant"]["assistant"]["id"]]
    return found


def ask(client: httpx.Client, query: str, variables: object) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/graphql", json={"query": query, "variables": variables}).json()["data"]
    return answer


def fired(document: str, ids: list[str], choose: Callable[[int], int]) -> str:
    """The document with some of its ids exchanged for real ones."""

    def exchanged(match: re.Match[str]) -> str:
        chosen = choose(2 * len(ids))
        return f'{match[1]}: "{ids[chosen]}"' if chosen < len(ids) else match[0]

    return ID_ARGUMENT.sub(exchanged, document)


def outcome(answer: httpx.Response) -> str:
    """How it ended; AssertionError for an answer that must not be."""
    assert answer.status_code in {200, 400}, answer.text
    body = answer.json()
    assert {"data", "errors"} & set(body) == set(body) - {"extensions"} != set()
    messages = [error["message"] for error in body.get("errors", ())]
    assert all(messages)
    assert not [message for message in messages if "nternal error" in message]
    assert (answer.status_code == 400) == ("data" not in body)
    return "refused" if "data" not in body else ("partly answered" if messages else "answered")


def test_no_document_brings_a_server_error_or_an_unmasked_one(
    server: ServerProcess, client: httpx.Client, record_property: Callable[[str, object], None]
) -> None:
    ids, outcomes = made(client), Counter[str]()
    loaded = schemathesis.graphql.from_url(f"{server.url}/graphql", headers={"authorization": f"Bearer {server.key}"})
    found = [each.ok() for each in loaded.get_all_operations() if isinstance(each, Ok)]
    operations = {operation.label.partition(".")[2]: operation for operation in found}
    assert operations.keys() >= OPERATIONS
    for operation in operations.values():

        @settings(FUZZ, max_examples=-(-EXAMPLES // len(operations)))
        @given(case=operation.as_strategy(), data=st.data())
        def fire(case: Any, data: st.DataObject) -> None:
            document = fired(case.body, ids, lambda most: data.draw(st.integers(0, most - 1)))
            outcomes[outcome(client.post("/graphql", json={"query": document}))] += 1

        fire()
    assert server.is_ready()
    told = ", ".join(f"{name} {count}" for name, count in sorted(outcomes.items()))
    record_property("schemathesis", f"{outcomes.total()} examples, {len(operations)} operations, 0 failures: {told}")
    assert outcomes.total() >= EXAMPLES
    assert outcomes["answered"] > EXAMPLES / 3
    logged = server.log.read_text()
    assert '"request_failed"' not in logged
    assert '"unexpected_error"' not in logged
