"""One run of a child, from its start to the exit that its supervisor hears of."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

import trio
from trio.lowlevel import Task, current_task

from ._actor import Actor
from ._context import Context
from ._deferred import Deferred, Reply
from ._errors import ActorCrashed, ActorDead, NotSupported, StashFull
from ._exits import Crash, Down, Exit, Killed, Normal, ShutdownExit
from ._mailbox import POISON, Note
from ._monitor import Monitor
from ._spec import Ignore, Shutdown
from ._tasks import Tasks

if TYPE_CHECKING:
    from ._cell import Cell
    from ._ref import Ref
    from ._timers import Timer

BATCH: Final = 64
"""Messages handled between two checkpoints."""

_NOTHING: Final = object()
"""No message is in hand."""
_TAKEN: Final = object()
"""The message in hand was deferred or stashed."""


class Incarnation:
    """Runs the actor, judges how it ended, and reports that exactly once."""

    __slots__ = (
        "_budget", "_ending", "_error", "_hand", "_hook_scope", "_leaving", "_mailbox", "_monitors",
        "_open_asks", "_reads_inbox", "_scope", "_stash", "_tasks", "_timers", "_verdict", "actor",
        "asked", "cell", "deadline", "ended", "exit", "ignored", "killed", "number", "ran", "ready",
        "task",
    )  # fmt: skip

    def __init__(self, cell: Cell, number: int) -> None:
        self.cell = cell
        self.number = number
        self.task: Task | None = None
        self.ready = trio.Event()
        """It has started, or ended without."""
        self.ended = trio.Event()
        self.exit: Exit | None = None
        self.ran = False
        self.ignored = False
        self.actor: Actor[Any] | None = None
        self._mailbox = cell.mailbox
        self._scope = trio.CancelScope()
        self._hook_scope = trio.CancelScope()
        self.asked = False
        """It was told to stop."""
        self.killed = False
        self.deadline = math.inf
        """By when its supervisor wants it to have stopped."""
        self._ending = False
        self._leaving = False
        self._reads_inbox = False
        self._verdict: Exit | None = None
        self._error: BaseException | None = None
        self._hand: Any = _NOTHING
        self._budget = BATCH
        self._open_asks: dict[Deferred, None] = {}
        self._stash: list[Any] = []
        self._timers: dict[Timer, None] = {}
        self._monitors: list[Monitor] = []
        self._tasks: Tasks | None = None

    @property
    def tasks(self) -> Tasks:
        """The tasks beside its own."""
        if self._tasks is None:
            self._tasks = Tasks(self.cell.system.nursery, self._on_error)
            if self.killed or self._ending:
                self._tasks.cancel()
        return self._tasks

    # Its life.

    async def run(self) -> None:
        """Be the incarnation: the body of its task."""
        self.task = current_task()
        error = await self._guard(self._scope, self._live)
        reason = self._judge(error)
        self._let_go_of_hand(reason)
        self._cancel_sources()
        self._ending = True
        if self._tasks is not None:
            await self._tasks.close()
        if not self.killed and not isinstance(reason, Crash) and self._error is not None:
            reason = Crash(self._error)
        reason = await self._wind_up(reason)
        if self._tasks is not None:
            await self._tasks.close()  # what the stop hook started
        self._let_go_of_asks(reason)
        self._cancel_sources()
        self._mailbox.urgent.clear()
        self._mailbox.put_back(self._stash)
        self.exit = reason
        self.cell.ended(self, reason)
        self.ready.set()
        self.ended.set()

    async def _live(self) -> None:
        spec = self.cell.spec
        context: Context[Any] = Context(self)
        if not isinstance(spec.start, type):
            self._ready()
            await spec.start(context, *spec.args, **spec.kwargs)
            return
        self.actor = actor = spec.start(*spec.args, **spec.kwargs)
        actor.ctx = context
        match await actor.started():
            case None:
                self._ready()
                await self._serve(actor.receive)
            case Ignore.IGNORE:
                self.ignored = True
            case other:
                raise TypeError(f"started() returned {other!r}, not None or IGNORE")

    def _ready(self) -> None:
        self.ran = True
        self.ready.set()

    async def _guard(
        self, scope: trio.CancelScope, body: Callable[[], Awaitable[None]]
    ) -> BaseException | None:
        # The scope is inside the try: what a cancelled scope did not absorb is an error.
        try:
            with scope:
                await body()
        except Exception as error:  # noqa: BLE001 - a supervisor judges it
            return collapse(error)
        except (KeyboardInterrupt, SystemExit, BaseExceptionGroup) as error:
            self.cell.system.abort(error)
            return error
        return None

    def _judge(self, error: BaseException | None) -> Exit:
        if self.killed:
            return Killed()
        if self._error is not None:
            return Crash(self._error)
        if error is not None:
            return Crash(error)
        if self._verdict is not None:
            return self._verdict
        return ShutdownExit() if self.asked else Normal()

    async def _wind_up(self, reason: Exit) -> Exit:
        actor = self.actor
        if actor is None:
            return Killed() if self.killed else reason
        scope = self._hook_scope
        scope.deadline = min(scope.deadline, trio.current_time() + self._time_to_stop())

        async def body() -> None:
            await actor._wind_up(reason, ran=self.ran, killed=self.killed)  # noqa: SLF001

        error = await self._guard(scope, body)
        if self.killed or (scope.cancelled_caught and self.asked):
            return Killed()
        if error is None:
            return reason
        if isinstance(reason, Crash):
            self.cell.report_stop_error(Crash(error))
            return reason
        return Crash(error)

    def _time_to_stop(self) -> float:
        shutdown = self.cell.spec.shutdown
        return 5.0 if isinstance(shutdown, Shutdown) else shutdown

    def _let_go_of_hand(self, reason: Exit) -> None:
        hand, self._hand = self._hand, _NOTHING
        if type(hand) is Deferred:
            hand.fail(self._gone(reason))

    def _let_go_of_asks(self, reason: Exit) -> None:
        for ask in list(self._open_asks):
            ask.fail(self._gone(reason))

    def _gone(self, reason: Exit) -> ActorDead | ActorCrashed:
        path = self.cell.path
        if not isinstance(reason, Crash):
            return ActorDead(f"{path} ended before it answered: {reason}")
        gone = ActorCrashed(f"{path}: {reason}")
        gone.__cause__ = reason.error
        return gone

    def _cancel_sources(self) -> None:
        for timer in list(self._timers):
            timer.cancel()
        self._timers.clear()
        for monitor in self._monitors:
            monitor.cancel()
        self._monitors.clear()

    # Messages.

    async def _serve(self, receive: Callable[[Any], Any]) -> None:  # noqa: C901 - the hot path
        mailbox = self._mailbox
        queue = mailbox.queue
        budget = BATCH
        while True:
            if mailbox.urgent and self._leaves():
                return
            if not queue or mailbox.suspended:
                await mailbox.park()
                budget = BATCH
                continue
            item = queue.popleft()
            if mailbox.waiting:
                mailbox.refill()
            kind = type(item)
            if kind is Deferred:
                message = item.message
            elif kind is Note:
                if not self._is_ours(item):
                    continue
                message = item = item.message
            else:
                message = item
            self._hand = item
            result = receive(message)
            if type(result) is CoroutineType:
                result = await result
            if type(self._hand) is Deferred:
                _answer(self._hand, result)
            self._hand = _NOTHING
            budget -= 1
            if not budget:
                budget = BATCH
                await trio.lowlevel.checkpoint()

    async def next_message(self) -> Any:
        """Return the next message for a function actor; StopAsyncIteration when it is to stop."""
        self._reads_inbox = True
        mailbox = self._mailbox
        hand, self._hand = self._hand, _NOTHING
        if type(hand) is Deferred:
            hand.answer(None)
        self._budget -= 1
        if self._budget <= 0:
            self._budget = BATCH
            await trio.lowlevel.checkpoint()
        while True:
            if self._leaving or (mailbox.urgent and self._leaves()):
                raise StopAsyncIteration
            if not mailbox.queue or mailbox.suspended:
                await mailbox.park()
                self._budget = BATCH
                continue
            item = mailbox.queue.popleft()
            if mailbox.waiting:
                mailbox.refill()
            if type(item) is Note:
                if not self._is_ours(item):
                    continue
                item = item.message
            self._hand = item
            return item.message if type(item) is Deferred else item

    def _leaves(self) -> bool:
        urgent = self._mailbox.urgent
        while urgent:
            urgent.pop(0)()
        return self._leaving

    def _is_ours(self, note: Note) -> bool:
        if note is POISON:
            self.stop()
            return False
        timer = note.timer
        if timer is not None:
            timer.queued = False
            return note.owner is self and not timer.cancelled
        return note.owner is self

    # What its context offers.

    def defer(self) -> Deferred:
        """See :meth:`Context.defer`."""
        hand = self._hand
        if hand is _NOTHING:
            raise RuntimeError("no message is in hand")
        self._hand = _TAKEN
        if type(hand) is not Deferred:
            return Deferred(None, None, None)
        hand.park(self._open_asks)
        return hand

    def stash(self) -> None:
        """See :meth:`Context.stash`."""
        if self._hand is _NOTHING or self._hand is _TAKEN:
            raise RuntimeError("no message is in hand")
        if len(self._stash) >= self._mailbox.capacity:
            raise StashFull(self.cell.path)
        self._stash.append(self._hand)
        self._hand = _TAKEN

    def unstash_all(self) -> None:
        """See :meth:`Context.unstash_all`."""
        self._mailbox.put_back(self._stash)
        self._stash.clear()

    def start_timer(self, delay: float, message: object, *, period: float | None) -> Timer:
        """Put *message* in the mailbox in *delay* seconds."""

        def deliver(timer: Timer) -> None:
            if period is None:
                self._timers.pop(timer, None)
            if not timer.queued:
                timer.queued = True
                self._mailbox.put_note(Note(self, message, timer))

        deadline = trio.current_time() + delay
        timer = self.cell.system.timers.at(deadline, deliver, period=period)
        self._timers[timer] = None
        return timer

    def start_monitor(self, ref: Ref[Any], make_message: Callable[[Down], object]) -> Monitor:
        """See :meth:`Context.monitor`."""

        def deliver(down: Down) -> None:
            self.post(make_message(down))

        monitor = Monitor(ref._cell, deliver)  # noqa: SLF001
        self._monitors.append(monitor)
        monitor.start()
        return monitor

    def post(self, message: object) -> None:
        """Put *message* in the mailbox for this incarnation only, full or not."""
        if self.exit is None:
            self._mailbox.put_note(Note(self, message))

    def ask_state(self, ask: Deferred) -> None:
        """Answer *ask* with the actor's state before the next message."""
        ask.park(self._open_asks)

        def answer() -> None:
            if self.actor is None:
                ask.fail(NotSupported(f"{self.cell.path} is a function"))
            else:
                ask.answer(self.actor.state())

        self._mailbox.put_urgent(answer)

    # Its end.

    def stop(self) -> None:
        """Stop after the message in hand.

        A function that has never read its inbox has none in hand, and is cancelled.
        """
        self.asked = True
        self._mailbox.put_urgent(self._leave)
        if self.ran and self.actor is None and not self._reads_inbox and self.cell.spec.interrupt:
            self._scope.cancel()

    def shut(self, deadline: float) -> None:
        """Stop as the supervisor has it: until *deadline*, and interrupted if the spec says so."""
        self.asked = True
        self.deadline = min(self.deadline, deadline)
        self._hook_scope.deadline = min(self._hook_scope.deadline, deadline)
        waits_for_mail = self.task is not None and self._mailbox.parked is self.task
        self._mailbox.put_urgent(self._leave)
        if not self.ran or (self.cell.spec.interrupt and not waits_for_mail):
            self._scope.cancel()

    def kill(self) -> None:
        """Cancel all of it, now."""
        if self.exit is None:
            self.killed = True
            self._scope.cancel()
            self._hook_scope.cancel()
            if self._tasks is not None:
                self._tasks.cancel()

    def finish(self, reason: Exit) -> None:
        """End after the message in hand, with *reason*."""
        self._verdict = reason
        self._mailbox.put_urgent(self._leave)

    def _leave(self) -> None:
        self._leaving = True

    def _on_error(self, error: BaseException) -> None:
        if not isinstance(error, Exception):
            self.cell.system.abort(error)
        if self._error is None:
            self._error = collapse(error)
        self._scope.cancel()


def _answer(ask: Deferred, result: object) -> None:
    if type(result) is not Reply:
        ask.answer(result)
    elif result.error is None:
        ask.answer(result.value)
    else:
        ask.fail(result.error)


def collapse(error: BaseException) -> BaseException:
    """Peel groups of one: their depth says how many nurseries were crossed, and no more."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
