"""What keeps the feed true: word of other replicas, a look at the events for what was missed, keys that end.

NOTIFY is lost while a connection is down. So after every connect, and now and then, the events since the last look are
read: what was heard of already is told to nobody again. That also finds what commands beside the server did on SQLite.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.expressions import Q

from models.event import Event
from models.workspace import ApiKey
from trunkline import database
from trunkline.feed import Ending, Feed, Happening, heard_here
from trunkline.keys import works
from trunkline.log import outlived
from trunkline.services import Services

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.pool.PoolConnectionProxy[Any]

APPLICATION = "trunkline feed"  # as PostgreSQL's administrator sees the connection
CHANNEL = "trunkline_events"  # of the trigger in models/migrations
LOOK_SECONDS = 30.0  # between two looks for what was missed
KEY_SECONDS = 5.0  # between two looks at the keys of what is open
RETRY_SECONDS = 1.0
ALIVE_SECONDS = 5.0  # in which the listening connection answers, or counts as lost
OVERLAP = timedelta(seconds=30)  # a transaction is committed at most this long after its events' time
BATCH = 1_000  # events that are read at once

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ear:
    """What listens for other processes. `lost` is set when it hears nothing any more."""

    lost: asyncio.Event
    connection: "Connection | None" = None  # SQLite: there is nothing to be lost

    async def is_alive(self) -> bool:
        """Whether the connection still answers: a broken line may look like a quiet one."""
        if self.connection and not self.lost.is_set():
            async with asyncio.timeout(ALIVE_SECONDS):
                await self.connection.execute("SELECT 1")
        return not self.lost.is_set()


@dataclass(slots=True)
class Follower:
    """The loop's memory: since when the events are looked at, by the database's clock."""

    services: Services
    began: datetime | None = None
    looked: datetime | None = None

    async def run(self) -> None:
        """Until the process ends; a connection that is lost is made again."""
        while not self.services.stopping.is_set():
            with outlived():
                try:
                    await self._listen()
                except database.UNUSABLE as error:
                    log.warning("feed_interrupted", error=type(error).__name__)
            await self.services.rest(RETRY_SECONDS)

    async def _listen(self) -> None:
        """Until the connection is lost or the process ends."""
        self.began = self.began or await database.now()
        async with _listening(self.services.feed) as ear:
            while await ear.is_alive() and not self.services.stopping.is_set():
                await self.look()
                await self.services.rest(LOOK_SECONDS, ear.lost)
        if ear.lost.is_set():
            log.warning("feed_interrupted", error="ConnectionLost")

    async def look(self) -> None:
        """Tell what nobody has told: the events since the last look, and a while before for those committed late."""
        feed, at = self.services.feed, await database.now()
        began = self.began or at
        since = max(began, (self.looked or began) - OVERLAP)
        rows = Event.filter(workspace_id__in=list(feed.subscriptions), at__gte=since).order_by("at", "id")
        beyond, columns = Q(), ("id", "workspace_id", "action", "trunk_id", "at")
        while found := await rows.filter(beyond).limit(BATCH).values_list(*columns):
            for *each, _ in found:
                feed.hear(Happening(*each))
            last_id, *_, last_at = found[-1]
            beyond = Q(at__gt=last_at) | Q(at=last_at, id__gt=last_id)
        self.looked = at
        feed.keys_changed.set()


async def follow(services: Services) -> None:
    """Keep the feed of this process true until it ends."""
    await Follower(services).run()


async def watch_keys(services: Services) -> None:
    """End what keys opened that do not work any more: at once when that is told, else within seconds."""
    feed = services.feed
    while not services.stopping.is_set():
        await services.rest(KEY_SECONDS, feed.keys_changed)
        feed.keys_changed.clear()
        key_ids = {each.caller.key_id for each in feed.opened}
        with outlived(), contextlib.suppress(*database.UNUSABLE):  # they are looked at again in a moment
            rows = await ApiKey.filter(id__in=list(key_ids)) if key_ids else []
            feed.end(Ending.KEY, key_ids - {row.id for row in rows if works(row)})


@asynccontextmanager
async def _listening(feed: Feed) -> AsyncIterator[Ear]:
    client, lost = database.connection(), asyncio.Event()
    if not isinstance(client, AsyncpgDBClient):
        with heard_here(feed):
            yield Ear(lost)
        return
    # A pool of one, so that the connection is made as the others are and taken from none of them.
    named = {**client.server_settings, "application_name": APPLICATION}
    shape = {**client._template, "min_size": 0, "max_size": 1, "server_settings": named}  # noqa: SLF001  # as Tortoise's own
    pool = await client.create_pool(password=client.password, **shape)
    try:
        connection = await pool.acquire()
        connection.add_termination_listener(lambda _: lost.set())

        def hear(*told: object) -> None:
            if happening := Happening.read(str(told[-1])):
                feed.hear(happening)

        await connection.add_listener(CHANNEL, hear)
        yield Ear(lost, connection)
    finally:
        pool.terminate()  # nothing is owed to the server, and a broken connection is never handed back to be awaited
