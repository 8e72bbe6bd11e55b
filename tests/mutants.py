"""Deliberate bugs, put in while a process runs: each has a test, or the simulation, that must turn red for it.

`python -m tests.mutants NAME` runs what should catch it and says how it went; without a name it lists them all.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tortoise.expressions import Q

from models.secret import Place
from models.sip_trunk import HIDDEN, CalledText, SipTrunk
from models.trunk_leg import LegState, TrunkLeg
from tests.simulation.climate import drawn_climate
from tests.simulation.world import World
from trunkline import (
    claims,
    converge,
    creation,
    database,
    drift,
    leases,
    legs,
    provisioning,
    reconcile,
    settling,
    trunks,
)
from trunkline.voice import VoiceError

SIMULATION = "simulation"
SEEDS = range(1, 121)  # more than any mutant here has needed


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug, and what catches it: a selection of pytest's, or the simulation."""

    bug: str
    plant: Callable[[pytest.MonkeyPatch], None]
    caught_by: str = SIMULATION


async def _nothing(*_given: Any, **_named: Any) -> None:
    return None


def skip_a_commit(patch: pytest.MonkeyPatch) -> None:
    save = TrunkLeg.save

    async def saved(leg: TrunkLeg, **named: Any) -> None:
        if leg.state is not LegState.READY:
            await save(leg, **named)

    patch.setattr(TrunkLeg, "save", saved)


def make_before_writing_down(patch: pytest.MonkeyPatch) -> None:
    """A leg has no row until it is made: nobody knows of one whose maker died in between."""
    save = converge._save  # noqa: SLF001  # a bug has no manners

    async def saved(trunk: SipTrunk, leg: TrunkLeg) -> None:
        if leg.voice_id or leg.error_code:
            await save(trunk, leg)

    patch.setattr(converge, "_save", saved)


def no_jitter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("trunkline.settling.random.uniform", lambda _low, high: high)


def ignore_the_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leases, "free_at", lambda _services, _at: Q())
    patch.setattr(leases, "keep", _nothing)


def no_grace_after_a_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leases, "free_at", lambda _services, at: Q(lease_owner=None) | Q(lease_until__lt=at))


def lose_the_row_in_the_aad(patch: pytest.MonkeyPatch) -> None:
    bound_to = Place.bound_to
    patch.setattr(Place, "bound_to", lambda place, key_id: bound_to(replace(place, row=""), key_id))


def drop_the_workspace_filter(patch: pytest.MonkeyPatch) -> None:
    def everybodys(_workspace_id: str) -> Any:
        return SipTrunk.exclude(status__in=HIDDEN).prefetch_related("legs", "assistants")

    patch.setattr(trunks, "visible_trunks", everybodys)


def believe_one_list(patch: pytest.MonkeyPatch) -> None:
    """Missing in one list is missing: nobody is asked by id, and no marker looked for, before a leg is made again."""
    suspects_among, make_leg = drift.suspects_among, provisioning.make_leg

    async def suspects(services: Any, seen: Any) -> list[drift.Suspect]:
        found = await suspects_among(services, seen)
        for lost in [each for each in found if each.voice_id not in seen]:
            await TrunkLeg.filter(id=lost.leg_id).update(state=LegState.MISSING, voice_id=None)
            await SipTrunk.filter(id=lost.trunk_id).update(next_attempt_at=await database.now())
        return [each for each in found if each.voice_id in seen]

    async def made(services: Any, leg: Any, **_continued: bool) -> str:
        return await make_leg(services, leg, continued=False)

    patch.setattr(drift, "suspects_among", suspects)
    patch.setattr(converge, "make_leg", made)


def skip_the_undo(patch: pytest.MonkeyPatch) -> None:
    async def all_removed(*_given: Any) -> bool:
        return True

    patch.setattr(creation, "_all_removed", all_removed)


def sweep_strangers(patch: pytest.MonkeyPatch) -> None:
    """What this database never knew is swept as if it had been given up."""

    async def given_up(unowned: Any) -> Any:
        return list(unowned)

    patch.setattr(reconcile, "_given_up", given_up)


def no_installation_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(drift.Sighting, "is_of", lambda sighting, _installation_id: sighting.marker is not None)
    sweep_strangers(patch)


def empty_trunk_ids(patch: pytest.MonkeyPatch) -> None:
    rule = legs.dispatch_rule
    patch.setattr(converge, "dispatch_rule", lambda *given: replace(rule(*given), trunk_ids=()))


def keep_a_refused_change(patch: pytest.MonkeyPatch) -> None:
    async def took_back(*_given: Any) -> bool:
        return False

    patch.setattr(converge, "took_back", took_back)


def forget_called_texts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claims, "write_texts", _nothing)


