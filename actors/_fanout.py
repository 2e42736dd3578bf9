"""Who is told of changes, and how far each of them has come.

Who is far behind reads the log page by page, as fast as it takes the pages; who has caught up is
handed what the feed has read, through a buffer with an end.  So nobody's place costs more than a
page or a buffer of changes, whatever it missed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from types import TracebackType
from weakref import WeakSet

import attrs
import trio

from ..storage import Change, Conflict, Reads, Unavailable

PAGE = 500
"""Changes that are read at a time for one who is behind; with fewer to go, it has caught up."""

BUFFER = 1_000
"""Changes that a subscriber may leave lying; one more, and it is let go to resume by its cursor."""


class Lagged(Exception):
    """The subscriber was too far behind; it may resume after `args[0]`, the last it was given."""


class PlaceGone(Conflict):
    """The log cannot be told from there: it ends before, or begins later.  Read a snapshot."""


@attrs.define(eq=False)
class Subscription:
    """An iterator over changes, and the number of the last one that it gave."""

    cursor: int
    _fanout: Fanout
    _page: deque[Change] = attrs.field(factory=deque)
    _heard: trio.MemoryReceiveChannel[Change] | None = None
    """None: it has to catch up first."""

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Change:
        while not self._page:
            if self._heard is None:
                await self._catch_up()
            else:
                self._page.append(await self._hear(self._heard))
        change = self._page.popleft()
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
        self._fanout.leave(self)

    def joined(self, missed: Sequence[Change], heard: trio.MemoryReceiveChannel[Change]) -> None:
        """Take the last that was missed, and from then on what is handed on."""
        self._page.extend(missed)
        self._heard = heard

    async def _catch_up(self) -> None:
        try:
            if self._fanout.join(self):
                return
            # More than a page to go: so nothing of it is ahead of what the feed has told.
            page = await self._fanout.reads.elsewhere(
                lambda reads: reads.changes(self.cursor, PAGE)
            )
        except Unavailable as away:
            raise Lagged(self.cursor) from away
        if not page or page[0].seq != self.cursor + 1:
            raise Lagged(self.cursor)  # the log was trimmed meanwhile
        self._page.extend(page)

    async def _hear(self, heard: trio.MemoryReceiveChannel[Change]) -> Change:
        try:
            return await heard.receive()
        except trio.EndOfChannel:
            raise Lagged(self.cursor) from None


@attrs.define(eq=False)
class Fanout:
    """The places of the feed and of its subscribers.

    Outlives the feed, which is the only one to tell anything: when that is started again, nobody
    has missed a change or hears one twice.
    """

    reads: Reads
    told: int = -1
    """The last change that was handed on; -1 before the feed was first started."""
    _given_up: int = 0
    _all: WeakSet[Subscription] = attrs.field(factory=WeakSet)
    _joined: dict[Subscription, trio.MemorySendChannel[Change]] = attrs.field(factory=dict)

    def subscribe(self, after: int | None) -> Subscription:
        """Return a subscription that begins after change number *after*; by default, with news.

        Raises:
            PlaceGone: the log does not reach there, or no longer begins there.
        """
        begin, end = max(self._given_up, self.reads.retention_seq()), self.told
        after = end if after is None else after
        if not begin <= after <= end:
            raise PlaceGone(
                f"there are no changes after {after} to be told: the log has {begin + 1} to {end};"
                " read a snapshot and go on from its cursor",
                field="after",
            )
        subscription = Subscription(after, self)
        self._all.add(subscription)
        self.join(subscription)
        return subscription

    def join(self, subscription: Subscription) -> bool:
        """Hand on to *subscription* from now on; not while it has more than a page to go."""
        if self.told - subscription.cursor > PAGE:
            return False
        # Up to what has been handed on: a commit of this very moment is handed on as well.
        page = self.reads.changes(subscription.cursor, PAGE)
        missed = [change for change in page if change.seq <= self.told]
        if len(missed) != self.told - subscription.cursor:
            raise Lagged(subscription.cursor)  # the log was trimmed meanwhile
        send, receive = trio.open_memory_channel[Change](BUFFER)
        self._joined[subscription] = send
        subscription.joined(missed, receive)
        return True

    def leave(self, subscription: Subscription) -> None:
        """Tell *subscription* nothing more."""
        self._all.discard(subscription)
        self._let_go(subscription)

    def tell(self, changes: Sequence[Change]) -> None:
        """Hand on what follows what was told; who has no room for it is let go."""
        self.told = changes[-1].seq
        for subscription, send in list(self._joined.items()):
            try:
                for change in changes:
                    send.send_nowait(change)
            except trio.WouldBlock:
                self._let_go(subscription)

    def low_water(self) -> int:
        """Return the last change that everybody has been told of."""
        return min([self.told, *(subscription.cursor for subscription in self._all)])

    def give_up(self, seq: int) -> bool:
        """Refuse to begin before change number *seq* from now on; not if somebody has yet to."""
        if seq > self.low_water():
            return False
        self._given_up = max(self._given_up, seq)
        return True

    def _let_go(self, subscription: Subscription) -> None:
        send = self._joined.pop(subscription, None)
        if send is not None:
            send.close()
