"""Writing a logged change again, into another database."""

from __future__ import annotations

import sqlite3
from contextlib import nullcontext

from .._errors import Conflict
from .._records import Change
from .._table import table_named
from ._marks import erasing, last_seq

_LOG = (
    "INSERT INTO changes(seq, project_id, kind, entity, entity_id, actor, at, after)"
    " VALUES(?, ?, ?, ?, ?, ?, ?, ?)"
)


def apply_change(connection: sqlite3.Connection, change: Change) -> None:
    """Write the row that *change* left behind, and the change itself under its own number.

    Call it inside a transaction, for one change after the other: the rows come to be as they
    were, in the order of the log, so the rules of the schema hold at each step.

    Raises:
        Conflict: it is not the change that follows the last one of this database.
        Invalid: this program knows no such table.
    """
    if (expected := last_seq(connection) + 1) != change.seq:
        raise Conflict(f"change {change.seq} cannot be replayed: {expected} comes next")
    table = table_named(change.entity)
    if change.after is None:
        with erasing(connection, change.project_id) if change.project_id else nullcontext():
            connection.execute(table.delete, [change.entity_id])
    else:
        connection.execute(table.upsert, table.row_of_image(change.after))
    connection.execute(
        _LOG,
        [
            change.seq,
            change.project_id,
            change.kind,
            change.entity,
            change.entity_id,
            change.actor,
            change.at,
            change.after,
        ],
    )
