"""What static and dynamic supervisors have in common: watching, judging and giving up."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from typing import Any, cast

import attrs
import trio

from ._actor import Actor
from ._admin import (
    Admin,
    ChildCounts,
    ChildInfo,
    Children,
    CountChildren,
    DeleteChild,
    GetSpec,
    Reconfigure,
    RestartChild,
    StartChild,
    SupervisorRef,
    TerminateChild,
)
from ._cell import Cell
from ._deferred import Reply
from ._errors import (
    ActorError,
    AlreadyPresent,
    AlreadyStarted,
    BadSpec,
    ChildNotFound,
    StartFailed,
    SupervisorGaveUp,
)
from ._events import LOG, ChildStarted, ChildTerminated, GaveUp, StartError
from ._exits import Crash, Exit, Normal, ShutdownExit
from ._flags import Flags
from ._incarnation import Incarnation
from ._mailbox import PENDING
from ._policy import AutoShutdown, Window, restarts
from ._ref import Ref
from ._solo import takes_over
from ._spec import ChildSpec
from ._stopping import kill_together


@attrs.frozen
class Ended:
    """An incarnation that had started has ended."""

    incarnation: Incarnation


@attrs.frozen
class Retry:
    """It is time to start *cell* again, unless that was called off."""

    cell: Cell
    number: int


class Family(Actor[Any]):
    """A supervisor, but for what depends on its children's order."""

    def __init__(self, flags: Flags) -> None:
        self._flags = flags
        self._window = Window(flags.intensity)
        self._cells: dict[str, Cell] = {}
        """In start order."""
        self._args: tuple[Any, ...] = ()
        """What children are given after the arguments of their specifications."""
        self._template: ChildSpec | None = None
        """What all children are made of, for some supervisors."""

    def _below(self) -> Iterator[Cell]:
        """Return the children, oldest first."""
        return iter(self._cells.values())

    async def receive(self, msg: Any) -> Any:
        """Deal with an end, a retry, or what somebody asks.  One after the other."""
        match msg:
            case Ended(incarnation):
                await self._on_ended(incarnation)
            case Retry(cell, number):
                if cell.state == "restarting" and cell.retry_number == number:
                    await self._restart(cell)
            case (
                StartChild()
                | TerminateChild()
                | RestartChild()
                | DeleteChild()
                | GetSpec()
                | Children()
                | CountChildren()
                | Reconfigure()
            ):
                try:
                    return await self._administer(msg)
                except ActorError as error:
                    return Reply(error=error)
            case _:
                LOG.warning("%s: unknown message %r", self.ctx.path, type(msg).__name__)
        return None

    async def _administer(self, message: Admin) -> object:
        answer: object = None
        match message:
            case StartChild(spec, args, context):
                answer = await self._add(self._new_child(spec, args, context))
            case TerminateChild(child):
                await self._terminate(child)
            case RestartChild(child):
                answer = await self._start_again(child)
            case DeleteChild(child):
                self._delete(child)
            case GetSpec(child):
                answer = self._spec_of(child)
            case Children():
                answer = [_info(cell) for cell in reversed(self._cells.values())]
            case CountChildren():
                answer = self._counts()
            case Reconfigure():
                self._reconfigure(message)
        return answer

    # What the two kinds do differently.

    def _new_child(
        self, spec: ChildSpec | None, args: tuple[Any, ...], context: contextvars.Context
    ) -> Cell:
        raise NotImplementedError

    async def _terminate(self, child: str | Ref[Any]) -> None:
        raise NotImplementedError

    async def _start_again(self, child: str | Ref[Any]) -> Ref[Any] | None:
        raise NotImplementedError

    def _delete(self, child: str | Ref[Any]) -> None:
        raise NotImplementedError

    def _spec_of(self, child: str | Ref[Any]) -> ChildSpec:
        return self._find(child).spec

    def _counts(self) -> ChildCounts:
        raise NotImplementedError

    def _reconfigure(self, change: Reconfigure) -> None:
        raise NotImplementedError

    async def _restart_group(self, cell: Cell) -> None:
        raise NotImplementedError

    def _restarts_alone(self) -> bool:
        """Whether a restart is of nobody but the child that ended."""
        raise NotImplementedError

    async def _stop_all(self) -> None:
        raise NotImplementedError

    def _retire(self, cell: Cell) -> None:
        """Keep or forget a child that ended for good by itself, or was not needed."""
        raise NotImplementedError

    # Children.

    def _cell_of(self, spec: ChildSpec, context: contextvars.Context) -> Cell:
        parent = cast("SupervisorRef", self.ctx.self)
        return Cell(self.ctx.system, parent, spec, context, self, more_args=self._args)

    def hear(self, incarnation: Incarnation) -> None:
        """Note that a child has ended."""
        # Who starts one sees a start that failed.
        if incarnation.ran and not (incarnation.awaited or self._restarted_in_place(incarnation)):
            self._post(Ended(incarnation))

    def _restarted_in_place(self, old: Incarnation) -> bool:
        """Start again at once, on the stack of the child that ended.

        That saves two task switches.  It is done where nobody can tell the difference: while
        this supervisor has nothing else to do, and if it would do just that.
        """
        cell = old.cell
        if not (
            self.ctx._incarnation.waits_for_mail  # noqa: SLF001
            and cell.watched is old
            and cell.spec.backoff is None
            and takes_over(cell.spec.start)
            and self._restarts_alone()
            and old.exit is not None
            and restarts(cell.spec.restart, old.exit)
            and self._window.has_room(trio.current_time())
        ):
            return False
        self._note_end(cell, old.exit)
        self._window.admit(trio.current_time())
        try:
            self._note_start(cell, cell.begin(old))
        except (StartFailed, AlreadyStarted):
            self._retry(cell)
        else:
            cell.restarts += 1
        return True

    def _post(self, message: Ended | Retry) -> None:
        self.ctx._incarnation.post(message)  # noqa: SLF001 - ends with this incarnation

    def _find(self, child: str | Ref[Any]) -> Cell:
        if isinstance(child, str):
            cell = self._cells.get(child)
        else:
            cell = self._cells.get(child._cell.id)  # noqa: SLF001
            if cell is not child._cell:  # noqa: SLF001
                cell = None
        if cell is None:
            raise ChildNotFound(f"{self.ctx.path} has no child {child!r}")
        return cell

    def _forget(self, cell: Cell) -> None:
        cell.settle(final=True)
        if self._cells.get(cell.id) is cell:
            del self._cells[cell.id]

    def start_now(self, request: StartChild) -> Any:
        """Start a child on the asker's stack, or return :data:`PENDING` where that takes time.

        Only while this supervisor waits for mail: nobody can tell the difference then.
        """
        spec = self._template or request.spec
        if spec is None or not takes_over(spec.start):
            return PENDING
        cell = self._new_child(request.spec, request.args, request.context)
        self._admit(cell)
        try:
            return self._note_start(cell, cell.begin())
        except (StartFailed, AlreadyStarted, BadSpec):
            self._forget(cell)
            raise

    async def _add(self, cell: Cell) -> Ref[Any] | None:
        self._admit(cell)
        try:
            return await self._start(cell)
        except (StartFailed, AlreadyStarted, BadSpec):
            self._forget(cell)
            raise

    def _admit(self, cell: Cell) -> None:
        known = self._cells.get(cell.id)
        if known is not None:
            if known.state == "running":
                raise AlreadyStarted(known.ref)
            raise AlreadyPresent(f"{known.path} is {known.state}")
        self._cells[cell.id] = cell

    async def _start(self, cell: Cell) -> Ref[Any] | None:
        """Start an incarnation, and wait until it is up; None if it ignored that.

        Raises:
            StartFailed: as it says; the cell is stopped, and not settled.
            AlreadyStarted: another has its name; likewise.
        """
        cell.call_off_retry()
        incarnation = cell.begin()
        await incarnation.until_ready()
        return self._note_start(cell, incarnation)

    def _note_start(self, cell: Cell, incarnation: Incarnation) -> Ref[Any] | None:
        if incarnation.ran:
            cell.state = "running"
            self.ctx.system.emit(ChildStarted(self.ctx.path, cell.offender()))
            return cell.ref
        cell.watched = None
        cell.state = "stopped"
        reason = cell.last_exit
        if incarnation.ignored and isinstance(reason, Normal):
            cell.settle(final=True)
            self._retire(cell)
            return None
        assert reason is not None  # noqa: S101 - it has ended
        self.ctx.system.emit(StartError(self.ctx.path, cell.offender(), reason))
        failed = StartFailed(cell.id, str(reason))
        raise failed from (reason.error if isinstance(reason, Crash) else None)

    # Ends.

    async def _on_ended(self, incarnation: Incarnation) -> None:
        cell, reason = incarnation.cell, incarnation.exit
        if cell.watched is not incarnation or incarnation.awaited or reason is None:
            return  # it was stopped by us, and is dealt with there
        if self._note_end(cell, reason):
            if cell.spec.backoff is None:
                await self._restart(cell)
            else:
                self._retry(cell)
            return
        self._retire(cell)
        if cell.spec.significant:
            self._miss_significant()

    def _note_end(self, cell: Cell, reason: Exit) -> bool:
        """Tell whom it concerns; return whether it is to be started again."""
        cell.watched = None
        again = restarts(cell.spec.restart, reason)
        if again or not isinstance(reason, Normal | ShutdownExit):
            self.ctx.system.emit(ChildTerminated(self.ctx.path, cell.offender(), reason))
        cell.state = "restarting" if again else "stopped"
        cell.settle(final=not again)
        return again

    def _miss_significant(self) -> None:
        match self._flags.auto_shutdown:
            case AutoShutdown.NEVER:
                return
            case AutoShutdown.ALL_SIGNIFICANT:
                if any(c.spec.significant and c.state != "stopped" for c in self._below()):
                    return
            case AutoShutdown.ANY_SIGNIFICANT:
                pass
        self.ctx.stop(ShutdownExit())

    async def _restart(self, cell: Cell) -> None:
        if self._window.admit(trio.current_time()):
            await self._restart_group(cell)
        else:
            self._give_up(cell, cell.last_exit)

    async def _start_or_retry(self, cell: Cell) -> bool:
        """Start *cell* again; after a failure announce another try, and return False."""
        try:
            await self._start(cell)
        except (StartFailed, AlreadyStarted):
            self._retry(cell)
            return False
        cell.restarts += 1
        return True

    def _retry(self, cell: Cell) -> None:
        """Announce a retry.  It is a message, so that others get a turn between two of them."""
        cell.state = "restarting"
        cell.call_off_retry()
        retry = Retry(cell, cell.retry_number)
        backoff = cell.spec.backoff
        if backoff is None:
            self._post(retry)
            return
        system = self.ctx.system
        due = trio.current_time() + backoff.delay(cell.attempt, system.rng)
        cell.attempt += 1
        cell.retry = system.timers.at(due, lambda _: self._post(retry))

    def _give_up(self, cell: Cell, reason: Exit | None) -> None:
        gave_up = SupervisorGaveUp(self.ctx.path, cell.path)
        if isinstance(reason, Crash):
            gave_up.__cause__ = reason.error
        elif isinstance(reason, ShutdownExit) and isinstance(reason.info, SupervisorGaveUp):
            gave_up.__cause__ = reason.info.__cause__
        exit_ = ShutdownExit(gave_up)
        self.ctx.system.emit(GaveUp(self.ctx.path, cell.offender(), reason or exit_))
        self.ctx.stop(exit_)

    async def _wind_up(self, reason: Exit, *, ran: bool) -> None:  # noqa: ARG002
        # However it ended, and also when it never got up: no child outlives its supervisor.
        await self._stop_all()

    async def _let_go(self) -> None:
        await kill_together(self._below())
        for cell in self._below():
            cell.call_off_retry()
            if cell.mailbox.open:
                cell.settle(final=True)


def _info(cell: Cell) -> ChildInfo:
    return ChildInfo(cell.id, cell.ref, cell.state, cell.spec.kind, cell.count)
