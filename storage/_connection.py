"""How the database file is opened: one connection that writes, others that only read."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

APPLICATION_ID = 0x4D43_7472
"""In the file's header: a database that is not ours is refused."""

BUSY_TIMEOUT_S = 5.0

_WRITER_PRAGMAS = (
    "journal_mode=WAL",
    # FULL, not NORMAL: a power cut must not take back what was acknowledged.  Group commit
    # makes it cheap.
    "synchronous=FULL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
    "cell_size_check=ON",
    "temp_store=MEMORY",
    "journal_size_limit=67108864",
)


def open_writer(path: Path) -> sqlite3.Connection:
    """Open *path* for the one writer, making it (mode 0600) if it is not there.

    The connection may be handed to another thread, but must not be used by two at once.
    """
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = _connect(str(path), uri=False)
    try:
        for pragma in _WRITER_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open *path* so that nothing can be written through it."""
    connection = _connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _connect(target: str, *, uri: bool) -> sqlite3.Connection:
    return sqlite3.connect(
        target,
        uri=uri,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        timeout=BUSY_TIMEOUT_S,
    )
