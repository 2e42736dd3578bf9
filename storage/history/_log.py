"""The whole log, wherever its parts are kept: archived segments first, then the table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from .._errors import NotFound
from .._records import Change
from ._marks import last_seq
from ._segment import Segment, read_segment

PAGE = 500

_COLUMNS = "seq, project_id, kind, entity, entity_id, actor, at, after"
_SEGMENTS = "SELECT first, last, earliest, sha256, file FROM log_segments"


class LogGap(NotFound):
    """Changes are neither in the database nor in its archive; names the first and the last."""


def read_log(
    connection: sqlite3.Connection, archive: Path, *, after: int = 0, until: int | None = None
) -> Iterator[Change]:
    """Yield every change with `after < seq <= until`, in order and without a gap.

    It may be trimmed meanwhile: what has left the table is found in the archive.

    Args:
        connection: to the database whose log it is; read in short pages.
        archive: the folder of the segments.
        after: the change before the first that is wanted.
        until: the last that is wanted; the end of the log by default.

    Raises:
        LogGap: some of them are nowhere.
        LogDamaged: a segment cannot be read, or is not what was written.
    """
    end = last_seq(connection) if until is None else until
    place = after
    while place < end:
        for change in _next_part(connection, archive, place, end):
            if change.seq != place + 1:
                raise _gap(place + 1, change.seq - 1)
            place = change.seq
            yield change


def _next_part(
    connection: sqlite3.Connection, archive: Path, place: int, end: int
) -> Iterator[Change]:
    page = changes_after(connection, place, min(PAGE, end - place))
    if page and page[0].seq == place + 1:
        return iter(page)
    segment = segment_with(connection, place + 1)
    if segment is None:
        raise _gap(place + 1, page[0].seq - 1 if page else end)
    return (change for change in read_segment(archive, segment) if place < change.seq <= end)


def _gap(first: int, last: int) -> LogGap:
    return LogGap(
        f"changes {first} to {last} are neither in the database nor in its archive",
        first=first,
        last=last,
    )


def changes_after(connection: sqlite3.Connection, after: int, limit: int) -> list[Change]:
    """Return up to *limit* changes of the table that follow number *after*, in order."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM changes WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608
        [after, limit],
    )
    return [Change(*row) for row in rows]


def segments(connection: sqlite3.Connection) -> list[Segment]:
    """Return the archived pieces of the log, first to last."""
    return [Segment(*row) for row in connection.execute(f"{_SEGMENTS} ORDER BY first")]


def covered(connection: sqlite3.Connection, until: int) -> Iterator[Segment]:
    """Yield the archived pieces that have changes 1 to *until*, first to last.

    Raises:
        LogGap: they do not have all of them.
    """
    place = 0
    for segment in segments(connection):
        if place >= until:
            return
        if segment.first != place + 1:
            break
        yield segment
        place = segment.last
    if place < until:
        raise _gap(place + 1, until)


def segment_with(connection: sqlite3.Connection, seq: int) -> Segment | None:
    """Return the archived piece that has change number *seq*, if it was archived."""
    row = connection.execute(
        f"{_SEGMENTS} WHERE first <= ? ORDER BY first DESC LIMIT 1", [seq]
    ).fetchone()
    return Segment(*row) if row and row[1] >= seq else None


def seq_at(connection: sqlite3.Connection, archive: Path, time_us: int) -> int:
    """Return the number of the newest change that was made at or before *time_us*; 0 for none.

    The log's order is that of the commits, and a clock may have stepped back between two of
    them.  The newest change counts then: what stands before it in the log had happened, whatever
    the clock had said.

    Raises:
        LogDamaged: the segment that would tell cannot be read.
    """
    row = connection.execute("SELECT max(seq) FROM changes WHERE at <= ?", [time_us]).fetchone()
    if row[0] is not None:
        return int(row[0])
    for segment in reversed(segments(connection)):
        if segment.earliest <= time_us:
            changes = read_segment(archive, segment)
            return max(change.seq for change in changes if change.at <= time_us)
    return 0
