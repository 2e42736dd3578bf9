"""A page of a board as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import trio

from ..storage import Reads, TaskFilter, TaskPlace
from ..storage.history import Moment
from ._wire import place, to_wire


@attrs.frozen
class PastPage:
    """Which cards are wanted, of which moment."""

    wanted: TaskFilter
    moment: Moment
    after: TaskPlace | None
    limit: int

    def read(self, reads: Reads, archive: Path) -> dict[str, Any]:
        """Return the page and the cursor of the place that it shows.  For a worker thread of trio.

        Cancelled, it ends before the next file of the archive.

        Raises:
            MissionError: that moment cannot be shown; says why.
        """
        board = reads.board_at(
            archive, self.wanted.project_id, self.moment, step=trio.from_thread.check_cancelled
        )
        found = [task for task in board.tasks if self.wanted.lets_through(task)]
        if self.after is not None:
            found = [task for task in found if TaskPlace.of(task) > self.after]
        page = found[: self.limit]
        return {
            "tasks": [
                to_wire(task) | {"depends_on": list(board.depends_on.get(task.id, ()))}
                for task in page
            ],
            "next": place(page[-1]) if len(found) > len(page) else None,
            "cursor": str(board.cursor),
        }
