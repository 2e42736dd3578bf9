"""Questions about cards: one, a board, or a page of those that a filter lets through."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

import attrs

from .._records import Task, TaskStatus
from .._table import TASKS
from ._ask import MAX_PAGE, Questions

OPEN_COLUMNS: Final = (TaskStatus.BACKLOG, TaskStatus.IN_PROGRESS, TaskStatus.BLOCKED)
"""The columns of cards that are not over."""


@attrs.frozen(order=True)
class TaskPlace:
    """A place in the order of a board: column, priority, age, id."""

    status: TaskStatus
    priority: int
    created_at: int
    id: str

    @classmethod
    def of(cls, task: Task) -> TaskPlace:
        """Return where *task* stands now."""
        return cls(task.status, task.priority, task.created_at, task.id)


@attrs.frozen
class TaskFilter:
    """Which cards of a project are wanted; all that is given must hold."""

    project_id: str
    statuses: tuple[TaskStatus, ...] = tuple(TaskStatus)
    assignee: str | None = None
    label: str | None = None
    text: str | None = None
    """In the title or the description, in whatever case."""

    def lets_through(self, task: Task) -> bool:
        """Whether *task* is wanted: what :meth:`TaskQuestions.tasks` asks of the database."""
        return (
            task.project_id == self.project_id
            and task.status in self.statuses
            and (self.assignee is None or task.assignee == self.assignee)
            and (self.label is None or self.label in task.labels)
            and (
                self.text is None
                or self.text.casefold() in f"{task.title}\n{task.description}".casefold()
            )
        )


class TaskQuestions(Questions):
    """What there is to do."""

    def task(self, task_id: str) -> Task:
        """Return a task; NotFound where there is none."""
        return self._get(TASKS, task_id)

    def find_task(self, task_id: str | None) -> Task | None:
        """Return a task, if there is one: it may have been deleted while it was worked on."""
        return TASKS.first(self._open, "WHERE id = ?", task_id)

    def board(self, project_id: str) -> list[Task]:
        """Return all of a project's cards, column by column, by priority and age."""
        return TASKS.all(
            self._open,
            "WHERE project_id = ? ORDER BY status, priority, created_at, id",
            project_id,
        )

    def open_tasks(self, project_id: str) -> list[Task]:
        """Return a project's cards that are not over, column by column, by priority and age."""
        return TASKS.all(
            self._open,
            "WHERE project_id = ? AND status IN (0, 1, 3)"
            " ORDER BY status, priority, created_at, id",
            project_id,
        )

    def newest_closed(self, project_id: str, status: TaskStatus, limit: int) -> list[Task]:
        """Return the cards that came last to a column of what is over, newest first."""
        return TASKS.all(
            self._open,
            # In words, not bound: a partial index serves only what it can see.
            f"WHERE project_id = ? AND status = {status:d} ORDER BY updated_at DESC, id LIMIT ?",
            project_id,
            limit,
        )

    def count_tasks(self, project_id: str, status: TaskStatus) -> int:
        """Return how many cards are in a column."""
        return int(
            self._scalar(
                "SELECT count(*) FROM tasks WHERE project_id = ? AND status = ?",
                project_id,
                status,
            )
        )

    def tasks(
        self, wanted: TaskFilter, *, after: TaskPlace | None = None, limit: int = MAX_PAGE
    ) -> list[Task]:
        """Return the first *limit* cards after a place, in the order of the board.

        A card that is moved while its board is paged through is seen where it then is, or not.
        """
        found: list[Task] = []
        for status in sorted(wanted.statuses):
            if after is None or status >= after.status:
                found += self._column(wanted, status, after, limit - len(found))
        return found

    def _column(
        self, wanted: TaskFilter, status: TaskStatus, after: TaskPlace | None, limit: int
    ) -> list[Task]:
        """Return cards of one column, which an index has in order: the others are not looked at."""
        tests: list[str] = ["project_id = ?", "status = ?"]
        values: list[object] = [wanted.project_id, status.value]
        if wanted.assignee is not None:
            tests.append("assignee = ?")
            values.append(wanted.assignee)
        if after is not None and after.status is status:
            tests.append("(priority, created_at, id) > (?, ?, ?)")
            values += [after.priority, after.created_at, after.id]
        if wanted.label is not None:
            tests.append("EXISTS (SELECT 1 FROM json_each(labels) WHERE value = ?)")
            values.append(wanted.label)
        if wanted.text is not None:
            tests.append("instr(folded(title || char(10) || description), folded(?))")
            values.append(wanted.text)
        where = f"WHERE {' AND '.join(tests)} ORDER BY priority, created_at, id LIMIT ?"
        return TASKS.all(self._open, where, *values, limit)

    def depends_on(self, task_id: str) -> tuple[str, ...]:
        """Return what a task waits for, or has waited for."""
        return self.depend_on([task_id]).get(task_id, ())

    def depend_on(self, task_ids: list[str]) -> dict[str, tuple[str, ...]]:
        """Return, for each of these tasks that depends on any, which."""
        rows = self._open.execute(
            "SELECT task_id, depends_on FROM task_dependencies"
            " WHERE task_id IN (SELECT value FROM json_each(?)) ORDER BY task_id, depends_on",
            [json.dumps(task_ids)],
        )
        return _grouped(rows)

    def dependencies(self, project_id: str) -> dict[str, tuple[str, ...]]:
        """Return, for each task of a project that has any, what it depends on."""
        rows = self._open.execute(
            "SELECT task_id, depends_on FROM task_dependencies WHERE project_id = ? ORDER BY id",
            [project_id],
        )
        return _grouped(rows)

    def waits(self, project_id: str) -> dict[str, tuple[str, ...]]:
        """Return, for each open task that has to wait, the titles of what it waits for."""
        rows = self._open.execute(
            "SELECT o.id, t.title FROM tasks o"
            " JOIN task_dependencies d ON d.task_id = o.id"
            " JOIN tasks t ON t.id = d.depends_on"
            " WHERE o.project_id = ? AND o.status IN (0, 1, 3) AND t.status NOT IN (2, 4)"
            " ORDER BY d.id",
            [project_id],
        )
        return _grouped(rows)

    def unmet(self, task_id: str) -> list[Task]:
        """Return what a task waits for."""
        return TASKS.all(
            self._open,
            "WHERE id IN (SELECT depends_on FROM task_dependencies WHERE task_id = ?)"
            " AND status NOT IN (2, 4)",
            task_id,
        )

    def souls_waiting_for(self, task_id: str) -> set[str]:
        """Return the assignees of what is in the backlog and depends on a task."""
        rows = self._open.execute(
            "SELECT t.assignee FROM task_dependencies d JOIN tasks t ON t.id = d.task_id"
            " WHERE d.depends_on = ? AND t.status = 0 AND t.assignee IS NOT NULL",
            [task_id],
        )
        return {row[0] for row in rows}


def _grouped(bonds: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for task_id, other_id in bonds:
        found.setdefault(task_id, []).append(other_id)
    return {task_id: tuple(others) for task_id, others in found.items()}
