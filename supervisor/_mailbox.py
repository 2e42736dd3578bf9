"""The mailbox of one child: made with it, and kept over its incarnations.

One consumer, whose parked task is woken by a single `reschedule`.  Items are messages as they
were told, a :class:`Deferred` for a question, or a :class:`Note`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, final

import trio
from outcome import Error
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled

from ._deferred import Deferred
from ._errors import ActorDead, MailboxFull

if TYPE_CHECKING:
    from ._dead_letters import Why
    from ._ref import Ref
    from ._timers import Timer
    from ._tracing import Tracer

SENDS_PER_YIELD = 64

NO_QUEUE: Final[deque[Any]] = deque(maxlen=0)
"""Stands for an empty queue: a real one weighs 600 bytes, which an idle actor has no use for."""

NO_MESSAGE: Final = object()
PENDING: Final = object()
"""The answer is yet to come."""


class Turn(Protocol):
    """A consumer that has no task of its own, while it has nothing to do."""

    def line_up(self) -> None:
        """Ask for a turn."""

    def ask_now(self, message: object) -> Any:
        """Take the turn at once, for one question: see `Shared.ask_now`."""

    def owes_checkpoint(self) -> bool:
        """Whether so many questions were asked this way that it is the turn of others."""

    def take_put_off(self) -> Deferred:
        """Return what `ask_now` did not answer."""


Consumer: TypeAlias = Task | Turn


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
        "_sends", "capacity", "consumer", "first", "mixed", "open", "queue", "ref",
        "suspended", "tracer", "urgent", "waiting",
    )  # fmt: skip

    def __init__(self, capacity: float) -> None:
        self.ref: Ref[Any]
        self.capacity = capacity
        self.open = False
        self.queue = NO_QUEUE
        self.first: object = NO_MESSAGE
        """The message before the queue, where there is no queue yet."""
        self.urgent: list[Callable[[], None]] | None = None
        """Calls for the consumer to make before its next message."""
        self.waiting: deque[_Sender | Deferred] | None = None
        self.suspended = False
        self.tracer: Tracer | None = None
        self.consumer: Consumer | None = None
        """Who takes the messages, while waiting for one."""
        self.mixed = False
        """There may be other items than plain messages in the queue, or somebody in line."""
        self._sends = 0

    # Producers.

    @trio.lowlevel.enable_ki_protection
    def put(self, message: object) -> None:
        """Take a message, or do as the overflow policy says."""
        if not self.open:
            self.lose(message, "dead")
            return
        queue = self.queue
        consumer = self.consumer
        if queue is NO_QUEUE:
            if consumer is not None and type(consumer) is not Task:
                self.first = message
                self.consumer = None
                consumer.line_up()
                return
            queue = self._make_queue()
        if len(queue) >= self.capacity and not self._make_room(message):
            return
        queue.append(message)
        if consumer is not None:  # as in _wake; a call would be a tenth of all this
            self.consumer = None
            if type(consumer) is Task:
                reschedule(consumer)
            else:
                consumer.line_up()

    @trio.lowlevel.enable_ki_protection
    def put_note(self, note: Note) -> None:
        """Take a note; the few there can be are not held against the capacity."""
        if self.open:
            self._append(note)
            self._wake()

    @trio.lowlevel.enable_ki_protection
    def put_urgent(self, call: Callable[[], None]) -> None:
        """Have the consumer make *call* before its next message."""
        if self.urgent is None:
            self.urgent = []
        self.urgent.append(call)
        self._wake()

    @trio.lowlevel.enable_ki_protection
    def put_ask(self, ask: Deferred) -> None:
        """Take a question; where there is no room, it waits in line."""
        if not self._has_room():
            self._line_up(ask)
            return
        self._append(ask)
        if self.consumer is not None:
            self._wake()

    @trio.lowlevel.enable_ki_protection
    def put_back(self, items: Sequence[object]) -> None:
        """Put *items* before all others."""
        if items:
            self.mixed = True
            self._make_queue().extendleft(reversed(items))
            self._wake()

    async def send(self, message: object) -> None:
        """Take a message when there is room.  Every call can be cancelled; not every one yields.

        Raises:
            ActorDead: there is nobody, or there was not before there was room.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self.open:
            raise ActorDead(self.ref.path)
        if len(self.queue) < self.capacity and (self.first is NO_MESSAGE or self._has_room()):
            self.put(message)
            self._sends += 1
            if not self._sends % SENDS_PER_YIELD:
                await trio.lowlevel.cancel_shielded_checkpoint()
            return
        sender = _Sender(message, current_task())
        self._line_up(sender)
        await wait_task_rescheduled(sender.give_up)

    def _append(self, item: Deferred | Note) -> None:
        self.mixed = True
        self._make_queue().append(item)

    def _make_queue(self) -> deque[Any]:
        if self.queue is NO_QUEUE:
            self.queue = deque()
            if self.first is not NO_MESSAGE:
                self.queue.append(self.first)
                self.first = NO_MESSAGE
        return self.queue

    def _has_room(self) -> bool:
        if self.first is not NO_MESSAGE:
            self._make_queue()
        return len(self.queue) < self.capacity

    def _line_up(self, first: _Sender | Deferred) -> None:
        if self.waiting is None:
            self.waiting = deque()
        self.waiting.append(first)
        self.mixed = True

    def _make_room(self, message: object) -> bool:
        spec = self.ref._cell.spec  # noqa: SLF001 - the two belong together
        match spec.overflow:
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
            case "replace_key" if spec.key is not None and self._replace(message, spec.key):
                return False
            case _:
                self.lose(message, "full")
                raise MailboxFull(self.ref.path)

    def _replace(self, message: object, key: Callable[[Any], object]) -> bool:
        wanted = key(message)
        for index, item in enumerate(self.queue):
            if type(item) is not Note and type(item) is not Deferred and key(item) == wanted:
                self.queue[index] = message
                self.lose(item, "full")
                return True
        return False

    # The consumer.

    def resume(self) -> None:
        """Let the consumer have messages again."""
        self.suspended = False
        self._wake()

    @property
    def has_messages(self) -> bool:
        """There is something to take."""
        return bool(self.queue) or self.first is not NO_MESSAGE

    def take(self) -> Any:
        """Return the next item, of which there is one."""
        queue = self._make_queue()
        item = queue.popleft()
        if not queue:
            self.queue = NO_QUEUE  # or it would weigh more than all the rest of an idle actor
        if self.waiting:
            self.refill()
        return item

    def rest(self, consumer: Consumer) -> None:
        """Note that *consumer* waits until something may have come.

        Raises:
            BusyResourceError: another does.
        """
        if self.consumer is not None:
            raise trio.BusyResourceError("another task reads this inbox")
        if not self.queue:
            self.mixed = False
        self.consumer = consumer

    def unpark(self, _raise_cancel: Callable[[], Any]) -> Abort:
        """Trio's abort function for a consumer's wait."""
        self.consumer = None
        return Abort.SUCCEEDED

    @trio.lowlevel.enable_ki_protection
    def refill(self) -> None:
        """Let those who wait in line have the room there is."""
        while self.waiting and self._has_room():
            first = self.waiting.popleft()
            if type(first) is Deferred:
                if first.waiting:
                    self._append(first)
            elif first.task is not None:
                task, first.task = first.task, None
                self._make_queue().append(first.message)
                reschedule(task)

    @property
    def depth(self) -> int:
        """How many messages are queued or wait in line."""
        first = self.first is not NO_MESSAGE
        return len(self.queue) + first + len(self.waiting or ())

    def _wake(self) -> None:
        consumer, self.consumer = self.consumer, None
        if type(consumer) is Task:
            reschedule(consumer)
        elif consumer is not None:
            consumer.line_up()

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
                reschedule(task, Error(ActorDead(self.ref.path)))

    def drop_queued(self, why: Why) -> None:
        """Lose what is queued; who waits in line for room is not touched."""
        if self.first is not NO_MESSAGE:
            self._make_queue()
        items, self.queue = self.queue, NO_QUEUE
        if self.mixed:
            for item in items:
                self.lose(item, why)
        elif items:
            self.ref.system.dead_letters.add_all(self.ref, items, why)

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
