"""The lane of those who have a task of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context as Variables
from time import perf_counter
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, cast, final

from trio.lowlevel import (
    cancel_shielded_checkpoint,
    checkpoint,
    current_task,
    disable_ki_protection,
    enable_ki_protection,
    wait_task_rescheduled,
)

from ._actor import Actor
from ._deferred import Deferred
from ._desk import NOTHING, answer
from ._incarnation import Incarnation, starts_at_once
from ._mailbox import Note
from ._tracing import Traced, trace

if TYPE_CHECKING:
    from ._cell import Cell

BATCH: Final = 64
"""Messages handled between two checkpoints, at most."""
SLICE: Final = 0.001
"""Seconds of real time until a batch ends early; looked at after every eighth message."""


@final
class Solo(Incarnation):
    """An incarnation in a task of its own."""

    __slots__ = ("_budget", "_due", "_reads_inbox", "successor", "variables")

    def __init__(self, cell: Cell, number: int) -> None:
        super().__init__(cell, number)
        self.successor: Solo | None = None
        """Who takes over the task."""
        self.variables: Variables | None = None
        self._reads_inbox = False
        self._budget = BATCH
        self._due = 0.0

    def begin(self, variables: Variables, predecessor: Incarnation | None) -> None:
        """Start; the actor is made at once, and all else is done in the task."""
        if isinstance(self.cell.spec.start, type) and not self._make_actor(variables):
            return
        if isinstance(predecessor, Solo):
            self.variables = variables
            predecessor.successor = self
        else:
            variables.run(self._spawn)

    def _spawn(self) -> None:
        self.cell.system.nursery.start_soon(run, self, name=self.cell.path)

    @disable_ki_protection
    async def live(self, unfinished: Coroutine[Any, Any, Any] | None) -> None:
        """Do what may have to be cancelled: run a function, a start hook, handlers that await."""
        with self._enter_scope():
            if self.actor is None:
                self._be_ready()
                spec = self.cell.spec
                start = cast("Callable[..., Awaitable[object]]", spec.start)
                await start(self.context, *self.cell.args, **spec.kwargs)
            elif unfinished is not None or await self._start(self.actor):
                await self.serve(self.actor, unfinished)

    def stop(self) -> None:
        """Stop after the message in hand.

        A function that has never read its inbox has none in hand, and is cancelled.
        """
        super().stop()
        if self.ran and self.actor is None and not self._reads_inbox and self.cell.spec.interrupt:
            self._interrupt()

    # Messages.

    @disable_ki_protection
    async def serve(  # noqa: C901, PLR0912 - a call costs as much as a branch of it
        self, actor: Actor[Any], unfinished: Coroutine[Any, Any, Any] | None = None
    ) -> Coroutine[Any, Any, Any] | None:
        """Handle messages; this is the hot path, and flat for that reason.

        Without a scope it returns the first handler that has to be awaited, *unfinished*.  What
        never awaits is never cancelled, and does without a scope, a fifth of an idle actor.
        """
        task = current_task()
        mailbox = self._mailbox
        if unfinished is not None:
            self._answer(await unfinished)
        receive = self._receiver(actor)
        budget, due = BATCH, perf_counter() + SLICE
        suspended = mailbox.suspended
        while True:
            if mailbox.urgent:
                if self._leaves():
                    return None
                receive, suspended = self._receiver(actor), mailbox.suspended
            queue = mailbox.queue
            if not queue or suspended:
                item = message = result = None  # who waits holds nothing
                if not queue:
                    mailbox.mixed = False
                mailbox.consumer = task
                await wait_task_rescheduled(mailbox.unpark)
                budget, due = BATCH, perf_counter() + SLICE
                suspended = mailbox.suspended
                continue
            item = message = queue.popleft()
            if mailbox.mixed:
                if mailbox.waiting:
                    mailbox.refill()
                kind = type(item)
                if kind is Deferred:
                    message = item.message
                elif kind is Note:
                    if not self._is_ours(item):
                        continue
                    item = message = item.message
            self._hand = item
            result = receive(message)
            if result is not None and type(result) is CoroutineType:
                if self._scope is None:
                    return result
                result = await result
            if item is not message:
                self._answer(result)
            self._hand = NOTHING
            budget -= 1
            if not budget & 7 and (not budget or perf_counter() > due):
                await checkpoint()
                budget, due = BATCH, perf_counter() + SLICE

    def _answer(self, result: object) -> None:
        hand, self._hand = self._hand, NOTHING
        if type(hand) is Deferred:
            answer(hand, result)

    def _receiver(self, actor: Actor[Any]) -> Callable[[Any], Any]:
        tracer = self._mailbox.tracer
        if tracer is None:
            return actor.receive

        def receive(message: Any) -> Any:
            self._trace(message)
            return actor.receive(message)

        return receive

    def _trace(self, message: Any) -> None:
        if self._mailbox.tracer is not None:
            asked = type(self._hand) is Deferred
            trace(self._mailbox.tracer, Traced(self.cell.ref, self.number, message, asked))

    def as_reader(self) -> Solo:
        """See :attr:`Context.inbox`."""
        return self if self.actor is None else super().as_reader()

    async def next_message(self) -> Any:
        """Return the next message for a function actor; StopAsyncIteration when it is to stop."""
        self._reads_inbox = True
        mailbox = self._mailbox
        hand, self._hand = self._hand, NOTHING
        if type(hand) is Deferred:
            hand.answer(None)
        self._budget -= 1
        if not self._budget & 7 and (self._budget <= 0 or perf_counter() > self._due):
            self._renew_budget()
            await checkpoint()
        while True:
            if self._leaving or (mailbox.urgent and self._leaves()):
                raise StopAsyncIteration
            if not mailbox.queue or mailbox.suspended:
                mailbox.rest(current_task())
                await wait_task_rescheduled(mailbox.unpark)
                self._renew_budget()
                continue
            item = mailbox.queue.popleft()
            if mailbox.waiting:
                mailbox.refill()
            if type(item) is Note:
                if not self._is_ours(item):
                    continue
                item = item.message
            self._hand = item
            message = item.message if type(item) is Deferred else item
            self._trace(message)
            return message

    def _renew_budget(self) -> None:
        self._budget, self._due = BATCH, perf_counter() + SLICE


@enable_ki_protection
async def run(incarnation: Solo) -> None:
    """Be the task of *incarnation*, and of those that are started again in its place."""
    task = current_task()
    while True:
        incarnation.task = task
        error: BaseException | None = None
        try:
            unfinished = None
            if incarnation.ran and incarnation.actor is not None:
                unfinished = await incarnation.serve(incarnation.actor)
            if unfinished is not None or not incarnation.ran:
                await incarnation.live(unfinished)
        except (Exception, KeyboardInterrupt, SystemExit, BaseExceptionGroup) as caught:  # noqa: BLE001
            # A supervisor judges it.
            error = incarnation._caught(caught)  # noqa: SLF001
        await incarnation.close(error)
        follower = incarnation.successor
        if follower is None:
            return
        # From the next switch on, the task has the variables of a new one.
        if follower.variables is not None:
            task.context = follower.variables
        await cancel_shielded_checkpoint()
        incarnation = follower


def takes_over(start: object) -> bool:
    """Whether a new incarnation may be begun on the stack of the old one."""
    return isinstance(start, type) and issubclass(start, Actor) and starts_at_once(start)
