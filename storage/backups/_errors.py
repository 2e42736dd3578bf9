"""Refusals of backups, within the taxonomy of :mod:`.._errors`."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from .._errors import Conflict, Limited, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class BackupDamaged(Conflict):
    """What is there is not what was written; the message says where."""


class BackupTooNew(Conflict):
    """Made by a newer program than this one."""


class BackupFailed(Unavailable):
    """The disk or a file refused; nothing changed."""


class RestoreUnfinished(Unavailable):
    """A restore was decided on and could not be carried out to the end; the next start will."""


class DiskFull(Limited):
    """There is no room; nothing changed, and nothing is left half made."""


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn the disk's errors inside the block into refusals.

    Raises:
        DiskFull: there was no room.
        BackupFailed: anything else that a file or the database said.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if _is_full(error):
            raise DiskFull(
                f"{what}: the disk is full: make room and try again", retry_after_ms=60_000
            ) from error
        raise BackupFailed(f"{what}: {error}") from error


def _is_full(error: OSError | sqlite3.Error) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
