"""The writer: one thread, one connection, one transaction for each group of commands.

While a commit runs, commands queue; the next group is whatever has queued by then, so a busy disk
makes larger groups and no timer is needed.  Answers are given after the commit has returned, all
of a group in one wake-up of the loop.

Those who got their answers together write again together, in the next passes of the loop.  Their
commands are handed over when no pass brings more: one group instead of three, and a thread that
does not fight the loop for the interpreter's lock.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence

import trio

from ._checkpoints import Checkpoints
from ._condition import StorageCondition
from ._group import Answer, Item, StorageFailed, Write, commit_group
from ._watch import FileWatch

log = logging.getLogger("mission_control.storage")

MAX_GROUP = 256

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
        """
        self._connection = connection
        self._on_commit = on_commit
        self._on_failure = on_failure
        self._on_settled = on_settled
        self._checkpoints = checkpoints
        self._watch = FileWatch(connection, condition or StorageCondition())
        self._queue: queue.SimpleQueue[list[Item] | None] = queue.SimpleQueue()
        self._gathered: list[Item] = []
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
            self._checkpoints.start()
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
        running = True
        while running:
            items, running = self._take()
            if items:
                self._settle(items)
            try:
                self._token.run_sync_soon(self._deliver, items)
            except trio.RunFinishedError:
                break
        if self._checkpoints is not None:
            self._checkpoints.close()
        if self._failed is None:
            self._fold_log()
        self._connection.close()

    def _take(self) -> tuple[list[Item], bool]:
        """Wait for a group; return it, and whether there will be others."""
        items: list[Item] = []
        while not items or (len(items) < MAX_GROUP and not self._queue.empty()):
            more = self._queue.get()
            if more is None:
                return items, False
            items += more
        return items, True

    def _fold_log(self) -> None:
        """Bring the write-ahead log into the file: readers may be open still, and cannot."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _settle(self, items: Sequence[Item]) -> None:
        if self._failed is None:
            try:
                self._watch.look()
                commit_group(self._connection, items)
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
