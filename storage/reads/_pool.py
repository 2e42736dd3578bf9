"""Connections that only read, kept open for questions that are asked in threads."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ._ask import Unreadable, connect, readable

SIZE: Final = 2
"""Questions at once.  More would gain little: Python runs one thread at a time."""


class Pool:
    """Lends connections to any thread.

    A connection stays with the file that it was opened on, even where another was moved into its
    place: whoever replaces the database closes the pool first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for one read transaction, in which the database does not change.

        Raises:
            Unavailable: the database is not there, or cannot be read.
        """
        shelf, connection = self._take()
        try:
            with readable(), _transaction(connection):
                yield connection
        except (sqlite3.Error, Unreadable):
            shelf = None  # whatever it was, the next question begins with a new connection
            raise
        finally:
            self._give_back(connection, shelf)

    def close(self) -> None:
        """Close what is idle, and what is lent as soon as it comes back; later ones are new."""
        with self._lock:
            shelf, self._idle = self._idle, []
        for connection in shelf:
            connection.close()

    def _take(self) -> tuple[list[sqlite3.Connection] | None, sqlite3.Connection]:
        with self._lock:
            shelf = self._idle
            idle = shelf.pop() if shelf else None
        return shelf, idle or connect(self._path)

    def _give_back(
        self, connection: sqlite3.Connection, shelf: list[sqlite3.Connection] | None
    ) -> None:
        with self._lock:
            if shelf is self._idle:
                shelf.append(connection)
                return
        connection.close()


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")  # it only read; a transaction left open would pin the log
