"""What a command sees of the database: rows as records, and the log that is written beside them."""

from __future__ import annotations

import sqlite3
from typing import Any, ClassVar, Protocol, TypeVar

import attrs

from ._appends import Appends
from ._ids import uuid7
from ._records import TaskOwner
from ._table import TASK_EVENTS, TASK_OWNERS, Table

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


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

    _appends: Appends
    at: int
    actor: str
    _seed: int
    pulse_id: str | None = None
    _ids: int = 0

    @property
    def connection(self) -> sqlite3.Connection:
        """The database as the command has left it so far."""
        return self._appends.catch_up()

    def new_id(self) -> str:
        """Return an id that no other has; run again, the command gets the same ones."""
        self._ids += 1
        # Counted up far from the ids of the next seed.
        return uuid7(self.at, (self._seed << 10) + self._ids)

    def get(self, table: Table[R], id_: str) -> R:
        """Return one record.

        Raises:
            NotFound: there is none with this id.
        """
        # No row that waits is of another table: most commands begin with such a look.
        connection = self.connection if table is TASK_EVENTS else self._appends.connection
        record = table.get(connection, id_)
        if record is None:
            raise table.missing(id_)
        return record

    def owner(self, task_id: str) -> TaskOwner:
        """Return whose a card is: as :meth:`get`, but for a run of thoughts asked only once.

        Raises:
            NotFound: there is no such card.
        """
        owner = self._appends.owner(task_id)
        if owner is None:
            raise TASK_OWNERS.missing(task_id)
        return owner

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
        image = table.image(row)
        if not image.isascii():
            image.encode()  # half a character is refused here, not with the whole group at its end
        if table is TASK_EVENTS:
            self._appends.stream(row)
        else:
            self.connection.execute(sql, row)
        self._log(table, record, event, image)
        return record

    def _log(self, table: Table[R], record: Any, event: str, after: str | None) -> None:
        project_id = record.id if table.name == "projects" else getattr(record, "project_id", None)
        self._appends.log((project_id, event, table.name, record.id, self.actor, self.at, after))
