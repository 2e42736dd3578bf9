"""What all questions need: a connection that only reads, and its failures in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from .._connection import open_reader
from .._errors import Unavailable
from .._table import Table

R = TypeVar("R")

MAX_PAGE = 500


class Unreadable(Unavailable):
    """A question could not be answered: the disk or the file failed."""


@contextmanager
def readable() -> Iterator[None]:
    """Turn failures of SQLite into one that callers of ours know, and leave our own mistakes alone.

    Raises:
        Unreadable: in their place.
    """
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.Error as error:
        raise Unreadable(f"the database cannot be read: {error}") from error


class Reader(sqlite3.Connection):
    """A connection whose failures callers of ours know."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement.

        Raises:
            Unreadable: the disk or the file failed.
        """
        with readable():
            return super().execute(sql, parameters)


def connect(path: Path) -> sqlite3.Connection:
    """Open *path* for questions.

    Raises:
        Unavailable: there is no such file yet.
    """
    try:
        connection = open_reader(path, Reader)
    except sqlite3.Error as error:
        raise Unavailable("storage is starting", retry_after_ms=200) from error
    # SQLite folds the case of ASCII only.
    connection.create_function("folded", 1, str.casefold, deterministic=True)
    return connection


class Questions:
    """Asks through one connection: a given one, or its own, opened with the first question."""

    def __init__(self, path: Path, connection: sqlite3.Connection | None = None) -> None:
        """*connection* stays its giver's."""
        self._path = path
        self._connection = connection

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path)
        return self._connection

    def _get(self, table: Table[R], id_: str) -> R:
        record = table.get(self._open, id_)
        if record is None:
            raise table.missing(id_)
        return record

    def _scalar(self, sql: str, *args: object) -> Any:
        row = self._open.execute(sql, args).fetchone()
        return None if row is None else row[0]
