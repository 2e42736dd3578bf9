"""One sentence for any task: what is happening with it, or why nothing is."""

from __future__ import annotations

from ..storage import US, Agent, AgentStatus, NotFound, PulseKind, Task, TaskStatus
from ._mirror import when
from ._mission import Mission


def why(mission: Mission, task: Task) -> str:
    """Return the sentence for *task*, from what is recorded."""
    match task.status:
        case TaskStatus.DONE | TaskStatus.ARCHIVED:
            return f"It is {task.status.name.lower()}."
        case TaskStatus.BLOCKED:
            request = mission.reads.open_help(task.id)
            if request is None:
                return "It was moved to blocked by hand: move it to backlog to go on."
            return f"It waits for an answer to: {request.issue} (help request {request.id})."
        case TaskStatus.BACKLOG if unmet := mission.reads.unmet(task.id):
            return f"It waits for {', '.join(repr(other.title) for other in unmet)}."
        case _ if task.assignee is None:
            return "Nobody is assigned to it."
        case _:
            return _assigned(mission, task, f"{task.assignee}:{task.project_id}")


def _assigned(mission: Mission, task: Task, agent_id: str) -> str:
    try:
        agent = mission.reads.agent(agent_id)
    except NotFound:
        return f"Agent {agent_id} does not exist any more: assign it to another."
    if agent.status in (AgentStatus.PAUSED, AgentStatus.BLOCKED, AgentStatus.FAILED):
        return f"Agent {agent_id} is {agent.status.value}."
    return _in_line(mission, task, agent)


def _in_line(mission: Mission, task: Task, agent: Agent) -> str:
    running = mission.reads.open_pulse(agent.id)
    if running is not None and running.task_id == task.id and running.kind is PulseKind.WORK:
        return f"Attempt {running.attempt} runs since {when(running.started_at)} UTC."
    if running is not None:
        return f"Agent {agent.id} is busy with something else."
    if mission.runner.away is not None:
        return f"No pulse can be run: {mission.runner.away}."
    now = mission.clock.now_us()
    if task.not_before is not None and task.not_before > now:
        return f"Its next pulse is due in {(task.not_before - now) / US:.0f} s."
    return f"It is next in line for {agent.id}."
