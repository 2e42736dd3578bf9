"""`mission.project.*`: boards and their folders."""

from __future__ import annotations

from typing import Any

import attrs

from ...actors import (
    DELETIONS,
    ORCHESTRATOR,
    ArchiveProject,
    Deleted,
    DeleteProject,
    EnsureProject,
    Mission,
)
from ...storage import Deletion, Project, ProjectState, Reads
from ...storage.commands import InitProject, RenameProject, SetProjectState
from .._callers import Access
from .._snapshot import snapshot
from .._table import Request, method
from .._wire import to_wire


@attrs.frozen
class InitParams:
    """Parameters of `mission.project.init`."""

    project_name: str
    base_id: str | None = None


@attrs.frozen
class NoParams:
    """Of methods that take none."""


@attrs.frozen
class ProjectParams:
    """Parameters that name a project."""

    project_id: str


@attrs.frozen
class RenameParams:
    """Parameters of `mission.project.rename`."""

    project_id: str
    project_name: str


@attrs.frozen
class DeleteParams:
    """Parameters of `mission.project.delete`."""

    project_id: str
    purge: bool = False
    """Keep nothing of its folder, which is packed into a file among the backups otherwise."""


def _answer(project: Project) -> dict[str, Any]:
    return {"project_id": project.id, "project": to_wire(project)}


@method("mission.project.init", InitParams, Access.WRITE)
async def init(request: Request[InitParams]) -> dict[str, Any]:
    """Begin a project, from nothing or with the rules and agents of another."""
    mission, params = request.mission, request.params
    foreign = await _foreign_folders(mission)
    command = InitProject(params.project_name, params.base_id, foreign)
    project = await mission.store.write(command, by=request.caller.name, key=request.key)
    await mission.ask(ORCHESTRATOR, EnsureProject(project.id))
    return _answer(project)


async def _foreign_folders(mission: Mission) -> tuple[str, ...]:
    """Folders whose project is gone: their names are not given again."""
    # In this order: a project that is begun meanwhile has its row before its folder.
    folders = mission.home.taken()
    known = {project.id for project in await mission.reads.elsewhere(Reads.projects)}
    return tuple(name for name in folders if name not in known)


@method("mission.project.list", NoParams, Access.READ)
async def list_(request: Request[NoParams]) -> dict[str, Any]:
    """List all projects."""
    return await snapshot(
        request.mission,
        lambda reads: {"projects": [to_wire(project) for project in reads.projects()]},
    )


@method("mission.project.get", ProjectParams, Access.READ, agents=True)
async def get(request: Request[ProjectParams]) -> dict[str, Any]:
    """Show one project."""
    project_id = request.params.project_id
    request.caller.require_project(project_id)
    return await snapshot(request.mission, lambda reads: _answer(reads.project(project_id)))


@method("mission.project.rename", RenameParams, Access.WRITE)
async def rename(request: Request[RenameParams]) -> dict[str, Any]:
    """Change what a project is called."""
    params = request.params
    command = RenameProject(params.project_id, params.project_name)
    return _answer(await request.commit(params.project_id, command))


@method("mission.project.archive", ProjectParams, Access.WRITE)
async def archive(request: Request[ProjectParams]) -> dict[str, Any]:
    """Stop a project's agents and put it away."""
    put_away = SetProjectState(request.params.project_id, ProjectState.ARCHIVED)
    archive = ArchiveProject(put_away, request.caller.name, request.key)
    return _answer(await request.mission.ask(ORCHESTRATOR, archive))


@method("mission.project.restore", ProjectParams, Access.WRITE)
async def restore(request: Request[ProjectParams]) -> dict[str, Any]:
    """Bring an archived project back."""
    mission, project_id = request.mission, request.params.project_id
    command = SetProjectState(project_id, ProjectState.ACTIVE)
    project = await mission.store.write(command, by=request.caller.name, key=request.key)
    await mission.ask(ORCHESTRATOR, EnsureProject(project_id))
    return _answer(project)


@method("mission.project.delete", DeleteParams, Access.ADMIN)
async def delete(request: Request[DeleteParams]) -> dict[str, Any]:
    """Delete a project for good: its agents, its board and its folder, of which an archive is kept.

    Answered when nothing is left of it; where that takes longer than the caller waits, it is done
    all the same.
    """
    mission, params = request.mission, request.params
    how = Deletion.PURGE if params.purge else Deletion.ARCHIVE
    delete = DeleteProject(params.project_id, how, request.caller.name, request.key)
    deleted: Deleted = await mission.ask(DELETIONS, delete, timeout_s=None)
    archive = deleted.archive
    return _answer(deleted.project) | {
        "archive": str(archive.relative_to(mission.home.path)) if archive is not None else None,
        "sessions_left": list(deleted.sessions_left),
    }
