"""Attempts: recorded before they are made, closed exactly once, counted against their task."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from .._clock import US
from .._errors import Conflict
from .._lease import acquire_lease, agent_lease, release_lease
from .._records import (
    Agent,
    AgentStatus,
    ProjectState,
    Pulse,
    PulseKind,
    PulseState,
    Task,
    TaskStatus,
)
from .._registry import register
from .._table import AGENTS, MESSAGES, PROJECTS, PULSES, TASKS
from .._transaction import Command, Transaction
from ._events import TASK_UPDATED, note
from ._messages import LONGEST_BACKOFF_S
from ._shown import acknowledge, give_back, offer_again
from ._streaks import LOST, SUCCEEDED, idle_in_a_row, lost_in_a_row
from ._waits import waits_idly
from .budgets import believed, budgets_holding, charge, spent_budget
from .help import AGENT_UPDATED, open_help

HALTED = (AgentStatus.PAUSED, AgentStatus.BLOCKED, AgentStatus.FAILED)
"""An agent that is so gets no pulses."""

PULSE_UPDATED = "pulse_updated"
MAX_OUTPUT_CHARS, MAX_DETAIL_CHARS = 4_000, 1_000

_DUE = "(coalesce(not_before, 0) <= ?3 OR not_before > ?3 + ?4)"
"""Who would have to wait longer than anybody does was told so before the clock jumped back."""

_FREE = """
 NOT EXISTS (SELECT 1 FROM pulses p WHERE p.task_id = tasks.id AND p.state <> 'ended')"""
"""It may have been taken away from another agent in mid-run, who still works on it."""

IN_HAND = "WHERE project_id = ?1 AND assignee = ?2 AND status = 1"
"""The task that an agent has in progress.  Asked with project and soul."""
OPEN_TASK = f"{IN_HAND} AND {_DUE} AND {_FREE}"
"""The same, unless its next pulse is to come later.

Asked with project, soul, the time, and :func:`longest_wait`; so is `READY_TASK`.
"""

FAR_FUTURE = 1 << 62

READY_TASK = f"""WHERE project_id = ?1 AND assignee = ?2 AND status = 0
 AND {_DUE}
 AND NOT EXISTS (
   SELECT 1 FROM task_dependencies d JOIN tasks t ON t.id = d.depends_on
    WHERE d.task_id = tasks.id AND t.status NOT IN (2, 4))
 AND {_FREE}
 ORDER BY priority, created_at, id"""  # noqa: S608 - constants of ours
"""The backlog task that an agent is offered next: by priority, then age."""

UNREAD = "WHERE to_agent = ? AND read_by IS NULL ORDER BY pk"
WAKING = (
    "WHERE to_agent = ?1 AND read_by IS NULL AND wakes = 1"
    " AND (coalesce(not_before, 0) <= ?2 OR not_before > ?2 + 3600000000) ORDER BY pk"
)
"""Unread messages that are a reason for a pulse.  Asked with agent and time.

