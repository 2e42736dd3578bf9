"""One sentence for any task: what is happening with it, or why nothing is."""

from __future__ import annotations

import attrs

from ..storage import (
    HelpRequest,
    MissionError,
    ProjectState,
    Reads,
    Task,
    TaskStatus,
)
from ._agent_reasons import AgentReasons, View
from ._mission import Mission
from ._reason import Because, Reason, listed
from ._slots import NAME as SLOTS
from ._slots import HowLong, Line


async def why(mission: Mission, task: Task) -> Reason:
    """Say why *task* is as it is."""
    view = await _view(mission)
    return Reasons(view, mission.reads).why(task)


async def why_all(mission: Mission, project_id: str | None = None) -> dict[str, Reason]:
    """Say of each task that is not done or archived why it is as it is, by id.

    Args:
        mission: where to look.
        project_id: whose tasks; None for those of all projects that are not archived.

    Raises:
        Unavailable: the database cannot be read.
    """
    view = await _view(mission)

    def ask(reads: Reads) -> dict[str, Reason]:
        reasons = Reasons(view, reads)
        wanted = [project_id] if project_id is not None else _active(reads)
        return {task.id: reasons.why(task) for each in wanted for task in reads.open_tasks(each)}

    return await mission.reads.elsewhere(ask)


def _active(reads: Reads) -> list[str]:
    return [each.id for each in reads.projects() if each.state is ProjectState.ACTIVE]


async def _view(mission: Mission) -> View:
    try:
        line: Line = await mission.ask(SLOTS, HowLong())
    except MissionError:
        line = Line()  # it is being started: nobody has a place in it
    return View(mission, line, mission.clock.now_us())


@attrs.define(slots=False)
class Reasons:
    """Asks one state of the database about many tasks: what they share it asks once."""

    _view: View
    _reads: Reads
    _agents: dict[str, AgentReasons | None] = attrs.field(factory=dict)
    _projects: dict[str, Reason | None] = attrs.field(factory=dict)

    def why(self, task: Task) -> Reason:
        """Return the reason of *task*."""
        reason = self._of_status(task) or self._of_project(task.project_id) or self._of_agent(task)
        return attrs.evolve(reason, version=task.version)

    def _of_status(self, task: Task) -> Reason | None:
        match task.status:
            case TaskStatus.DONE | TaskStatus.ARCHIVED:
                return Reason(Because.OVER, f"It is {task.status.name.lower()}.")
            case TaskStatus.BLOCKED:
                return self._blocked(task)
            case TaskStatus.BACKLOG if unmet := self._reads.unmet(task.id):
                return Reason(
                    Because.TASKS,
                    f"It waits for {listed([other.title for other in unmet])}.",
                    waits_for=tuple(other.id for other in unmet),
                )
            case _:
                return None

    def _blocked(self, task: Task) -> Reason:
        request = self._reads.open_help(task.id)
        if request is None:
            what = "It was moved to blocked by hand: move it to backlog to go on."
            return Reason(Because.BLOCKED, what, since_at=task.updated_at)
        return self._asked(task, request)

    def _asked(self, task: Task, request: HelpRequest) -> Reason:
        quoted = f"{request.issue} (help request {request.id})"
        agent_id, since = request.agent_id, request.created_at
        if self._failed_too_often(task):
            because, what = Because.QUARANTINED, "It is quarantined until somebody answers"
        else:
            because, what = Because.ANSWER, "It waits for an answer to"
        return Reason(
            because, f"{what}: {quoted}.", agent_id=agent_id, since_at=since, help_id=request.id
        )

    def _failed_too_often(self, task: Task) -> bool:
        agent = self._reads.find_agent(f"{task.assignee}:{task.project_id}")
        return agent is not None and task.failures >= max(1, agent.max_retries)

    def _of_project(self, project_id: str) -> Reason | None:
        if project_id not in self._projects:
            self._projects[project_id] = self._look_at_project(project_id)
        return self._projects[project_id]

    def _look_at_project(self, project_id: str) -> Reason | None:
        if self._reads.project(project_id).state is ProjectState.ARCHIVED:
            return Reason(Because.OVER, "Its project is archived: restore it to go on.")
        return None

    def _of_agent(self, task: Task) -> Reason:
        if task.assignee is None:
            return Reason(Because.UNASSIGNED, "Nobody is assigned to it: assign it to somebody.")
        agent_id = f"{task.assignee}:{task.project_id}"
        if agent_id not in self._agents:
            self._agents[agent_id] = self._look_at_agent(agent_id)
        of_agent = self._agents[agent_id]
        if of_agent is None:
            what = f"Agent {agent_id} does not exist any more: assign it to another."
            return Reason(Because.NO_AGENT, what, agent_id=agent_id)
        return of_agent.why(task)

    def _look_at_agent(self, agent_id: str) -> AgentReasons | None:
        agent = self._reads.find_agent(agent_id)
        return None if agent is None else AgentReasons(self._view, self._reads, agent)
