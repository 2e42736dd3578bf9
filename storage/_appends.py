"""Rows on their way to the tables that only grow.

The rows of a group wait here, to be written many at once.  Those of the change log, which no
command reads, wait until the group's commit; those of the thought stream until something else is
asked of the database.  So a command that only adds to the stream needs no savepoint: what it added
is forgotten when it is refused.  And whose a card is need not be asked again, while nothing else
was done.
"""

from __future__ import annotations

import sqlite3

import attrs

from ._insert import Insert, Row
from ._records import TaskOwner
from ._table import TASK_EVENTS, TASK_OWNERS

REMEMBERED = 1_024
"""Owners of cards."""

_LOG = Insert.into("changes", ("project_id", "kind", "entity", "entity_id", "actor", "at", "after"))


@attrs.define
class Appends:
    """What the commands of a group add, and the savepoint of the one that is run.

    A command lies between `begin` and `keep` or `drop`; a group ends with `finish` or `abandon`.
    It is of one connection, through which nobody else writes.
    """

    connection: sqlite3.Connection
    """Without the thoughts that wait."""
    _log: list[Row] = attrs.field(factory=list)
    _stream: list[Row] = attrs.field(factory=list)
    _owners: dict[str, TaskOwner] = attrs.field(factory=dict)
    _logged: int = 0
    """So many rows of the log are of earlier commands."""
    _streamed: int = 0
    """And so many of the stream."""
    _saved: bool = False

    def log(self, row: Row) -> None:
        """Add a row to the change log."""
        self._log.append(row)

    def stream(self, row: Row) -> None:
        """Add a row to the thought stream."""
        self._stream.append(row)

    def owner(self, task_id: str) -> TaskOwner | None:
        """Return whose a card is, from memory while nothing but the stream was touched."""
        known = self._owners.get(task_id)
        if known is None:
            known = TASK_OWNERS.get(self.connection, task_id)
            if known is not None:
                if len(self._owners) >= REMEMBERED:
                    self._owners.clear()
                self._owners[task_id] = known
        return known

    def catch_up(self) -> sqlite3.Connection:
        """Write the thoughts that wait, for a command that asks for something else or changes it.

        From here on, what it does is taken back by its savepoint.
        """
        self._owners.clear()
        if not self._saved:
            self._flush(self._streamed)
            self.connection.execute("SAVEPOINT command")
            self._saved = True
        self._flush(len(self._stream))
        return self.connection

    def begin(self) -> None:
        """A command begins."""
        self._logged, self._streamed = len(self._log), len(self._stream)
        self._saved = False

    def keep(self) -> None:
        """The command was accepted."""
        if self._saved:
            self.connection.execute("RELEASE command")

    def drop(self) -> None:
        """The command was refused: nothing of it stays."""
        del self._log[self._logged :]
        if self._saved:
            self._stream.clear()
            self._owners.clear()
            self.connection.execute("ROLLBACK TO command")
            self.connection.execute("RELEASE command")
        else:
            del self._stream[self._streamed :]

    def finish(self) -> None:
        """Write whatever waits, before the commit."""
        self._flush(len(self._stream))
        _LOG.run(self.connection, self._log)
        self._log.clear()

    def abandon(self) -> None:
        """The group was taken back."""
        self._log.clear()
        self._stream.clear()
        self.forget()

    def forget(self) -> None:
        """Remember no owners: somebody else may have written."""
        self._owners.clear()

    def _flush(self, count: int) -> None:
        if count:
            TASK_EVENTS.rows.run(self.connection, self._stream[:count])
            del self._stream[:count]
