"""Rows on their way to the tables that only grow: many at once cost half as much as one by one.

The rows of a group wait here.  Those of the change log, which no command reads, wait until the
group's commit; those of the thought stream until something else is asked of the database.  So a
command that only adds to the stream needs no savepoint: what it added is forgotten when it is
refused.  And whose the cards are need not be asked again, while nothing else was done.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeAlias, TypeVar

import attrs

R = TypeVar("R")

Row: TypeAlias = Sequence[object]

AT_ONCE = 25
"""Rows of one statement; more gain no more."""

REMEMBERED = 1_024
"""Owners of cards."""


@attrs.frozen
class Insert:
    """Adds rows of so many columns to a table."""

    one: str
    many: str
    """Of `AT_ONCE` rows."""

    @classmethod
    def into(cls, table: str, columns: Sequence[str]) -> Insert:
        """Make the statements for these columns."""
        head = f"INSERT INTO {table}({', '.join(columns)}) VALUES"
        row = f"({', '.join('?' * len(columns))})"
        return cls(f"{head}{row}", head + ", ".join([row] * AT_ONCE))

    def run(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Add *rows*."""
        whole = len(rows) // AT_ONCE * AT_ONCE
        for start in range(0, whole, AT_ONCE):
            cells = chain.from_iterable(rows[start : start + AT_ONCE])
            connection.execute(self.many, tuple(cells))
        if whole < len(rows):
            connection.executemany(self.one, rows[whole:])


LOG = Insert.into("changes", ("project_id", "kind", "entity", "entity_id", "actor", "at", "after"))


@attrs.define
class Appends:
    """What a group adds, and the savepoint of the command that is run.

    It is of one connection, through which nobody else writes.
    """

    _connection: sqlite3.Connection
    _events: Insert
    """How rows of the thought stream are added."""
    _log: list[Row] = attrs.field(factory=list)
    _stream: list[Row] = attrs.field(factory=list)
    _owners: dict[str, Any] = attrs.field(factory=dict)
    _logged: int = 0
    _streamed: int = 0
    """So many of the rows are of earlier commands."""
    _saved: bool = False

    def log(self, row: Row) -> None:
        """Add a row to the change log, in time."""
        self._log.append(row)

    def stream(self, row: Row) -> None:
        """Add a row to the thought stream, in time."""
        self._stream.append(row)

    def owner(self, task_id: str, find: Callable[[], R]) -> R:
        """Return what *find* returned for this card when it was asked last.

        Nothing but additions to the stream has been done since.
        """
        known: R | None = self._owners.get(task_id)
        if known is None:
            known = find()
            if len(self._owners) >= REMEMBERED:
                self._owners.clear()
            self._owners[task_id] = known
        return known

    def begin_group(self) -> None:
        """A group begins; whatever waits is of one that failed."""
        self._log.clear()
        self._stream.clear()

    def forget(self) -> None:
        """Somebody else may have written."""
        self._owners.clear()

    def begin(self) -> None:
        """A command begins."""
        self._logged, self._streamed = len(self._log), len(self._stream)
        self._saved = False

    def settle(self) -> None:
        """Bring the stream up to date: the command asks for something else, or changes it."""
        self._owners.clear()
        if not self._saved:
            self._flush(self._streamed)
            self._connection.execute("SAVEPOINT command")
            self._saved = True
        self._flush(len(self._stream))

    def keep(self) -> None:
        """The command was accepted."""
        if self._saved:
            self._connection.execute("RELEASE command")

    def drop(self) -> None:
        """The command was refused: nothing of it stays."""
        del self._log[self._logged :]
        if self._saved:
            self._stream.clear()
            self._connection.execute("ROLLBACK TO command")
            self._connection.execute("RELEASE command")
        else:
            del self._stream[self._streamed :]

    def finish(self) -> None:
        """Write whatever waits, before the commit."""
        self._flush(len(self._stream))
        LOG.run(self._connection, self._log)
        self._log.clear()

    def _flush(self, count: int) -> None:
        if count:
            self._events.run(self._connection, self._stream[:count])
            del self._stream[:count]
