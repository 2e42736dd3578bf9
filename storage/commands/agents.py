"""Agents: souls put into projects, and what becomes of them."""

from __future__ import annotations

import re
from typing import ClassVar

import attrs

from .._errors import Conflict, Invalid, NotFound, Unavailable
from .._lease import agent_lease, release_lease
from .._records import Agent, AgentStatus, Message, PulseState, Task, TaskStatus
from .._registry import register
from .._table import AGENTS, MESSAGES, PULSES, SESSIONS, SOULS, TASKS
from .._transaction import Command, Transaction
from ._events import TASK_UPDATED, note, note_agent
from ._mentions import Saying, call_mentioned
from ._messages import MESSAGE_DROPPED, send
from ._slots import free_slot
from ._waits import call_all_back
from .help import AGENT_UPDATED, free_status
from .projects import install_soul, require_active
from .pulses import HALTED
from .schedule import check_schedule

_SOUL = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
MAX_MESSAGE_CHARS = 20_000


def check_soul_name(soul: str) -> None:
    """Refuse a name that is not a slug: it becomes a folder."""
    if not _SOUL.fullmatch(soul):
        raise Invalid(
            f"soul must be a slug such as 'shuri' (a-z, 0-9, '-'; at most 48), not {soul!r}",
            field="soul",
        )


@register
@attrs.frozen
class CreateAgent(Command[Agent]):
    """Put a soul to work in a project.  The soul must have been installed."""

    project_id: str
    soul: str
    interval_s: float
    timeout_s: float
    max_retries: int
    command: tuple[str, ...] = ()
    gateway_agent: str = ""

    RESULT: ClassVar[type] = Agent

    def apply(self, tx: Transaction) -> Agent:
        """Gives the agent the smallest free slot of the stagger."""
        require_active(tx, self.project_id)
        self.check()
        tx.get(SOULS, self.soul)
        id_ = f"{self.soul}:{self.project_id}"
        if tx.find(AGENTS, "WHERE id = ?", id_) is not None:
            raise Conflict(f"agent {id_} exists already", instance_id=id_)
        agent = Agent(
            id=id_,
            project_id=self.project_id,
            soul=self.soul,
            status=AgentStatus.IDLE,
            slot=free_slot(tx),
            interval_s=self.interval_s,
            timeout_s=self.timeout_s,
            max_retries=self.max_retries,
            command=self.command,
            gateway_agent=self.gateway_agent,
            current_task_id=None,
            last_pulse_at=None,
            created_at=tx.at,
            updated_at=tx.at,
        )
        return tx.insert(AGENTS, agent, AGENT_UPDATED)

    def check(self) -> None:
        """Refuse values that no agent can have, whatever the database says."""
        check_soul_name(self.soul)
        check_schedule(self.interval_s, self.timeout_s, self.max_retries)


@register
@attrs.frozen
class DestroyAgent(Command[Agent]):
    """Take an agent out of its project; a task it has in progress goes back to the backlog."""

    agent_id: str

    RESULT: ClassVar[type] = Agent

    def apply(self, tx: Transaction) -> Agent:
        """Returns the agent as it was."""
        agent = tx.get(AGENTS, self.agent_id)
        self._close_attempt(tx, agent)
        call_all_back(tx, agent)  # nothing of it is to wait for the next that has its name
        task = tx.find(
            TASKS,
            "WHERE project_id = ? AND assignee = ? AND status = 1",
            agent.project_id,
            agent.soul,
        )
        if task is not None:
            tx.put(TASKS, task, TASK_UPDATED, status=TaskStatus.BACKLOG)
            note(tx, task, "moved", f"back to backlog: {agent.id} was destroyed")
        session = tx.find(SESSIONS, "WHERE id = ?", agent.id)
        if session is not None:
            tx.remove(SESSIONS, session, AGENT_UPDATED)
        # Not to an agent that has its name one day.
        for message in tx.all(MESSAGES, "WHERE to_agent = ? AND read_by IS NULL", agent.id):
            tx.remove(MESSAGES, message, MESSAGE_DROPPED)
        tx.remove(AGENTS, agent, AGENT_UPDATED)
        return agent

    def _close_attempt(self, tx: Transaction, agent: Agent) -> None:
        """Whoever destroys an agent has stopped it: what still runs is out of reach."""
        pulse = tx.find(PULSES, "WHERE agent_id = ? AND state <> 'ended'", agent.id)
        if pulse is None:
            return
        if pulse.state is PulseState.RUNNING:
            raise Unavailable(
                f"an attempt of {agent.id} may still run and cannot be reached: try again later",
                retry_after_ms=5000,
            )
        tx.put(
            PULSES,
            pulse,
            "pulse_updated",
            state=PulseState.ENDED,
            outcome="not_started",
            detail="the agent was destroyed",
            ended_at=tx.at,
        )
        release_lease(tx.connection, agent_lease(agent.id), pulse.id)


