"""Giving back to the disk the room of what was removed."""

from __future__ import annotations

import sqlite3

import attrs


@attrs.frozen
class Compacted:
    """The size of a database in bytes, before and after."""

    before: int
    after: int


def compact(connection: sqlite3.Connection) -> Compacted:
    """Write the database anew, without the room that removed rows left: all of it, or nothing.

    Without this the room is used again, and the file stays as large as it ever was.  Meanwhile
    the whole is needed twice more: in the log beside it, and where SQLite has temporary files.

    Args:
        connection: from :func:`open_writer`, without a transaction; nobody else has the file open.

    Raises:
        sqlite3.Error: the disk is full or fails; the database is as it was.
    """
    connection.execute("PRAGMA temp_store=FILE")  # a writer's is in memory
    before = _size(connection)
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return Compacted(before, _size(connection))


def _size(connection: sqlite3.Connection) -> int:
    ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
    ((page_bytes,),) = connection.execute("PRAGMA page_size").fetchall()
    return int(pages * page_bytes)
