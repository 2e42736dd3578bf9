"""The address of a child: stays valid over its restarts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio
from trio.lowlevel import (
    Task,
    cancel_shielded_checkpoint,
    checkpoint_if_cancelled,
    current_task,
    wait_task_rescheduled,
)

from ._deferred import Deferred
from ._errors import ActorDead
from ._mailbox import PENDING
from ._monitor import DownWaiter
from ._tracing import Tracer

if TYPE_CHECKING:
    from ._cell import Cell
    from ._system import System

M_contra = TypeVar("M_contra", contravariant=True)


class Ref(Generic[M_contra]):
    """Sends messages to one child, whichever incarnation of it runs."""

    __slots__ = ("_cell", "_mailbox")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._mailbox = cell.mailbox

    def __repr__(self) -> str:
        return f"<Ref {self.path}>"

    @property
    def path(self) -> str:
        """The ids from the root down, joined with slashes."""
        return self._cell.path

    @property
    def incarnation(self) -> int:
        """How many incarnations there have been: 1 from the first start on."""
        return self._cell.count

    @property
    def system(self) -> System:
        """Where it lives."""
        return self._cell.system

    @property
    def alive(self) -> bool:
        """Messages are taken: it runs, or waits to be started again."""
        return self._mailbox.open

    def tell(self, message: M_contra) -> None:
        """Send without waiting.  To a dead child it is a dead letter.

        Raises:
            MailboxFull: under the overflow policies "fail" and "block".
        """
        self._mailbox.put(message)

    async def send(self, message: M_contra) -> None:
        """Send, and wait while the mailbox is full.  First come, first served.

        Raises:
            ActorDead: there is no child to take it.
        """
        await self._mailbox.send(message)

    async def ask(self, message: M_contra, timeout: float | None = 5.0) -> Any:  # noqa: ASYNC109
        """Send, and return what `receive` answers.

        Args:
            message: what to send.
            timeout: seconds, also for waiting until there is room; None waits for ever.

        Raises:
            AskTimeout: no answer in time; the message may be handled yet.
            ActorDead: nobody is there, or it ended before it answered.
            ActorCrashed: it crashed with the message in hand.
            DeadlockError: an actor asks itself.
        """
        await checkpoint_if_cancelled()
        mailbox = self._mailbox
        consumer = mailbox.consumer
        if consumer is not None and type(consumer) is not Task and not mailbox.suspended:
            answer = consumer.ask_now(message)
            put_off = consumer.take_put_off() if answer is PENDING else None
            if consumer.owes_checkpoint():
                await cancel_shielded_checkpoint()
            if put_off is None:
                return answer
            ask = put_off
            early = ask.land()
            if early is not None:
                return early.unwrap()
        else:
            task = current_task()
            self._cell.check_ask(task)
            ask = Deferred(message, task, self)
            mailbox.put_ask(ask)
        if timeout is None or timeout == math.inf:
            return await wait_task_rescheduled(ask.give_up)
        return await self._answer(ask, timeout)

    async def get_state(self, timeout: float | None = 5.0) -> Any:  # noqa: ASYNC109
        """Return what the actor's `state` says, read between two messages.

        Raises:
            NotSupported: it is a function.
            AskTimeout, ActorDead, ActorCrashed, DeadlockError: as for :meth:`ask`.
        """
        await checkpoint_if_cancelled()
        task = current_task()
        self._cell.check_ask(task)
        incarnation = self._cell.incarnation
        if incarnation is None:
            raise ActorDead(self.path)
        ask = Deferred(None, task, self)
        incarnation.ask_state(ask)
        return await self._answer(ask, timeout)

    def stop(self) -> None:
        """Stop the incarnation after the message in hand; what is queued stays in the mailbox.

        A supervisor judges this as any other :class:`ShutdownExit`: a permanent child is
        started again.
        """
        if self._cell.incarnation is not None:
            self._cell.incarnation.stop()

    def poison(self) -> None:
        """Stop the incarnation after all that is queued now."""
        self._cell.poison()

    def kill(self) -> None:
        """Cancel the incarnation; its stop hook does not run."""
        if self._cell.incarnation is not None:
            self._cell.incarnation.kill()

    def monitor(self) -> DownWaiter:
        """Hear of the end: `async with ref.monitor() as down: notice = await down.wait()`."""
        return DownWaiter(self._cell)

    def suspend(self) -> None:
        """Handle no messages after the one in hand until :meth:`resume` or a restart."""
        self._mailbox.suspended = True
        self._look_again()

    def resume(self) -> None:
        """Handle messages again."""
        self._mailbox.resume()

    def trace(self, tracer: Tracer | None) -> None:
        """Call *tracer* before each message is handled; None ends that.

        It is called in the loop, also by the incarnations to come.
        """
        self._mailbox.tracer = tracer
        self._look_again()

    def _look_again(self) -> None:
        if self._cell.incarnation is not None:
            self._mailbox.put_urgent(_nothing)

    async def _answer(self, ask: Deferred, timeout: float | None) -> Any:  # noqa: ASYNC109
        if timeout is None or timeout == math.inf:
            return await wait_task_rescheduled(ask.give_up)
        bucket = self._cell.system.timers.timeouts_at(trio.current_time() + timeout)
        bucket.add(ask)
        try:
            return await wait_task_rescheduled(ask.give_up)
        finally:
            bucket.discard(ask)


def _nothing() -> None:
    """Have the consumer look at what may have changed."""
