"""Cards that wait longer than their schedule, because nothing moved: until something does."""

from __future__ import annotations

from .._clock import US
from .._records import Agent, Task
from .._table import AGENTS, TASKS
from .._transaction import Transaction
from ._events import TASK_UPDATED, note
from ._streaks import ended_well

_WAITING = "WHERE project_id = ? AND assignee = ? AND status IN (0, 1) AND not_before > ?"
_DEPENDENTS = """WHERE status IN (0, 1) AND not_before > ?2 AND id IN (
 SELECT task_id FROM task_dependencies WHERE depends_on = ?1)"""


def waits_idly(tx: Transaction, task: Task, agent: Agent) -> bool:
    """Whether *task* waits for longer than the schedule of its *agent*, and not for a failure."""
    due, scheduled = task.not_before, tx.at + round(agent.interval_s * US)
    return due is not None and due > scheduled and ended_well(tx.connection, task.id)


def call_back(tx: Transaction, task: Task) -> Task:
    """Let *task* go on at once if it waits idly: something was done with it."""
    if task.not_before is None or task.not_before <= tx.at:
        return task
    agent = tx.find(AGENTS, "WHERE id = ?", f"{task.assignee}:{task.project_id}")
    if agent is None or not waits_idly(tx, task, agent):
        return task
    return tx.put(TASKS, task, TASK_UPDATED, not_before=None)


def call_all_back(tx: Transaction, agent: Agent) -> None:
    """Let go on at once whatever of *agent* waits idly: something happened to the agent."""
    for task in tx.all(TASKS, _WAITING, agent.project_id, agent.soul, tx.at):
        call_back(tx, task)


def call_dependents(tx: Transaction, done: Task) -> None:
    """Let go on at once what has waited for a task, and besides because nothing moved."""
    for task in tx.all(TASKS, _DEPENDENTS, done.id, tx.at):
        if call_back(tx, task) is not task:
            note(tx, task, "freed", f"{done.title!r} need not be waited for any more")
