"""The graphql-http project's own audits of a GraphQL over HTTP server, against ours as it is served."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.server_process import ServerProcess

AUDIT = Path(__file__).parent / "node" / "audit.mjs"


def test_all_audits_of_graphql_over_http_hold(served: ServerProcess, needs: Callable[[str], str]) -> None:
    needs("playwright-core")  # of the same package: the audits are installed when it is
    command = [needs("node"), str(AUDIT), f"{served.url}/graphql", served.key]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(run.stdout) == {"held": {"MUST": 13, "SHOULD": 23, "MAY": 25}, "failed": []}
