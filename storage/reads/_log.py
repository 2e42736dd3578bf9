"""Questions about the log of changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .._idempotency import recall
from .._records import Change
from .._transaction import Command
from ..history import (
    Cursor,
    Moment,
    PastBoard,
    board_at,
    changes_after,
    epoch_of,
    last_seq,
    retention_seq,
)
from ._ask import MAX_PAGE, Questions

R = TypeVar("R")


class LogQuestions(Questions):
    """What was committed, in order."""

    def epoch(self) -> str:
        """Return the name of this history; a restored backup begins another."""
        return epoch_of(self._open)

    def cursor(self) -> Cursor:
        """Return the place of the newest committed change."""
        return Cursor(self.epoch(), self.last_seq())

    def last_seq(self) -> int:
        """Return the number of the newest committed change, 0 before the first."""
        return last_seq(self._open)

    def retention_seq(self) -> int:
        """Return the number up to which changes are in the archive only."""
        return retention_seq(self._open)

    def changes(self, after: int, limit: int = MAX_PAGE) -> list[Change]:
        """Return the changes that follow number *after*, in order; those that were not archived."""
        return changes_after(self._open, after, limit)

    def touched(self, project_id: str, after: int) -> list[Change]:
        """Return the changes of one project that follow number *after*, in order."""
        rows = self._open.execute(
            "SELECT seq, project_id, kind, entity, entity_id, actor, at, after FROM changes"
            " WHERE project_id = ? AND seq > ? ORDER BY seq",
            [project_id, after],
        )
        return [Change(*row) for row in rows]

    def answered(self, kind: type[Command[R]], key: str) -> R | None:
        """Return what a command of this *kind* answered under the idempotency key *key*.

        Raises:
            Conflict: the key was used for another kind.
        """
        return recall(self._open, kind, key)

    def board_at(
        self,
        archive: Path,
        project_id: str,
        moment: Moment,
        *,
        step: Callable[[], object] = lambda: None,
    ) -> PastBoard:
        """Return a project's board as it was, rebuilt from the log and its *archive*.

        It may take seconds; *step* is called about every second, and what it raises ends it.

        Raises:
            MissionError: as :func:`~.history.board_at`.
        """
        return board_at(self._open, archive, project_id, moment, step=step)
