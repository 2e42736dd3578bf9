"""Cards: made, moved, given to somebody, removed."""

from __future__ import annotations

from typing import ClassVar

import attrs

from .._clock import US
from .._errors import Conflict, Invalid, NotFound
from .._records import Agent, Task, TaskStatus
from .._registry import register
from .._table import AGENTS, DEPENDENCIES, TASKS
from .._transaction import Command, Transaction
from ._dependencies import add_dependencies
from ._events import TASK_UPDATED, note
from ._messages import send
from ._waits import call_back, call_dependents
from .help import require_owner, settle_agent
from .projects import require_active

MAX_TITLE_CHARS = 500
MAX_NOTE_CHARS = 10_000


def require_soul(
    tx: Transaction, project_id: str, soul: str, *, field: str = "assignee_id"
) -> Agent:
    """Return the project's agent with this soul, or refuse with the souls there are."""
    agent = tx.find(AGENTS, "WHERE id = ?", f"{soul}:{project_id}")
    if agent is None:
        known = [a.soul for a in tx.all(AGENTS, "WHERE project_id = ? ORDER BY soul", project_id)]
        raise NotFound(
            f"no agent with soul {soul!r} works in project {project_id!r}"
            f" (there: {', '.join(known) or 'none'}); create it with mission.agent.create",
            field=field,
        )
    return agent


def _checked(title: str, priority: int) -> None:
    if not title.strip() or len(title) > MAX_TITLE_CHARS:
        raise Invalid(f"title must have 1 to {MAX_TITLE_CHARS} characters", field="title")
    if not 1 <= priority <= 5:
        raise Invalid(f"priority must be 1 (high) to 5 (low), not {priority}", field="priority")


@register
@attrs.frozen
class CreateTask(Command[Task]):
    """Put a new card into the backlog."""

    project_id: str
    title: str
    assignee: str | None = None
    priority: int = 3
    description: str = ""
    labels: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    due_at: int | None = None
    side_effects: bool = False

    RESULT: ClassVar[type] = Task

    def apply(self, tx: Transaction) -> Task:
        """Refuses an unknown soul or dependency."""
        require_active(tx, self.project_id)
        _checked(self.title, self.priority)
        if self.assignee is not None:
            require_soul(tx, self.project_id, self.assignee)
        task = Task(
            id=tx.new_id(),
            project_id=self.project_id,
            title=self.title.strip(),
            description=self.description,
            status=TaskStatus.BACKLOG,
            assignee=self.assignee,
            priority=self.priority,
            labels=self.labels,
            side_effects=self.side_effects,
            due_at=self.due_at,
            attempts=0,
            failures=0,
            not_before=None,
            created_by=tx.actor,
            created_at=tx.at,
            updated_at=tx.at,
        )
        tx.insert(TASKS, task, TASK_UPDATED)
        add_dependencies(tx, task, self.depends_on)
        note(tx, task, "created", f"created: {task.title}")
        return task


