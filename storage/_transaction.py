"""What a command sees of the database: rows as records, and the log that is written beside them."""

from __future__ import annotations

import sqlite3
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

import attrs

from ._ids import uuid7
from ._table import Table

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_LOG = (
    "INSERT INTO changes(project_id, kind, entity, entity_id, actor, at, after)"
    " VALUES(?, ?, ?, ?, ?, ?, ?)"
)


LogRow: TypeAlias = tuple[object, ...]
"""A row of `changes` but for its number."""


def write_log(connection: sqlite3.Connection, rows: list[LogRow]) -> None:
    """Add *rows* to the log: many at once cost a third less than one by one."""
    connection.executemany(_LOG, rows)


class Command(Protocol[R_co]):
    """A change, as a value: a frozen record with what is wanted.

    `apply` is a pure function of the transaction and the record, so it may be run again when the
    group that it was in is rolled back.  It raises a `MissionError` to refuse.  Its class is known
    by name: see `register`.
    """

    RESULT: ClassVar[Any]
    """The type of what `apply` returns, for the record of idempotent answers."""

    def apply(self, tx: Transaction) -> R_co:
        """Make the change."""


@attrs.define
class Transaction:
    """The inside of one command.

    Attributes:
        at: the time of the command, the same however often it is run.
        actor: on whose behalf: an agent's id, `operator`, `mission-control`, ...
        pulse_id: the attempt that the actor is in, where it is an agent in one.
    """

    connection: sqlite3.Connection
    at: int
    actor: str
    _seed: bytes
    pulse_id: str | None = None
    _later: list[LogRow] | None = None
    """Where the log's rows are left for :func:`write_log`; None writes each at once."""
    _ids: int = 0

    def new_id(self) -> str:
        """Return an id that no other has; run again, the command gets the same ones."""
        self._ids += 1
        return uuid7(self.at, b"%s/%d" % (self._seed, self._ids))

    def get(self, table: Table[R], id_: str) -> R:
        """Return one record.

        Raises:
            NotFound: there is none with this id.
        """
        record = table.get(self.connection, id_)
        if record is None:
            raise table.missing(id_)
        return record

    def find(self, table: Table[R], where: str, *args: object) -> R | None:
        """Return the first record that *where* (SQL, with `?`) finds."""
        return table.first(self.connection, where, *args)

    def all(self, table: Table[R], where: str, *args: object) -> list[R]:
        """Return the records that *where* (SQL, with `?`) finds."""
        return table.all(self.connection, where, *args)

    def scalar(self, sql: str, *args: object) -> Any:
        """Return the first cell of the first row, or None."""
        row = self.connection.execute(sql, args).fetchone()
        return None if row is None else row[0]

    def insert(self, table: Table[R], record: R, event: str) -> R:
        """Add a record and log it as *event*."""
        return self._write(table, table.insert, record, event)

    def put(self, table: Table[R], record: R, event: str, **changes: object) -> R:
        """Write *record* with *changes* made to it, one version on, and log it as *event*."""
        old: Any = record
        if hasattr(old, "version"):
            changes["version"] = old.version + 1
        if hasattr(old, "updated_at"):
            changes["updated_at"] = self.at
        changed: R = attrs.evolve(old, **changes)
        return self._write(table, table.upsert, changed, event)

    def remove(self, table: Table[R], record: R, event: str) -> None:
        """Delete a record and log it as *event*."""
        row: Any = record
        self.connection.execute(table.delete, [row.id])
        self._log(table, row, event, None)

    def _write(self, table: Table[R], sql: str, record: R, event: str) -> R:
        row = table.row(record)
        self.connection.execute(sql, row)
        self._log(table, record, event, table.image(row))
        return record

    def _log(self, table: Table[R], record: Any, event: str, after: str | None) -> None:
        project_id = record.id if table.name == "projects" else getattr(record, "project_id", None)
        row = (project_id, event, table.name, record.id, self.actor, self.at, after)
        if self._later is None:
            self.connection.execute(_LOG, row)
        else:
            self._later.append(row)
