"""The lane of those who share a task: actors whose `receive` is a plain function.

A dispatcher gives each a turn of some messages.  What takes time, a start or stop hook that is
awaited or what a supervisor does, runs in a task of its own that ends with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context as Variables
from functools import partial
from time import perf_counter
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, final

from trio.lowlevel import (
    Abort,
    Task,
    checkpoint,
    current_task,
    disable_ki_protection,
    enable_ki_protection,
    reschedule,
    wait_task_rescheduled,
)

from ._actor import Actor
from ._deferred import Deferred, Reply
from ._desk import NOTHING, TAKEN, answer
from ._errors import NotSupported
from ._exits import Crash, Exit
from ._incarnation import Incarnation
from ._mailbox import NO_MESSAGE, NO_QUEUE, PENDING, Note
from ._tracing import Traced, trace

if TYPE_CHECKING:
    from ._cell import Cell

TURN: Final = 16
"""Messages of one actor before it is the turn of the next."""
BATCH: Final = 64
"""Messages of all actors between two checkpoints, at most."""
SLICE: Final = 0.001
"""Seconds of real time until a batch ends early; looked at after every eighth turn."""


@final
class Shared(Incarnation):
    """An incarnation without a task."""

    __slots__ = ("_asked_now", "_dispatcher", "variables")

    actor: Actor[Any]

    def __init__(self, cell: Cell, number: int) -> None:
        super().__init__(cell, number)
        self.variables: Variables
        self._dispatcher = cell.system.dispatcher
        self._asked_now: Deferred | bool = False
        """True while the message in hand is a question whose asker is not parked; that question,
        if it was put off."""

    def begin(self, variables: Variables, predecessor: Incarnation | None) -> None:  # noqa: ARG002
        """Start, in a task only if there is a start hook."""
        self.variables = variables
        if self._make_actor(variables) is None:
            return
        if self.ran:
            self._await_mail()
        else:
            self._spawn(self._visit, self._start, self.actor)

    def _spawn(self, function: Callable[..., Any], *args: Any) -> None:
        start_soon = self.cell.system.nursery.start_soon
        self.variables.run(partial(start_soon, function, *args, name=self.cell.path))

    @enable_ki_protection
    async def _visit(self, function: Callable[..., Awaitable[bool]], *args: Any) -> None:
        """Be its task while *function* takes time, which returns whether it serves from then on."""
        self.task = current_task()
        serves, error = False, None
        try:
            with self._enter_scope():
                serves = await function(*args)
        except (Exception, KeyboardInterrupt, SystemExit, BaseExceptionGroup) as caught:  # noqa: BLE001
            error = self._caught(caught)  # a supervisor judges it
        self._scope = None
        if serves:
            self.task = None
            self._await_mail()
        else:
            await self.close(error)

    def _leave_unfinished(self, handler: CoroutineType[Any, Any, Any]) -> None:
        """Have a handler that has to be awaited end in a task: only supervisors have such.

        Raises:
            NotSupported: it is no supervisor.
        """
        if self.cell.spec.kind != "supervisor":
            handler.close()
            raise NotSupported(f"{self.cell.path}: on the shared lane, receive cannot be awaited")
        self._spawn(self._visit, self._finish, handler)

    async def _finish(self, handler: CoroutineType[Any, Any, Any]) -> bool:
        result = await handler
        self._answer(result)
        return True

    def _answer(self, result: object) -> None:
        hand, self._hand = self._hand, NOTHING
        if type(hand) is Deferred:
            answer(hand, result)

    # Turns.

    @property
    def waits_for_mail(self) -> bool:
        """It has nothing to do."""
        return self._mailbox.consumer is self

    @enable_ki_protection
    def line_up(self) -> None:
        """Ask for a turn."""
        dispatcher = self._dispatcher
        dispatcher.line.append(self)
        if dispatcher.parked is not None:
            dispatcher.wake()

    def _await_mail(self) -> None:
        if self._mailbox.has_messages or self._mailbox.urgent:
            self.line_up()
        else:
            self._mailbox.rest(self)

    @disable_ki_protection
    def take_turn(self) -> int:
        """Handle some messages; return how many.

        What it raises is to be handed to :meth:`fail`.
        """
        mailbox = self._mailbox
        message = mailbox.first
        if (
            message is NO_MESSAGE
            or mailbox.urgent
            or mailbox.suspended
            or mailbox.tracer is not None
        ):
            return self._take_long_turn()
        # A single plain message for one who was idle: what the shared lane is for.
        mailbox.first = NO_MESSAGE
        self._hand = message
        result = self.variables.run(self.actor.receive, message)
        if type(result) is CoroutineType:
            self._leave_unfinished(result)
            return 1
        self._hand = NOTHING
        if mailbox.queue is NO_QUEUE and not mailbox.urgent:
            mailbox.consumer = self
        else:
            self.line_up()
        return 1

    def _take_long_turn(self) -> int:
        mailbox = self._mailbox
        handled = 0
        while handled < TURN:
            if mailbox.urgent and self._leaves():
                self._end(None)
                return handled
            if not mailbox.has_messages or mailbox.suspended:
                mailbox.rest(self)
                return handled
            item = mailbox.take()
            if type(item) is Note:
                if not self._is_ours(item):
                    continue
                item = item.message
            handled += 1
            self._hand = item
            result = self._handle(item.message if type(item) is Deferred else item)
            if type(result) is CoroutineType:
                self._leave_unfinished(result)
                return handled
            self._answer(result)
        self.line_up()
        return handled

    @enable_ki_protection
    def fail(self, error: BaseException) -> None:
        """End, because its turn raised *error*: its handler, or a KeyboardInterrupt anywhere."""
        if not self._ending:
            self._mailbox.consumer = None
            with suppress(ValueError):  # a KeyboardInterrupt may come when it has just lined up
                self._dispatcher.line.remove(self)
            self._end(self._caught(error))

    @disable_ki_protection
    def _handle(self, message: object) -> Any:
        traced = self._mailbox.tracer is not None
        receive = self._trace_and_receive if traced else self.actor.receive
        return self.variables.run(receive, message)

    def _trace_and_receive(self, message: object) -> Any:
        asked = self._asked_now is True or type(self._hand) is Deferred
        if self._mailbox.tracer is not None:
            trace(self._mailbox.tracer, Traced(self.cell.ref, self.number, message, asked))
        return self.actor.receive(message)

    @enable_ki_protection
    def _end(self, error: BaseException | None) -> None:
        reason = self._begin_end(error)
        if self._has_to_wind_down:
            self._spawn(self._end_in_task, reason)
        else:
            self._report(reason)

    @enable_ki_protection
    async def _end_in_task(self, reason: Exit) -> None:
        self.task = current_task()
        self._report(await self._wind_down(reason))

    # Questions that are answered on the asker's stack.

    @enable_ki_protection
    def ask_now(self, message: object) -> Any:
        """Handle a question at once: nobody can tell, as no other task runs meanwhile.

        Only for one who waits for mail.  Returns the answer, or :data:`PENDING`.

        Raises:
            ActorCrashed: it did; the dispatcher deals with the end.
        """
        mailbox = self._mailbox
        mailbox.consumer = None
        self._hand = message
        self._asked_now = True
        try:
            result = self._handle(message)
            if type(result) is CoroutineType:
                self._leave_unfinished(result)
                self._hand = self._take_hand()
                return PENDING
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            put_off = self._asked_now is not True
            self._hand = NOTHING
            self._on_error(error)  # a supervisor judges it
            self.line_up()
            if put_off:
                return PENDING
            self._asked_now = False
            raise self._gone(Crash(error)) from error
        hand, self._hand = self._hand, NOTHING
        if mailbox.queue or mailbox.urgent:  # to itself, it told that meanwhile
            self.line_up()
        else:
            mailbox.consumer = self
        if hand is TAKEN:
            return PENDING
        self._asked_now = False
        return result if type(result) is not Reply else result.unwrap()

    def owes_checkpoint(self) -> bool:
        """Whether so many were asked this way that it is the turn of others."""
        dispatcher = self._dispatcher
        dispatcher.asked += 1
        return not dispatcher.asked % BATCH

    def take_put_off(self) -> Deferred:
        """Return what `ask_now` did not answer."""
        deferred, self._asked_now = self._asked_now, False
        assert not isinstance(deferred, bool)  # noqa: S101 - PENDING was returned
        return deferred

    def _take_hand(self) -> Any:
        hand = super()._take_hand()
        if self._asked_now is not True:
            return hand
        self._asked_now = deferred = Deferred(hand, current_task(), self.cell.ref)
        deferred.expect_early()
        return deferred


@final
class Dispatcher:
    """The one task of all shared incarnations of a system."""

    def __init__(self) -> None:
        self.line: deque[Shared] = deque()
        """Who waits for a turn."""
        self.parked: Task | None = None
        """The task, while nobody does."""
        self.asked = 0
        """Questions that were answered without a turn."""

    def owes_checkpoint(self) -> bool:
        """Count something that was done on another task's stack; see `Turn.owes_checkpoint`."""
        self.asked += 1
        return not self.asked % BATCH

    def wake(self) -> None:
        """Let it look at the line."""
        task, self.parked = self.parked, None
        if task is not None:
            reschedule(task)

    @enable_ki_protection
    async def run(self) -> None:
        """Give turns until cancelled."""
        task = current_task()
        line = self.line
        left, turns, due = BATCH, 0, 0.0
        while True:
            if not line:
                self.parked = task
                await wait_task_rescheduled(self._unpark)
                left, turns, due = BATCH, 0, perf_counter() + SLICE
            incarnation = line.popleft()
            try:
                left -= incarnation.take_turn()
            except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001
                incarnation.fail(error)  # a supervisor judges it
                left -= 1
            del incarnation  # or one that has ended would be kept until the next turn
            turns += 1
            if left <= 0 or (not turns & 7 and perf_counter() > due):
                await checkpoint()
                left, turns, due = BATCH, 0, perf_counter() + SLICE

    def _unpark(self, _raise_cancel: Callable[[], Any]) -> Abort:
        self.parked = None
        return Abort.SUCCEEDED
