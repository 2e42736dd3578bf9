"""What waits for what; a circle would wait for ever, so it is refused."""

from __future__ import annotations

from .._errors import Invalid
from .._records import Dependency, Task
from .._table import DEPENDENCIES, TASKS
from .._transaction import Transaction
from ._events import TASK_UPDATED

_REACHES = """
WITH RECURSIVE upstream(id) AS (
  SELECT ? UNION SELECT d.depends_on FROM task_dependencies d JOIN upstream u ON d.task_id = u.id)
SELECT 1 FROM upstream WHERE id = ?
"""


def add_dependencies(tx: Transaction, task: Task, depends_on: tuple[str, ...]) -> None:
    """Make *task* wait for others of its project.

    Raises:
        NotFound: one of them does not exist.
        Invalid: one is of another project, or waits for *task* itself.
    """
    for other_id in dict.fromkeys(depends_on):
        other = tx.get(TASKS, other_id)
        if other.project_id != task.project_id:
            raise Invalid(f"task {other_id} is of another project", field="depends_on")
        if tx.scalar(_REACHES, other_id, task.id):
            raise Invalid(
                f"task {other_id} waits for {task.id} already: that would be a circle",
                field="depends_on",
            )
        bond = Dependency(f"{task.id}/{other_id}", task.project_id, task.id, other_id)
        tx.insert(DEPENDENCIES, bond, TASK_UPDATED)
