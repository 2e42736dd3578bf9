"""Entries of the thought stream that commands write about themselves."""

from __future__ import annotations

from .._records import Task, TaskEvent
from .._table import TASK_EVENTS
from .._transaction import Transaction

TASK_UPDATED = "task_updated"
THOUGHT_LOGGED = "thought_logged"


def note(  # noqa: PLR0913 - the columns of an event
    tx: Transaction,
    task: Task,
    kind: str,
    thought: str,
    *,
    action: str = "",
    agent_id: str | None = None,
    pulse_id: str | None = None,
) -> TaskEvent:
    """Add an event to the stream of *task*."""
    event = TaskEvent(
        tx.new_id(), task.project_id, task.id, agent_id, pulse_id, kind, thought, action, tx.at
    )
    return tx.insert(TASK_EVENTS, event, THOUGHT_LOGGED)
