"""One transaction for many commands, in which one that is refused does not disturb the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Protocol

import attrs

from ._errors import Conflict, Internal, Invalid, Limited, MissionError, Unavailable
from ._idempotency import apply_once
from ._lease import Fence, holder_of
from ._transaction import Command, LogRow, Transaction, write_log

_FATAL = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}
"""After these nothing may be assumed of the file, nor of the connection."""

_MISFITS = (UnicodeEncodeError, OverflowError)
"""What Python says of a value that SQLite has no place for."""

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL}


class StorageFailed(Unavailable):
    """The disk or the file failed.  What was acknowledged is safe; the rest may not have happened.

    The writer stops; its supervisor opens the file anew.
    """

    def again(self) -> StorageFailed:
        """Return the same for another asker."""
        return StorageFailed(self.message, retry_after_ms=self.retry_after_ms)


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
    fence: Fence | None = None
    """For an agent's writes: refused unless the agent still holds this lease."""


@attrs.define(eq=False)
class Item:
    """A write in hand, and what came of it."""

    write: Write
    reply: Answer
    result: Any = None
    error: Exception | None = None

    def settle(self) -> None:
        """Tell the asker."""
        if self.error is None:
            self.reply.answer(self.result)
        else:
            self.reply.fail(self.error)


def commit_group(connection: sqlite3.Connection, items: Sequence[Item]) -> None:
    """Run *items* in one transaction; afterwards each has its result or its error.

    Where SQLite takes back the whole transaction, the items are run again, one by one: none of
    them has been acknowledged.

    Raises:
        StorageFailed: nothing of the group can be relied on, nor can the connection.
    """
    log: list[LogRow] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for item in items:
            _apply(connection, item, log)
        write_log(connection, log)
        connection.execute("COMMIT")
    except (sqlite3.Error, *_MISFITS) as error:
        _take_back(connection, error)
        _judge(connection, error, items)


def _apply(connection: sqlite3.Connection, item: Item, log: list[LogRow]) -> None:
    if item.reply.abandoned:
        item.error = Unavailable("withdrawn: its caller went away before it had begun")
        return
    connection.execute("SAVEPOINT command")
    logged = len(log)
    try:
        item.result = run_write(connection, item.write, log)
    except MissionError as refusal:
        item.error = refusal
    except sqlite3.IntegrityError as clash:
        # A rule of the schema that no command foresaw: the caller raced another.
        item.error = Conflict(f"refused by the database: {clash}; read again and retry")
    except _MISFITS as misfit:
        item.error = _misfit(misfit)
    except sqlite3.Error:
        raise
    except Exception as bug:  # noqa: BLE001 - its asker judges it; neighbours must not notice
        item.error = bug
    if item.error is not None:
        del log[logged:]
        connection.execute("ROLLBACK TO command")
    connection.execute("RELEASE command")


def run_write(connection: sqlite3.Connection, write: Write, log: list[LogRow] | None = None) -> Any:
    """Run one command inside a transaction that is open; return its result.

    Where *log* is given, the log's rows are left there for :func:`write_log`.

    Raises:
        Forbidden: its fence does not hold, so nothing of it was looked at.
        MissionError: the command was refused.
    """
    # Before the key: what an attempt may do ended with it, also to be told what it has done.
    pulse_id = None if write.fence is None else holder_of(connection, write.fence)
    tx = Transaction(connection, write.at, write.by, write.seed, pulse_id, log)
    if write.key is None:
        return write.command.apply(tx)
    return apply_once(tx, write.command, write.key)


def _misfit(error: Exception) -> Invalid:
    return Invalid(f"a value cannot be stored: {error}")


def _take_back(connection: sqlite3.Connection, cause: Exception) -> None:
    if not connection.in_transaction:
        return
    try:
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise StorageFailed(f"the database failed: {cause}; then {error}") from cause


def _judge(connection: sqlite3.Connection, error: Exception, items: Sequence[Item]) -> None:
    """Decide what an error of the whole group means for its members."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    for item in items:
        item.result = item.error = None
    if code in _FATAL:
        raise StorageFailed(f"the database failed: {error}", retry_after_ms=1000) from error
    if code in _BUSY:
        for item in items:
            item.error = Unavailable(
                "another process holds the database's write lock: close it", retry_after_ms=1000
            )
    elif len(items) == 1:
        items[0].error = _alone(error, code)
    else:
        for item in items:
            commit_group(connection, [item])


def _alone(error: Exception, code: int) -> MissionError:
    """Return what an error means for the only command of its transaction."""
    if isinstance(error, _MISFITS):
        return _misfit(error)
    if code == sqlite3.SQLITE_FULL:
        return Limited("the disk is full: make room and retry", retry_after_ms=5000)
    return Internal(f"the command failed in the database: {error}")
