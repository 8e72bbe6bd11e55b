"""A process that dies by SIGKILL at the n-th point of an operation: before and after every voice call and every commit.

The points are counted, not listed: n = 1, 2, ... until a run ends without dying. The product has no switch for this:
the hooks are put in here, by the tests' own composition root.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from functools import wraps
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import httpx
from tortoise.backends.asyncpg import client as asyncpg_client
from tortoise.backends.sqlite import client as sqlite_client

from tests.api import KEY, Api
from tests.faulty_voice import FaultyVoice, Plan
from trunkline.asgi import open_voice, served
from trunkline.settings import read_settings
from trunkline.voice import VoiceBackend

Operation = Callable[[Api], Awaitable[object]]
Hook = Callable[[str], None]
Environment = dict[str, str]  # settings as a process gets them; a Settings holds secrets and does not travel
WRITES = ("INSERT", "UPDATE", "DELETE")
FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(["tests.crashing", "tests.crash_matrix"])


def run_until_point(environment: Environment, operation: Operation, plan: Plan, point: int) -> list[str]:
    """Do the operation in a process that dies at the point; the points it passed, ending with "done" if it lived."""
    ours, theirs = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_child, args=(theirs, environment, operation, plan, point))
    process.start()
    theirs.close()
    passed: list[str] = []
    try:
        while True:
            passed.append(ours.recv())
    except EOFError:
        process.join()
    assert process.exitcode == (0 if passed[-1:] == ["done"] else -signal.SIGKILL), (process.exitcode, passed)
    return passed


def _child(report: Connection, environment: Environment, operation: Operation, plan: Plan, fatal: int) -> None:
    passed = 0
    armed = False

    def reach(name: str) -> None:
        nonlocal passed
        if not armed:
            return
        passed += 1
        report.send(name)
        if passed == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    async def work() -> None:
        nonlocal armed
        async with served(
            read_settings(environment), lambda *given: _Watched(FaultyVoice(open_voice(*given), plan), reach)
        ) as running:
            transport = httpx.ASGITransport(running.app)
            headers = {"authorization": f"Bearer {KEY}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers) as client:
                await asyncio.sleep(0.05)  # the reconciler's first pass is not part of the operation
                armed = True
                await operation(Api(client))
                armed = False

    _watch_commits(reach)
    asyncio.run(work())
    report.send("done")


class _Watched:
    """A voice backend whose writing calls are points."""

    def __init__(self, inner: VoiceBackend, reach: Hook) -> None:
        self._inner = inner
        self._reach = reach

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in {"create", "replace", "delete", "list", "find"}:
            return method
        return _between(self._reach, name, method)


def _between(reach: Hook, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def watched(*args: Any, **named: Any) -> Any:
        reach(f"before {name}")
        result = await method(*args, **named)
        reach(f"after {name}")
        return result

    return watched


def _watch_commits(reach: Hook) -> None:
    """Every commit is a point: of transactions, and of single writing statements outside of one."""
    for wrapper in (sqlite_client.SqliteTransactionWrapper, asyncpg_client.TransactionWrapper):
        setattr(wrapper, "commit", _between(reach, "commit", wrapper.commit))  # noqa: B010  # mypy refuses assignment
    for client in (sqlite_client.SqliteClient, asyncpg_client.AsyncpgDBClient):
        setattr(client, "execute_query", _single_write(reach, client.execute_query))  # noqa: B010  # as above


def _single_write(reach: Hook, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    in_transaction = (sqlite_client.SqliteTransactionWrapper, asyncpg_client.TransactionWrapper)

    @wraps(method)
    async def watched(self: object, query: str, *args: Any) -> Any:
        if isinstance(self, in_transaction) or not query.startswith(WRITES):
            return await method(self, query, *args)
        return await _between(reach, "write", method)(self, query, *args)

    return watched
