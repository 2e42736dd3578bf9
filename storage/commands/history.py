"""The log's own housekeeping."""

from __future__ import annotations

from typing import ClassVar

import attrs

from .._errors import Conflict
from .._registry import register
from .._transaction import Command, Transaction
from ..history import Segment, last_seq, retention_seq

MAX_TRIMMED = 1_000
"""Changes that one command deletes, so that nobody's write waits long."""


@register
@attrs.frozen
class TrimLog(Command[int]):
    """Take changes out of the log that `archive_log` has put into a file; the oldest first.

    To be repeated until it answers 0.  It is not logged itself.
    """

    segment: Segment

    RESULT: ClassVar[type] = int

    def apply(self, tx: Transaction) -> int:
        """Return how many changes of the segment are left; refuses one that is out of turn."""
        mark = retention_seq(tx.connection)
        if self.segment.last <= mark:
            return 0
        self._enter(tx, mark)
        up_to = min(mark + MAX_TRIMMED, self.segment.last)
        tx.connection.execute(
            "INSERT INTO meta VALUES('retention_seq', ?1)"
            " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            [str(up_to)],
        )
        tx.connection.execute("DELETE FROM changes WHERE seq <= ?", [up_to])
        return self.segment.last - up_to

    def _enter(self, tx: Transaction, mark: int) -> None:
        """Put the segment on the list, unless it is there from the command before."""
        new = self.segment
        known = tx.scalar("SELECT sha256 FROM log_segments WHERE first = ?", new.first)
        if known == new.sha256:
            return
        if known is not None or new.first != mark + 1 or new.last >= last_seq(tx.connection):
            raise Conflict(
                f"changes {new.first} to {new.last} cannot be taken out of the log now: it begins"
                f" at {mark + 1} and ends at {last_seq(tx.connection)}; archive it again"
            )
        tx.connection.execute("INSERT INTO log_segments VALUES(?, ?, ?, ?, ?)", attrs.astuple(new))
