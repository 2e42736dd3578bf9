"""Folding the write-ahead log into the database file, beside the writer.

A checkpoint syncs two files and takes as long as ten commits.  SQLite would have the commit that
fills the log pay for it, and a hundred askers wait; a PASSIVE checkpoint of another connection
goes on while the writer writes.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from pathlib import Path

from ._connection import open_writer

log = logging.getLogger("mission_control.storage")

EVERY_COMMANDS = 2_000
"""About 3,000 pages of 4 KiB.  Where this falls behind, the writer folds (`wal_autocheckpoint`)."""


class Checkpoints:
    """A thread with a connection of its own, idle until enough was written."""

    def __init__(self, path: Path) -> None:
        """Opens nothing before there is something to do."""
        self._path = path
        self._written = 0
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="storage-checkpoints", daemon=True)

    def start(self) -> None:
        """Begin to wait for commands."""
        self._thread.start()

    def note(self, commands: int) -> None:
        """Count what was committed.  For the writer's thread."""
        self._written += commands
        if self._written >= EVERY_COMMANDS:
            self._written = 0
            self._wake.set()

    def close(self) -> None:
        """End the thread; a checkpoint that has begun is waited for."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            if self._closing:
                break
            try:
                connection = connection or open_writer(self._path)
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except (sqlite3.Error, OSError) as error:
                # The writer will meet it too, and it is there that it is judged.
                log.warning("the write-ahead log cannot be folded into the database: %s", error)
        if connection is not None:
            connection.close()
