"""Questions about attempts, and about what the next one would find to do."""

from __future__ import annotations

import attrs

from .._records import Agent, AgentStatus, ProjectState, Pulse
from .._table import MESSAGES, PROJECTS, PULSES, TASKS
from ..commands.pulses import FAR_FUTURE, HALTED, OPEN_TASK, READY_TASK, WAKING, longest_wait
from ._ask import Questions


@attrs.frozen
class Result:
    """What came of an attempt, for those who read many: of its record what fits on a line."""

    agent_id: str
    task_title: str | None
    kind: str
    attempt: int
    outcome: str
    detail: str
    started_at: int
    ended_at: int


class PulseQuestions(Questions):
    """What is done, was done, and could be."""

    def pulse(self, pulse_id: str) -> Pulse:
        """Return an attempt; NotFound where there is none."""
        return self._get(PULSES, pulse_id)

    def open_pulse(self, agent_id: str) -> Pulse | None:
        """Return the attempt of an agent that has not been closed."""
        return PULSES.first(self._open, "WHERE agent_id = ? AND state <> 'ended'", agent_id)

    def open_pulse_of_task(self, task_id: str) -> Pulse | None:
        """Return the attempt at a task that has not been closed."""
        return PULSES.first(self._open, "WHERE task_id = ? AND state <> 'ended'", task_id)

    def pulses_of_task(self, task_id: str) -> list[Pulse]:
        """Return all attempts at a task, oldest first."""
        return PULSES.all(self._open, "WHERE task_id = ? ORDER BY started_at, id", task_id)

    def newest_pulse(self, agent_id: str) -> Pulse | None:
        """Return the attempt of an agent that was begun last."""
        return PULSES.first(
            self._open, "WHERE agent_id = ? ORDER BY started_at DESC, id DESC", agent_id
        )

    def ended_pulses(
        self, agent_id: str, since: int, before: Pulse | None, limit: int
    ) -> list[Pulse]:
        """Return the last *limit* attempts of an agent that are over, oldest first.

        Only those that were begun at the time *since* or later, and before the attempt *before*.
        """
        place = (1 << 62, "") if before is None else (before.started_at, before.id)
        found = PULSES.all(
            self._open,
            "WHERE agent_id = ? AND started_at >= ? AND (started_at, id) < (?, ?)"
            " AND state = 'ended' ORDER BY started_at DESC, id DESC LIMIT ?",
            agent_id,
            since,
            *place,
            limit,
        )
        return found[::-1]

    def next_pulse_at(self, project_id: str, at_us: int) -> int | None:
        """Return when a project's first attempt at or after a time was begun."""
        found = self._scalar(
            "SELECT min(started_at) FROM pulses WHERE project_id = ? AND started_at >= ?",
            project_id,
            at_us,
        )
        return None if found is None else int(found)

    def results_between(self, project_id: str, start: int, end: int, limit: int) -> list[Result]:
        """Return how a project's last *limit* attempts that started in [*start*, *end*) ended.

        Oldest first, without those that still run.
        """
        rows = self._open.execute(
            "SELECT p.agent_id, t.title, p.kind, p.attempt, p.outcome, p.detail, p.started_at,"
            " p.ended_at FROM pulses p LEFT JOIN tasks t ON t.id = p.task_id"
            " WHERE p.project_id = ? AND p.started_at >= ? AND p.started_at < ?"
            " AND p.state = 'ended' ORDER BY p.started_at DESC, p.id DESC LIMIT ?",
            [project_id, start, end, limit],
        )
        return [Result(*row) for row in rows][::-1]

    def has_work(self, agent: Agent, now_us: int) -> bool:
        """Whether a pulse of *agent* would find something to do."""
        project = self._get(PROJECTS, agent.project_id)
        if project.state is ProjectState.ARCHIVED or agent.status in HALTED:
            return False
        if agent.status is AgentStatus.DISTILLING:
            return True
        if MESSAGES.first(self._open, WAKING, agent.id) is not None:
            return True
        whose, wait = (agent.project_id, agent.soul), longest_wait(agent)
        if TASKS.first(self._open, OPEN_TASK, *whose, now_us, wait) is not None:
            return True
        if TASKS.first(self._open, OPEN_TASK, *whose, FAR_FUTURE, wait) is not None:
            return False  # it has one in hand that waits for its next attempt
        return TASKS.first(self._open, READY_TASK, *whose, now_us, wait) is not None

    def next_not_before(self, agent: Agent, after_us: int) -> int | None:
        """Return the first time after *after_us* at which a task of *agent* may go on."""
        found = self._scalar(
            "SELECT min(not_before) FROM tasks"
            " WHERE project_id = ? AND assignee = ? AND status IN (0, 1)"
            " AND not_before > ?",
            agent.project_id,
            agent.soul,
            after_us,
        )
        return None if found is None else int(found)
