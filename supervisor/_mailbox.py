"""The mailbox of one child: made with it, and kept over its incarnations.

One consumer, whose parked task is woken by a single `reschedule`.  Items are messages as they
were told, a :class:`Deferred` for a question, or a :class:`Note`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, final

import trio
from outcome import Value
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled

from ._deferred import Deferred
from ._errors import ActorDead, MailboxFull

if TYPE_CHECKING:
    from ._dead_letters import Why
    from ._ref import Ref
    from ._timers import Timer

SENDS_PER_YIELD = 64

_NOT_TAKEN: Final = Value("not taken")


@final
class Note:
    """A message that is only for the incarnation *owner*: from its timers and monitors."""

    __slots__ = ("message", "owner", "timer")

    def __init__(self, owner: object, message: object, timer: Timer | None = None) -> None:
        self.owner = owner
        self.message = message
        self.timer = timer


POISON: Final = Note(None, None)
"""Makes the incarnation stop that comes to it."""


@final
class _Sender:
    __slots__ = ("message", "task")

    def __init__(self, message: object, task: Task | None) -> None:
        self.message = message
        self.task = task

    def give_up(self, _raise_cancel: Callable[[], Any]) -> Abort:
        self.task = None
        return Abort.SUCCEEDED


@final
class Mailbox:
    """A bounded queue with a line of those who wait for room, and an urgent lane."""

    __slots__ = (
        "_parked", "_sends", "capacity", "open", "overflow", "queue", "ref", "suspended",
        "urgent", "waiting",
    )  # fmt: skip

    def __init__(self, capacity: float, overflow: str) -> None:
        self.ref: Ref[Any]
        self.capacity = capacity
        self.overflow = overflow
        self.open = False
        self.queue: deque[Any] = deque()
        self.urgent: list[Callable[[], None]] = []
        """Calls for the consumer to make before its next message."""
        # An empty deque is 600 bytes, and most actors never need this one.
        self.waiting: deque[_Sender | Deferred] | None = None
        self.suspended = False
        self._parked: Task | None = None
        self._sends = 0

    # Producers.

    @trio.lowlevel.enable_ki_protection
    def put(self, message: object) -> None:
        """Take a message, or do as the overflow policy says."""
        if not self.open:
            self.lose(message, "dead")
            return
        queue = self.queue
        if len(queue) >= self.capacity and not self._make_room(message):
            return
        queue.append(message)
        if self._parked is not None:
            self._wake()

    @trio.lowlevel.enable_ki_protection
    def put_note(self, note: Note) -> None:
        """Take a note; the few there can be are not held against the capacity."""
        if self.open:
            self.queue.append(note)
            if self._parked is not None:
                self._wake()

    @trio.lowlevel.enable_ki_protection
    def put_urgent(self, call: Callable[[], None]) -> None:
        """Have the consumer make *call* before its next message."""
        self.urgent.append(call)
        if self._parked is not None:
            self._wake()

    @trio.lowlevel.enable_ki_protection
    def put_ask(self, ask: Deferred) -> None:
        """Take a question; where there is no room, it waits in line."""
        if len(self.queue) >= self.capacity:
            self._line_up(ask)
            return
        self.queue.append(ask)
        if self._parked is not None:
            self._wake()

    @trio.lowlevel.enable_ki_protection
    def put_back(self, items: Sequence[object]) -> None:
        """Put *items* before all others."""
        self.queue.extendleft(reversed(items))
        if items and self._parked is not None:
            self._wake()

    async def send(self, message: object) -> None:
        """Take a message when there is room.  Every call can be cancelled; not every one yields.

        Raises:
            ActorDead: there is nobody, or there was not before there was room.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self.open:
            raise ActorDead(self.ref.path)
        if len(self.queue) < self.capacity:
            self.put(message)
            self._sends += 1
            if not self._sends % SENDS_PER_YIELD:
                await trio.lowlevel.cancel_shielded_checkpoint()
            return
        sender = _Sender(message, current_task())
        self._line_up(sender)
        if await wait_task_rescheduled(sender.give_up) is not None:
            raise ActorDead(self.ref.path)

    def _line_up(self, first: _Sender | Deferred) -> None:
        if self.waiting is None:
            self.waiting = deque()
        self.waiting.append(first)

    def _make_room(self, message: object) -> bool:
        match self.overflow:
            case "drop_new":
                self.lose(message, "full")
                return False
            case "drop_old":
                for index, item in enumerate(self.queue):
                    if type(item) is not Note:
                        del self.queue[index]
                        self.lose(item, "full")
                        break
                return True
            case _:
                self.lose(message, "full")
                raise MailboxFull(self.ref.path)

    # The consumer.

    @property
    def parked(self) -> Task | None:
        """The consumer, while it waits for messages."""
        return self._parked

    def resume(self) -> None:
        """Let the consumer have messages again."""
        self.suspended = False
        self._wake()

    async def park(self) -> None:
        """Wait until something may have come."""
        if self._parked is not None:
            raise trio.BusyResourceError("another task reads this inbox")
        self._parked = current_task()
        await wait_task_rescheduled(self._unpark)

    @trio.lowlevel.enable_ki_protection
    def refill(self) -> None:
        """Let those who wait in line have the room there is."""
        while self.waiting and len(self.queue) < self.capacity:
            first = self.waiting.popleft()
            if type(first) is Deferred:
                if first.waiting:
                    self.queue.append(first)
            elif first.task is not None:
                task, first.task = first.task, None
                self.queue.append(first.message)
                reschedule(task)

    @property
    def depth(self) -> int:
        """How many messages are queued or wait in line."""
        return len(self.queue) + len(self.waiting or ())

    def _wake(self) -> None:
        task, self._parked = self._parked, None
        if task is not None:
            reschedule(task)

    def _unpark(self, _raise_cancel: Callable[[], Any]) -> Abort:
        self._parked = None
        return Abort.SUCCEEDED

    # The end.

    def close(self) -> None:
        """Take no more messages; what is queued is lost, and who waits is told."""
        self.open = False
        self.drop_queued("dead")
        waiting, self.waiting = self.waiting, None
        for first in waiting or ():
            if type(first) is Deferred:
                first.fail(ActorDead(self.ref.path))
            elif first.task is not None:
                task, first.task = first.task, None
                reschedule(task, _NOT_TAKEN)

    def drop_queued(self, why: Why) -> None:
        """Lose what is queued; who waits in line for room is not touched."""
        items = list(self.queue)
        self.queue.clear()
        for item in items:
            self.lose(item, why)

    def lose(self, item: object, why: Why) -> None:
        """Account for an item that nobody will handle."""
        kind = type(item)
        if kind is Note:
            return
        if isinstance(item, Deferred):
            error = MailboxFull if why == "full" else ActorDead
            item.fail(error(self.ref.path))
            item = item.message
        self.ref.system.dead_letters.add(self.ref, item, why)
