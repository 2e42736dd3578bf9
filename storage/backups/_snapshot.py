"""An online copy of a database: one state of it, at a pace that its writer hardly notices.

The copy is made by a connection of its own that only reads, so it may belong to another process
than the writer.  The read transaction that is opened first pins the state which is copied.
Without it every commit meanwhile would make SQLite begin the copy again, and under load it would
never end.  What is committed meanwhile waits in the write-ahead log.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import attrs

from .._connection import APPLICATION_ID, open_reader
from ._errors import BackupDamaged

PAGES_A_STEP = 128
"""512 KiB: between steps the disk belongs to the writer."""

PAUSE_S = 0.004
"""At least; as long as the disk took for the step, where that was longer."""

Progress = Callable[[int, int], None]
"""Called with how many bytes of the database are done, and how many there are."""


@attrs.frozen
class DatabaseFacts:
    """What a database file says of itself."""

    schema: int
    """Number of its last migration; 0 before the first."""
    epoch: str
    epoch_began_at: int
    """When a restore began this epoch; 0 for the first one of a home."""
    seq: int
    """Of its newest change; 0 before the first."""


def copy_database(source: Path, target: Path, progress: Progress | None = None) -> DatabaseFacts:
    """Copy the database *source*, which may be written to meanwhile, to the new file *target*.

    The copy is one file without a log beside it, and on the disk when this returns.  Nobody has
    looked at it yet.

    Returns:
        What the source said of itself in the state that was copied.

    Raises:
        BackupDamaged: the source is not ours.
        sqlite3.Error, OSError: the source cannot be read, or the copy not be written.
    """
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        facts = _copy(source, target, _Pace(descriptor, progress))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return facts


def _copy(source: Path, target: Path, pace: _Pace) -> DatabaseFacts:
    with closing(open_reader(source)) as live, closing(sqlite3.connect(target)) as copy:
        # Nobody needs a copy that is half made: no journal, and we sync it ourselves.
        copy.execute("PRAGMA journal_mode=OFF")
        copy.execute("PRAGMA synchronous=OFF")
        live.execute("BEGIN")
        _refuse_strangers(live, source)
        facts = read_facts(live)
        (pace.page_bytes,) = live.execute("PRAGMA page_size").fetchone()
        live.backup(copy, pages=PAGES_A_STEP, progress=pace.step)
        live.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode=DELETE")
        return facts


@attrs.define
class _Pace:
    descriptor: int
    progress: Progress | None
    page_bytes: int = 4096

    def step(self, _: int, remaining: int, total: int) -> None:
        # Left alone, the kernel writes all of the copy at once, and commits wait for it.
        began = time.perf_counter()
        os.fsync(self.descriptor)
        busy_s = time.perf_counter() - began
        if self.progress is not None:
            self.progress((total - remaining) * self.page_bytes, total * self.page_bytes)
        # Here, since the `sleep` of `backup` is only for a source that is busy.
        time.sleep(max(PAUSE_S, busy_s))


def inspect_database(path: Path) -> DatabaseFacts:
    """Check the database file *path*, to which nobody writes, and return what it says.

    Raises:
        BackupDamaged: it is damaged, or not ours.
    """
    try:
        # Immutable: nothing is made beside the file, not even where we might.
        uri = f"{path.absolute().as_uri()}?immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            _check(connection, path)
            return read_facts(connection)
    except sqlite3.Error as error:
        raise BackupDamaged(f"{path}: the database cannot be read: {error}") from error


def _refuse_strangers(connection: sqlite3.Connection, path: Path) -> None:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != APPLICATION_ID:
        raise BackupDamaged(f"{path} is not a database of Mission Control")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    _refuse_strangers(connection, path)
    found = connection.execute("PRAGMA integrity_check(3)").fetchall()
    if found != [("ok",)]:
        raise BackupDamaged(f"{path}: the database is damaged: {found[0][0]}")
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise BackupDamaged(f"{path}: the database has rows whose parents are missing")


def read_facts(connection: sqlite3.Connection) -> DatabaseFacts:
    """Return what the database says of itself, of whatever schema it is."""
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    meta: dict[str, str] = {}
    seq = 0
    if "meta" in tables:
        meta = dict(connection.execute("SELECT key, value FROM meta"))
    if "changes" in tables:
        # Not max(seq): retention may have taken all rows, and the numbers go on.
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")
        (seq,) = row.fetchone() or (0,)
    return DatabaseFacts(schema, meta.get("epoch", ""), int(meta.get("epoch_began_at", 0)), seq)