One that would have to wait for more than an hour was told so before the clock jumped back.
"""
SHOWN_AT_ONCE = 20
"""Messages that one pulse is shown: more would leave little room for the task."""


def longest_wait(agent: Agent) -> int:
    """Return the microseconds that a task of *agent* is made to wait at most."""
    return round((agent.interval_s + LONGEST_BACKOFF_S) * US)


@register
@attrs.frozen
class BeginPulse(Command[Pulse | None]):
    """Record an attempt, claiming a task for it; None where there is nothing to do."""

    agent_id: str
    runner: str
    triggered: bool = False
    """Somebody asked for this pulse: it is run without work as well, and does not wait."""

    RESULT: ClassVar[Any] = Pulse | None

    def apply(self, tx: Transaction) -> Pulse | None:
        """Refuses a second open attempt of one agent."""
        agent = tx.get(AGENTS, self.agent_id)
        if not self._may_begin(tx, agent):
            return None
        if tx.find(PULSES, "WHERE agent_id = ? AND state <> 'ended'", agent.id) is not None:
            raise Conflict(f"a pulse of {agent.id} is open already", agent_id=agent.id)
        if agent.status is AgentStatus.DISTILLING:
            task = tx.find(TASKS, "WHERE id = ?", agent.current_task_id)
            return self._record(tx, agent, PulseKind.DISTILL, task)
        task = self._claim(tx, agent)
        if task is not None:
            return self._record(tx, agent, PulseKind.WORK, task)
        if tx.find(MESSAGES, WAKING, agent.id, tx.at) is not None:
            return self._record(tx, agent, PulseKind.MESSAGE, None)
        if self.triggered:
            return self._record(tx, agent, PulseKind.TRIGGER, None)
        return None

    def _may_begin(self, tx: Transaction, agent: Agent) -> bool:
        archived = tx.get(PROJECTS, agent.project_id).state is ProjectState.ARCHIVED
        if archived or agent.status in HALTED:
            return False
        return spent_budget(budgets_holding(tx, agent.project_id), tx.at) is None

    def _claim(self, tx: Transaction, agent: Agent) -> Task | None:
        now = FAR_FUTURE if self.triggered else tx.at
        whose, wait = (agent.project_id, agent.soul), longest_wait(agent)
        task = tx.find(TASKS, OPEN_TASK, *whose, now, wait)
        if task is None:
            in_hand = tx.find(TASKS, IN_HAND, *whose)
            if in_hand is None:
                task = self._take_up(tx, agent, now)
            elif self._is_told(tx, agent) and waits_idly(tx, in_hand, agent):
                task = in_hand
        return task and tx.put(TASKS, task, TASK_UPDATED, attempts=task.attempts + 1)

    def _take_up(self, tx: Transaction, agent: Agent, now: int) -> Task | None:
        whose = (agent.project_id, agent.soul)
        ready = tx.find(TASKS, READY_TASK, *whose, now, longest_wait(agent))
        if ready is None and self._is_told(tx, agent):
            waiting = tx.all(TASKS, READY_TASK, *whose, FAR_FUTURE, 0)
            ready = next((task for task in waiting if waits_idly(tx, task, agent)), None)
        if ready is None:
            return None
        task = tx.put(TASKS, ready, TASK_UPDATED, status=TaskStatus.IN_PROGRESS)
        note(tx, task, "claimed", f"{agent.id} takes it up", agent_id=agent.id)
        return task

    def _is_told(self, tx: Transaction, agent: Agent) -> bool:
        """Whether somebody told it something: that calls back what waits because nothing moved."""
        return tx.find(MESSAGES, WAKING, agent.id, tx.at) is not None

    def _record(self, tx: Transaction, agent: Agent, kind: PulseKind, task: Task | None) -> Pulse:
        id_, expires_at = tx.new_id(), tx.at + round(agent.timeout_s * US)
        pulse = Pulse(
            id=id_,
            project_id=agent.project_id,
            agent_id=agent.id,
            task_id=task.id if task else None,
            kind=kind,
            attempt=task.attempts if task and kind is PulseKind.WORK else 1,
            state=PulseState.DISPATCHING,
            runner=self.runner,
            outcome=None,
            detail="",
            output="",
            process_group=None,
            process_started=None,
            run_id=None,
            boot_id=None,
            tokens=None,
            cost_usd=None,
            started_at=tx.at,
            ended_at=None,
            fence=acquire_lease(tx.connection, agent_lease(agent.id), id_, expires_at),
        )
        busy = AgentStatus.DISTILLING if kind is PulseKind.DISTILL else AgentStatus.WORKING
        tx.put(
            AGENTS,
            agent,
            AGENT_UPDATED,
            status=busy,
            last_pulse_at=tx.at,
            current_task_id=task.id if task else agent.current_task_id,
        )
        for message in tx.all(MESSAGES, f"{UNREAD} LIMIT {SHOWN_AT_ONCE}", agent.id):
            tx.put(MESSAGES, message, "message_read", read_by=pulse.id)
        return tx.insert(PULSES, pulse, PULSE_UPDATED)


@register
@attrs.frozen
class MarkRunning(Command[Pulse]):
    """Record how a dispatched attempt is found again after a crash of ours."""

    pulse_id: str
    process_group: int | None = None
    process_started: str | None = None
    run_id: str | None = None
    boot_id: str | None = None

    RESULT: ClassVar[type] = Pulse

    def apply(self, tx: Transaction) -> Pulse:
        """Refuses an attempt that was closed meanwhile."""
        pulse = tx.get(PULSES, self.pulse_id)
        if pulse.state is PulseState.ENDED:
            raise Conflict(f"pulse {pulse.id} has ended", pulse_id=pulse.id)
        return tx.put(
            PULSES,
            pulse,
            PULSE_UPDATED,
            state=PulseState.RUNNING,
            process_group=self.process_group,
            process_started=self.process_started,
            run_id=self.run_id,
            boot_id=self.boot_id,
        )


@register
@attrs.frozen
class EndPulse(Command[Pulse]):
    """Close an attempt and draw the consequences for its task and its agent."""

    pulse_id: str
    outcome: str
    """A value of `OutcomeKind`."""
    failed: bool
    """Counts against the task."""
    detail: str = ""
    output: str = ""
    tokens: int | None = None
    cost_usd: float | None = None
    to_backlog: bool = False
    """Give the task back instead of keeping it for the next attempt."""
    retry_delay_s: float = 0.0
    """How long a task that is still in progress waits for its next pulse."""
    scheduled_s: float | None = None
    """The same by the schedule alone: for a task that moves before this is written."""
    never_ran: bool = False
    """It does not count as an attempt, and the messages that it was to show stay unread."""
    effects: str = ""
    """What an attempt that did not succeed may have done outside; see `Pulse.effects`."""
    skipped: int = 0
    """How many times of the schedule came while it ran."""
    moved: str = ""
    """What it has moved elsewhere than on its card, as a clause."""

    RESULT: ClassVar[type] = Pulse

    def apply(self, tx: Transaction) -> Pulse:
        """Does nothing where it is closed already: the first word counts."""
        pulse = tx.get(PULSES, self.pulse_id)
        if pulse.state is PulseState.ENDED:
            return pulse
        tokens, cost_usd = believed(self.tokens, self.cost_usd)
        ended = tx.put(
            PULSES,
            pulse,
            PULSE_UPDATED,
            state=PulseState.ENDED,
            outcome=self.outcome,
            detail=self.detail[:MAX_DETAIL_CHARS],
            output=self.output[-MAX_OUTPUT_CHARS:],
            tokens=tokens,
            cost_usd=cost_usd,
            ended_at=tx.at,
            effects=self.effects,
            skipped=self.skipped,
        )
        release_lease(tx.connection, agent_lease(pulse.agent_id), pulse.id)
        charge(tx, pulse.project_id, tokens, cost_usd)
        if self.never_ran or (not self.failed and self.outcome != SUCCEEDED):
            give_back(tx, pulse, self.retry_delay_s if self.outcome == LOST else 0.0)
        elif self.failed:
            offer_again(tx, pulse, self.retry_delay_s)
        else:
            acknowledge(tx, pulse)
        self._free_agent(tx, pulse)
        # In mid-run it may have been put back into the backlog, by its agent or by others.
        task = tx.find(TASKS, "WHERE id = ? AND status IN (0, 1)", pulse.task_id)
        if task is not None and pulse.kind is PulseKind.WORK:
            self._settle_task(tx, pulse, task)
        return ended

    def _free_agent(self, tx: Transaction, pulse: Pulse) -> None:
        agent = tx.find(AGENTS, "WHERE id = ?", pulse.agent_id)
        if agent is None:
            return
        # It was given its one chance to distil, unless that pulse never ran.
        asked = pulse.kind is PulseKind.DISTILL and not self.never_ran
        owes, status = agent.owes_memory and not asked, agent.status
        if status is AgentStatus.WORKING or (asked and status is AgentStatus.DISTILLING):
            status = AgentStatus.DISTILLING if owes else AgentStatus.IDLE
        if (owes, status) != (agent.owes_memory, agent.status):
            tx.put(AGENTS, agent, AGENT_UPDATED, status=status, owes_memory=owes)

    @property
    def _how(self) -> str:
        return f"{self.outcome}, {self.detail[:MAX_DETAIL_CHARS]}"

    def _settle_task(self, tx: Transaction, pulse: Pulse, task: Task) -> None:
        agent_id = f"{task.assignee}:{task.project_id}"
        agent = tx.find(AGENTS, "WHERE id = ?", agent_id)
        # It may have been given to another agent since, whose attempts are not this one.
        own, settled = agent_id == pulse.agent_id, task
        if own:
            settled = self._blame(tx, pulse, task) if self.failed else self._go_on(tx, pulse, task)
        if task.side_effects and self.effects:
            issue = (
                f"attempt {pulse.attempt} ended: {self._how}; the task has side effects and is not"
                f" tried again blindly, because {self.effects}: see what was done, and say how to"
                " go on"
            )
        elif own and self.failed and agent and settled.failures >= max(1, agent.max_retries):
            issue = f"{settled.failures} attempts failed; the last: {self._how}"
            if self.outcome == LOST:
                lost = lost_in_a_row(tx.connection, pulse)
                issue += (
                    f"; {lost} in a row were lost with what ran them: see if it takes that down"
                )
        else:
            return
        open_help(tx, settled, agent, issue, urgency="high", pulse_id=pulse.id)

    def _go_on(self, tx: Transaction, pulse: Pulse, task: Task) -> Task:
        if not self.never_ran and self.outcome != SUCCEEDED:
            self._note(tx, pulse, task, "interrupted")
        attempts = task.attempts - self.never_ran
        if self.moved and idle_in_a_row(tx.connection, task):
            what = f"attempt {pulse.attempt} ended: {self.moved}"
            note(tx, task, "progress", what, agent_id=pulse.agent_id, pulse_id=pulse.id)
        not_before = self._not_before(tx, self._until_next(tx, pulse, task))
        if task.status is TaskStatus.BACKLOG:
            # Whoever put it there has said when it goes on; an agent, when at the earliest.
            given = task.not_before
            not_before = given if given is None else max(given, not_before or 0)
            if (attempts, not_before) == (task.attempts, given):
                return task
            return tx.put(TASKS, task, TASK_UPDATED, attempts=attempts, not_before=not_before)
        told = tx.find(MESSAGES, WAKING, pulse.agent_id, tx.at) is not None
        if told and not self.never_ran and self.outcome != LOST:
            not_before = None  # it was told something meanwhile: it goes on at once
        return tx.put(
            TASKS,
            task,
            TASK_UPDATED,
            attempts=attempts,
            failures=0 if self.outcome == SUCCEEDED else task.failures,
            not_before=not_before,
        )

    def _blame(self, tx: Transaction, pulse: Pulse, task: Task) -> Task:
        self._note(tx, pulse, task, "deadman" if self.to_backlog else "failed")
        return tx.put(
            TASKS,
            task,
            TASK_UPDATED,
            status=TaskStatus.BACKLOG if self.to_backlog else task.status,
            failures=task.failures + 1,
            not_before=self._not_before(tx, self.retry_delay_s),
        )

    def _until_next(self, tx: Transaction, pulse: Pulse, task: Task) -> float:
        """How long the task waits: no longer than its schedule if something has just moved."""
        scheduled_s, longer_s = self.scheduled_s, self.retry_delay_s
        if scheduled_s is None or scheduled_s >= longer_s:
            return longer_s
        return longer_s if idle_in_a_row(tx.connection, task, pulse) else scheduled_s

    def _not_before(self, tx: Transaction, wait_s: float) -> int | None:
        return tx.at + round(wait_s * US) if wait_s else None

    def _note(self, tx: Transaction, pulse: Pulse, task: Task, kind: str) -> None:
        what = f"attempt {pulse.attempt} ended: {self._how}"
        what += f" ({self.effects})" if self.effects else ""
        note(tx, task, kind, what, agent_id=pulse.agent_id, pulse_id=pulse.id)
