"""The fault storm: after it, everything is as one of the worlds that the clients may believe in. Print its tally."""

from collections.abc import Callable
from pathlib import Path

from tests.real.servers import LiveKitServer
from tests.real.storm_stage import chosen_seed, chosen_size, storm


async def test_a_storm_of_faults_and_deaths_leaves_one_truth(
    tmp_path: Path, livekit: LiveKitServer, postgres_url: str, record_property: Callable[[str, object], None]
) -> None:
    seed, size = chosen_seed(), chosen_size()
    record_property("fault storm", f"seed {seed}: {size.trunks} trunks, {size.clients} clients, {size.seconds:g} s")
    tally = await storm(tmp_path, livekit, postgres_url, seed, size)
    for line in tally.lines():
        record_property("fault storm", line)
