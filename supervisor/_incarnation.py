"""One run of a child, from its start to the exit that its supervisor hears of.

What is here holds for both lanes: how it is told to end, and how that end is judged and reported.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextvars import Context as Variables
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import trio
from trio.lowlevel import Task, enable_ki_protection

from ._actor import Actor
from ._belongings import Belongings
from ._deferred import Deferred
from ._errors import NotSupported
from ._exits import Crash, Down, Exit, Killed, Normal, ShutdownExit, collapse
from ._links import break_links
from ._mailbox import POISON, Note
from ._spec import Ignore, Shutdown

if TYPE_CHECKING:
    from ._cell import Cell
    from ._solo import Solo


class Incarnation(Belongings):
    """Judges how one run of a child ended, and reports that exactly once."""

    # There is one for every child: what not all of them need is made when it is needed.
    __slots__ = (
        "_error", "_interrupted", "_leaving", "_progress", "_scope",
        "_verdict", "actor", "asked", "awaited", "deadline", "exit", "number", "ran",
        "task",
    )  # fmt: skip

    def __init__(self, cell: Cell, number: int) -> None:
        super().__init__(cell)
        self.number = number
        self.task: Task | None = None
        self.exit: Exit | None = None
        self.ran: bool | None = False
        """It has started; None: it answered IGNORE.  One slot for both, since each is 8 bytes."""
        self.actor: Actor[Any] | None = None
        self.asked = False
        """It was told to stop."""
        self.deadline = math.inf
        """By when its supervisor wants it to have stopped."""
        self.awaited = False
        """Its supervisor waits for its end, and needs no notice of it."""
        self._progress: trio.Event | None = None
        """For who waits until it has started, or ended."""
        self._scope: trio.CancelScope | None = None
        self._interrupted = False
        """What it awaits is cancelled, and will be if it is not awaited yet."""
        self._leaving = False
        self._verdict: Exit | None = None
        self._error: BaseException | None = None

    # Its start.

    def begin(self, variables: Variables, predecessor: Incarnation | None) -> None:
        """Start, in the context *variables*; in the task of *predecessor* if it left one."""
        raise NotImplementedError

    @enable_ki_protection
    def _make_actor(self, variables: Variables) -> Actor[Any] | None:
        """Make the actor.  Return None, and be at the end, where that fails."""
        cell = self.cell
        start = cast("Callable[..., Actor[Any]]", cell.spec.start)
        try:
            actor = variables.run(start, *cell.args, **cell.spec.kwargs)
        except Exception as error:  # noqa: BLE001 - a supervisor judges it
            self._report(Crash(collapse(error)))
            return None
        except (KeyboardInterrupt, SystemExit) as error:
            cell.system.abort(error)
            self._report(Crash(error))
            return None
        self.actor = actor
        actor._incarnation = self  # noqa: SLF001
        if starts_at_once(actor):
            self.ran = True
        return actor

    async def _start(self, actor: Actor[Any]) -> bool:
        """Run the start hook; return whether it is to receive messages."""
        match await actor.started():
            case None:
                self._be_ready()
                return True
            case Ignore.IGNORE:
                self.ran = None
                return False
            case other:
                raise TypeError(f"started() returned {other!r}, not None or IGNORE")

    def _be_ready(self) -> None:
        self.ran = True
        self._tell_progress()

    async def until_ready(self) -> None:
        """Return when it has started, or ended without."""
        while not self.ran and self.exit is None:
            await self._wait_for_progress()

    @property
    def ignored(self) -> bool:
        """Its start hook answered IGNORE."""
        return self.ran is None

    # Its end, as others want it.

    @property
    def waits_for_mail(self) -> bool:
        """It has nothing to do."""
        return self.task is not None and self._mailbox.consumer is self.task

    def stop(self) -> None:
        """Stop after the message in hand."""
        self.asked = True
        self._mailbox.put_urgent(self._leave)

    def shut(self, deadline: float) -> None:
        """Stop as the supervisor has it: until *deadline*, and interrupted if the spec says so."""
        self.asked = True
        self.deadline = min(self.deadline, deadline)
        if self._ending and self._scope is not None:
            self._scope.deadline = min(self._scope.deadline, deadline)
        waited = self.waits_for_mail
        self._mailbox.put_urgent(self._leave)
        if not self.ran or (self.cell.spec.interrupt and not waited):
            self._interrupt()

    def kill(self) -> None:
        """Cancel all of it, now."""
        if self.exit is None:
            self.killed = True
            self._mailbox.put_urgent(self._leave)
            self._interrupt()
            if self._scope is not None:
                self._scope.cancel()
            self._cut_short()

    def finish(self, reason: Exit) -> None:
        """End after the message in hand, with *reason*."""
        self._verdict = reason
        self._mailbox.put_urgent(self._leave)

    def on_peer_ended(self, down: Down, reason: Exit) -> None:
        """End as *reason* says, because one it is linked to did; or hear of that."""
        if self._is_trapped(down):
            return
        match reason:
            case Normal():
                pass
            case Killed():
                self.kill()
            case ShutdownExit():
                self.finish(reason)
                if self.cell.spec.interrupt:
                    self._interrupt()
            case Crash(error):
                self._on_error(error)

    def _leave(self) -> None:
        self._leaving = True

    def _interrupt(self) -> None:
        self._interrupted = True
        if self._scope is not None and not self._ending:  # a stop hook has its time
            self._scope.cancel()

    def _on_error(self, error: BaseException) -> None:
        if not isinstance(error, Exception):
            self.cell.system.abort(error)
        if self._error is None:
            self._error = collapse(error)
        self._mailbox.put_urgent(self._leave)
        self._interrupt()

    # Its end, as it comes.

    def _enter_scope(self) -> trio.CancelScope:
        self._scope = scope = trio.CancelScope()
        if self._interrupted:
            scope.cancel()
        return scope

    def _caught(self, error: BaseException) -> BaseException:
        """Note what the actor raised: anything but Cancelled, which is trio's own."""
        if isinstance(error, Exception):
            return collapse(error)
        self.cell.system.abort(error)
        return error

    async def close(self, error: BaseException | None) -> None:
        """Go from the end of its work to the report."""
        reason = self._begin_end(error)
        if self._has_to_wind_down:
            reason = await self._wind_down(reason)
        self._report(reason)

    def _begin_end(self, error: BaseException | None) -> Exit:
        """Let go of what an end hook has no use for."""
        self._scope = None
        reason = self._judge(error)
        self._let_go_of_hand(reason)
        self._cancel_sources()
        self._ending = True
        return reason

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

    @property
    def _has_to_wind_down(self) -> bool:
        """Its end may take time."""
        return self._tasks is not None or (self.actor is not None and has_end(self.actor))

    async def _wind_down(self, reason: Exit) -> Exit:
        if self._tasks is not None:
            await self._tasks.close()
        if not self.killed and not isinstance(reason, Crash) and self._error is not None:
            reason = Crash(self._error)
        if self.actor is not None:
            reason = await self._run_hooks(self.actor, reason)
        if self._tasks is not None:
            await self._tasks.close()  # what the stop hook started
        return Killed() if self.killed else reason

    async def _run_hooks(self, actor: Actor[Any], reason: Exit) -> Exit:
        deadline = min(self.deadline, trio.current_time() + self._time_to_stop())
        self._scope = scope = trio.CancelScope(deadline=deadline)
        error = None
        if not self.killed:
            hook = partial(actor._wind_up, reason, ran=bool(self.ran))  # noqa: SLF001
            error = await self._guard(scope, hook)
        await actor._let_go()  # noqa: SLF001
        if self.killed or (scope.cancelled_caught and self.asked):
            return Killed()
        if error is None:
            return reason
        if isinstance(reason, Crash):
            self.cell.report_stop_error(Crash(error))
            return reason
        return Crash(error)

    async def _guard(
        self, scope: trio.CancelScope, body: Callable[[], Awaitable[object]]
    ) -> BaseException | None:
        # The scope is inside the try: what a cancelled scope did not absorb is an error.
        try:
            with scope:
                await body()
        except (Exception, KeyboardInterrupt, SystemExit, BaseExceptionGroup) as error:  # noqa: BLE001
            return self._caught(error)
        return None

    def _time_to_stop(self) -> float:
        shutdown = self.cell.spec.shutdown
        return 5.0 if isinstance(shutdown, Shutdown) else shutdown

    @enable_ki_protection
    def _report(self, reason: Exit) -> None:
        """Be at the end."""
        self._let_go_of_asks(reason)
        self._cancel_sources()
        self._mailbox.urgent = None
        if self._stash:
            self._mailbox.put_back(self._stash)
        self.exit = reason
        if self._links:
            down = Down(self.cell.ref, self.number, reason, final=False)
            break_links(self, down, reason)
        self.cell.ended(self, reason)
        self._tell_progress()

    async def until_ended(self) -> None:
        """Return when nothing of it is left."""
        while self.exit is None:
            await self._wait_for_progress()

    async def _wait_for_progress(self) -> None:
        if self._progress is None:
            self._progress = trio.Event()
        await self._progress.wait()

    def _tell_progress(self) -> None:
        if self._progress is not None:
            self._progress.set()
            self._progress = None

    # Messages.

    def as_reader(self) -> Solo:
        """See :attr:`Context.inbox`."""
        raise NotSupported(f"{self.cell.path}: messages go to `receive`")

    def _leaves(self) -> bool:
        """Make the urgent calls; return whether it ends now."""
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

    def post(self, message: object) -> None:
        """Put *message* in the mailbox for this incarnation only, full or not."""
        if self.exit is None:
            self._mailbox.put_note(Note(self, message))

    def ask_state(self, ask: Deferred) -> None:
        """Answer *ask* with the actor's state before the next message."""
        ask.park(self._asks())

        def answer() -> None:
            if self.actor is None:
                ask.fail(NotSupported(f"{self.cell.path} is a function"))
            else:
                ask.answer(self.actor.state())

        self._mailbox.put_urgent(answer)


def starts_at_once(actor: Actor[Any] | type[Actor[Any]]) -> bool:
    """Whether there is no start hook to wait for."""
    kind = actor if isinstance(actor, type) else type(actor)
    return kind.started is Actor.started


def has_end(actor: Actor[Any]) -> bool:
    """Whether there is a stop hook, of a user or of ours."""
    kind = type(actor)
    return kind.stopped is not Actor.stopped or kind._wind_up is not Actor._wind_up  # noqa: SLF001
