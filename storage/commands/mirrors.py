"""What became of a project's files, told in its stream of thoughts."""

from __future__ import annotations

from typing import ClassVar

import attrs

from .._records import TaskEvent
from .._registry import register
from .._table import PROJECTS, TASK_EVENTS
from .._transaction import Command, Transaction
from ._events import THOUGHT_LOGGED


@register
@attrs.frozen
class NoteMirrors(Command[TaskEvent]):
    """Tell that files were changed behind our back and put right, or cannot be written."""

    project_id: str
    kind: str
    """`mirror_restored`, `mirror_failed` or `mirror_healed`."""
    what: str

    RESULT: ClassVar[type] = TaskEvent

    def apply(self, tx: Transaction) -> TaskEvent:
        """An event of the project, and of no task."""
        tx.get(PROJECTS, self.project_id)
        event = TaskEvent(
            id=tx.new_id(),
            project_id=self.project_id,
            task_id=None,
            agent_id=None,
            pulse_id=None,
            kind=self.kind,
            thought=self.what,
            action="",
            at=tx.at,
        )
        return tx.insert(TASK_EVENTS, event, THOUGHT_LOGGED)
