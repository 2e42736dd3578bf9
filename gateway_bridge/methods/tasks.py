"""`mission.task.*`: the cards."""

from __future__ import annotations

from typing import Any

import attrs

from ...actors import why as reason_of
from ...actors import why_all as reasons_of
from ...storage import OPEN_COLUMNS, Invalid, Reads, Task, TaskFilter, TaskPlace, TaskStatus
from ...storage.commands import (
    AssignTask,
    CreateTask,
    DeleteTask,
    HandOffTask,
    MoveTask,
    UpdateTask,
)
from ...storage.history import parse_moment
from .._callers import Access
from .._params import Time
from .._past import PastPage
from .._snapshot import snapshot
from .._table import Request, method
from .._wire import parse_place, place, task_to_wire, to_wire

MAX_LISTED = 1_000


@attrs.frozen
class CreateParams:
    """Parameters of `mission.task.create`."""

    project_id: str
    title: str
    assignee_id: str | None = None
    priority: int = 3
    description: str = ""
    labels: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    due_at: Time | None = None
    side_effects: bool = False


@attrs.frozen
class TaskParams:
    """Parameters that name a task."""

    task_id: str


@attrs.frozen
class BoardParams:
    """Parameters that name a project."""

    project_id: str


@attrs.frozen
class ListParams:
    """Parameters of `mission.task.list`: filters, all of which must hold."""

    project_id: str
    status: TaskStatus | None = None
    assignee_id: str | None = None
    label: str | None = None
    text: str | None = None
    open_only: bool = False
    """Without the columns of what is over, done and archived."""
    limit: int = 100
    after: str | None = None
    """The `next` of the page before."""
    at: str | None = None
    """A time, a span back from now such as `-2h`, or a cursor: the list as it was then."""

    def filter(self) -> TaskFilter:
        """Return what is asked of the database."""
        statuses = tuple(TaskStatus) if self.status is None else (self.status,)
        if self.open_only:
            statuses = tuple(status for status in statuses if status in OPEN_COLUMNS)
        return TaskFilter(self.project_id, statuses, self.assignee_id, self.label, self.text)


@attrs.frozen
class MoveParams:
    """Parameters of `mission.task.move`."""

    task_id: str
    new_status: TaskStatus
    expected_version: int | None = None


@attrs.frozen
class UpdateParams:
    """Parameters of `mission.task.update`; what is left out stays."""

    task_id: str
    title: str | None = None
    description: str | None = None
    priority: int | None = None
    labels: tuple[str, ...] | None = None
    depends_on: tuple[str, ...] | None = None
    due_at: Time | None = None
    side_effects: bool | None = None
    expected_version: int | None = None


@attrs.frozen
class AssignParams:
    """Parameters of `mission.task.assign`; without an assignee the task is nobody's."""

    task_id: str
    assignee_id: str | None = None
    expected_version: int | None = None


@attrs.frozen
class HandOffParams:
    """Parameters of `mission.task.hand_off`."""

    task_id: str
    to: str = attrs.field(metadata={"doc": "The soul that gets the task, such as okoye."})
    note: str = attrs.field(
        metadata={"doc": "What was done, what is left to do, and what to watch out for."}
    )
    expected_version: int | None = None


@attrs.frozen
class VersionedParams:
    """Parameters of `mission.task.delete`."""

    task_id: str
    expected_version: int | None = None


def _task(request: Request[Any], task_id: str) -> Task:
    task = request.mission.reads.task(task_id)
    request.caller.require_project(task.project_id)
    return task


def _answer(request: Request[Any], task: Task) -> dict[str, Any]:
    return {"task_id": task.id, "task": task_to_wire(request.mission, task)}


@method("mission.task.create", CreateParams, Access.WRITE, agents=True)
async def create(request: Request[CreateParams]) -> dict[str, Any]:
    """Put a new task into the backlog."""
    params = request.params
    command = CreateTask(
        params.project_id,
        params.title,
        params.assignee_id,
        params.priority,
        params.description,
        params.labels,
        params.depends_on,
        params.due_at,
        params.side_effects,
    )
    return _answer(request, await request.commit(params.project_id, command))


@method("mission.task.get", TaskParams, Access.READ, agents=True)
async def get(request: Request[TaskParams]) -> dict[str, Any]:
    """Show one task."""
    return _answer(request, _task(request, request.params.task_id))


