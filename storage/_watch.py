"""What the writer looks at between two groups: other writers, and a log that grows.

The write-ahead log is folded into the file beside the writer; it then begins anew at its start, so
under load it stays at a few megabytes.  It cannot begin anew while a reader still sees an old state
through it: then it grows.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from ._condition import StorageCondition

log = logging.getLogger("mission_control.storage")

WAL_LIMIT_BYTES = 64 * 1024 * 1024
WAL_STEP_BYTES = 16 * 1024 * 1024
"""How much a log that could not be emptied grows until that is tried, and told, again."""


class FileWatch:
    """Watches the file of one connection, from the thread that uses it."""

    def __init__(self, connection: sqlite3.Connection, condition: StorageCondition) -> None:
        ((_, _, name),) = connection.execute("PRAGMA database_list").fetchall()
        self._connection = connection
        self._condition = condition
        self._wal = Path(f"{name}-wal")
        self._version = self._data_version()
        self._tolerated = WAL_LIMIT_BYTES
        self._told_of_others = False

    def look(self, *, may_empty: bool = True) -> bool:
        """Notice what has happened since the last look; return whether others have written.

        Without *may_empty* a log that has grown is left as it is, for now.
        """
        others = self._look_for_others()
        try:
            size = self._wal.stat().st_size
        except FileNotFoundError:
            size = 0
        self._condition.wal_bytes = size
        if size > self._tolerated:
            if may_empty:
                self._empty_log(size)
        elif size <= WAL_LIMIT_BYTES:
            self._tolerated = WAL_LIMIT_BYTES
        return others

    def _data_version(self) -> int:
        ((version,),) = self._connection.execute("PRAGMA data_version").fetchall()
        return int(version)

    def _look_for_others(self) -> bool:
        version = self._data_version()
        if version == self._version:
            return False
        self._version = version
        self._condition.foreign_writes += 1
        if not self._told_of_others:  # it may go on; the count is in mission.system.health
            self._told_of_others = True
            log.warning(
                "another program writes to %s: close it; what it writes is in no change log and"
                " no mirror",
                self._wal.name.removesuffix("-wal"),
            )
        return True

    def _empty_log(self, size: int) -> None:
        """Empty the log, or tell why that cannot be done now."""
        why = self._truncate()
        if why is not None:
            self._tolerated = size + WAL_STEP_BYTES
            log.warning(
                "the write-ahead log %s has grown to %d MiB and cannot be emptied: %s",
                self._wal.name,
                size >> 20,
                why,
            )

    def _truncate(self) -> str | None:
        """Fold and empty the log, without waiting for anybody; return why that was not done."""
        ((timeout_ms,),) = self._connection.execute("PRAGMA busy_timeout").fetchall()
        self._connection.execute("PRAGMA busy_timeout=0")
        try:
            ((busy, _, _),) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            return str(error)  # what it means, the commit that comes next will show
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={timeout_ms}")
        return "somebody reads in one long transaction; it shrinks when that ends" if busy else None
