"""Questions to a human, and their answers."""

from __future__ import annotations

from typing import ClassVar

import attrs

from .._errors import Conflict, Forbidden, Invalid
from .._records import (
    Agent,
    AgentStatus,
    HelpRequest,
    HelpState,
    Task,
    TaskOwner,
    TaskStatus,
)
from .._registry import register
from .._table import AGENTS, HELP_REQUESTS, PULSES, TASKS
from .._transaction import Command, Transaction
from ._events import TASK_UPDATED, note
from ._mentions import Saying, call_mentioned
from ._messages import send

AGENT_UPDATED = "agent_updated"
HELP_REQUESTED = "help_requested"
HELP_ANSWERED = "help_answered"

URGENCIES = ("low", "normal", "high", "critical")


@register
@attrs.frozen
class RequestHelp(Command[HelpRequest]):
    """Block a task on a question, and halt the agent that asks."""

    task_id: str
    issue: str
    urgency: str = "normal"
    by_agent: str | None = None

    RESULT: ClassVar[type] = HelpRequest

    def apply(self, tx: Transaction) -> HelpRequest:
        """Refuses a task that is over, another agent's, or waits for an answer already."""
        if self.urgency not in URGENCIES:
            raise Invalid(
                f"urgency must be one of {', '.join(URGENCIES)}, not {self.urgency!r}",
                field="urgency",
            )
        if not self.issue.strip():
            raise Invalid("issue must say what is needed", field="issue")
        task = tx.get(TASKS, self.task_id)
        if self.by_agent is not None:
            require_owner(task, self.by_agent)
        if task.status in (TaskStatus.DONE, TaskStatus.ARCHIVED):
            raise Conflict(f"the task is {task.status.name.lower()}", task_id=task.id)
        asked = tx.find(HELP_REQUESTS, "WHERE task_id = ? AND state = 'open'", task.id)
        if asked is not None:
            raise Conflict(
                f"the task waits for an answer to {asked.issue!r} already", help_id=asked.id
            )
        agent = tx.find(AGENTS, "WHERE id = ?", f"{task.assignee}:{task.project_id}")
        return open_help(tx, task, agent, self.issue.strip(), urgency=self.urgency)


@register
@attrs.frozen
class AnswerHelp(Command[HelpRequest]):
    """Answer a question: the first answer wins."""

    help_id: str
    answer: str
    new_status: TaskStatus = TaskStatus.IN_PROGRESS

    RESULT: ClassVar[type] = HelpRequest

    def apply(self, tx: Transaction) -> HelpRequest:
        """Refuses a question that is closed, naming who closed it."""
        if not self.answer.strip():
            raise Invalid("answer must not be empty", field="answer")
        request = tx.get(HELP_REQUESTS, self.help_id)
        if request.state is not HelpState.OPEN:
            how = f"answered by {request.answered_by}" if request.answer else "withdrawn"
            raise Conflict(
                f"help request {request.id} was {how}",
                field="help_id",
                help_id=request.id,
                answered_by=request.answered_by,
                answer=request.answer,
            )
        answered = tx.put(
            HELP_REQUESTS,
            request,
            HELP_ANSWERED,
            state=HelpState.ANSWERED,
            answer=self.answer,
            answered_by=tx.actor,
            answered_at=tx.at,
        )
        if request.agent_id is not None:
            text = f"Answer to your question {request.issue!r}: {self.answer}"
            send(tx, request.project_id, request.agent_id, text)
        where = f"the answer to {request.issue!r}"
        call_mentioned(tx, Saying(request.project_id, self.answer, where, request.agent_id))
        task = tx.find(TASKS, "WHERE id = ?", request.task_id)
        release_agent(tx, request.agent_id)
        if task is not None:
            self._continue(tx, task)
        return answered

    def _continue(self, tx: Transaction, task: Task) -> None:
        note(tx, task, "answered", f"{tx.actor} answered: {self.answer}")
        status = self.new_status
        if status is TaskStatus.IN_PROGRESS and not _can_go_on(tx, task):
            # Its agent took up something else meanwhile, or is gone: this one is next in line.
            status = TaskStatus.BACKLOG
        moved = tx.put(TASKS, task, TASK_UPDATED, status=status, failures=0, not_before=None)
        settle_agent(tx, task, moved)


@register
@attrs.frozen
class NoteTold(Command[None]):
    """Record that a person was sent a question."""

    help_id: str

    RESULT: ClassVar[None] = None

    def apply(self, tx: Transaction) -> None:
        """Does nothing where that is known, or where the question is gone."""
        request = tx.find(HELP_REQUESTS, "WHERE id = ?", self.help_id)
        if request is not None and request.told_at is None:
            tx.put(HELP_REQUESTS, request, "help_told", told_at=tx.at)


