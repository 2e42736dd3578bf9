"""Tables, row by row, for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from .._connection import open_aside, usable
from .._table import ENTITIES

EXPORTED = ("changes", *ENTITIES)
"""The tables that have something to tell; the others keep house."""


def export_rows(path: Path, table: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one of the `EXPORTED` tables by its key, each as the database has it.

    All are of one moment, and writing may go on meanwhile.

    Raises:
        DatabaseUnusable: the file cannot be read.
    """
    with usable(path), closing(open_aside(path)) as connection:
        connection.execute("BEGIN")
        found = Database(connection).table(table)
        yield from found.rows_where(order_by=", ".join(found.pks))
