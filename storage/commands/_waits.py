"""Cards that wait longer than their schedule, because nothing moved: until something does."""

from __future__ import annotations

from .._clock import US
from .._records import Agent, Task
from .._table import AGENTS, TASKS
from .._transaction import Transaction
from ._events import TASK_UPDATED, note

_DEPENDENTS = """WHERE status = 0 AND not_before > ?2 AND id IN (
 SELECT task_id FROM task_dependencies WHERE depends_on = ?1)"""


def waits_idly(task: Task, agent: Agent, at_us: int) -> bool:
    """Whether *task* waits for longer than the schedule of its *agent* alone would make it."""
    due = task.not_before
    return task.failures == 0 and due is not None and due > at_us + round(agent.interval_s * US)


def call_back(tx: Transaction, task: Task) -> Task:
    """Let *task* go on at once if it waits idly: something was done with it."""
    if task.not_before is None or task.not_before <= tx.at:
        return task
    agent = tx.find(AGENTS, "WHERE id = ?", f"{task.assignee}:{task.project_id}")
    if agent is None or not waits_idly(task, agent, tx.at):
        return task
    return tx.put(TASKS, task, TASK_UPDATED, not_before=None)


def call_dependents(tx: Transaction, done: Task) -> None:
    """Let go on at once what has waited for a task, and besides because nothing moved."""
    for task in tx.all(TASKS, _DEPENDENTS, done.id, tx.at):
        if call_back(tx, task) is not task:
            note(tx, task, "freed", f"{done.title!r} need not be waited for any more")
