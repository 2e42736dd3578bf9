"""How the database file is opened: one connection that writes, others that only read."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ._errors import Unavailable

log = logging.getLogger("mission_control.storage")

APPLICATION_ID = 0x4D43_7472
"""In the file's header: a database that is not ours is refused."""

BUSY_TIMEOUT_S = 5.0

WRITER_PRAGMAS = (
    "journal_mode=WAL",
    # FULL, not NORMAL: a power cut must not take back what was acknowledged.  Group commit
    # makes it cheap.
    "synchronous=FULL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
    "cell_size_check=ON",
    "temp_store=MEMORY",
    # In pages of 4 KiB: a start after a crash reads 32 MB of log at most.  The storage actor's log
    # is folded beside it instead; see _checkpoints.
    "wal_autocheckpoint=8000",
    "cache_size=-16384",
    "journal_size_limit=67108864",
)


class DatabaseUnusable(Unavailable):
    """The database file cannot be opened or written; the message says why."""


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Say in words that *path* cannot be used, where the block finds that out.

    Raises:
        DatabaseUnusable: in place of an `sqlite3.Error`, or an `OSError`.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise DatabaseUnusable(
            f"cannot use the database {path} ({error}): check that the disk is writable and not"
            " full; if the file is damaged, move it away with its -wal and -shm and restore a copy"
        ) from error


def open_writer(path: Path) -> sqlite3.Connection:
    """Open *path* for the one writer, making it if it is not there.

    It is for its owner only (mode 0600); one that is not, is made so.  The connection may be
    handed to another thread, but must not be used by two at once.

    Raises:
        OSError: it cannot be made, or is somebody else's.
        sqlite3.Error: it cannot be opened for writing.
    """
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    _make_private(path)
    connection = _connect(str(path), uri=False)
    try:
        for pragma in WRITER_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _make_private(path: Path) -> None:
    """Take from all others what they may do with *path* and what SQLite keeps beside it."""
    for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        mode = stat.S_IMODE(each.stat().st_mode) if each.exists() else 0
        if mode & 0o077:
            log.warning("%s could be used by others (mode %03o): it is 0600 now", each, mode)
            each.chmod(0o600)


def open_reader(
    path: Path, kind: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """Open *path* so that nothing can be written through it."""
    connection = _connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, kind=kind)
    connection.execute("PRAGMA query_only=ON")
    return connection


def open_aside(path: Path) -> sqlite3.Connection:
    """Open *path* for a look that changes nothing: neither the file nor what lies beside it.

    Without a log (`-wal`) the file is taken as it stands, and no lock on it: nothing may write
    to it meanwhile.  A reader of the usual kind would leave an empty log behind.
    """
    as_it_stands = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    return _connect(f"{path.absolute().as_uri()}?mode=ro{as_it_stands}", uri=True)


def _connect(
    target: str, *, uri: bool, kind: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    return sqlite3.connect(
        target,
        factory=kind,
        uri=uri,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        timeout=BUSY_TIMEOUT_S,
    )
