"""Opening a database for a look, also where nothing may be written beside it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from .._connection import open_aside, open_reader


def open_anywhere(path: Path) -> sqlite3.Connection:
    """Open *path* for reading, as it stands where no log is there nor could be made.

    A reader of the usual kind makes files beside the database, which a folder that may only be
    read forbids.  A writer could not do without them either, so nothing changes meanwhile.
    """
    stands_still = not Path(f"{path}-wal").exists() and not os.access(path.parent, os.W_OK)
    return open_aside(path) if stands_still else open_reader(path)


def cannot_look(error: sqlite3.Error) -> bool:
    """Whether *error* tells of what surrounds a database, and nothing of the database itself."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith("SQLITE_CANTOPEN") or "_SHM" in name
