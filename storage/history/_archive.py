"""Retention: old changes are copied to an archive file, and the copy read back, before they go.

The steps are `archive_log`, which only writes files, and the command `TrimLog`, which enters the
file into the database's list and takes its changes out of the table, a thousand a time.  A crash
between any two of them leaves a file that nobody refers to, or rows that the file has as well;
the next `archive_log` begins with removing the one, or with naming the segment of the other.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from .._connection import open_reader
from .._durable import sweep_staged
from ._log import read_log, segments
from ._marks import epoch_of, last_seq, retention_seq
from ._segment import Segment, verify_segment, write_segment

SEGMENT_CHANGES = 50_000
"""Of one file at most."""

NEVER_US = 1 << 62
"""After any time that a record may have."""


def archive_log(  # noqa: PLR0913 - four of them by name
    database: Path,
    archive: Path,
    *,
    before_us: int,
    now_us: int = NEVER_US,
    up_to: int,
    most: int = SEGMENT_CHANGES,
) -> Segment | None:
    """Copy the oldest changes of the table to a file, for `TrimLog` to take them out.

    Blocking: for a worker thread of the one process that may write the database.

    Args:
        database: read through a connection of its own.
        archive: the folder of the segments.
        before_us: only changes made before this time, and only up to the first later one.
        now_us: a change that says a later time tells of a clock that was wrong; it is as old as
            the one that follows it.
        up_to: only changes up to this number: what everybody has been told.
        most: changes of one segment.

    Returns:
        A segment that is durable and was read back, to be given to `TrimLog`; perhaps one that
        an earlier call wrote.  None where nothing is old enough.

    Raises:
        LogDamaged: what was written does not read back, or is not what was read.
        OSError: the archive cannot be written.
    """
    with closing(open_reader(database)) as connection:
        known = segments(connection)
        if known and known[-1].last > retention_seq(connection):
            verify_segment(archive, known[-1])
            return known[-1]
        first = retention_seq(connection) + 1
        _sweep(archive / epoch_of(connection), first)
        # The newest change stays: its number is the end of the log.
        end = min(up_to, first + most - 1, last_seq(connection) - 1)
        return _copy(connection, archive, first, _last_old(connection, end, before_us, now_us))


def _copy(connection: sqlite3.Connection, archive: Path, first: int, last: int) -> Segment | None:
    if last < first:
        return None
    file = f"{epoch_of(connection)}/{first:012}-{last:012}.jsonl.gz"
    changes = read_log(connection, archive, after=first - 1, until=last)
    segment = write_segment(archive, file, changes)
    verify_segment(archive, segment)
    return segment


def _last_old(connection: sqlite3.Connection, end: int, before_us: int, now_us: int) -> int:
    """Return the number of the last old change before the first young one; 0 for none."""
    young = connection.execute(
        # Not by the index of times, which has all the young ones, in another order.
        "SELECT seq FROM changes WHERE seq <= ? AND +at BETWEEN ? AND ? ORDER BY seq LIMIT 1",
        [end, before_us, now_us],
    ).fetchone()
    (last,) = connection.execute(
        "SELECT coalesce(max(seq), 0) FROM changes WHERE seq <= ? AND at < ?",
        [end if young is None else young[0] - 1, before_us],
    ).fetchone()
    return int(last)


def _sweep(folder: Path, first: int) -> None:
    """Remove what calls that were killed left: no list has files that begin at *first* or later.

    Only those of this epoch: the ones of another may belong to a copy that a restore kept.
    """
    if folder.is_dir():
        sweep_staged(folder)
        for path in folder.glob("*-*.jsonl.gz"):
            with suppress(ValueError):  # not ours
                if int(path.name.partition("-")[0]) >= first:
                    path.unlink()
