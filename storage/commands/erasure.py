"""The rows of a deleted project, removed a few at a time."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from .._errors import Conflict
from .._lease import agent_lease, release_lease
from .._records import Pulse, PulseState
from .._registry import register
from .._table import PROJECTS, project_tables
from .._transaction import Command, Transaction
from ..history import erasing
from .projects import PROJECT_UPDATED

ERASED = "erased"
"""What the log calls the removal of a row with its project: no news to anybody."""
ERASED_AT_ONCE = 500
"""Rows that one command removes, so that nobody's write waits long behind it."""


@register
@attrs.frozen
class EraseProject(Command[bool]):
    """Remove rows of a project that is being deleted; to be repeated until the answer is true.

    What they were stays in the log until that is trimmed, and then in its archive.
    """

    project_id: str

    RESULT: ClassVar[type] = bool

    def apply(self, tx: Transaction) -> bool:
        """Return whether nothing is left; refuses a project that was not marked for deletion."""
        project = tx.find(PROJECTS, "WHERE id = ?", self.project_id)
        if project is None:
            return True
        if project.deleting is None:
            raise Conflict(f"project {project.id!r} is not being deleted", project_id=project.id)
        with erasing(tx.connection, project.id):
            room = ERASED_AT_ONCE
            for table in project_tables():
                rows: list[Any] = tx.all(table, "WHERE project_id = ? LIMIT ?", project.id, room)
                for row in rows:
                    _end(tx, row)
                    tx.remove(table, row, ERASED)
                room -= len(rows)
                if not room:
                    return False
            tx.remove(PROJECTS, project, PROJECT_UPDATED)
        return True


def _end(tx: Transaction, row: object) -> None:
    """Let go of the lease of an attempt that never began; its token stays, and only ever grows."""
    if isinstance(row, Pulse) and row.state is not PulseState.ENDED:
        release_lease(tx.connection, agent_lease(row.agent_id), row.id)
