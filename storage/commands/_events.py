"""Entries of the thought stream that commands write about themselves."""

from __future__ import annotations

from .._records import Agent, Task, TaskEvent, TaskOwner
from .._table import TASK_EVENTS
from .._transaction import Transaction

TASK_UPDATED = "task_updated"
THOUGHT_LOGGED = "thought_logged"


def note(  # noqa: PLR0913 - the columns of an event
    tx: Transaction,
    task: Task | TaskOwner,
    kind: str,
    thought: str,
    *,
    action: str = "",
    agent_id: str | None = None,
    pulse_id: str | None = None,
) -> TaskEvent:
    """Add an event to the stream of *task*; it is of the attempt that writes, or of *pulse_id*."""
    event = TaskEvent(
        id=tx.new_id(),
        project_id=task.project_id,
        task_id=task.id,
        agent_id=agent_id,
        pulse_id=tx.pulse_id if pulse_id is None else pulse_id,
        kind=kind,
        thought=thought,
        action=action,
        at=tx.at,
    )
    return tx.insert(TASK_EVENTS, event, THOUGHT_LOGGED)


def note_agent(tx: Transaction, agent: Agent, kind: str, thought: str) -> TaskEvent:
    """Add an event about an agent to the stream of its project."""
    event = TaskEvent(
        id=tx.new_id(),
        project_id=agent.project_id,
        task_id=None,
        agent_id=agent.id,
        pulse_id=tx.pulse_id,
        kind=kind,
        thought=thought,
        action="",
        at=tx.at,
    )
    return tx.insert(TASK_EVENTS, event, THOUGHT_LOGGED)
