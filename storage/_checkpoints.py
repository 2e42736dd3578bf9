"""Folding the write-ahead log into the database file, beside the writer.

A checkpoint syncs two files and takes as long as ten commits or more.  SQLite would have the
commit that fills the log pay for it, and a hundred askers wait; a PASSIVE checkpoint of another
connection goes on while the writer writes.  It leaves behind what is committed meanwhile, and then
neither syncs the file nor lets the log begin anew: it takes three.

1. Most of the log.
2. What was written meanwhile.  That is little, so this one comes to the end and syncs the file.
3. What was written during that, between two groups of the writer, who waits for a few pages only.

Before 3.51.3 SQLite itself has a fault (https://sqlite.org/wal.html#walresetbug): a checkpoint that
begins when the one before it has left nothing, while a commit lets the log begin anew, takes for
folded what is not.  So the first two begin only after a commit that came after the one before, the
third while nobody can commit; and the writer's connection makes none while a fold is under way.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from ._connection import open_writer

log = logging.getLogger("mission_control.storage")

EVERY_COMMANDS = 2_000
"""About 3,000 pages of 4 KiB."""

EVERY_S = 0.5
FEW_COMMANDS = 250
"""So many are folded after `EVERY_S`: what is synced often is synced fast."""


class Checkpoints:
    """A thread with a connection of its own, idle until enough was written."""

    def __init__(self, path: Path, now: Callable[[], float] = monotonic) -> None:
        """Opens nothing before there is something to do."""
        self._path = path
        self._now = now
        self._written = 0
        self._folded_at = now()
        self._due = threading.Event()
        self._committed = threading.Event()
        self._closing = False
        self.folding = False
        """Whether a fold is under way."""
        self._turn = threading.Lock()
        self._next = threading.Lock()
        """Held by who waits for a turn, so that a busy writer does not take them all."""
        self._thread = threading.Thread(target=self._run, name="storage-checkpoints", daemon=True)

    def start(self, writer: sqlite3.Connection) -> None:
        """Begin to wait for commands; commits of *writer* fold nothing any more."""
        writer.execute("PRAGMA wal_autocheckpoint=0")
        self._thread.start()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nothing is folded to the end inside the block: a group of the writer, and its note."""
        with self._next:
            pass
        with self._turn:
            yield

    def note(self, commands: int) -> None:
        """Count what was committed.  For the writer's thread, in its turn."""
        self._written += commands
        self._committed.set()
        waited_s = self._now() - self._folded_at
        if self._written >= (FEW_COMMANDS if waited_s >= EVERY_S else EVERY_COMMANDS):
            self._due.set()

    def close(self) -> None:
        """End the thread; a checkpoint that has begun is waited for."""
        self._closing = True
        self._due.set()
        self._committed.set()
        self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while self._waited_for(self._due):
            try:
                connection = connection or open_writer(self._path)
                self.folding = True
                self._fold(connection)
            except (sqlite3.Error, OSError) as error:
                # The writer will meet it too, and it is there that it is judged.
                log.warning("the write-ahead log cannot be folded into the database: %s", error)
                with self._between_groups():
                    self._begin_anew()
            finally:
                self.folding = False
        if connection is not None:
            connection.close()

    def _fold(self, connection: sqlite3.Connection) -> None:
        _checkpoint(connection)
        with self._between_groups():
            self._committed.clear()
        if self._waited_for(self._committed):
            _checkpoint(connection)
            with self._between_groups():
                _checkpoint(connection)
                self._begin_anew()

    @contextmanager
    def _between_groups(self) -> Iterator[None]:
        with self._next, self._turn:
            yield

    def _begin_anew(self) -> None:
        self._written, self._folded_at = 0, self._now()
        self._due.clear()

    def _waited_for(self, event: threading.Event) -> bool:
        if not self._closing:
            event.wait()
        return not self._closing


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
