"""The log as history: cursors into it, replay of it, and where its old parts are kept.

Every change of a row is logged with what the row was afterwards, in the transaction that made it.
So the log alone gives back every table after any change: for a look at the past, for a restore to
a point in time, and for a check of the tables themselves.
"""

from ._apply import apply_change
from ._archive import SEGMENT_CHANGES, archive_log
from ._cursor import Cursor
from ._log import LogGap, changes_after, read_log, segments, seq_at
from ._marks import BEGAN, LINEAGE, epoch_of, erasing, last_seq, older_ends, retention_seq
from ._moment import Moment, parse_moment
from ._past import PastBoard, board_at
from ._segment import LogDamaged, Segment, read_segment
from ._state import State, fold

__all__ = [
    "BEGAN",
    "LINEAGE",
    "SEGMENT_CHANGES",
    "Cursor",
    "LogDamaged",
    "LogGap",
    "Moment",
    "PastBoard",
    "Segment",
    "State",
    "apply_change",
    "archive_log",
    "board_at",
    "changes_after",
    "epoch_of",
    "erasing",
    "fold",
    "last_seq",
    "older_ends",
    "parse_moment",
    "read_log",
    "read_segment",
    "retention_seq",
    "segments",
    "seq_at",
]
