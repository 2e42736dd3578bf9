"""The thought stream, the chronicle, and what agents learn."""

from __future__ import annotations

import re
from typing import ClassVar

import attrs

from .._errors import Invalid
from .._records import OURSELVES, AgentStatus, ChronicleEntry, Memory, TaskEvent
from .._registry import register
from .._table import AGENTS, CHRONICLE, MEMORIES, PROJECTS, TASKS
from .._transaction import Command, Transaction
from ._events import note
from ._mentions import Saying, call_mentioned
from ._waits import call_back
from .help import AGENT_UPDATED, free_status, require_owner

CHRONICLE_UPDATED = "chronicle_updated"
MEMORY_DISTILLED = "memory_distilled"
MAX_TEXT_CHARS = 20_000
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")


def _require_text(text: str, field: str) -> str:
    if not 0 < len(text.strip()) <= MAX_TEXT_CHARS:
        raise Invalid(f"{field} must have 1 to {MAX_TEXT_CHARS} characters", field=field)
    return text.strip()


@register
@attrs.frozen
class LogEvent(Command[TaskEvent]):
    """Add a thought to a task's stream."""

    task_id: str
    thought: str
    action: str = ""
    event_type: str = "thought"
    by_agent: str | None = None

    RESULT: ClassVar[type] = TaskEvent

    def apply(self, tx: Transaction) -> TaskEvent:
        """Refuses another agent's task."""
        task = tx.owner(self.task_id)
        if self.by_agent is not None:
            require_owner(task, self.by_agent)
        if not _KIND.fullmatch(self.event_type):
            raise Invalid("event_type must be a lower-case word", field="event_type")
        thought = _require_text(self.thought, "thought")
        if "@" in thought:
            call_mentioned(tx, Saying(task.project_id, thought, f"a thought on task {task.id}"))
        if task.not_before and self.by_agent is None and tx.actor != OURSELVES:
            call_back(tx, tx.get(TASKS, task.id))
        action = self.action[:MAX_TEXT_CHARS]
        return note(tx, task, self.event_type, thought, action=action, agent_id=self.by_agent)


@register
@attrs.frozen
class UpdateChronicle(Command[ChronicleEntry]):
    """Add an entry to the project's story."""

    project_id: str
    summary: str
    technical_debt: str = ""

    RESULT: ClassVar[type] = ChronicleEntry

    def apply(self, tx: Transaction) -> ChronicleEntry:
        """Refuses an empty summary."""
        tx.get(PROJECTS, self.project_id)
        summary = _require_text(self.summary, "summary")
        debt = self.technical_debt.strip()[:MAX_TEXT_CHARS]
        call_mentioned(tx, Saying(self.project_id, f"{summary}\n{debt}", "the chronicle"))
        entry = ChronicleEntry(tx.new_id(), self.project_id, tx.actor, summary, debt, tx.at)
        return tx.insert(CHRONICLE, entry, CHRONICLE_UPDATED)


@register
@attrs.frozen
class DistillMemory(Command[Memory]):
    """Keep what an agent learned; an agent that was asked to distil has done so."""

    agent_id: str
    summary: str
    archive_notes: bool = True

    RESULT: ClassVar[type] = Memory

    def apply(self, tx: Transaction) -> Memory:
        """Writes to learned.md and, in one line, to the chronicle."""
        agent = tx.get(AGENTS, self.agent_id)
        summary = _require_text(self.summary, "summary")
        task = tx.find(TASKS, "WHERE id = ?", agent.current_task_id)
        memory = Memory(
            tx.new_id(),
            agent.project_id,
            agent.id,
            task.id if task else None,
            summary,
            tx.at,
            self.archive_notes,
        )
        tx.insert(MEMORIES, memory, MEMORY_DISTILLED)
        about = f" from {task.title!r}" if task else ""
        line = f"{agent.soul} learned{about}: {summary.splitlines()[0]}"
        entry = ChronicleEntry(tx.new_id(), agent.project_id, agent.id, line, "", tx.at)
        tx.insert(CHRONICLE, entry, CHRONICLE_UPDATED)
        if agent.owes_memory or agent.status is AgentStatus.DISTILLING:
            paid = attrs.evolve(agent, owes_memory=False)
            distilling = agent.status is AgentStatus.DISTILLING
            status = free_status(tx, paid) if distilling else agent.status
            tx.put(AGENTS, paid, AGENT_UPDATED, status=status)
        return memory
