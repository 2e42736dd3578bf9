"""The database as the sidecar needs it: at the newest schema, open for writing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from .._connection import usable
from ._fit import open_fitting
from ._steps import migrate


def open_migrated(path: Path, *, before: Callable[[], object] | None = None) -> sqlite3.Connection:
    """Open *path* for the one writer, making it or migrating it where that is needed.

    Args:
        path: of the database.
        before: is called once, where there is something to apply and something to lose.

    Raises:
        SchemaMismatch: the file is not ours, or newer than this program; it is as it was.
        MigrationFailed: a step failed.
        DatabaseUnusable: it cannot be opened for writing.
    """
    with usable(path), ExitStack() as undo:
        connection = open_fitting(path)
        undo.callback(connection.close)
        migrate(connection, before=before)
        undo.pop_all()
        return connection
