"""What `meta` says of the log: its epochs, how far it was trimmed, and what is being erased."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ._cursor import Cursor

EPOCH = "epoch"
BEGAN = "epoch_began_at"
LINEAGE = "lineage"
RETENTION = "retention_seq"
ERASING = "erasing"


def epoch_of(connection: sqlite3.Connection) -> str:
    """Return the name of this history; made when the database is, and anew by a restore."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", [EPOCH]).fetchone()
    return str(row[0]) if row else ""


def epoch_began_at(connection: sqlite3.Connection) -> int:
    """Return when a backup was restored last; 0 where none was."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", [BEGAN]).fetchone()
    return int(row[0]) if row else 0


def older_ends(connection: sqlite3.Connection) -> list[Cursor]:
    """Return the last change of each older epoch that is part of this history, oldest first."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", [LINEAGE]).fetchone()
    return [Cursor(epoch, seq) for epoch, seq in json.loads(row[0] if row else "[]")]


def retention_seq(connection: sqlite3.Connection) -> int:
    """Return the number up to which changes were taken out of the table; 0 before the first."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", [RETENTION]).fetchone()
    return int(row[0]) if row else 0


def last_seq(connection: sqlite3.Connection) -> int:
    """Return the number of the newest change, 0 before the first; it is never trimmed."""
    row = connection.execute("SELECT coalesce(max(seq), 0) FROM changes").fetchone()
    return int(row[0])


@contextmanager
def erasing(connection: sqlite3.Connection, project_id: str) -> Iterator[None]:
    """Let history of one project be deleted inside the block, which forbids it again.

    Only inside a transaction: nobody else ever sees the mark, and a block that fails is rolled
    back with it.
    """
    connection.execute("INSERT INTO meta VALUES(?, ?)", [ERASING, project_id])
    yield
    connection.execute("DELETE FROM meta WHERE key = ?", [ERASING])