def no_claim_before_the_call(patch: pytest.MonkeyPatch) -> None:
    """The row is not there while the legs are being made."""
    make_legs = creation._make_legs  # noqa: SLF001  # a bug has no manners

    async def made(services: Any, claim: claims.Claim, made: Any) -> None:
        row, texts = await SipTrunk.get(id=claim.trunk.id), await CalledText.filter(trunk_id=claim.trunk.id)
        await SipTrunk.filter(id=claim.trunk.id).delete()
        try:
            await make_legs(services, claim, made)
        finally:
            await row.save(force_create=True)
            for text in texts:
                await text.save(force_create=True)

    patch.setattr(creation, "_make_legs", made)


def forget_a_claim_at_once(patch: pytest.MonkeyPatch) -> None:
    """The absence of remains is not proven by two looks apart."""
    patch.setattr(claims, "abandon", claims.free)


def row_before_voice(patch: pytest.MonkeyPatch) -> None:
    """A deletion removes the row, and the objects are left to whoever finds them."""
    patch.setattr(converge, "_unmake", _nothing)


def ask_again_what_is_refused(patch: pytest.MonkeyPatch) -> None:
    for module in (converge, settling):
        patch.setattr(module, "DEFINITE", frozenset())


def every_trunk_pays_for_an_outage(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reconcile, "WIDE", frozenset())


def trample_what_returns(patch: pytest.MonkeyPatch) -> None:
    take_due = leases.take_due
    patch.setattr(leases, "take_due", lambda services, _limit=0: take_due(services, 1_000))


def write_what_is_right(patch: pytest.MonkeyPatch) -> None:
    """Every pass writes every leg again."""
    patch.setattr(drift, "_state", lambda *_given: LegState.DRIFTED)


def swallow_voice_errors(patch: pytest.MonkeyPatch) -> None:
    """A leg that could not be made counts as made."""
    written = converge._written  # noqa: SLF001  # a bug has no manners

    async def careless(services: Any, leg: TrunkLeg, wanted: Any) -> str:
        try:
            return await written(services, leg, wanted)
        except VoiceError:
            return leg.voice_id or "ST_made_up"

    patch.setattr(converge, "_written", careless)


MUTANTS = {
    mutant.plant.__name__: mutant
    for mutant in (
        Mutant("a leg that was made is not written down", skip_a_commit),
        Mutant("a leg is made before it is written down", make_before_writing_down, "tests/test_converge.py"),
        Mutant("back-off without jitter", no_jitter, "tests/test_converge.py"),
        Mutant("a lease is ignored", ignore_the_lease),
        Mutant("a lease is free the moment it runs out", no_grace_after_a_lease, "tests/test_leases.py"),
        Mutant("the row is left out of the AAD", lose_the_row_in_the_aad, "tests/test_secret.py"),
        Mutant("no workspace filter", drop_the_workspace_filter, "tests/test_assistants.py"),
        Mutant("what one list lacks is made again unasked", believe_one_list, "tests/test_drift.py"),
        Mutant("a failed creation is not undone", skip_the_undo),
        Mutant("what the database never knew is swept", sweep_strangers, "tests/test_sweep.py"),
        Mutant("the installation in a marker is not looked at", no_installation_check),
        Mutant("a rule without trunk ids", empty_trunk_ids),
        Mutant("a refused change is not taken back", keep_a_refused_change),
        Mutant("called texts are not claimed", forget_called_texts),
        Mutant("no claim before the first call", no_claim_before_the_call),
        Mutant("a claim in doubt is forgotten at once", forget_a_claim_at_once),
        Mutant("the row goes before the objects", row_before_voice),
        Mutant("what was refused for good is asked again", ask_again_what_is_refused, "tests/test_background.py"),
        Mutant("every trunk pays for an outage", every_trunk_pays_for_an_outage, "tests/test_circuit.py"),
        Mutant("a backend that returns is trampled", trample_what_returns, "tests/test_circuit.py"),
        Mutant("every pass writes everything", write_what_is_right),
        Mutant("a leg that failed counts as made", swallow_voice_errors),
    )
}


def verdict(name: str) -> str | None:
    """Run what should catch a mutant, with the bug in place; what it said, None when it caught nothing."""
    mutant = MUTANTS[name]
    with pytest.MonkeyPatch.context() as patch:
        mutant.plant(patch)
        return _found_by_seeds() if mutant.caught_by == SIMULATION else _found_by_tests(mutant.caught_by)


def _found_by_seeds() -> str | None:
    for seed in SEEDS:
        if broken := World(seed, drawn_climate(seed)).run().broken:
            return f"seed {seed}: {broken}"
    return None


def _found_by_tests(selection: str) -> str | None:
    failures = _Failures()
    already = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # the product was imported before pytest could look
    status = pytest.main(["-q", "-x", "--no-header", "--tb=no", *already, selection], plugins=[failures])
    assert status in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}, status
    return next(iter(failures.names), None)


class _Failures:
    """Notes which tests failed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.names.append(report.nodeid)


def main() -> None:
    """Run what the command line says."""
    if sys.argv[1:]:
        found = verdict(sys.argv[1])
        print(f"CAUGHT {found}" if found else "MISSED")  # noqa: T201
        sys.stdout.flush()
        os._exit(not found)  # nothing of the graveyard may be freed
    print(*MUTANTS, sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