def open_help(  # noqa: PLR0913 - the columns of a request
    tx: Transaction,
    task: Task,
    agent: Agent | None,
    issue: str,
    *,
    urgency: str,
    pulse_id: str | None = None,
) -> HelpRequest:
    """Ask a human about *task*, which is blocked until they answer.

    So is *agent*, unless it is the end of an attempt, *pulse_id*, that raises the question: then it
    goes on with its other tasks.
    """
    tx.put(TASKS, task, TASK_UPDATED, status=TaskStatus.BLOCKED)
    agent_id, halts = agent.id if agent else None, pulse_id is None
    if agent is not None and halts and agent.status is not AgentStatus.PAUSED:
        tx.put(AGENTS, agent, AGENT_UPDATED, status=AgentStatus.BLOCKED)
    elif agent is not None and not halts and agent.current_task_id == task.id:
        tx.put(AGENTS, agent, AGENT_UPDATED, current_task_id=None)
    note(tx, task, "help", issue, agent_id=agent_id, pulse_id=pulse_id)
    request = HelpRequest(
        id=tx.new_id(),
        project_id=task.project_id,
        task_id=task.id,
        agent_id=agent_id,
        issue=issue,
        urgency=urgency,
        state=HelpState.OPEN,
        answer=None,
        answered_by=None,
        created_at=tx.at,
        answered_at=None,
        halts=halts,
    )
    return tx.insert(HELP_REQUESTS, request, HELP_REQUESTED)


def require_owner(task: Task | TaskOwner, agent_id: str) -> None:
    """Refuse an agent that is not the task's own."""
    if f"{task.assignee}:{task.project_id}" != agent_id:
        raise Forbidden(
            f"task {task.id} belongs to {task.assignee or 'nobody'}: {agent_id} may not change it",
            task_id=task.id,
        )


def settle_agent(tx: Transaction, before: Task, after: Task) -> None:
    """Let the agents involved follow a card that was moved, given away or removed."""
    if before.status is TaskStatus.BLOCKED and after.status is not TaskStatus.BLOCKED:
        withdraw_help(tx, before)
    agent = tx.find(AGENTS, "WHERE id = ?", f"{before.assignee}:{before.project_id}")
    if agent is None or agent.current_task_id != before.id:
        return
    if after.status is TaskStatus.DONE and before.assignee == after.assignee:
        free = agent.status in (AgentStatus.IDLE, AgentStatus.WORKING)
        status = AgentStatus.DISTILLING if free else agent.status
        tx.put(AGENTS, agent, AGENT_UPDATED, status=status, owes_memory=True)
    elif after.status is not TaskStatus.IN_PROGRESS:
        tx.put(AGENTS, agent, AGENT_UPDATED, current_task_id=None)


def withdraw_help(tx: Transaction, task: Task) -> None:
    """Close the open questions about a task that was moved on without an answer."""
    for request in tx.all(HELP_REQUESTS, "WHERE task_id = ? AND state = 'open'", task.id):
        tx.put(HELP_REQUESTS, request, HELP_ANSWERED, state=HelpState.WITHDRAWN, answered_at=tx.at)
        release_agent(tx, request.agent_id)


def release_agent(tx: Transaction, agent_id: str | None) -> None:
    """Let an agent go on that waits for no answer any more."""
    agent = tx.find(AGENTS, "WHERE id = ?", agent_id)
    if agent is None or agent.status is not AgentStatus.BLOCKED:
        return
    status = free_status(tx, agent)
    if status is not AgentStatus.BLOCKED:
        tx.put(AGENTS, agent, AGENT_UPDATED, status=status)


def free_status(tx: Transaction, agent: Agent) -> AgentStatus:
    """Return what an agent is about where nobody has halted it."""
    if waits_for_answer(tx, agent.id):
        return AgentStatus.BLOCKED
    if agent.owes_memory:
        return AgentStatus.DISTILLING
    pulse = tx.find(PULSES, "WHERE agent_id = ? AND state <> 'ended'", agent.id)
    return AgentStatus.IDLE if pulse is None else AgentStatus.WORKING


def waits_for_answer(tx: Transaction, agent_id: str) -> bool:
    """Whether a question is open that this agent waits for."""
    halting = "WHERE agent_id = ? AND state = 'open' AND halts = 1"
    return tx.find(HELP_REQUESTS, halting, agent_id) is not None


def _can_go_on(tx: Transaction, task: Task) -> bool:
    agent = tx.find(AGENTS, "WHERE id = ?", f"{task.assignee}:{task.project_id}")
    in_hand = "WHERE project_id = ? AND assignee = ? AND status = 1 AND id <> ?"
    other = tx.find(TASKS, in_hand, task.project_id, task.assignee, task.id)
    return agent is not None and other is None
