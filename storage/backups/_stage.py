"""Building what a restore will put in place: all of it aside, where a failure harms nothing."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attrs

from .._connection import open_reader
from ..history import Cursor, apply_change, read_log
from ..schema import migrate
from ._backup import DATABASE, FILES, Backup
from ._create import sync_tree
from ._lineage import Lineage, begin_epoch, read_lineage
from ._snapshot import Progress

TOKENS_AHEAD = 1 << 20
"""So far go the fencing tokens on: attempts of the history that is given up must not win."""

# The log does not tell of leases: agents that were made after the backup have none yet.
_MISSING_LEASES = (
    "INSERT INTO leases SELECT 'agent:' || id, NULL, 0, NULL FROM agents"
    " WHERE true ON CONFLICT DO NOTHING"
)
_ADVANCE = "UPDATE leases SET holder = NULL, expires_at = NULL, token = token + ?"


@attrs.frozen
class Replay:
    """What a database must be told to get from a backup to a later place of its history."""

    database: Path
    """Whose log tells."""
    archive: Path
    until: Cursor


@attrs.frozen
class Staged:
    """What stands ready."""

    cursor: Cursor
    """Where the restored database begins."""
    projects: frozenset[str]
    """Those that it knows."""


def stage(
    backup: Backup, folder: Path, replay: Replay | None, *, now_us: int, progress: Progress | None
) -> Staged:
    """Build the new database and files of a home in *folder*, and have them on the disk.

    Raises:
        MissionError: the log no longer tells what happened up to the place that was asked for.
        OSError, sqlite3.Error: it cannot be written.
    """
    database = folder / DATABASE
    copy_file(backup.database, database, 0o600)
    if progress is not None:
        progress(backup.manifest.database.size, backup.manifest.database.size)
    for file in backup.manifest.files:
        target = folder / FILES / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_file(backup.folder / FILES / file.path, target, file.mode)
    staged = _adapt(database, replay, now_us)
    _sync(database, 0o600)
    sync_tree(folder)
    return staged


def copy_file(source: Path, target: Path, mode: int) -> None:
    """Copy a file and have it on the disk."""
    shutil.copyfile(source, target, follow_symlinks=False)
    _sync(target, mode)


def _sync(path: Path, mode: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _adapt(database: Path, replay: Replay | None, now_us: int) -> Staged:
    epoch = secrets.token_hex(6)
    with _open(database) as connection:
        lineage = read_lineage(connection)
        if replay is not None:
            lineage = _play(connection, replay, lineage.ends[-1].seq)
        connection.execute("BEGIN")
        begin_epoch(connection, lineage, epoch, now_us)
        _advance_tokens(connection)
        connection.execute("COMMIT")
        projects = frozenset(id_ for (id_,) in connection.execute("SELECT id FROM projects"))
    return Staged(Cursor(epoch, lineage.ends[-1].seq), projects)


@contextmanager
def _open(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        # A build that is killed is thrown away; the file is synced when it is done.
        for pragma in ("journal_mode=MEMORY", "synchronous=OFF", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA recursive_triggers=ON")
        yield connection
        connection.execute("PRAGMA journal_mode=DELETE")


def _play(connection: sqlite3.Connection, replay: Replay, after: int) -> Lineage:
    """Bring the database to *replay.until*; return the history that it then is."""
    migrate(connection)  # the log is told in the words of the newest schema
    until = replay.until.seq
    with closing(open_reader(replay.database)) as source:
        connection.execute("BEGIN")
        for change in read_log(source, replay.archive, after=after, until=until):
            apply_change(connection, change)
        connection.execute("COMMIT")
        return read_lineage(source).until(until)


def _advance_tokens(connection: sqlite3.Connection) -> None:
    there = "SELECT 1 FROM sqlite_schema WHERE name = 'leases'"
    if connection.execute(there).fetchone() is not None:
        connection.execute(_MISSING_LEASES)
        connection.execute(_ADVANCE, [TOKENS_AHEAD])
