"""`mission.task.*`: the cards."""

from __future__ import annotations

from typing import Any

import attrs

from ...actors import why as sentence
from ...storage import Invalid, Task, TaskStatus
from ...storage.commands import AssignTask, CreateTask, DeleteTask, MoveTask, UpdateTask
from .._callers import Access
from .._params import Time
from .._table import Request, method
from .._wire import cursor, task_to_wire

MAX_LISTED = 500


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
class ListParams:
    """Parameters of `mission.task.list`: filters, all of which must hold."""

    project_id: str
    status: TaskStatus | None = None
    assignee_id: str | None = None
    label: str | None = None
    text: str | None = None
    limit: int = 100
    after: str | None = None
    """The `next` of the page before."""


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
    mission, params = request.mission, request.params
    request.caller.require_project(params.project_id)
    if not 1 <= params.limit <= MAX_LISTED:
        raise Invalid(f"limit must be 1 to {MAX_LISTED}, not {params.limit}", field="limit")
    mission.reads.project(params.project_id)
    seq, tasks = await mission.reads.elsewhere(
        lambda reads: (reads.last_seq(), reads.board(params.project_id))
    )
    found = [task for task in tasks if _matches(task, params)]
    ids = [task.id for task in found]
    if params.after is not None and params.after not in ids:
        raise Invalid("after is no longer on this list: begin again", field="after")
    start = 0 if params.after is None else ids.index(params.after) + 1
    page = found[start : start + params.limit]
    return {
        "tasks": [task_to_wire(mission, task) for task in page],
        "next": page[-1].id if start + len(page) < len(found) else None,
        "cursor": cursor(mission.reads.epoch(), seq),
    }


def _matches(task: Task, params: ListParams) -> bool:
    text = (params.text or "").lower()
    return (
        (params.status is None or task.status is params.status)
        and (params.assignee_id is None or task.assignee == params.assignee_id)
        and (params.label is None or params.label in task.labels)
        and (text in task.title.lower() or text in task.description.lower())
    )


@method("mission.task.move", MoveParams, Access.WRITE, agents=True)
async def move(request: Request[MoveParams]) -> dict[str, Any]:
    """Move a task to another column."""
    params = request.params
    command = MoveTask(
        params.task_id,
        params.new_status,
        params.expected_version,
        request.agent_id,
        request.pulse_id,
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
    return {"task_id": task.id, "why": sentence(request.mission, task)}
