"""The writer: one thread, one connection, one transaction for each group of commands.

While a commit runs, commands queue; the next group is whatever has queued by then, so a busy disk
makes larger groups and no timer is needed.  Each command has a savepoint: one that is refused
does not disturb its neighbours.  Answers are given after the commit has returned, all of a group
in one wake-up of the loop.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import attrs
import cattrs
import trio

from ._errors import Conflict, Internal, Invalid, Limited, MissionError, Unavailable
from ._transaction import Command, Transaction

MAX_GROUP = 256

_FATAL = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}

_records = cattrs.Converter()


class StorageFailed(Unavailable):
    """The disk or the file failed.  What was acknowledged is safe; the rest may not have happened.

    The writer stops; its supervisor opens the file anew.
    """


class Answer(Protocol):
    """Where the outcome of a command goes; :class:`~..supervisor.Deferred` is one."""

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for it any more."""

    def answer(self, value: Any) -> None:
        """The command was committed."""

    def fail(self, error: Exception) -> None:
        """The command was refused or lost."""


@attrs.frozen
class Write:
    """A command on its way, with all that makes it re-runnable."""

    command: Command[Any]
    at: int
    by: str
    seed: bytes
    key: str | None = None
    """Idempotency key: the same key and command give the same answer and no second effect."""


@attrs.define(eq=False)
class _Item:
    write: Write
    reply: Answer
    result: Any = None
    error: Exception | None = None

    def settle(self) -> None:
        if self.error is None:
            self.reply.answer(self.result)
        else:
            self.reply.fail(self.error)


class Writer:
    """Owns the writing connection from `start` to `close`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        on_commit: Callable[[], None],
        on_failure: Callable[[StorageFailed], None],
    ) -> None:
        """Calls back on the trio thread; `on_commit` before any asker of the group is answered."""
        self._connection = connection
        self._on_commit = on_commit
        self._on_failure = on_failure
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._token = trio.lowlevel.current_trio_token()
        self._failed: StorageFailed | None = None
        self._reported = False
        self._thread = threading.Thread(target=self._run, name="storage-writer", daemon=True)
        self.pending = 0
        """Commands that have been submitted and not answered."""

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def submit(self, write: Write, reply: Answer) -> None:
        """Queue *write*; its outcome goes to *reply*."""
        self.pending += 1
        self._queue.put(_Item(write, reply))

    async def close(self) -> None:
        """Write what is queued, then close the connection.  Must not be cancelled: shield it."""
        self._queue.put(None)
        await trio.to_thread.run_sync(self._thread.join)

    # Everything below runs on the writer's thread, except _deliver.

    def _run(self) -> None:
        running = True
        while running:
            group = [self._queue.get()]
            while len(group) < MAX_GROUP and not self._queue.empty():
                group.append(self._queue.get())
            running = None not in group
            items = [item for item in group if item is not None]
            self._settle([item for item in items if not self._withdrawn(item)])
            try:
                self._token.run_sync_soon(self._deliver, items)
            except trio.RunFinishedError:
                break
        self._fold_log()
        self._connection.close()

    def _fold_log(self) -> None:
        """Bring the write-ahead log into the file: readers may be open still, and cannot."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _withdrawn(self, item: _Item) -> bool:
        if item.reply.abandoned:
            item.error = Unavailable("withdrawn: its caller went away before it had begun")
        return item.error is not None

    def _settle(self, items: list[_Item]) -> None:
        if items and self._failed is None:
            try:
                self._commit(items)
            except StorageFailed as failure:
                self._failed = failure
            except sqlite3.Error as error:
                # Not even the transaction could be taken back.
                self._failed = StorageFailed(f"the database failed: {error}")
        if self._failed is not None:
            for item in items:
                item.result, item.error = None, self._failed

    def _deliver(self, items: Sequence[_Item]) -> None:
        self.pending -= len(items)
        if any(item.error is None for item in items):
            self._on_commit()
        for item in items:
            item.settle()
        if self._failed is not None and not self._reported:
            self._reported = True
            self._on_failure(self._failed)

    def _commit(self, items: list[_Item]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for item in items:
                self._apply(item)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            self._judge(error, items)

    def _apply(self, item: _Item) -> None:
        execute = self._connection.execute
        execute("SAVEPOINT command")
        try:
            item.result = self._run_once(item.write)
        except MissionError as refusal:
            item.error = refusal
        except sqlite3.IntegrityError as clash:
            # A rule of the schema that no command foresaw: the caller raced another.
            item.error = Conflict(f"refused by the database: {clash}; read again and retry")
        except (UnicodeEncodeError, OverflowError) as misfit:
            item.error = Invalid(f"a value cannot be stored: {misfit}")
        except sqlite3.Error:
            raise
        except Exception as bug:  # noqa: BLE001 - its asker judges it; neighbours must not notice
            item.error = bug
        if item.error is not None:
            execute("ROLLBACK TO command")
        execute("RELEASE command")

    def _run_once(self, write: Write) -> Any:
        tx = Transaction(self._connection, write.at, write.by, write.seed)
        if write.key is None:
            return write.command.apply(tx)
        name = type(write.command).__name__
        digest = _digest(write.command)
        known = self._connection.execute(
            "SELECT command, request_hash, result FROM idempotency WHERE key = ?", [write.key]
        ).fetchone()
        if known is not None:
            if known[:2] != (name, digest):
                raise Conflict(
                    f"idempotency_key {write.key!r} was used for another request: take a new key",
                    field="idempotency_key",
                )
            return _records.structure(json.loads(known[2]), write.command.RESULT)
        result = write.command.apply(tx)
        self._connection.execute(
            "INSERT INTO idempotency VALUES(?, ?, ?, ?, ?)",
            [write.key, name, digest, json.dumps(_records.unstructure(result)), write.at],
        )
        return result

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _judge(self, error: sqlite3.Error, items: list[_Item]) -> None:
        """Decide what an error of the whole group means for its members."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        for item in items:
            item.result = item.error = None
        if code in _FATAL:
            raise StorageFailed(f"the database failed: {error}") from error
        if code == sqlite3.SQLITE_BUSY:
            for item in items:
                item.error = Unavailable(
                    "another process holds the database's write lock: close it", retry_after_ms=1000
                )
        elif len(items) == 1:
            items[0].error = (
                Limited("the disk is full: make room and retry", retry_after_ms=5000)
                if code == sqlite3.SQLITE_FULL
                else Internal(f"the command failed in the database: {error}")
            )
        else:
            # SQLite took the whole group back, and nothing of it was acknowledged: one by one.
            for item in items:
                self._commit([item])


def _digest(command: Command[Any]) -> str:
    text = json.dumps(_records.unstructure(command), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
