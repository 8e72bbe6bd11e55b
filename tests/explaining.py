"""explainInboundCall as a client asks it."""

from typing import Any

from tests.api import Api

CALLER = "+40741926299"
ANYWHERE = "198.51.100.7"
EXPLAIN = """query Explain($input: ExplainInboundCallInput!) { explainInboundCall(input: $input) {
  accepted rule explanation sipTrunk { id } assistant { id }
} }"""


async def explained(
    api: Api, to: str, source: str = ANYWHERE, *, caller: str = CALLER, credentials: bool = True
) -> dict[str, Any]:
    """What is told of a call, ids in place of objects."""
    call = {"to": to, "from": caller, "sourceIp": source} | ({} if credentials else {"withCredentials": False})
    told: dict[str, Any] = (await api.ask(EXPLAIN, {"input": call}))["explainInboundCall"]
    assert told["accepted"] is (told["rule"] == "ACCEPTED") is (told["assistant"] is not None)
    return told | {name: told[name] and told[name]["id"] for name in ("sipTrunk", "assistant")}
