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
from .help import AGENT_UPDATED, open_help

HALTED = (AgentStatus.PAUSED, AgentStatus.BLOCKED, AgentStatus.FAILED)
"""An agent that is so gets no pulses."""

PULSE_UPDATED = "pulse_updated"
MAX_OUTPUT_CHARS = 4_000

_DUE = "(coalesce(not_before, 0) <= ?3 OR not_before > ?3 + ?4)"
"""Who would have to wait longer than anybody does was told so before the clock jumped back."""

OPEN_TASK = f"WHERE project_id = ?1 AND assignee = ?2 AND status = 1 AND {_DUE}"
"""The task that an agent has in progress, unless its next pulse is to come later.

Asked with project, soul, the time, and :func:`longest_wait`; so is `READY_TASK`.
"""

FAR_FUTURE = 1 << 62

READY_TASK = f"""WHERE project_id = ?1 AND assignee = ?2 AND status = 0
 AND {_DUE}
 AND NOT EXISTS (
   SELECT 1 FROM task_dependencies d JOIN tasks t ON t.id = d.depends_on
    WHERE d.task_id = tasks.id AND t.status NOT IN (2, 4))
 AND NOT EXISTS (SELECT 1 FROM pulses p WHERE p.task_id = tasks.id AND p.state <> 'ended')
 ORDER BY priority, created_at, id"""  # noqa: S608 - constants of ours
"""The backlog task that an agent is offered next: by priority, then age.

One that another agent still works on, because it was taken away in mid-run, is not offered yet.
"""

SUCCEEDED = "succeeded"

UNREAD = "WHERE to_agent = ? AND read_by IS NULL ORDER BY pk"
WAKING = "WHERE to_agent = ? AND read_by IS NULL AND wakes = 1 ORDER BY pk"
"""Unread messages that are a reason for a pulse."""
SHOWN = "WHERE to_agent = ? AND read_by = ? ORDER BY pk"
SHOWN_AT_ONCE = 20
"""Messages that one pulse is shown: more would leave little room for the task."""
QUOTED_CHARS = 200