@register
@attrs.frozen
class MoveTask(Command[Task]):
    """Move a card to another column."""

    task_id: str
    new_status: TaskStatus
    expected_version: int | None = None
    by_agent: str | None = None
    """Set when an agent moves it: it may move its own task only."""

    RESULT: ClassVar[type] = Task

    def apply(self, tx: Transaction) -> Task:
        """Any column to any, except that archived goes back to the backlog only."""
        task = tx.get(TASKS, self.task_id)
        require_version(task, self.expected_version)
        require_active(tx, task.project_id)
        if self.by_agent is not None:
            require_owner(task, self.by_agent)
        if task.status is self.new_status:
            return task
        self._check(tx, task)
        # Of its failures nobody acquits itself.
        fresh = self.by_agent is None and self.new_status in (TaskStatus.BACKLOG, TaskStatus.DONE)
        moved = tx.put(
            TASKS,
            task,
            TASK_UPDATED,
            status=self.new_status,
            failures=0 if fresh else task.failures,
            not_before=self._not_before(tx),
        )
        note(
            tx,
            moved,
            "moved",
            f"{task.status.name.lower()} → {moved.status.name.lower()}",
            agent_id=self.by_agent,
        )
        settle_agent(tx, task, moved)
        if moved.status in (TaskStatus.DONE, TaskStatus.ARCHIVED):
            call_dependents(tx, moved)
        return moved

    def _not_before(self, tx: Transaction) -> int | None:
        """An agent that gives its task back is not offered it again in the same breath."""
        if self.by_agent is None or self.new_status is not TaskStatus.BACKLOG:
            return None
        return tx.at + round(tx.get(AGENTS, self.by_agent).interval_s * US)

    def _check(self, tx: Transaction, task: Task) -> None:
        if task.status is TaskStatus.ARCHIVED and self.new_status is not TaskStatus.BACKLOG:
            raise Conflict(
                "an archived task returns to backlog only: move it there first",
                field="new_status",
                task_id=task.id,
            )
        if self.new_status is TaskStatus.IN_PROGRESS:
            if task.assignee is None:
                raise Conflict(
                    "in_progress needs an assignee: assign the task first",
                    field="assignee_id",
                    task_id=task.id,
                )
            require_free_hands(tx, task, task.assignee)


@register
@attrs.frozen
class UpdateTask(Command[Task]):
    """Change what a card says.  None leaves a field as it is."""

    task_id: str
    title: str | None = None
    description: str | None = None
    priority: int | None = None
    labels: tuple[str, ...] | None = None
    depends_on: tuple[str, ...] | None = None
    due_at: int | None = None
    side_effects: bool | None = None
    expected_version: int | None = None

    RESULT: ClassVar[type] = Task

    def apply(self, tx: Transaction) -> Task:
        """Refuses another version than the expected one, and a cycle of dependencies."""
        task = tx.get(TASKS, self.task_id)
        require_version(task, self.expected_version)
        require_active(tx, task.project_id)
        names = ("title", "description", "priority", "labels", "due_at", "side_effects")
        changes = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.title is not None:
            changes["title"] = self.title.strip()
        changes = {name: to for name, to in changes.items() if to != getattr(task, name)}
        _checked(changes.get("title", task.title), changes.get("priority", task.priority))
        updated = tx.put(TASKS, task, TASK_UPDATED, **changes)
        bonds = tx.all(DEPENDENCIES, "WHERE task_id = ?", task.id)
        wanted = self.depends_on
        if wanted is not None and set(wanted) != {bond.depends_on for bond in bonds}:
            for bond in bonds:
                tx.remove(DEPENDENCIES, bond, TASK_UPDATED)
            add_dependencies(tx, updated, wanted)
            changes["depends_on"] = wanted
        if not changes:
            return updated
        note(tx, updated, "edited", f"{tx.actor} changed {', '.join(sorted(changes))}")
        return call_back(tx, updated)


@register
@attrs.frozen
class AssignTask(Command[Task]):
    """Give a card to a soul of the project, or to nobody."""

    task_id: str
    assignee: str | None
    expected_version: int | None = None

    RESULT: ClassVar[type] = Task

    def apply(self, tx: Transaction) -> Task:
        """A task in progress that changes hands goes back to the backlog."""
        task = tx.get(TASKS, self.task_id)
        require_version(task, self.expected_version)
        require_active(tx, task.project_id)
        if self.assignee is not None:
            require_soul(tx, task.project_id, self.assignee)
        if task.assignee == self.assignee:
            return call_back(tx, task)
        status = task.status
        if status in (TaskStatus.IN_PROGRESS, TaskStatus.BLOCKED):
            status = TaskStatus.BACKLOG
        given = tx.put(
            TASKS,
            task,
            TASK_UPDATED,
            assignee=self.assignee,
            status=status,
            failures=0,
            not_before=None,
        )
        note(tx, given, "assigned", f"{task.assignee or 'nobody'} → {self.assignee or 'nobody'}")
        settle_agent(tx, task, given)
        return given


