"""The orchestrator: keeps a supervisor running for every active project, and ticks.

The tick is the safety net, not the motor: it derives what should be running from the database
and repairs what differs.
"""

from __future__ import annotations

import logging
from typing import Any, TypeAlias

import attrs

from ..storage import Change, MissionError, Project, ProjectState
from ..storage.commands import SetProjectState
from ..supervisor import Actor, Context, Down, Reply, StartFailed
from ._mission import Mission
from ._roster import Changed, Reconcile, project_spec, roster_name

log = logging.getLogger("mission_control.orchestrator")

NAME = "orchestrator"
PROJECTS = "projects"
"""Under which the supervisor of the projects is registered."""


@attrs.frozen
class Ensure:
    """See that this project runs if it should; answered when it does."""

    project_id: str


@attrs.frozen
class Tick:
    """Look after everything."""


@attrs.frozen
class ProjectsDown:
    """The supervisor of the projects ended; its successor has no children yet."""

    down: Down


@attrs.frozen
class Archive:
    """Put a project away: its runs are ended before it is archived.

    Answered with the project.
    """

    project_id: str
    by: str
    key: str | None


Message: TypeAlias = Ensure | Archive | Tick | ProjectsDown


class Orchestrator(Actor[Message]):
    """Starts and stops projects."""

    ctx: Context[Message]

    def __init__(self, mission: Mission) -> None:
        self._mission = mission

    async def started(self) -> None:
        """Start every active project."""
        await self._reconcile()
        self.ctx.monitor(self._projects, ProjectsDown)
        self.ctx.every(self._mission.settings.tick_s, Tick())

    async def receive(self, message: Message) -> Project | Reply | None:
        """Repair what differs."""
        match message:
            case Archive():
                return await self._archive(message)
            case Ensure():
                await self._reconcile()
            case Tick():
                await self._reconcile()
                for project in self._mission.reads.projects():
                    self._mission.tell(roster_name(project.id), Reconcile())
            case ProjectsDown():
                await self._reconcile()
                self.ctx.monitor(self._projects, ProjectsDown)
        return None

    async def _archive(self, archive: Archive) -> Project | Reply:
        await self._stop(archive.project_id)
        command = SetProjectState(archive.project_id, ProjectState.ARCHIVED)
        try:
            return await self._mission.store.write(command, by=archive.by, key=archive.key)
        except MissionError as refusal:
            await self._reconcile()
            return Reply(error=refusal)

    async def _stop(self, project_id: str) -> None:
        if project_id in {child.id for child in await self._projects.children()}:
            await self._projects.terminate_child(project_id)

    @property
    def _projects(self) -> Any:
        return self._mission.find(PROJECTS)

    async def _reconcile(self) -> None:
        projects = self._projects
        wanted = {
            project.id
            for project in self._mission.reads.projects()
            if project.state is ProjectState.ACTIVE
        }
        running = {child.id for child in await projects.children()}
        for project_id in sorted(running - wanted):
            await projects.terminate_child(project_id)
            await projects.delete_child(project_id)
        for project_id in sorted(wanted - running):
            try:
                await projects.start_child(project_spec(self._mission, project_id))
            except StartFailed as failure:
                log.warning(
                    "project %s cannot be started, the tick tries again: %s", project_id, failure
                )


def route(mission: Mission, changes: list[Change]) -> None:
    """Tell each project's roster what was committed of it."""
    by_project: dict[str, list[Change]] = {}
    for change in changes:
        if change.project_id is not None:
            by_project.setdefault(change.project_id, []).append(change)
    for project_id, theirs in by_project.items():
        mission.tell(roster_name(project_id), Changed(tuple(theirs)))
