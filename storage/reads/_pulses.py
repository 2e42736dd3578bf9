"""Questions about attempts, and about what the next one would find to do."""

from __future__ import annotations

from typing import Literal

import attrs

from .._clock import US
from .._records import Agent, AgentStatus, ProjectState, Pulse, Task
from .._table import MESSAGES, PROJECTS, PULSES, TASKS
from ..commands._messages import LONGEST_BACKOFF_S
from ..commands._streaks import ended_well, idle_in_a_row, lost_in_a_row
from ..commands.pulses import (
    FAR_FUTURE,
    HALTED,
    IN_HAND,
    OPEN_TASK,
    READY_TASK,
    WAKING,
    longest_wait,
)
from ._budgets import BudgetQuestions

_ENGAGED = """(a.status = 'distilling'
 OR EXISTS (SELECT 1 FROM tasks WHERE project_id = a.project_id AND assignee = a.soul
   AND status IN (0, 1))
 OR EXISTS (SELECT 1 FROM messages WHERE to_agent = a.id AND read_by IS NULL AND wakes = 1)
 OR EXISTS (SELECT 1 FROM pulses WHERE agent_id = a.id AND state <> 'ended'))"""


def _of_agent(where: str) -> str:
    """Ask *where* of the agents `a` of a project at the time ?2, not of one by four values."""
    wait = f"CAST((a.interval_s + {LONGEST_BACKOFF_S}) * {US} AS INTEGER)"
    for old, new in (("?1", "a.project_id"), ("?2", "a.soul"), ("?3", "?2"), ("?4", wait)):
        where = where.replace(old, new)
    return where


_AT_WORK = "EXISTS (SELECT 1 FROM pulses WHERE agent_id = a.id AND state <> 'ended')"
_HAS_WORK = f"""(a.status NOT IN ('paused', 'blocked', 'failed') AND (a.status = 'distilling'
 OR EXISTS (SELECT 1 FROM messages {WAKING.replace("?1", "a.id")})
 OR EXISTS (SELECT 1 FROM tasks {_of_agent(OPEN_TASK)})
 OR (NOT EXISTS (SELECT 1 FROM tasks {_of_agent(IN_HAND)})
   AND EXISTS (SELECT 1 FROM tasks {_of_agent(READY_TASK)}))))"""  # noqa: S608 - constants
_TO_WAKE = f"""SELECT id FROM agents a WHERE project_id = ?1
 AND ({_AT_WORK} OR (?3 AND {_HAS_WORK}))"""  # noqa: S608 - constants

# Those of one agent follow each other: if any was open at the time ?3 or later, the newest was.
_COMPANY = """SELECT 1 FROM agents a WHERE project_id = ?1 AND id <> ?2 AND (
 SELECT state <> 'ended' OR ended_at > ?3 FROM pulses
  WHERE agent_id = a.id AND coalesce(outcome, '') <> 'not_started'
  ORDER BY started_at DESC, id DESC LIMIT 1)"""


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


@attrs.frozen
class PulsesOf:
    """Whose attempts are meant."""

    column: Literal["project_id", "agent_id", "task_id"]
    id: str


class PulseQuestions(BudgetQuestions):
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

    def running_pulses(self) -> list[Pulse]:
        """Return the attempts of all agents that have not been closed, oldest first."""
        found = PULSES.all(
            self._open, "WHERE project_id IN (SELECT id FROM projects) AND state <> 'ended'"
        )
        return sorted(found, key=lambda pulse: (pulse.started_at, pulse.id))

    def pulses(self, of: PulsesOf, before: Pulse | None, limit: int) -> list[Pulse]:
        """Return the last *limit* attempts of one owner, newest first.

        Only those that were begun before the attempt *before*.
        """
        place = (FAR_FUTURE, "") if before is None else (before.started_at, before.id)
        return PULSES.all(
            self._open,
            f"WHERE {of.column} = ? AND (started_at, id) < (?, ?)"
            " ORDER BY started_at DESC, id DESC LIMIT ?",
            of.id,
            *place,
            limit,
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

    def lost_in_a_row(self, pulse: Pulse) -> int:
        """Return how many attempts up to *pulse* were lost one after the other, at the same card.

        Of an attempt at none, of the same agent at none.  It looks a hundred back.
        """
        return lost_in_a_row(self._open, pulse)

    def has_company(self, pulse: Pulse) -> bool:
        """Whether an attempt of another agent of its project was open while *pulse* was."""
        found = self._scalar(_COMPANY, pulse.project_id, pulse.agent_id, pulse.started_at)
        return found is not None

    def ended_well(self, task: Task) -> bool:
        """Whether the last attempt at *task* succeeded, or there was none."""
        return ended_well(self._open, task.id)

    def idle_in_a_row(self, task: Task, now: Pulse | None = None) -> int:
        """Return in how many of the last attempts at *task* nothing moved; a hundred at most.

        The open attempt *now* counts as if it had succeeded.
        """
        return idle_in_a_row(self._open, task, now)

    def is_engaged(self, agent_id: str) -> bool:
        """Whether there is anything that an agent may have to do, now or at a later time.

        Where there is not, only a change can give it something.
        """
        sql = f"SELECT 1 FROM agents a WHERE id = ? AND {_ENGAGED}"  # noqa: S608 - a constant
        return self._scalar(sql, agent_id) is not None

    def agents_to_wake(self, project_id: str, now_us: int) -> list[str]:
        """Return the ids of a project's agents that have an open attempt, or have work."""
        solvent = self.spent_budget(project_id, now_us) is None
        return [row[0] for row in self._open.execute(_TO_WAKE, [project_id, now_us, solvent])]

    def has_work(self, agent: Agent, now_us: int) -> bool:
        """Whether a pulse of *agent* would find something to do, and may be begun."""
        waits = self._has_work(agent, now_us)
        return waits and self.spent_budget(agent.project_id, now_us) is None

    def _has_work(self, agent: Agent, now_us: int) -> bool:
        project = self._get(PROJECTS, agent.project_id)
        if project.state is ProjectState.ARCHIVED or agent.status in HALTED:
            return False
        if agent.status is AgentStatus.DISTILLING:
            return True
        if MESSAGES.first(self._open, WAKING, agent.id, now_us) is not None:
            return True
        whose, wait = (agent.project_id, agent.soul), longest_wait(agent)
        if TASKS.first(self._open, OPEN_TASK, *whose, now_us, wait) is not None:
            return True
        if TASKS.first(self._open, IN_HAND, *whose) is not None:
            return False  # it has one in hand that waits for its next attempt
        return TASKS.first(self._open, READY_TASK, *whose, now_us, wait) is not None

    def next_not_before(self, agent: Agent, after_us: int) -> int | None:
        """Return the first time after *after_us* at which *agent* may go on with something."""
        found = self._scalar(
            "SELECT min(not_before) FROM ("
            "SELECT not_before FROM tasks"
            " WHERE project_id = ?1 AND assignee = ?2 AND status IN (0, 1) AND not_before > ?3"
            " UNION ALL SELECT not_before FROM messages"
            " WHERE to_agent = ?4 AND read_by IS NULL AND wakes = 1 AND not_before > ?3)",
            agent.project_id,
            agent.soul,
            after_us,
            agent.id,
        )
        return None if found is None else int(found)