@register
@attrs.frozen
class HandOffTask(Command[Task]):
    """Give a card to another soul of the project, with a note from the one that had it."""

    task_id: str
    to: str
    note: str
    expected_version: int | None = None
    by_agent: str | None = None
    """Set when an agent hands it off: it may do so with its own task only."""

    RESULT: ClassVar[type] = Task

    def apply(self, tx: Transaction) -> Task:
        """It goes to the backlog, and the note to the one that gets it, who is woken.

        Refuses a card that is over, and one that the other has already.
        """
        task = tx.get(TASKS, self.task_id)
        require_version(task, self.expected_version)
        require_active(tx, task.project_id)
        if self.by_agent is not None:
            require_owner(task, self.by_agent)
        self._check(tx, task)
        words = f"{tx.actor} hands you {task.title!r} ({task.id}): {self.note.strip()}"
        told = send(tx, task.project_id, f"{self.to}:{task.project_id}", words)
        given = tx.put(
            TASKS,
            task,
            TASK_UPDATED,
            assignee=self.to,
            status=TaskStatus.BACKLOG,
            failures=0,
            not_before=told.not_before,
        )
        what = f"{task.assignee or 'nobody'} → {self.to}: {self.note.strip()}"
        note(tx, given, "handed_off", what, agent_id=self.by_agent)
        settle_agent(tx, task, given)
        return given

    def _check(self, tx: Transaction, task: Task) -> None:
        if not 0 < len(self.note.strip()) <= MAX_NOTE_CHARS:
            raise Invalid(f"note must have 1 to {MAX_NOTE_CHARS} characters", field="note")
        if task.status in (TaskStatus.DONE, TaskStatus.ARCHIVED):
            over = task.status.name.lower()
            raise Conflict(f"the task is {over}: there is nothing to hand off", task_id=task.id)
        if task.assignee == self.to:
            raise Conflict(f"the task is {self.to}'s already", field="to", task_id=task.id)
        require_soul(tx, task.project_id, self.to, field="to")


@register
@attrs.frozen
class DeleteTask(Command[Task]):
    """Remove a card and its dependencies.  Its thoughts stay."""

    task_id: str
    expected_version: int | None = None

    RESULT: ClassVar[type] = Task

    def apply(self, tx: Transaction) -> Task:
        """Returns the card as it was."""
        task = tx.get(TASKS, self.task_id)
        require_version(task, self.expected_version)
        require_active(tx, task.project_id)
        call_dependents(tx, task)
        for bond in tx.all(DEPENDENCIES, "WHERE task_id = ?1 OR depends_on = ?1", task.id):
            tx.remove(DEPENDENCIES, bond, TASK_UPDATED)
        note(tx, task, "deleted", f"deleted: {task.title}")
        settle_agent(tx, task, attrs.evolve(task, status=TaskStatus.ARCHIVED))
        tx.remove(TASKS, task, TASK_UPDATED)
        return task


def require_version(task: Task, expected: int | None) -> None:
    """Refuse a write that was based on another version of *task*."""
    if expected is not None and expected != task.version:
        raise Conflict(
            f"task {task.id} has version {task.version}, not {expected}: read it again",
            field="expected_version",
            task_id=task.id,
            version=task.version,
            status=task.status.name.lower(),
        )


def require_free_hands(tx: Transaction, task: Task, soul: str) -> None:
    """Refuse a second task in progress for one agent instance."""
    other = tx.find(
        TASKS,
        "WHERE project_id = ? AND assignee = ? AND status = 1 AND id <> ?",
        task.project_id,
        soul,
        task.id,
    )
    if other is not None:
        raise Conflict(
            f"{soul} has {other.title!r} ({other.id}) in progress: finish or move that first",
            task_id=other.id,
        )
