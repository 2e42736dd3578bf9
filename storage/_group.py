"""One transaction for many commands, in which one that is refused does not disturb the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import attrs

from ._appends import Appends
from ._errors import Conflict, Internal, Invalid, Limited, MissionError, Unavailable
from ._idempotency import apply_once
from ._lease import Fence, holder_of
from ._transaction import Command, Transaction

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
    seed: int
    """64 bits of chance, of which its ids are made."""
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

    def tell(self) -> None:
        """Tell the asker."""
        if self.error is None:
            self.reply.answer(self.result)
        else:
            self.reply.fail(self.error)


def commit_group(
    items: Sequence[Item],
    appends: Appends,
    before_commit: Callable[[], None] = lambda: None,
) -> None:
    """Run *items* in one transaction; afterwards each has its result or its error.

    Where SQLite takes back the whole transaction, the items are run again, one by one: none of
    them has been acknowledged.

    Args:
        items: none of them has an outcome.
        appends: of the connection, and of all its groups.
        before_commit: is called when only the disk is left to be waited for.

    Raises:
        StorageFailed: nothing of the group can be relied on, nor can the connection.
    """
    try:
        appends.connection.execute("BEGIN IMMEDIATE")
        apply_each(items, appends)
        before_commit()
        appends.connection.execute("COMMIT")
    except (sqlite3.Error, *_MISFITS) as error:
        appends.abandon()
        _take_back(appends.connection, error)
        _judge(error, items, appends)


def apply_each(items: Iterable[Item], appends: Appends) -> None:
    """Run *items* one after the other in the transaction that is open."""
    for item in items:
        if item.reply.abandoned:
            item.error = Unavailable("withdrawn: its caller went away before it had begun")
        else:
            appends.begin()
            _apply(item, appends)
    appends.finish()


def _apply(item: Item, appends: Appends) -> None:
    try:
        item.result = _run(item.write, appends)
    except MissionError as refusal:
        item.error = refusal
    except sqlite3.IntegrityError as clash:
        item.error = _clash(clash)
    except _MISFITS as misfit:
        item.error = _misfit(misfit)
    except sqlite3.Error:
        raise
    except Exception as bug:  # noqa: BLE001 - its asker judges it; neighbours must not notice
        item.error = bug
    if item.error is None:
        appends.keep()
    else:
        appends.drop()


def _run(write: Write, appends: Appends) -> Any:
    # Before the key: what an attempt may do ended with it, also to be told what it has done.
    fence = write.fence
    pulse_id = None if fence is None else holder_of(appends.connection, fence)
    tx = Transaction(appends, write.at, write.by, write.seed, pulse_id)
    if write.key is None:
        return write.command.apply(tx)
    return apply_once(tx, write.command, write.key)


def _clash(error: Exception) -> Conflict:
    # A rule of the schema that no command foresaw: the caller raced another.
    return Conflict(f"refused by the database: {error}; read again and retry")


def _misfit(error: Exception) -> Invalid:
    return Invalid(f"a value cannot be stored: {error}")


def _take_back(connection: sqlite3.Connection, cause: Exception) -> None:
    if not connection.in_transaction:
        return
    try:
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise StorageFailed(f"the database failed: {cause}; then {error}") from cause


def _judge(error: Exception, items: Sequence[Item], appends: Appends) -> None:
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
            commit_group([item], appends)


def _alone(error: Exception, code: int) -> MissionError:
    """Return what an error means for the only command of its transaction."""
    if isinstance(error, _MISFITS):
        return _misfit(error)
    if isinstance(error, sqlite3.IntegrityError):
        return _clash(error)
    if code == sqlite3.SQLITE_FULL:
        return Limited("the disk is full: make room and retry", retry_after_ms=5000)
    return Internal(f"the command failed in the database: {error}")