@method("mission.task.list", ListParams, Access.READ, agents=True)
async def list_(request: Request[ListParams]) -> dict[str, Any]:
    """List a project's tasks, column by column, by priority and age."""
    params = request.params
    request.caller.require_project(params.project_id)
    if not 1 <= params.limit <= MAX_LISTED:
        raise Invalid(f"limit must be 1 to {MAX_LISTED}, not {params.limit}", field="limit")
    after = parse_place(params.after) if params.after is not None else None
    mission = request.mission
    if params.at is None:
        return await snapshot(mission, lambda reads: _page(reads, params, after))
    moment = parse_moment(params.at, now_us=mission.clock.now_us(), field="at")
    past = PastPage(params.filter(), moment, after, params.limit)
    return await mission.reads.at_leisure(lambda reads: past.read(reads, mission.home.changes))


def _page(reads: Reads, params: ListParams, after: TaskPlace | None) -> dict[str, Any]:
    reads.project(params.project_id)
    # One more than is wanted tells whether there is a next page.
    found = reads.tasks(params.filter(), after=after, limit=params.limit + 1)
    page = found[: params.limit]
    depends_on = reads.depend_on([task.id for task in page])
    return {
        "tasks": [
            to_wire(task) | {"depends_on": list(depends_on.get(task.id, ()))} for task in page
        ],
        "next": place(page[-1]) if len(found) > len(page) else None,
    }


@method("mission.task.move", MoveParams, Access.WRITE, agents=True)
async def move(request: Request[MoveParams]) -> dict[str, Any]:
    """Move a task to another column."""
    params = request.params
    command = MoveTask(
        params.task_id,
        params.new_status,
        params.expected_version,
        request.agent_id,
    )
    task = _task(request, params.task_id)
    return _answer(request, await request.commit(task.project_id, command))


@method("mission.task.update", UpdateParams, Access.WRITE)
async def update(request: Request[UpdateParams]) -> dict[str, Any]:
    """Change what a task says."""
    params = request.params
    command = UpdateTask(**attrs.asdict(params, recurse=False))
    task = _task(request, params.task_id)
    return _answer(request, await request.commit(task.project_id, command))


@method("mission.task.assign", AssignParams, Access.WRITE)
async def assign(request: Request[AssignParams]) -> dict[str, Any]:
    """Give a task to a soul of its project, or to nobody."""
    params = request.params
    command = AssignTask(params.task_id, params.assignee_id, params.expected_version)
    task = _task(request, params.task_id)
    return _answer(request, await request.commit(task.project_id, command))


@method("mission.task.hand_off", HandOffParams, Access.WRITE, agents=True)
async def hand_off(request: Request[HandOffParams]) -> dict[str, Any]:
    """Give a task to another soul of its project, with a note; it is woken and reads that first."""
    params = request.params
    task = _task(request, params.task_id)
    to = params.to.removesuffix(f":{task.project_id}")
    command = HandOffTask(task.id, to, params.note, params.expected_version, request.agent_id)
    return _answer(request, await request.commit(task.project_id, command))


@method("mission.task.delete", VersionedParams, Access.WRITE)
async def delete(request: Request[VersionedParams]) -> dict[str, Any]:
    """Remove a task."""
    params = request.params
    task = _task(request, params.task_id)
    command = DeleteTask(params.task_id, params.expected_version)
    return _answer(request, await request.commit(task.project_id, command))


@method("mission.task.why", TaskParams, Access.READ, agents=True)
async def why(request: Request[TaskParams]) -> dict[str, Any]:
    """Say in one sentence what happens with a task, or why nothing does."""
    task = _task(request, request.params.task_id)
    reason = await reason_of(request.mission, task)
    return {"task_id": task.id, "why": reason.sentence, "reason": to_wire(reason)}


@method("mission.project.why", BoardParams, Access.READ, agents=True)
async def why_all(request: Request[BoardParams]) -> dict[str, Any]:
    """Say of each open task of a project what happens with it, or why nothing does."""
    project_id = request.mission.reads.project(request.params.project_id).id
    request.caller.require_project(project_id)
    reasons = await reasons_of(request.mission, project_id)
    return {"tasks": {task_id: to_wire(reason) for task_id, reason in reasons.items()}}
