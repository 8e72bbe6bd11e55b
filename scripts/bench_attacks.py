"""What each attack shape costs a served trunkline in CPU: milliseconds, and in plain queries."""

import argparse
import asyncio
import gc
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from starlette.types import ASGIApp, Message

from gql.connection import PAGE_MAX
from models.event import Action
from models.secret import Secret
from models.sip_trunk import SipTrunk
from scripts.attack_shapes import DEAR, HOPELESS, body
from scripts.bench_reconcile import fill
from trunkline.asgi import served
from trunkline.events import record
from trunkline.keys import Caller
from trunkline.settings import Settings
from trunkline.start import started
from trunkline.voice.sandbox import SandboxVoice
from trunkline.voice.sandbox_file import transaction

KEY = "tl_a-key-of-the-benchmark-and-of-nobody-else"
HEADERS = {"host": "127.0.0.1", "authorization": f"Bearer {KEY}", "content-type": "application/json"}
SCOPE = {
    "type": "http", "method": "POST", "scheme": "http", "path": "/graphql", "query_string": b"", "root_path": "",
    "headers": [(name.encode(), text.encode()) for name, text in HEADERS.items()],
}  # fmt: skip
PLAIN = "a plain query"
EVENTS = 3  # of each trunk
SHAPES = {PLAIN: body("{ sipTrunks(first: 20) { nodes { id status } } }"), **HOPELESS, **DEAR}


async def ask(app: ASGIApp, request: bytes) -> tuple[float, str]:
    """Send one request; the CPU milliseconds it took, and what was said."""
    answers: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": request, "more_body": False}

    async def send(message: Message) -> None:
        answers.append(message)

    began = time.process_time()
    await app({**SCOPE}, receive, send)
    took = time.process_time() - began
    answer = json.loads(b"".join(each.get("body", b"") for each in answers))
    said = answer["errors"][0]["message"] if "errors" in answer else "answered"
    return took * 1000, said


async def fill_house(settings: Settings) -> None:
    """A full page of trunks, each with a page of events: in an empty workspace there is nothing to fetch."""
    async with started(settings) as start:
        sandbox = SandboxVoice(settings.sandbox_path, start.keyring)
        with transaction(sandbox._db):  # noqa: SLF001  # one for all
            await fill(start, sandbox, PAGE_MAX)
        await sandbox.aclose()
        caller = Caller(start.workspace_id, "bench")
        for trunk in await SipTrunk.all():
            for _ in range(EVENTS):
                await record(caller, Action.TRUNK_UPDATED, trunk.id, trunk_id=trunk.id)


async def measure(rounds: int) -> None:
    """All shapes in turn, round by round, so that what else the machine does meets them alike."""
    with TemporaryDirectory() as folder:
        settings = Settings(
            database_url=Secret(f"sqlite://{Path(folder)}/trunkline.db"),
            bootstrap_key=Secret(KEY),
            reconcile_interval=86_400.0,
            limit_requests_per_minute=0,
        )
        await fill_house(settings)
        async with served(settings) as running:
            best = dict.fromkeys(SHAPES, (float("inf"), ""))
            for round_ in range(rounds):
                for name, request in SHAPES.items():
                    gc.collect()
                    best[name] = min(best[name], await ask(running.app, fresh(request, round_)))
        tell(best)


def fresh(request: bytes, round_: int) -> bytes:
    """Another document each round, so that no cache helps: blanks mean nothing to GraphQL."""
    return request.replace(b'"query": "', b'"query": "' + b" " * round_)


def tell(best: Mapping[str, tuple[float, str]]) -> None:
    """A table in Markdown."""
    print("| shape | CPU ms | plain queries | what is said |\n|---|---|---|---|")
    plain = best[PLAIN][0]
    for name, (took, said) in best.items():
        print(f"| {name} | {took:.1f} | {took / plain:.1f} | {said} |")
    print(f"\nThe dearest: {max(best.values())[0]:.1f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench attacks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