@register
@attrs.frozen
class UpgradeAgent(Command[Agent]):
    """Record that an agent has a new SOUL.md; its next pulse is the first to be told of it."""

    agent_id: str
    sha256: str
    refinement: bool
    """It is the one of its project, which the soul's other agents do not see."""

    RESULT: ClassVar[type] = Agent

    def apply(self, tx: Transaction) -> Agent:
        """Tells of it in the stream of the project."""
        agent = tx.get(AGENTS, self.agent_id)
        require_active(tx, agent.project_id)
        if not self.refinement:
            install_soul(tx, agent.soul, self.sha256)
        whose = "its SOUL.md in this project" if self.refinement else f"the soul {agent.soul}"
        note_agent(tx, agent, "upgraded", f"{whose} is now {self.sha256}")
        call_all_back(tx, agent)
        return tx.put(AGENTS, agent, AGENT_UPDATED)


@register
@attrs.frozen
class SetAgentStatus(Command[Agent]):
    """Pause or resume an agent, or say what it is about."""

    agent_id: str
    status: AgentStatus
    current_task_id: str | None = None

    RESULT: ClassVar[type] = Agent

    def apply(self, tx: Transaction) -> Agent:
        """Refuses another's task.  For idle it becomes what it is free for, as before a pause."""
        agent = tx.get(AGENTS, self.agent_id)
        if self.current_task_id is not None:
            task: Task = tx.get(TASKS, self.current_task_id)
            if (task.project_id, task.assignee) != (agent.project_id, agent.soul):
                raise Conflict(f"task {task.id} is not {agent.id}'s", field="current_task_id")
        current = self.current_task_id or agent.current_task_id
        settled = attrs.evolve(agent, owes_memory=self._owes(agent))
        status = free_status(tx, settled) if self.status is AgentStatus.IDLE else self.status
        wanted = attrs.evolve(settled, status=status, current_task_id=current)
        if self.status is AgentStatus.IDLE and agent.status in HALTED:
            call_all_back(tx, agent)
        return agent if wanted == agent else tx.put(AGENTS, wanted, AGENT_UPDATED)

    def _owes(self, agent: Agent) -> bool:
        """Whoever calls a distilling agent idle spares it that; a pause only puts it off."""
        if self.status is AgentStatus.DISTILLING:
            return True
        spared = self.status is AgentStatus.IDLE and agent.status is AgentStatus.DISTILLING
        return agent.owes_memory and not spared


@register
@attrs.frozen
class SendMessage(Command[Message]):
    """Leave a note for an agent."""

    to_agent: str
    text: str
    wakes: bool = True
    """Whether it is a reason for a pulse."""

    RESULT: ClassVar[type] = Message

    def apply(self, tx: Transaction) -> Message:
        """Refuses an unknown agent, and a text that is empty or over 20,000 characters.

        An agent that writes to itself is refused too: each message would cause the next.
        """
        agent = tx.find(AGENTS, "WHERE id = ?", self.to_agent)
        if agent is None:
            raise NotFound(f"there is no agent {self.to_agent!r}", field="instance_id")
        if tx.actor == agent.id:
            message = "an agent cannot send itself messages: keep notes in working.md"
            raise Invalid(message, field="instance_id")
        if not 0 < len(self.text.strip()) <= MAX_MESSAGE_CHARS:
            raise Invalid(f"text must have 1 to {MAX_MESSAGE_CHARS} characters", field="text")
        sent = send(tx, agent.project_id, agent.id, self.text, wakes=self.wakes)
        where = f"a message to {agent.id}"
        call_mentioned(tx, Saying(agent.project_id, self.text, where, agent.id))
        return sent
