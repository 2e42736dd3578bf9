"""Why the tasks of one agent go on, or do not."""

from __future__ import annotations

from functools import cached_property

import attrs

from ..storage import (
    Agent,
    AgentStatus,
    Pulse,
    PulseKind,
    Reads,
    Task,
    TaskFilter,
    TaskStatus,
    next_day,
)
from ..storage.commands import longest_wait
from ._mirror import when
from ._mission import Mission
from ._pulse import pulse_name
from ._reason import Because, Reason, until
from ._schedule import IDLE_EXCUSED
from ._slots import Line


@attrs.frozen
class View:
    """What has to be known besides the database."""

    mission: Mission
    line: Line
    now_us: int

    def has_actor(self, agent_id: str) -> bool:
        """Whether somebody sees to the pulses of an agent."""
        return self.mission.system.whereis(pulse_name(agent_id)) is not None


@attrs.define(slots=False)
class AgentReasons:
    """What keeps the tasks of one agent from being worked on."""

    _view: View
    _reads: Reads
    _agent: Agent

    def why(self, task: Task) -> Reason:
        """Return the reason of a task that waits for nothing but its agent."""
        reason = (
            self._runs(task) or self._halted() or self._short() or self._later(task)
            or self._not_now(task) or self._busy(task)
        )  # fmt: skip
        if reason is None:
            reason = Reason(Because.NEXT, f"It is next in line for {self._agent.id}.", place=1)
        return attrs.evolve(reason, agent_id=self._agent.id)

    @cached_property
    def _pulse(self) -> Pulse | None:
        return self._reads.open_pulse(self._agent.id)

    @cached_property
    def _ahead(self) -> list[Task]:
        """What the agent takes up first to last, of what it may take up now."""
        wanted = TaskFilter(
            self._agent.project_id,
            (TaskStatus.BACKLOG, TaskStatus.IN_PROGRESS),
            assignee=self._agent.soul,
        )
        found = sorted(self._reads.tasks(wanted), key=_turn)
        return [task for task in found if self._is_offered(task)]

    def _is_offered(self, task: Task) -> bool:
        if task.status is TaskStatus.IN_PROGRESS:
            return True
        soon = task.not_before is None or task.not_before <= self._view.now_us
        return soon and not self._reads.unmet(task.id)

    def _runs(self, task: Task) -> Reason | None:
        pulse = self._pulse
        if pulse is None or pulse.task_id != task.id or pulse.kind is not PulseKind.WORK:
            return None
        away = self._view.mission.runner.away
        what = f"Attempt {pulse.attempt} runs since {when(pulse.started_at)} UTC"
        if away is not None:
            what += f", or has ended out of reach: {away}"
        return Reason(Because.RUNNING, f"{what}.", pulse_id=pulse.id, since_at=pulse.started_at)

    def _halted(self) -> Reason | None:
        status, since = self._agent.status, self._agent.updated_at
        if status is AgentStatus.PAUSED:
            what = f"Agent {self._agent.id} is paused: resume it to go on."
            return Reason(Because.PAUSED, what, since_at=since)
        if status is AgentStatus.BLOCKED:
            what = f"Agent {self._agent.id} is blocked: it waits for an answer about another task."
            return Reason(Because.HALTED, what, since_at=since)
        if status is AgentStatus.FAILED:
            what = f"Agent {self._agent.id} is failed: resume it to go on."
            return Reason(Because.HALTED, what, since_at=since)
        if not self._view.has_actor(self._agent.id):
            return Reason(Because.STARTING, f"Agent {self._agent.id} is being started.")
        return None

    def _short(self) -> Reason | None:
        budget = self._reads.spent_budget(self._agent.project_id, self._view.now_us)
        if budget is None:
            return None
        whose = "its project" if budget.project_id is not None else "all projects"
        end = next_day(self._view.now_us)
        what = f"The budget of {whose} is spent: it goes on {until(end, self._view.now_us)}."
        return Reason(Because.BUDGET, what, due_at=end)

    def _later(self, task: Task) -> Reason | None:
        due, now = task.not_before, self._view.now_us
        if due is None or not now < due <= now + longest_wait(self._agent):
            return None
        idle = self._reads.idle_in_a_row(task) if self._reads.ended_well(task) else 0
        what = f"its next pulse is due {until(due, now)}."
        if idle > IDLE_EXCUSED:
            what = f"nothing moved in its last {idle} attempts: {what}"
        return Reason(Because.DUE, what[0].upper() + what[1:], due_at=due)

    def _not_now(self, task: Task) -> Reason | None:
        mission = self._view.mission
        away = mission.runner.away or mission.store.condition.failure
        if away is not None:
            return Reason(Because.AWAY, f"No pulse can be run: {away}.")
        place = self._view.line.place(self._agent.id)
        if place is None or self._rank(task) > 1:
            return None
        what = f"It waits for a slot, as number {place} in line: as many pulses run as may run."
        return Reason(Because.SLOT, what, place=place)

    def _busy(self, task: Task) -> Reason | None:
        rank = self._rank(task)
        if self._pulse is not None and self._pulse.task_id != task.id:
            what = f"Agent {self._agent.id} is busy with something else"
        elif rank > 1:
            what = f"Agent {self._agent.id} has {self._ahead[0].title!r} to do first"
        elif other := self._reads.open_pulse_of_task(task.id):
            what = f"The attempt of {other.agent_id}, who had it before, has not ended yet"
        else:
            return None
        return Reason(Because.IN_LINE, f"{what}: it is number {rank} in line.", place=rank)

    def _rank(self, task: Task) -> int:
        ids = [other.id for other in self._ahead]
        return ids.index(task.id) + 1 if task.id in ids else len(ids) + 1


def _turn(task: Task) -> tuple[bool, int, int, str]:
    """Order as an agent is offered its tasks: what it has in hand, then by priority and age."""
    return task.status is TaskStatus.BACKLOG, task.priority, task.created_at, task.id
