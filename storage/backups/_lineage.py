"""Which histories a database continues: every restore begins a new epoch, on top of older ones.

`meta` keeps the epochs that came before the present one, each with the last change that is still
part of this history.  With it a backup of an older epoch is known to be an ancestor, or to be of
a history that was given up.
"""

from __future__ import annotations

import json
import sqlite3

import attrs

from ..history import BEGAN, LINEAGE, Cursor, epoch_of, last_seq, older_ends

_PUT = "INSERT INTO meta VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value"


@attrs.frozen
class Lineage:
    """The epochs of one history, oldest first, each with the last of its changes that counts."""

    ends: tuple[Cursor, ...]

    def __contains__(self, place: Cursor) -> bool:
        return any(end.epoch == place.epoch and place.seq <= end.seq for end in self.ends)

    def until(self, seq: int) -> Lineage:
        """Return what of it remains when what follows change *seq* is given up."""
        return Lineage(tuple(Cursor(end.epoch, min(end.seq, seq)) for end in self.ends))


def read_lineage(connection: sqlite3.Connection) -> Lineage:
    """Return the history of a database, up to its newest change."""
    newest = Cursor(epoch_of(connection), last_seq(connection))
    return Lineage((*older_ends(connection), newest))


def begin_epoch(
    connection: sqlite3.Connection, lineage: Lineage, epoch: str, began_at: int
) -> None:
    """Let the database go on from *lineage* under a new name."""
    older = [[end.epoch, end.seq] for end in lineage.ends]
    for key, value in (("epoch", epoch), (BEGAN, str(began_at)), (LINEAGE, json.dumps(older))):
        connection.execute(_PUT, [key, value])
