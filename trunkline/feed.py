"""Who hears at once of what happened: the subscribers of this process, each with a short list of what is new for it.

What is told is which trunk, and what kind of change; never what it became. Who is told reads that for itself, in its
own workspace, after it happened. Events are the source: nothing is told that did not leave one.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from models.event import Action, Event
from models.sip_trunk import SipTrunk
from trunkline.keys import Caller

PENDING_MOST = 500  # trunks with news that a subscriber has not taken: a page of a large dashboard, and some
HEARD_MOST = 10_000  # events that are known by their ids, so that none is told twice

Read = Callable[[], Awaitable[SipTrunk | None]]


class ChangeKind(IntEnum):
    """What a subscriber is told; of several changes that it did not take in time, the greatest."""

    STATUS = 1
    UPDATED = 2
    CREATED = 3
    DELETED = 4


class Ending(StrEnum):
    """Why something that was opened is over."""

    LEFT = "left"  # its subscriber has gone, or wants no more
    SLOW = "slow"  # it took its news too late
    MISSED = "missed"  # we cannot tell any more what it did not hear
    KEY = "key"  # its key was revoked, or has expired
    STOPPING = "stopping"  # this process ends


# None: nothing of the trunk changed. What is not named here changed some of it.
KINDS: dict[str, ChangeKind | None] = {
    Action.TRUNK_CREATED: ChangeKind.CREATED,
    Action.TRUNK_ADOPTED: ChangeKind.CREATED,
    Action.TRUNK_PROVISIONED: ChangeKind.STATUS,
    Action.TRUNK_DEGRADED: ChangeKind.STATUS,
    Action.TRUNK_RECOVERED: ChangeKind.STATUS,
    Action.TRUNK_DELETE_REQUESTED: ChangeKind.STATUS,
    Action.TRUNK_DELETED: ChangeKind.DELETED,
    Action.TRUNK_TEST_CALLED: None,
    Action.TRUNK_SELF_TESTED: None,
    Action.CALL_BEGAN: None,
    Action.CALL_ENDED: None,
}
KEYS = "api_key."


@dataclass(frozen=True, slots=True)
class Happening:
    """An event, by its ids and its action."""

    event_id: str
    workspace_id: str
    action: str
    trunk_id: str | None

    @classmethod
    def of(cls, event: Event) -> "Happening":
        """Of a row."""
        return cls(event.id, event.workspace_id, event.action, event.trunk_id)

    @classmethod
    def read(cls, text: str) -> "Happening | None":
        """As the database tells it: four words; None for what somebody else said on that channel."""
        words = text.split(" ")
        if len(words) != 4:  # noqa: PLR2004  # the fields
            return None
        event_id, workspace_id, action, trunk_id = words
        return cls(event_id, workspace_id, action, None if trunk_id == "-" else trunk_id)

    @property
    def kind(self) -> ChangeKind | None:
        """What it is to those who watch the trunk; None: nothing."""
        return KINDS.get(self.action, ChangeKind.UPDATED)


@dataclass(slots=True)
class News:
    """A happening as it is handed to all its subscribers: the trunk is read once, by the first who wants it."""

    trunk_id: str
    reading: "asyncio.Future[SipTrunk | None] | None" = None

    async def trunk(self, read: Read) -> SipTrunk | None:
        """The trunk as it stands, read after it happened."""
        if self.reading is None:
            self.reading = asyncio.ensure_future(read())
            self.reading.add_done_callback(_retrieve)
        return await asyncio.shield(self.reading)


def _retrieve(reading: "asyncio.Future[SipTrunk | None]") -> None:
    """Whoever wanted it may be gone: its error is not left to the garbage collector."""
    if not reading.cancelled():
        reading.exception()


@dataclass(eq=False, slots=True)
class Opened:
    """What a caller opened, and keeps open for no longer than its key works.

    `on_end` is told at once why we end it, whatever its owner is waiting for.
    """

    caller: Caller
    on_end: Callable[[Ending], None]

    def end(self, ending: Ending) -> None:
        """Tell its owner that it is over."""
        self.on_end(ending)


@dataclass(eq=False, slots=True)
class Subscription(Opened):
    """What is new for one subscriber, at most one thing per trunk. `trunk_id`: None for all of the workspace."""

    trunk_id: str | None = None
    pending: dict[str, tuple[ChangeKind, News]] = field(default_factory=dict)
    ended: Ending | None = None
    something: asyncio.Event = field(default_factory=asyncio.Event)  # set: there is news, or the end
    stands: asyncio.Event = field(default_factory=asyncio.Event)  # set: nothing is missed from here on

    def tell(self, kind: ChangeKind, news: News) -> None:
        """Note what is new; who does not take it falls behind, up to a point."""
        if self.ended or self.trunk_id not in {None, news.trunk_id}:
            return
        before, _ = self.pending.get(news.trunk_id, (kind, news))
        self.pending[news.trunk_id] = max(before, kind), news
        self.something.set()
        if len(self.pending) > PENDING_MOST:
            self.end(Ending.SLOW)

    def end(self, ending: Ending) -> None:
        """No more news."""
        if self.ended is None:
            self.leave()
            self.ended = ending
            self.on_end(ending)

    def leave(self) -> None:
        """The subscriber wants no more. It is not cancelled, for it may be asking the database."""
        if self.ended is None:
            self.ended = Ending.LEFT
            self.pending.clear()
            self.something.set()

    async def news(self) -> AsyncIterator[tuple[ChangeKind, News]]:
        """What is new, the oldest first, until it is ended."""
        while not self.ended:
            if self.pending:
                yield self.pending.pop(next(iter(self.pending)))
            else:
                self.something.clear()
                await self.something.wait()


@dataclass(eq=False, slots=True)
class Feed:
    """The subscriptions of this process, by workspace, and all that is open: those, and the sockets they come by."""

    subscriptions: dict[str, set[Subscription]] = field(default_factory=dict)
    opened: set[Opened] = field(default_factory=set)
    is_stopping: bool = False
    keys_changed: asyncio.Event = field(default_factory=asyncio.Event)  # set: some key may not work any more
    _heard: "OrderedDict[str, None]" = field(default_factory=OrderedDict)

    @contextmanager
    def keeping(self, opened: Opened) -> Iterator[None]:
        """End it with its key or this process, for as long as the block runs; at once when the process is stopping."""
        self.opened.add(opened)
        if self.is_stopping:
            opened.end(Ending.STOPPING)
        try:
            yield
        finally:
            self.opened.discard(opened)

    @contextmanager
    def subscribed(self, subscription: Subscription) -> Iterator[Subscription]:
        """Tell it from now on what happens, for as long as the block runs."""
        workspace_id = subscription.caller.workspace_id
        self.subscriptions.setdefault(workspace_id, set()).add(subscription)
        subscription.stands.set()
        try:
            with self.keeping(subscription):
                yield subscription
        finally:
            self.subscriptions[workspace_id].discard(subscription)
            if not self.subscriptions[workspace_id]:
                del self.subscriptions[workspace_id]

    def hear(self, happening: Happening) -> None:
        """Tell those whom it concerns, unless it was told before."""
        if happening.event_id in self._heard:
            return
        self._heard[happening.event_id] = None
        if len(self._heard) > HEARD_MOST:
            self._heard.popitem(last=False)
        if happening.action.startswith(KEYS):
            self.keys_changed.set()
        if happening.trunk_id and (kind := happening.kind):
            news = News(happening.trunk_id)
            for subscription in tuple(self.subscriptions.get(happening.workspace_id, ())):
                subscription.tell(kind, news)

    def end(self, ending: Ending, key_ids: Collection[str] | None = None) -> None:
        """End what these keys opened, or all; when the process is stopping, whatever is opened from now on as well."""
        self.is_stopping |= ending is Ending.STOPPING
        for opened in tuple(self.opened):
            if key_ids is None or opened.caller.key_id in key_ids:
                opened.end(ending)


_here: list[Feed] = []


@contextmanager
def heard_here(feed: Feed) -> Iterator[None]:
    """Let a feed hear what this process writes, for a database that tells nobody: SQLite."""
    _here.append(feed)
    try:
        yield
    finally:
        _here.remove(feed)


def tell(event: Event) -> None:
    """Tell this process. Whoever reads upon that waits for the transaction's end: there is one connection."""
    for feed in _here:
        feed.hear(Happening.of(event))
