"""What a pass of the reconciler costs when nothing is to be done: CPU seconds, voice calls, memory over many passes."""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from models.identifiers import new_id
from models.secret import Secret
from models.sip_trunk import (
    CalledText,
    InboundAuthorizationType,
    MediaEncryption,
    SipCallingFormat,
    SipTransport,
    SipTrunk,
    SipTrunkType,
    TrunkStatus,
)
from models.trunk_leg import LegState, TrunkLeg
from trunkline import legs
from trunkline.legs import content, own_text_keys, password_place
from trunkline.reconcile import Reconciler
from trunkline.resolver import Resolver
from trunkline.services import Services
from trunkline.settings import Settings
from trunkline.start import Started, started
from trunkline.voice import VoiceBackend
from trunkline.voice.sandbox import SandboxVoice
from trunkline.voice.sandbox_file import transaction

BATCH = 500
FIRST_NUMBER = 40_740_000_000


class Counted:
    """A voice backend whose calls are counted."""

    def __init__(self, inner: VoiceBackend) -> None:
        self.inner = inner
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the backend has
        if not name.startswith("_"):
            self.calls[name] += 1
        return getattr(self.inner, name)


def trunks(start: Started, count: int) -> Iterator[SipTrunk]:
    """Rows as createSipTrunk leaves them."""
    at = datetime.now(UTC)
    for position in range(count):
        trunk = SipTrunk(
            id=new_id("trunk"),
            workspace_id=start.workspace_id,
            sip_trunk_type=SipTrunkType.NUMBER,
            phone_number=f"+{FIRST_NUMBER + position}",
            nickname=f"Line {position}",
            sip_username=f"line{position}",
            sip_password_key=start.keyring.writing,
            sip_address="8.8.4.4",
            sip_transport=SipTransport.UDP,
            media_encryption=MediaEncryption.AUTO,
            sip_calling_format=SipCallingFormat.PLUS_E164,
            inbound_authorization_type=InboundAuthorizationType.AUTH,
            allowed_inbound_ips=None,
            country_code="RO",
            outbound_proxy=False,
            status=TrunkStatus.ACTIVE,
            created_at=at,
            updated_at=at,
        )
        trunk.sip_password = start.keyring.seal(Secret(f"correct-horse-{position}"), password_place(trunk))
        yield trunk


async def fill(start: Started, voice: SandboxVoice, count: int) -> None:
    """Store trunks with their legs on both sides, in bulk: each creation alone would be written through to the disk."""
    made = list(trunks(start, count))
    texts = [CalledText(text=text, trunk_id=trunk.id) for trunk in made for text in own_text_keys(trunk)]
    legs = [leg for trunk in made for leg in legs_of(start, voice, trunk)]
    await SipTrunk.bulk_create(made, batch_size=BATCH)
    await CalledText.bulk_create(texts, batch_size=BATCH)
    await TrunkLeg.bulk_create(legs, batch_size=BATCH)


def legs_of(start: Started, voice: SandboxVoice, trunk: SipTrunk) -> Iterator[TrunkLeg]:
    """Both legs of a trunk, stored in the sandbox within the caller's transaction."""
    for wanted in legs.legs_of(trunk, start.keyring, start.installation_id, ""):
        voice_id = "ST_" + new_id("")
        voice._store(voice_id, wanted)  # noqa: SLF001  # within one transaction for all
        yield TrunkLeg(
            trunk_id=trunk.id,
            kind=wanted.kind,
            state=LegState.READY,
            voice_id=voice_id,
            applied_revision=1,
            applied_fingerprint=start.keyring.digest_of(content(wanted)),
        )


def resident_megabytes() -> float:
    """Memory that this process has in RAM."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


async def measure(folder: Path, count: int, passes: int) -> None:
    """Fill a database and a sandbox, then run passes and tell what they cost."""
    settings = Settings(database_url=Secret(f"sqlite://{folder}/trunkline.db"))
    async with started(settings) as start:
        sandbox = SandboxVoice(settings.sandbox_path, start.keyring)
        with transaction(sandbox._db):  # noqa: SLF001  # as above
            await fill(start, sandbox, count)
        voice = Counted(sandbox)
        services = Services(settings, start.keyring, voice, Resolver(), start.installation_id, 5.0)
        await report(Reconciler(services), voice, passes)
        await services.resolver.aclose()
        await sandbox.aclose()


async def report(reconciler: Reconciler, voice: Counted, passes: int) -> None:
    """Run the passes; one line for each tenth, and one in the end."""
    spent: list[float] = []
    for number in range(1, passes + 1):
        voice.calls.clear()
        before = time.process_time()
        await reconciler.one_pass()
        spent.append(time.process_time() - before)
        if number == 1 or number % 10 == 0:
            calls = ", ".join(f"{name} {calls}" for name, calls in sorted(voice.calls.items()))
            print(f"pass {number:3}: {spent[-1]:.2f} s CPU; {calls}; {resident_megabytes():.0f} MB", flush=True)
    print(f"median of {passes} passes: {sorted(spent)[passes // 2]:.2f} s CPU")


def main() -> None:
    """Read the arguments and measure in a folder that is thrown away."""
    parser = argparse.ArgumentParser(prog="scripts/bench reconcile", description=__doc__)
    parser.add_argument("--trunks", type=int, default=10_000)
    parser.add_argument("--passes", type=int, default=50)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), given.trunks, given.passes))


if __name__ == "__main__":
    main()
