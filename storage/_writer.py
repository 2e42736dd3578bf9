"""The writer: one thread, one connection, one transaction for each group of commands.

While a commit runs, commands queue; the next group is taken from what has queued by then, so a
busy disk makes larger groups and no timer is needed.  Answers are given after the commit has
returned, all of a group in one wake-up of the loop; where another group waits to be written, that
is when it has come to its commit: this thread then waits for the disk, and does not fight the
loop for the interpreter's lock.

Those who got their answers together write again together, in the next passes of the loop.  Their
commands are handed over when no pass brings more.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from time import perf_counter

import trio

from ._checkpoints import Checkpoints
from ._condition import StorageCondition
from ._group import Answer, Item, StorageFailed, Write, appends_to, commit_group
from ._pace import MAX_GROUP, Pace
from ._watch import FileWatch

log = logging.getLogger("mission_control.storage")

MAX_PASSES = 4
"""For so many passes of the loop, commands wait for others to come along."""


class Writer:
    """Owns the writing connection from `start` to `close`."""

    def __init__(  # noqa: PLR0913 - whom it tells
        self,
        connection: sqlite3.Connection,
        *,
        on_commit: Callable[[], None],
        on_failure: Callable[[StorageFailed], None],
        on_settled: Callable[[], None] = lambda: None,
        condition: StorageCondition | None = None,
        checkpoints: Checkpoints | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Calls back on the trio thread.

        Args:
            connection: from `open_writer`; nobody else uses it from now on.
            on_commit: there is something to read.  Called before any asker of the group is
                answered; only a hint, so what it raises is logged.
            on_failure: nothing will be written any more.  Called once.
            on_settled: `pending` is smaller.
            condition: where to write down what is noticed.
            checkpoints: is told how much was written, and lives as long as the writer; without,
                the log is folded by the commit that fills it.
            pace: what is known of the disk from before.
        """
        self._connection = connection
        self._on_commit = on_commit
        self._on_failure = on_failure
        self._on_settled = on_settled
        self._checkpoints = checkpoints
        self._turn: Callable[[], contextlib.AbstractContextManager[None]] = (
            contextlib.nullcontext if checkpoints is None else checkpoints.turn
        )
        self._watch = FileWatch(connection, condition or StorageCondition())
        self._appends = appends_to(connection)
        self._queue: queue.SimpleQueue[list[Item] | None] = queue.SimpleQueue()
        self._gathered: list[Item] = []
        self._pace = pace or Pace()
        self._waiting: list[Item] = []
        self._committed: list[Item] = []
        """Not answered yet."""
        self._ending = False
        self._token = trio.lowlevel.current_trio_token()
        self._failed: StorageFailed | None = None
        self._reported = False
        self._thread = threading.Thread(target=self._run, name="storage-writer", daemon=True)
        self.pending = 0
        """Commands that have been submitted and not answered."""

    def start(self) -> None:
        """Begin to write."""
        self._hand_over()
        if self._checkpoints is not None:
            self._checkpoints.start(self._connection)
        self._thread.start()

    def submit(self, write: Write, reply: Answer) -> None:
        """Queue *write*; its outcome goes to *reply*."""
        self.pending += 1
        self._gathered.append(Item(write, reply))
        if len(self._gathered) == 1:
            self._token.run_sync_soon(self._gather, 1, MAX_PASSES)
        elif len(self._gathered) >= MAX_GROUP:
            self._hand_over()

    def _gather(self, seen: int, passes: int) -> None:
        """Hand over once a pass of the loop has brought nothing more."""
        found = len(self._gathered)
        if found > seen and passes > 0:
            self._token.run_sync_soon(self._gather, found, passes - 1)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    async def close(self) -> None:
        """Write what is queued, then close the connection.  Must not be cancelled: shield it."""
        self._hand_over()
        self._queue.put(None)
        await trio.to_thread.run_sync(self._thread.join)

    # Everything below runs on the writer's thread, except _deliver.

    def _run(self) -> None:
        while self._take():
            group = self._next_group()
            self._settle(group)
            self._committed += group
        self._answer()
        if self._checkpoints is not None:
            self._checkpoints.close()
        if self._failed is None:
            self._fold_log()
        self._connection.close()

    def _take(self) -> bool:
        """Collect what was handed over, waiting for it; return whether there is any."""
        if not self._waiting and self._queue.empty():
            self._answer()  # no commit follows that they could be answered in
        while not self._ending and not (self._waiting and self._queue.empty()):
            more = self._queue.get()
            if more is None:
                self._ending = True
            else:
                self._waiting += more
        return bool(self._waiting)

    def _next_group(self) -> list[Item]:
        size = self._pace.size(len(self._waiting), len(self._committed))
        group, self._waiting = self._waiting[:size], self._waiting[size:]
        return group

    def _fold_log(self) -> None:
        """Bring the write-ahead log into the file: readers may be open still, and cannot."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _settle(self, items: Sequence[Item]) -> None:
        if self._failed is None:
            try:
                with self._turn():
                    self._write(items)
                    if self._checkpoints is not None:
                        self._checkpoints.note(len(items))
            except StorageFailed as failure:
                self._failed = failure
            except Exception as error:  # noqa: BLE001 - a dead thread would let its askers wait
                self._failed = StorageFailed(f"the database failed: {error}", retry_after_ms=1000)
        if self._failed is not None:
            for item in items:
                # Each its own: an error collects the traces of all who raise it.
                item.result, item.error = None, self._failed.again()

    def _write(self, items: Sequence[Item]) -> None:
        began = ready = perf_counter()

        def before_commit() -> None:
            nonlocal ready
            ready = perf_counter()
            self._answer()

        if self._watch.look():
            self._appends.forget()
        commit_group(self._connection, items, self._appends, before_commit)
        self._pace.note(len(items), ready - began, perf_counter() - ready)

    def _answer(self) -> None:
        """Have those answered whose commands are committed."""
        items, self._committed = self._committed, []
        if not items:
            return
        try:
            self._token.run_sync_soon(self._deliver, items)
        except trio.RunFinishedError:
            self._ending = True

    def _deliver(self, items: Sequence[Item]) -> None:
        self.pending -= len(items)
        if any(item.error is None for item in items):
            self._tell_of_commit()
        for item in items:
            item.settle()
        if self._failed is not None and not self._reported:
            self._reported = True
            self._on_failure(self._failed)
        self._on_settled()

    def _tell_of_commit(self) -> None:
        try:
            self._on_commit()
        except Exception:
            # From here it would end the event loop, and no asker of the group had its answer.
            log.exception("somebody who was told of a commit failed")
