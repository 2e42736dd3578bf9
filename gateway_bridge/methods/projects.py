"""`mission.project.*`: boards and their folders."""

from __future__ import annotations

from typing import Any

import attrs

from ...actors import ORCHESTRATOR, ArchiveProject, EnsureProject, Mission
from ...storage import Project, ProjectState, Reads
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
    archive = ArchiveProject(request.params.project_id, request.caller.name, request.key)
    return _answer(await request.mission.ask(ORCHESTRATOR, archive))


@method("mission.project.restore", ProjectParams, Access.WRITE)
async def restore(request: Request[ProjectParams]) -> dict[str, Any]:
    """Bring an archived project back."""
    mission, project_id = request.mission, request.params.project_id
    command = SetProjectState(project_id, ProjectState.ACTIVE)
    project = await mission.store.write(command, by=request.caller.name, key=request.key)
    await mission.ask(ORCHESTRATOR, EnsureProject(project_id))
    return _answer(project)
