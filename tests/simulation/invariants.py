"""What must hold at every instant: checked at every call that is sent, every effect that lands and every commit.

Objects that the network or a stranger brought about are excused until we write them again: no lease fences the backend.
"""

from collections import Counter
from collections.abc import Callable

from models.trunk_leg import LegKind
from tests.simulation.book import Book, Fate
from tests.simulation.eye import HIDDEN, Eye, Row
from tests.simulation.loop import SimLoop
from tests.simulation.network import Flight, Network, Stored, password_of
from tests.simulation.requests import PATIENCE_SECONDS
from trunkline.voice import DispatchRule, Held, InboundTrunk
from trunkline.voice.sandbox import answered_texts

STALL_MEMORY = 20.0  # seconds after a stall in which a replica may still act on what it knew before
Holder = Callable[[str], str | None]  # which process was given this lease token


class Invariants:
    """Fulfils network.Witness. `fail` stops the run; `foreign` are the objects that nobody may touch."""

    network: Network
    eye: Eye

    def __init__(self, loop: SimLoop, book: Book, holder: Holder, fail: Callable[[str], None]) -> None:
        self.loop = loop
        self.book = book
        self.holder = holder
        self.fail = fail
        self.thawed: dict[str, float] = {}  # until when a process was stalled last
        self.robbed: dict[str, float] = {}  # when a stranger touched a trunk last
        self.foreign: dict[str, Held] = {}
        self.installation = ""
        self.watching = False

    def is_excused(self, flight: Flight) -> bool:
        """Whether its sender was stalled a moment ago: then it may act on a lease that has run out."""
        return self.loop.time() - self.thawed.get(flight.process, 0.0) < STALL_MEMORY

    def sent(self, flight: Flight) -> None:
        if flight.voice_id in self.foreign:
            self.fail(f"a foreign object is touched: {flight.method} {flight.voice_id}")
        if isinstance(flight.leg, DispatchRule) and (len(flight.leg.trunk_ids) != 1 or not all(flight.leg.trunk_ids)):
            self.fail(f"a rule of {flight.trunk} without its trunk is sent")
        row = self.eye.row(flight.trunk)
        if flight.method == "create" and row is None and not self.is_excused(flight):
            self.fail(f"{flight.trunk}: a creation without a claim")
        is_sweeping = flight.method == "delete" and not self.eye.is_a_leg(flight.voice_id or "")
        if row and not is_sweeping and not self.is_excused(flight):
            self._is_leased(flight, row)
            self._is_alone(flight)

    def _is_leased(self, flight: Flight, row: Row) -> None:
        holder = self.holder(row.lease_owner or "")
        if holder != flight.process:
            self.fail(f"{flight.trunk}: {flight.method} by {flight.process}, but the lease is of {holder}")
        elif row.lease_until <= self.loop.time():
            self.fail(f"{flight.trunk}: {flight.method} under a lease that has run out")

    def _is_alone(self, flight: Flight) -> None:
        for other in self.network.flying:
            same = other.trunk == flight.trunk and (other.voice_id is None or self.eye.is_a_leg(other.voice_id))
            if same and other.process not in self.loop.dead and not self.is_excused(other):
                self.fail(f"{flight.trunk}: {flight.process} and {other.process} act at once")

    def landed(self) -> None:
        self.hold()

    def hold(self) -> None:
        """Everything that can be seen at once."""
        if not self.watching:
            return
        rows = self.eye.rows()
        self._foreign_is_untouched()
        ours = {key: each for key, each in self.network.objects.items() if self._is_ours(each)}
        strict = {key: each for key, each in ours.items() if not each.excused}
        for voice_id, each in strict.items():
            self._has_a_row(voice_id, each, rows)
            self._password_was_asked_for(voice_id, each)
            self._rule_is_of_its_own_trunk(voice_id, each, ours)
        self._each_leg_once(strict)
        self._one_owner_of_each_text(strict)
        self._acknowledged_is_there(rows)

    def _is_ours(self, each: Stored) -> bool:
        return each.marker is not None and each.marker.installation == self.installation

    def _foreign_is_untouched(self) -> None:
        for voice_id, held in self.foreign.items():
            stored = self.network.objects.get(voice_id)
            if stored is None or stored.held != held:
                self.fail(f"the foreign object {voice_id} is not as it was")

    def _has_a_row(self, voice_id: str, each: Stored, rows: dict[str, Row]) -> None:
        if each.trunk not in rows:
            self.fail(f"an orphan: {voice_id} of {each.trunk}")

    def _password_was_asked_for(self, voice_id: str, each: Stored) -> None:
        known = self.book.trunks.get(each.trunk)
        asked = known.passwords if known else self.book.passwords
        password = password_of(each.held.leg)
        if password and password not in asked:
            self.fail(f"{voice_id} of {each.trunk} has a password that nobody asked for")

    def _rule_is_of_its_own_trunk(self, voice_id: str, each: Stored, ours: dict[str, Stored]) -> None:
        if isinstance(each.held.leg, DispatchRule):
            answered = ours.get(each.held.leg.trunk_ids[0])
            if answered and answered.trunk != each.trunk:
                self.fail(f"the rule {voice_id} of {each.trunk} takes the calls of {answered.trunk}")

    def _each_leg_once(self, strict: dict[str, Stored]) -> None:
        for (trunk, kind), count in Counter((each.trunk, each.held.leg.kind) for each in strict.values()).items():
            if count > 1:
                self.fail(f"{trunk}: {count} objects of its {kind} leg")

    def _one_owner_of_each_text(self, strict: dict[str, Stored]) -> None:
        inbound = [each.held.leg for each in strict.values() if isinstance(each.held.leg, InboundTrunk)]
        for text, count in Counter(text for leg in inbound for text in answered_texts(leg)).items():
            if count > 1:
                self.fail(f"{text} has {count} inbound owners")

    def _acknowledged_is_there(self, rows: dict[str, Row]) -> None:
        for trunk_id, known in self.book.trunks.items():
            row = rows.get(trunk_id)
            if known.fate is Fate.LIVE and (row is None or row.status in (*HIDDEN, "DELETING")):
                self.fail(f"an acknowledged trunk is lost: {trunk_id}")
            if known.fate is Fate.GONE and row:
                self.fail(f"a deleted trunk is back: {trunk_id}")

    def stand(self, trunk_id: str, kinds: tuple[LegKind, ...]) -> bool:
        """Whether a trunk has these legs at the backend; what was excused counts, and what a stranger took lately."""
        if self.loop.time() - self.robbed.get(trunk_id, 0.0) < STALL_MEMORY + PATIENCE_SECONDS:
            return True
        have = {each.held.leg.kind for each in self.network.objects.values() if each.trunk == trunk_id}
        return set(kinds) <= have
