"""Changes of a project's files, told in the thought stream: what and by whom, never the content."""

from __future__ import annotations

import json
from typing import ClassVar

import attrs

from .._records import TaskEvent
from .._registry import register
from .._table import TASK_EVENTS
from .._transaction import Command, Transaction
from ..files import FileChange, as_told
from ._events import THOUGHT_LOGGED
from .projects import require_active

FILE_EVENT = "file"
"""The kind of these events."""

_MADE = "UPDATE idempotency SET result = json_set(result, '$.made', json('true')) WHERE key = ?"
_FREE = "DELETE FROM idempotency WHERE key = ?"


@register
@attrs.frozen
class NoteFileChange(Command[FileChange]):
    """Tell of a change that is about to be made, or that failed after it had been told of."""

    project_id: str
    change: FileChange
    task_id: str | None = None
    """The agent's task; a change without one is told of in the project's stream."""
    by_agent: str | None = None
    failure: str | None = None
    """Why it was not made, or not all of it."""

    RESULT: ClassVar[type] = FileChange

    def apply(self, tx: Transaction) -> FileChange:
        """Refuses an archived project, unless the change failed."""
        if self.failure is None:
            require_active(tx, self.project_id)
        told = as_told(self.change)
        event = TaskEvent(
            id=tx.new_id(),
            project_id=self.project_id,
            task_id=self.task_id,
            agent_id=self.by_agent,
            pulse_id=tx.pulse_id,
            kind=FILE_EVENT,
            thought=_sentence(told, self.failure),
            action=_details(told),
            at=tx.at,
        )
        tx.insert(TASK_EVENTS, event, THOUGHT_LOGGED)
        return self.change


@register
@attrs.frozen
class SettleFileChange(Command[None]):
    """Remember what became of a change that was noted under an idempotency key.

    The key of one that was not made is free again.  Nothing is logged: the note was.
    """

    key: str
    made: bool

    RESULT: ClassVar[type] = type(None)

    def apply(self, tx: Transaction) -> None:
        """Does nothing where the key is gone."""
        tx.connection.execute(_MADE if self.made else _FREE, [self.key])


def _sentence(change: FileChange, failure: str | None) -> str:
    to = f" to {change.target}" if change.target is not None else ""
    size = f", {change.size} bytes" if change.size is not None else ""
    failed = f": failed, {failure}" if failure is not None else ""
    return f"{change.operation} {change.path}{to}{size}{failed}"


def _details(change: FileChange) -> str:
    known = {name: value for name, value in attrs.asdict(change).items() if value is not None}
    del known["request"], known["made"]
    return json.dumps(known, ensure_ascii=False)
