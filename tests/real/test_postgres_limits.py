"""The limits of a workspace hold over replicas that do not know of each other."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from models.secret import Keyring
from tests.api import Api, codes
from tests.server_process import KEY, ServerProcess
from tests.test_workspace_limits import extension

LIMIT, AT_ONCE = 5, 24


@asynccontextmanager
async def two_replicas(folder: Path, url: str, **limits: str) -> AsyncIterator[list[Api]]:
    settings = {"TRUNKLINE_DATABASE_URL": url, "TRUNKLINE_SECRET_KEYS": Keyring.generate("k1"), **limits}
    servers = [ServerProcess(folder, settings) for _ in range(2)]
    headers = {"authorization": f"Bearer {KEY}"}
    async with AsyncExitStack() as stack:
        for server in servers:
            await asyncio.to_thread(server.start)
            stack.callback(server.stop)
        clients = [httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) for server in servers]
        yield [Api(await stack.enter_async_context(client)) for client in clients]


async def test_no_more_trunks_are_made_than_a_workspace_may_have(tmp_path: Path, postgres_url: str) -> None:
    async with two_replicas(tmp_path, postgres_url, TRUNKLINE_LIMIT_TRUNKS=str(LIMIT)) as apis:
        payloads = await asyncio.gather(*(extension(apis[number % 2], number) for number in range(AT_ONCE)))
        assert Counter(map(tuple, map(codes, payloads))) == {(): LIMIT, ("LIMIT_REACHED",): AT_ONCE - LIMIT}
        assert len(await apis[0].trunks()) == LIMIT


async def test_a_revoked_key_works_at_no_replica(tmp_path: Path, postgres_url: str) -> None:
    make = 'mutation { createApiKey(input: {name: "ci", scopes: [READ]}) { apiKey { id } secret } }'
    async with two_replicas(tmp_path, postgres_url) as apis:
        made = (await apis[0].ask(make))["createApiKey"]
        header = {"authorization": f"Bearer {made['secret']}"}

        async def status(api: Api) -> int:
            return (await api.client.post("/graphql", json={"query": "{ __typename }"}, headers=header)).status_code

        assert [await status(api) for api in apis] == [200, 200]
        revoke = "mutation ($id: ID!) { revokeApiKey(input: {id: $id}) { revokedId } }"
        await apis[0].ask(revoke, {"id": made["apiKey"]["id"]})
        assert [await status(api) for api in apis] == [401, 401]
