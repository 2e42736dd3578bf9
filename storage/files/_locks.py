"""Locks on files for trio tasks: fair, without deadlocks, and never for longer than the block.

They are a table in the event loop's thread and not an actor: nothing here can fail on its own and
need a restart, a lock that nobody else wants is had without a task switch, and a mailbox between
a holder and its lock would have to be emptied before anybody saw a release.

A lock lives for one operation in this process and is never lent to a client: "the holder died" is
"its block ended", which happens whatever ended it.  An operation in a thread is not abandoned when
its task is cancelled (see :mod:`._files`), so a thread that still writes still has its lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final

import trio

from .._errors import Deadline
from ._lock_table import Key, LockInfo, LockTable, Obstacle, Ticket
from ._names import Names, file_key

TIMEOUT_S: Final = 30.0
"""How long an operation waits for all its locks together."""

_WHOLE: Final = ""
"""The key of a project's own folder: shared by all that work on one file of it."""

_holds: ContextVar[bool] = ContextVar("holds_file_locks", default=False)


class LockTimeout(Deadline):
    """Somebody held a file for too long; `details` say who, and for how long already."""

    kind = "lock_timeout"


class NestedHold(RuntimeError):
    """A task that holds file locks asked for more: a bug, since that could deadlock."""


class FileLocks:
    """All file locks of this process; used inside one `trio.run`."""

    def __init__(self, timeout: float = TIMEOUT_S) -> None:
        self.timeout = timeout
        """Seconds."""
        self.table = LockTable()

    def hold(
        self,
        project: str,
        files: Iterable[Names],
        holder: str,
        patience_s: float | None = None,
    ) -> Hold:
        """Hold *files* alone while the `async with` block runs; wait *patience_s* at most for it.

        Entering raises:
            LockTimeout: they were not all free in time; none is held then.
            NestedHold: this task, or one that began it, is inside such a block already.
        """
        whole = (project, _WHOLE)
        keys = dict.fromkeys((whole, *((project, file_key(names)) for names in files)))
        return Hold(self, holder, tuple(keys), frozenset((whole,)), patience_s)

    def hold_project(self, project: str, holder: str, patience_s: float | None = None) -> Hold:
        """Hold all files of *project*: for what changes folders; raises as :meth:`hold`."""
        return Hold(self, holder, ((project, _WHOLE),), frozenset(), patience_s)

    def list(self) -> tuple[LockInfo, ...]:
        """Return who holds what now, and who waits for it."""
        return self.table.list(trio.current_time())


class Hold:
    """The locks of one operation, from :meth:`FileLocks.hold`; entered once."""

    __slots__ = ("_holder", "_keys", "_locks", "_patience_s", "_shared", "_ticket", "_token")

    def __init__(
        self,
        locks: FileLocks,
        holder: str,
        keys: tuple[Key, ...],
        shared: frozenset[Key],
        patience_s: float | None,
    ) -> None:
        self._locks = locks
        self._holder = holder
        self._keys = keys
        self._shared = shared
        self._patience_s = locks.timeout if patience_s is None else patience_s
        self._ticket: Ticket | None = None
        self._token: Token[bool] | None = None

    async def __aenter__(self) -> None:
        if _holds.get():
            raise NestedHold("A task that holds file locks asked for more: ask for all at once.")
        await trio.lowlevel.checkpoint_if_cancelled()
        task = trio.lowlevel.current_task()
        ticket = Ticket(
            self._holder,
            self._keys,
            self._shared,
            trio.current_time(),
            on_granted=lambda: trio.lowlevel.reschedule(task),
        )
        if self._locks.table.request(ticket, ticket.asked_at):
            await trio.lowlevel.cancel_shielded_checkpoint()
        else:
            await self._wait(ticket)
        self._ticket = ticket
        self._token = _holds.set(True)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ticket, token = self._ticket, self._token
        if token is not None:
            _holds.reset(token)
        if ticket is not None:
            self._locks.table.give_back(ticket, trio.current_time())

    async def _wait(self, ticket: Ticket) -> None:
        table, obstacles = self._locks.table, list[Obstacle]()

        def leave(_: object) -> trio.lowlevel.Abort:
            # Here, and not when the task runs next: nobody may hand it a lock in between.
            obstacles.append(table.obstacle(ticket))
            table.give_back(ticket, trio.current_time())
            return trio.lowlevel.Abort.SUCCEEDED

        with trio.CancelScope(deadline=ticket.asked_at + self._patience_s) as patience:
            await trio.lowlevel.wait_task_rescheduled(leave)
        if patience.cancelled_caught:
            raise _timeout(ticket, obstacles[0])


def _timeout(ticket: Ticket, obstacle: Obstacle) -> LockTimeout:
    now = trio.current_time()
    path = obstacle.key[1] or "."
    held_s = round(now - obstacle.ticket.since, 3)
    return LockTimeout(
        f"{path} is in use by {obstacle.ticket.holder}, for {held_s:g} s already: try again later",
        path=path,
        holder=obstacle.ticket.holder,
        held_s=held_s,
        waited_s=round(now - ticket.asked_at, 3),
    )
