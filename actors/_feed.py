"""The change feed: tells of every committed change, once, in order, in the log's own words.

A commit is only a hint that there is something to read.  What is told is read from the log, so
nothing is told that was not kept, and a feed that is started again goes on where the log says.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import attrs
import trio

from ..storage import Change, Reads
from ..supervisor import Actor, Context

NAME = "feed"

BUFFER = 1_000
"""Changes that a subscriber may be behind; one more, and it is let go to resume by its cursor."""


@attrs.frozen
class Committed:
    """Something was committed."""


@attrs.frozen
class Subscribe:
    """Answered with a :class:`Subscription` that begins after change number *after*."""

    after: int | None = None
    """None: with what comes from now on."""


@attrs.frozen
class Unsubscribe:
    """The subscriber has gone."""

    subscription: Subscription


@attrs.define
class FeedPlace:
    """How far the log has been told; outlives the actor, so that nothing is skipped."""

    seq: int | None = None


class Lagged(Exception):
    """The subscriber was too far behind; it may resume after `args[0]`, the last it was given."""


@attrs.define(eq=False)
class Subscription:
    """An iterator over changes, and the number of the last one that it gave."""

    cursor: int
    _receive: trio.MemoryReceiveChannel[Change]
    _leave: Callable[[Subscription], None]

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Change:
        try:
            change = await self._receive.receive()
        except trio.EndOfChannel:
            raise Lagged(self.cursor) from None
        self.cursor = change.seq
        return change

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._receive.close()
        self._leave(self)


@attrs.define(eq=False)
class _Subscriber:
    subscription: Subscription
    send: trio.MemorySendChannel[Change]


class Feed(Actor[Committed | Subscribe | Unsubscribe]):
    """Reads the log and hands it on."""

    ctx: Context[Committed | Subscribe | Unsubscribe]

    def __init__(
        self, reads: Reads, on_changes: Callable[[list[Change]], None], place: FeedPlace
    ) -> None:
        """*on_changes* gets every group of changes before any subscriber does."""
        self._place = place
        self._reads = reads
        self._on_changes = on_changes
        self._subscribers: list[_Subscriber] = []

    async def started(self) -> None:
        """Begin where the last incarnation stopped; the first, at the end of the log."""
        if self._place.seq is None:
            self._place.seq = self._reads.last_seq()
        self._hand_on()

    def receive(self, message: Committed | Subscribe | Unsubscribe) -> Subscription | None:
        """Hand on what is new, or take a subscriber in or out."""
        match message:
            case Committed():
                self._hand_on()
            case Subscribe(after):
                self._hand_on()
                return self._subscribe(self._told if after is None else after)
            case Unsubscribe(subscription):
                self._subscribers = [
                    s for s in self._subscribers if s.subscription is not subscription
                ]
        return None

    @property
    def _told(self) -> int:
        return self._place.seq or 0

    async def stopped(self, reason: object) -> None:  # noqa: ARG002 - however it ended
        """Let the subscribers go: they resume by their cursors."""
        for subscriber in self._subscribers:
            subscriber.send.close()

    def _hand_on(self) -> None:
        while changes := self._reads.changes(self._told):
            self._place.seq = changes[-1].seq
            self._on_changes(changes)
            for subscriber in list(self._subscribers):
                self._give(subscriber, changes)

    def _subscribe(self, after: int) -> Subscription:
        missed: list[Change] = []
        cursor = after
        # Up to what has been handed on: a commit of this very moment is handed on as well.
        while cursor < self._told and (page := self._reads.changes(cursor)):
            missed += [change for change in page if change.seq <= self._told]
            cursor = page[-1].seq
        send, receive = trio.open_memory_channel[Change](len(missed) + BUFFER)
        ref = self.ctx.self
        subscription = Subscription(after, receive, lambda gone: ref.tell(Unsubscribe(gone)))
        subscriber = _Subscriber(subscription, send)
        self._subscribers.append(subscriber)
        self._give(subscriber, missed)
        return subscription

    def _give(self, subscriber: _Subscriber, changes: list[Change]) -> None:
        try:
            for change in changes:
                subscriber.send.send_nowait(change)
        except (trio.WouldBlock, trio.BrokenResourceError):
            subscriber.send.close()
            self._subscribers.remove(subscriber)
