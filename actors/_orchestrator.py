"""The orchestrator: keeps a supervisor running for every active project, and ticks.

The tick is the safety net, not the motor: it derives what should be running from the database
and repairs what differs.
"""

from __future__ import annotations

from typing import Any

import attrs

from ..storage import Change, ProjectState
from ..supervisor import Actor, Context, Down
from ._mission import Mission
from ._roster import Changed, Reconcile, project_spec, roster_name

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


class Orchestrator(Actor[Ensure | Tick | ProjectsDown]):
    """Starts and stops projects."""

    ctx: Context[Ensure | Tick | ProjectsDown]

    def __init__(self, mission: Mission) -> None:
        self._mission = mission

    async def started(self) -> None:
        """Start every active project."""
        await self._reconcile()
        self.ctx.monitor(self._projects, ProjectsDown)
        self.ctx.every(self._mission.settings.tick_s, Tick())

    async def receive(self, message: Ensure | Tick | ProjectsDown) -> None:
        """Repair what differs."""
        match message:
            case Ensure():
                await self._reconcile()
            case Tick():
                await self._reconcile()
                for project in self._mission.reads.projects():
                    self._mission.tell(roster_name(project.id), Reconcile())
            case ProjectsDown():
                await self._reconcile()
                self.ctx.monitor(self._projects, ProjectsDown)

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
            await projects.start_child(project_spec(self._mission, project_id))


def route(mission: Mission, changes: list[Change]) -> None:
    """Tell each project's roster what was committed of it."""
    by_project: dict[str, list[Change]] = {}
    for change in changes:
        if change.project_id is not None:
            by_project.setdefault(change.project_id, []).append(change)
    for project_id, theirs in by_project.items():
        mission.tell(roster_name(project_id), Changed(tuple(theirs)))
