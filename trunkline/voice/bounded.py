"""A voice backend with a deadline and a number of slots. Refuses to wait longer than told for any answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from models.trunk_leg import LegKind
from trunkline.voice import Held, Leg, VoiceBackend, VoiceCause, VoiceError, VoiceKind
from trunkline.voice.watch import Watch, unwatched

SLOTS = 16
WAIT_SHARE = 0.5
BUSY = "The voice backend is busy with other trunks. Nothing was changed; try again in a moment."
NO_REPLY = "The voice backend did not answer in time. Nothing was changed; try again in a moment."
UNCONFIRMED = "The voice backend did not answer in time, so it is not known yet whether it did what was asked."

T = TypeVar("T")


class Bounded:
    """Fulfils VoiceBackend around another one: every call ends within `call_timeout` seconds, `slots` run at a time.

    The wait for a slot counts and takes half of the time at most, since a call sent too late could only end unknown.
    Whoever got no slot is BUSY, for nothing was sent; a read without an answer is UNAVAILABLE. `watch` sees each call.
    """

    def __init__(self, inner: VoiceBackend, call_timeout: float, slots: int = SLOTS, watch: Watch = unwatched) -> None:
        self._inner, self._watch = inner, watch
        self._call_timeout = call_timeout
        self._slots = asyncio.Semaphore(slots)

    @property
    def kind(self) -> VoiceKind:
        """Which backend is inside."""
        return self._inner.kind

    async def create(self, leg: Leg) -> str:
        """Make an object and return its id."""
        return await self._write("create", lambda: self._inner.create(leg))

    async def replace(self, voice_id: str, leg: Leg) -> None:
        """Set every field of an object."""
        await self._write("replace", lambda: self._inner.replace(voice_id, leg))

    async def find(self, kind: LegKind, voice_id: str) -> Held | None:
        """Look one object up by its id."""
        return await self._read("find", lambda: self._inner.find(kind, voice_id))

    async def list(self, kind: LegKind) -> list[Held]:
        """Every object of a kind."""
        return await self._read("list", lambda: self._inner.list(kind))

    async def delete(self, kind: LegKind, voice_id: str) -> None:
        """Remove an object."""
        await self._write("delete", lambda: self._inner.delete(kind, voice_id))

    async def ping(self) -> None:
        """Prove that the backend is reachable and accepts us."""
        await self._read("ping", self._inner.ping)

    async def aclose(self) -> None:
        """Close the backend inside."""
        await self._inner.aclose()

    async def _write(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        return await self._in_time(method, call, VoiceError(VoiceCause.OUTCOME_UNKNOWN, UNCONFIRMED))

    async def _read(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        return await self._in_time(method, call, VoiceError(VoiceCause.UNAVAILABLE, NO_REPLY))

    async def _in_time(self, method: str, call: Callable[[], Awaitable[T]], without_reply: VoiceError) -> T:
        deadline = asyncio.get_running_loop().time() + self._call_timeout
        with self._watch(method):
            await self._take_slot()
            try:
                async with asyncio.timeout_at(deadline):
                    return await call()
            except TimeoutError:
                raise without_reply from None
            finally:
                self._slots.release()

    async def _take_slot(self) -> None:
        try:
            async with asyncio.timeout(self._call_timeout * WAIT_SHARE):
                await self._slots.acquire()
        except TimeoutError:
            raise VoiceError(VoiceCause.BUSY, BUSY) from None
