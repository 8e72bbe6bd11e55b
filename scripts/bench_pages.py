"""What a page of trunks costs in every order, at its start, middle and end, as the list grows, and by what factor.

A page is 20 trunks after a cursor, with both flags, legs and assistants, as the resolver fetches them. On SQLite the
cost is CPU of this process, on PostgreSQL the time that passes; the least of many rounds counts, which nothing
disturbed.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from models.keyset import Listing, Order, Window
from models.secret import Keyring, Secret
from models.sip_trunk import SipTrunk
from scripts.bench_reconcile import fill
from scripts.many_trunks import multiply
from trunkline import database
from trunkline.settings import Settings
from trunkline.start import Started, started
from trunkline.trunk_lists import CREATED_AT, NICKNAME, PHONE_NUMBER, UPDATED_AT, TrunkFilter
from trunkline.trunks import SHOWN_WITH
from trunkline.voice.sandbox import SandboxVoice

SIZES = (1_000, 10_000, 100_000, 1_000_000)
DEPTHS = (("start", 0.0), ("middle", 0.5), ("end", 0.97))
ORDERS = [Order(column, down) for column in (CREATED_AT, UPDATED_AT, NICKNAME, PHONE_NUMBER) for down in (False, True)]
PAGE, WARM_UP, ROUNDS = 20, 5, 150
CACHE_KILOBYTES = 400_000  # while a million rows are written into indexes in no order

Costs = dict[tuple[Order, int, str], float]  # milliseconds, by size and depth


async def measure(start: Started, sizes: list[int], clock: Callable[[], float]) -> Costs:
    """Let the list grow, and fetch pages all over it at each size, in turns, so that a disturbance hits all alike."""
    costs: Costs = {}
    for size in sizes:
        before = time.monotonic()
        await multiply(size)
        print(f"{size:,} trunks are there after {time.monotonic() - before:.0f} s", flush=True)
        listings = [TrunkFilter().listing(start.workspace_id, order) for order in ORDERS]
        places = [(each, name, await window(each, int(depth * size))) for each in listings for name, depth in DEPTHS]
        for turn in range(WARM_UP + ROUNDS):
            for listing, name, wanted in places:
                spent = await cost(listing, wanted, clock)
                if turn >= WARM_UP:
                    key = (listing.order, size, name)
                    costs[key] = min(spent, costs.get(key, spent))
    return costs


async def window(listing: Listing[SipTrunk], skipped: int) -> Window:
    """A page that begins after so many trunks."""
    sign, column = "-" if listing.order.descending else "", listing.order.column
    (row,) = await listing.rows.order_by(sign + column, sign + "id").offset(skipped).limit(1)
    return Window(PAGE, after=listing.order.place_of(row))


async def cost(listing: Listing[SipTrunk], wanted: Window, clock: Callable[[], float]) -> float:
    """What one page costs, in milliseconds."""
    before = clock()
    page = await listing.page(wanted)
    await SipTrunk.fetch_for_list(page.rows, *SHOWN_WITH)
    spent = clock() - before
    if len(page.rows) != PAGE:
        message = "a page is not full"
        raise RuntimeError(message)
    return spent * 1000


def report(costs: Costs, sizes: list[int]) -> None:
    """One line for each order: milliseconds at each size and depth, and the largest of them over the smallest."""
    head = "".join(f"{size:>24,}" for size in sizes)
    print(f"{'order':20}{head}    largest/smallest")
    print(" " * 20 + "".join(f"{'start  middle     end':>24}" for _ in sizes))
    for order in ORDERS:
        found = {size: [costs[order, size, name] for name, _ in DEPTHS] for size in sizes}
        told = "".join("{:>10.2f}{:>7.2f}{:>7.2f}".format(*each) for each in found.values())
        every = [each for row in found.values() for each in row]
        by = f"{order.column} {'DESC' if order.descending else 'ASC'}"
        print(f"{by:20}{told}{max(every) / min(every):>12.2f}")


async def run(folder: Path, url: str | None, most: int) -> None:
    """Measure in a new database."""
    sqlite = Settings(database_url=Secret(f"sqlite://{folder}/trunkline.db"))
    ring = Secret(Keyring.generate("bench"))
    sandbox_file = folder / "sandbox.db"
    postgres = Settings(database_url=Secret(url or ""), secret_keys=ring, sandbox_file=sandbox_file)
    settings = postgres if url else sqlite
    sizes = [size for size in SIZES if size <= most]
    async with started(settings) as start:
        if not url:
            await database.connection().execute_query(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
        sandbox = SandboxVoice(settings.sandbox_path, start.keyring)
        await fill(start, sandbox, 1)
        report(await measure(start, sizes, time.perf_counter if url else time.process_time), sizes)
        await sandbox.aclose()


def main() -> None:
    """Read the arguments and measure in a folder that is thrown away, or in an empty PostgreSQL database."""
    parser = argparse.ArgumentParser(prog="scripts/bench pages", description=__doc__)
    parser.add_argument("--trunks", type=int, default=SIZES[-1], help="the largest list")
    parser.add_argument("--postgres", metavar="URL", help="an empty database to fill")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder), given.postgres, given.trunks))


if __name__ == "__main__":
    main()
