"""Whether the tables hold what the log says that was written to them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from .._errors import MissionError
from .._table import ENTITIES, Table, table_named
from ..history import read_log

_NEWEST = """
CREATE TABLE newest(
  entity TEXT NOT NULL, id TEXT NOT NULL, cells TEXT,
  PRIMARY KEY(entity, id)) STRICT, WITHOUT ROWID
"""


def unlike_the_log(connection: sqlite3.Connection, archive: Path) -> Iterator[str]:
    """Yield a line for each row that is not what replaying the whole log makes of it.

    Args:
        connection: at the newest schema, inside a read transaction.
        archive: where the older parts of the log are kept.
    """
    # Not in memory: the log has an entry for each row that there ever was.
    with closing(sqlite3.connect("", isolation_level=None)) as replayed:
        replayed.execute("PRAGMA synchronous=OFF")
        replayed.execute("BEGIN")
        try:
            _replay(connection, archive, replayed)
        except MissionError as refusal:
            yield f"log: {refusal.message}"
            return
        for entity in ENTITIES:
            yield from _compare(connection, replayed, table_named(entity))


def _replay(connection: sqlite3.Connection, archive: Path, replayed: sqlite3.Connection) -> None:
    replayed.execute(_NEWEST)
    for change in read_log(connection, archive):
        cells = None
        if change.after is not None:
            cells = json.dumps(table_named(change.entity).row_of_image(change.after))
        replayed.execute(
            "INSERT OR REPLACE INTO newest VALUES(?, ?, ?)",
            [change.entity, change.entity_id, cells],
        )


def _compare(
    connection: sqlite3.Connection, replayed: sqlite3.Connection, table: Table[Any]
) -> Iterator[str]:
    rows = connection.execute(f"SELECT id, {table.columns} FROM {table.name}")  # noqa: S608
    for id_, *cells in rows:
        place = [table.name, id_]
        logged = replayed.execute(
            "DELETE FROM newest WHERE entity = ? AND id = ? RETURNING cells", place
        ).fetchall()
        if not logged or logged[0][0] is None:
            yield f"replay: {table.name} {id_} is in no change of the log"
        elif logged[0][0] != json.dumps(cells):
            yield f"replay: {table.name} {id_} is not what the log says"
    lost = replayed.execute(
        "SELECT id FROM newest WHERE entity = ? AND cells IS NOT NULL", [table.name]
    )
    for (id_,) in lost:
        yield f"replay: {table.name} {id_} is in the log, and not in its table"