LONGEST_BACKOFF_S = 3600.0


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
        archived = tx.get(PROJECTS, agent.project_id).state is ProjectState.ARCHIVED
        if archived or agent.status in HALTED:
            return None
        if tx.find(PULSES, "WHERE agent_id = ? AND state <> 'ended'", agent.id) is not None:
            raise Conflict(f"a pulse of {agent.id} is open already", agent_id=agent.id)
        if agent.status is AgentStatus.DISTILLING:
            task = tx.find(TASKS, "WHERE id = ?", agent.current_task_id)
            return self._record(tx, agent, PulseKind.DISTILL, task)
        task = self._claim(tx, agent)
        if task is not None:
            return self._record(tx, agent, PulseKind.WORK, task)
        if tx.find(MESSAGES, WAKING, agent.id) is not None:
            return self._record(tx, agent, PulseKind.MESSAGE, None)
        if self.triggered:
            return self._record(tx, agent, PulseKind.TRIGGER, None)
        return None

    def _claim(self, tx: Transaction, agent: Agent) -> Task | None:
        now = FAR_FUTURE if self.triggered else tx.at
        whose, wait = (agent.project_id, agent.soul), longest_wait(agent)
        task = tx.find(TASKS, OPEN_TASK, *whose, now, wait)
        if task is None:
            if tx.find(TASKS, OPEN_TASK, *whose, FAR_FUTURE, wait) is not None:
                return None  # it has one in hand that waits for its next attempt
            ready = tx.find(TASKS, READY_TASK, *whose, now, wait)
            if ready is None:
                return None
            task = tx.put(TASKS, ready, TASK_UPDATED, status=TaskStatus.IN_PROGRESS)
            note(tx, task, "claimed", f"{agent.id} takes it up", agent_id=agent.id)
        return tx.put(TASKS, task, TASK_UPDATED, attempts=task.attempts + 1)

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
    never_ran: bool = False
    """It does not count as an attempt, and the messages that it was to show stay unread."""

    RESULT: ClassVar[type] = Pulse

    def apply(self, tx: Transaction) -> Pulse:
        """Does nothing where it is closed already: the first word counts."""
        pulse = tx.get(PULSES, self.pulse_id)
        if pulse.state is PulseState.ENDED:
            return pulse
        ended = tx.put(
            PULSES,
            pulse,
            PULSE_UPDATED,
            state=PulseState.ENDED,
            outcome=self.outcome,
            detail=self.detail,
            output=self.output[-MAX_OUTPUT_CHARS:],
            tokens=self.tokens,
            cost_usd=self.cost_usd,
            ended_at=tx.at,
        )
        release_lease(tx.connection, agent_lease(pulse.agent_id), pulse.id)
        if self.never_ran or (not self.failed and self.outcome != SUCCEEDED):
            self._give_back_messages(tx, pulse)
        else:
            self._acknowledge_messages(tx, pulse)
        self._free_agent(tx, pulse)
        task = tx.find(TASKS, "WHERE id = ? AND status = 1", pulse.task_id)
        # It may have been given to another agent since, whose attempts are not this one.
        own = task is not None and f"{task.assignee}:{task.project_id}" == pulse.agent_id
        if task is not None and own and pulse.kind is PulseKind.WORK:
            self._settle_task(tx, pulse, task)
        return ended

    def _free_agent(self, tx: Transaction, pulse: Pulse) -> None:
        agent = tx.find(AGENTS, "WHERE id = ?", pulse.agent_id)
        if agent is None:
            return
        distilling = agent.status is AgentStatus.DISTILLING and pulse.kind is PulseKind.DISTILL
        # It was given its one chance to distil, unless that pulse never ran.
        if agent.status is AgentStatus.WORKING or (distilling and not self.never_ran):
            tx.put(AGENTS, agent, AGENT_UPDATED, status=AgentStatus.IDLE)

    def _give_back_messages(self, tx: Transaction, pulse: Pulse) -> None:
        for message in tx.all(MESSAGES, SHOWN, pulse.agent_id, pulse.id):
            tx.put(MESSAGES, message, "message_read", read_by=None)

    def _acknowledge_messages(self, tx: Transaction, pulse: Pulse) -> None:
        """Let agents see, where they look at their tasks, that their messages were read."""
        for message in tx.all(MESSAGES, SHOWN, pulse.agent_id, pulse.id):
            sender = tx.find(AGENTS, "WHERE id = ?", message.sender)
            if sender is None:
                continue  # a person, or the service
            task = tx.find(TASKS, "WHERE id = ?", sender.current_task_id or pulse.task_id)
            if task is not None:
                quoted = message.text[:QUOTED_CHARS]
                what = f"{pulse.agent_id} has read the message of {sender.id}: {quoted}"
                who = {"agent_id": pulse.agent_id, "pulse_id": pulse.id}
                note(tx, task, "message_read", what, **who)

    def _settle_task(self, tx: Transaction, pulse: Pulse, task: Task) -> None:
        not_before = tx.at + round(self.retry_delay_s * US) if self.retry_delay_s else None
        if not self.failed:
            if not self.never_ran and tx.find(MESSAGES, WAKING, pulse.agent_id) is not None:
                not_before = None  # it was told something meanwhile: it goes on at once
            if not self.never_ran and self.outcome != SUCCEEDED:
                self._note(tx, pulse, task, "interrupted")
            tx.put(
                TASKS,
                task,
                TASK_UPDATED,
                attempts=task.attempts - self.never_ran,
                failures=0 if self.outcome == SUCCEEDED else task.failures,
                not_before=not_before,
            )
            return
        failures = task.failures + 1
        self._note(tx, pulse, task, "deadman" if self.to_backlog else "failed")
        agent = tx.find(AGENTS, "WHERE id = ?", pulse.agent_id)
        status = TaskStatus.BACKLOG if self.to_backlog else task.status
        failed = tx.put(
            TASKS, task, TASK_UPDATED, status=status, failures=failures, not_before=not_before
        )
        if agent is not None and failures >= max(1, agent.max_retries):
            issue = f"{failures} attempts failed; the last: {self.outcome}, {self.detail}"
            open_help(tx, failed, agent, issue, urgency="high", pulse_id=pulse.id)

    def _note(self, tx: Transaction, pulse: Pulse, task: Task, kind: str) -> None:
        what = f"attempt {pulse.attempt} ended: {self.outcome}, {self.detail}"
        note(tx, task, kind, what, agent_id=pulse.agent_id, pulse_id=pulse.id)
