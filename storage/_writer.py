"""The writer: one thread, one connection, one transaction for each group of commands.

While a commit runs, commands queue; the next group is taken from what has queued by then, so a
busy disk makes larger groups and no timer is needed.  Answers are given after the commit, all of a
group in one wake-up of the loop.  While another group waits to be written, they are given as that
one's commit begins: then this thread waits for the disk, and leaves the interpreter's lock to the
loop.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

import trio

from ._appends import Appends
from ._checkpoints import Checkpoints
from ._condition import StorageCondition
from ._gathering import Gathering
from ._group import Answer, Item, StorageFailed, Write, commit_group
from ._pace import Pace
from ._watch import FileWatch

log = logging.getLogger("mission_control.storage")


class Writer:
    """Owns the writing connection from `start` to `close`."""

    def __init__(  # noqa: PLR0913 - whom it tells
        self,
        connection: sqlite3.Connection,
        *,
        on_commit: Callable[[], None],
        on_failure: Callable[[StorageFailed], None],
        on_room: Callable[[], None] = lambda: None,
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
            on_room: there is room for more: `pending` is smaller.
            condition: where to write down what is noticed.
            checkpoints: is told how much was written, and lives as long as the writer; without,
                the log is folded by the commit that fills it.
            pace: what is known of the disk from before.
        """
        self._connection = connection
        self._on_commit = on_commit
        self._on_failure = on_failure
        self._on_room = on_room
        self._checkpoints = checkpoints
        self._token = trio.lowlevel.current_trio_token()
        self._queue: queue.SimpleQueue[list[Item] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="storage-writer", daemon=True)
        self._failed: StorageFailed | None = None
        # The loop's.
        self.pending = 0
        """Commands that have been submitted and not answered."""
        self._gathering = Gathering(self._token, self._queue.put)
        self._reported = False
        # The thread's.
        self._watch = FileWatch(connection, condition or StorageCondition())
        self._appends = Appends(connection)
        self._pace = pace or Pace()
        self._waiting: list[Item] = []
        self._unanswered: list[Item] = []
        self._ending = False

    def start(self) -> None:
        """Begin to write."""
        self._gathering.end()
        if self._checkpoints is not None:
            self._checkpoints.start(self._connection)
        self._thread.start()

    def submit(self, write: Write, reply: Answer) -> None:
        """Queue *write*; its outcome goes to *reply*."""
        self.pending += 1
        self._gathering.add(Item(write, reply))

    async def close(self) -> None:
        """Write what is queued, then close the connection.  Must not be cancelled: shield it."""
        self._gathering.end()
        self._queue.put(None)
        await trio.to_thread.run_sync(self._thread.join)

    # Everything below runs on the writer's thread, except _deliver and what it calls.

    def _run(self) -> None:
        while self._take():
            self._write_some()
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
        if not self._waiting and not self._ending:
            self._collect()
        while not self._queue.empty():
            self._collect()
        return bool(self._waiting)

    def _collect(self) -> None:
        items = self._queue.get()
        if items is None:
            self._ending = True
        else:
            self._waiting += items

    def _write_some(self) -> None:
        size = self._pace.size(len(self._waiting), len(self._unanswered))
        group, self._waiting = self._waiting[:size], self._waiting[size:]
        came_to_commit = self._settle(group)
        self._unanswered += group
        if not came_to_commit:
            self._answer()  # nor were those before it, and nobody knows when the next will

    def _fold_log(self) -> None:
        """Bring the write-ahead log into the file: readers may be open still, and cannot."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _settle(self, items: Sequence[Item]) -> bool:
        """Run a group and judge it; return whether it came to its commit."""
        came_to_commit = False
        if self._failed is None:
            try:
                with self._turn():
                    came_to_commit = self._commit(items)
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
        return came_to_commit

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Have the database to oneself."""
        if self._checkpoints is None:
            yield
            return
        if self._checkpoints.folding:
            self._answer()  # that may take as long as ten commits
        with self._checkpoints.turn():
            yield

    def _commit(self, items: Sequence[Item]) -> bool:
        began, ready = perf_counter(), None

        def before_commit() -> None:
            nonlocal ready
            ready = perf_counter()
            self._answer()

        folding = self._checkpoints is not None and self._checkpoints.folding
        if self._watch.look(may_empty=not folding):
            self._appends.forget()
        commit_group(items, self._appends, before_commit)
        if ready is None:
            return False
        self._pace.note(len(items), ready - began, perf_counter() - ready)
        return True

    def _answer(self) -> None:
        """Have those answered whose commands are committed or refused."""
        items, self._unanswered = self._unanswered, []
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
            item.tell()
        if self._failed is not None and not self._reported:
            self._reported = True
            self._on_failure(self._failed)
        self._on_room()

    def _tell_of_commit(self) -> None:
        try:
            self._on_commit()
        except Exception:
            # From here it would end the event loop, and no asker of the group had its answer.
            log.exception("somebody who was told of a commit failed")
