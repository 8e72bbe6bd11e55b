"""The process after a death in the crash matrix: it serves, waits until all is true, and says what is wrong if not."""

import asyncio
from multiprocessing.connection import Connection

from models.event import Event
from models.sip_trunk import SipTrunk
from tests.api import Api, served_house
from tests.crashing import Scene, settled
from tests.observing import Observer, UntrueError
from tests.steps import Payload, Step, belief_after, directory, reprovision
from tests.worlds import World

PATIENCE_SECONDS = 30.0
LEASES_SECONDS = 45.0  # until the leases of a dead replica are over


def successor(parent: Connection, scene: Scene) -> None:
    """Serve after the death, or beside the victim as another replica; told what may be, say what is wrong with it."""
    try:
        asyncio.run(_succeeded(parent, scene))
    except (UntrueError, AssertionError) as error:
        parent.send(str(error) or repr(error))
    else:
        parent.send(None)


async def _succeeded(parent: Connection, scene: Scene) -> None:
    async with served_house(scene.settings) as house:
        parent.send("ready")
        belief, told = await asyncio.to_thread(parent.recv)
        observer = Observer(house.api.ask, house.voice.inner, scene.base)
        await _retried_where_refused(scene, house.api)
        seconds = LEASES_SECONDS if scene.settings.sqlite_file is None else PATIENCE_SECONDS
        world = await settled(observer, seconds)
        assert world in belief, f"{world} is none of {belief}"
        await _is_acknowledged(house.api, scene, told)
        for step, payload in zip(scene.row.steps, told, strict=False):  # it may have died before the last answers
            await _has_its_event(step, payload)
        await _is_repeatable(scene, house.api, observer, world)
        for voice_id, held in (await observer.objects()).items():  # a real server is the same one for every point
            await house.voice.inner.delete(held.leg.kind, voice_id)


async def _retried_where_refused(scene: Scene, api: Api) -> None:
    """A trunk that was refused for good says so, and somebody provisions it again."""
    if scene.row.may_fail:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await SipTrunk.exclude(next_attempt_at=None).exists():
                await asyncio.sleep(0.02)
        for trunk in await SipTrunk.filter(status="FAILED"):
            await reprovision("1").take(api.ask, {"1": trunk.id}, scene.base)


async def _is_acknowledged(api: Api, scene: Scene, told: list[Payload]) -> None:
    """A trunk that a client was told of has the id that it was told."""
    there = set((await directory(api.ask, scene.base)).values())
    deletes = any(step.mutation == "deleteSipTrunk" for step in scene.row.steps)
    named = {payload["sipTrunk"]["id"] for payload in told if payload and payload.get("sipTrunk")}
    assert deletes or named <= there, f"{named - there} is lost"


async def _has_its_event(step: Step, payload: Payload) -> None:
    """Whoever was told of a change can read who made it, and when."""
    if payload and not payload["userErrors"]:
        of_assistant = step.mutation.endswith("Assistant")
        verb = step.mutation.removesuffix("Assistant" if of_assistant else "SipTrunk")
        subject = payload.get("deletedId") or payload["assistant" if of_assistant else "sipTrunk"]["id"]
        action = f"{'assistant' if of_assistant else 'sip_trunk'}.{verb}"  # requested, or done
        written = Event.filter(subject_id=subject, action__startswith=action)
        assert await written.exists(), f"{step.mutation} of {subject} left no event"


async def _is_repeatable(scene: Scene, api: Api, observer: Observer, world: World) -> None:
    """The same requests work, or find done what they ask for."""
    for step in scene.row.steps:
        await _repeated(scene, api, step)
    done = belief_after(frozenset({world}), scene.row.steps, [None] * len(scene.row.steps))
    repeated = await settled(observer, PATIENCE_SECONDS)
    assert repeated in done, f"again: {repeated} is none of {done}"


async def _repeated(scene: Scene, api: Api, step: Step) -> None:
    """As a client does: again while it may be again. An idempotency key of a dead replica takes its time."""
    async with asyncio.timeout(LEASES_SECONDS):
        while True:
            payload = await step.take(api.ask, await directory(api.ask, scene.base), scene.base)
            errors = payload["userErrors"] if payload else []
            if not any(error["retryable"] for error in errors):
                break
            assert scene.settings.sqlite_file is None, f"{step.mutation} again: {payload}"
    allowed = set() if step.is_keyed else {"ALREADY_EXISTS"}
    assert {error["code"] for error in errors} <= allowed, f"{step.mutation} again: {payload}"
