"""The board, the story and the notes as files, rendered from records: pure text, no IO."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from ..storage import (
    US,
    ChronicleEntry,
    Memory,
    Message,
    Project,
    Pulse,
    PulseKind,
    Task,
    TaskStatus,
)

NOTICE = "<!-- Written by Mission Control; changes made here are lost. -->\n"

_TITLES = {
    TaskStatus.IN_PROGRESS: "In progress",
    TaskStatus.BLOCKED: "Blocked",
    TaskStatus.BACKLOG: "Backlog",
    TaskStatus.DONE: "Done",
    TaskStatus.ARCHIVED: "Archived",
}


def when(at_us: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a stored time in words, UTC."""
    return datetime.fromtimestamp(at_us / US, UTC).strftime(form)


def kanban(project: Project, tasks: Sequence[Task], depends_on: Mapping[str, Sequence[str]]) -> str:
    """Render the board: a section for each column that has cards, always in the same order."""
    done = {task.id for task in tasks if task.status in (TaskStatus.DONE, TaskStatus.ARCHIVED)}
    titles = {task.id: task.title for task in tasks}
    parts = [f"# {_line(project.name)}\n\n{NOTICE}"]
    for status, title in _TITLES.items():
        cards = [task for task in tasks if task.status is status]
        if cards or status is not TaskStatus.ARCHIVED:
            parts.append(f"\n## {title} ({len(cards)})\n\n")
        for task in cards:
            waits = [_line(titles[id_]) for id_ in depends_on.get(task.id, ()) if id_ not in done]
            parts.append(_card(task, waits))
    return "".join(parts)


def _card(task: Task, waits: Sequence[str]) -> str:
    mark = "x" if task.status in (TaskStatus.DONE, TaskStatus.ARCHIVED) else " "
    facts = [f"P{task.priority}", task.assignee or "unassigned"]
    if task.labels:
        facts.append(" ".join(f"#{_line(label)}" for label in task.labels))
    if waits:
        facts.append("waits for " + ", ".join(waits))
    return f"- [{mark}] **{_line(task.title)}** · {' · '.join(facts)} · `{task.id}`\n"


def chronicle(project: Project, entries: Sequence[ChronicleEntry]) -> str:
    """Render the story, oldest first."""
    parts = [f"# Chronicle of {_line(project.name)}\n\n{NOTICE}"]
    for entry in entries:
        parts.append(f"\n## {when(entry.at)} · {entry.author}\n\n{entry.summary}\n")
        if entry.technical_debt:
            parts.append(f"\nTechnical debt: {entry.technical_debt}\n")
    return "".join(parts)


def daily(pulses: Sequence[Pulse], titles: Mapping[str, str]) -> str:
    """Render one day: a line for each attempt that has ended."""
    lines = [NOTICE]
    for pulse in pulses:
        if pulse.ended_at is None:
            continue
        title = titles.get(pulse.task_id or "")
        what = title if title and pulse.kind is PulseKind.WORK else pulse.kind.value
        took = (pulse.ended_at - pulse.started_at) / US
        line = f"- {when(pulse.started_at, '%H:%M:%S')} {pulse.agent_id}: {_line(what)}"
        line += f" · attempt {pulse.attempt} · {pulse.outcome} in {took:.1f} s"
        lines.append(f"{line} · {_line(pulse.detail)}\n" if pulse.detail else f"{line}\n")
    return "".join(lines)


def learned(memories: Sequence[Memory], titles: Mapping[str, str]) -> str:
    """Render what an agent learned, oldest first."""
    parts = [NOTICE]
    for memory in memories:
        title = titles.get(memory.task_id or "", "in general")
        parts.append(f"\n## {when(memory.at, '%Y-%m-%d')} · {_line(title)}\n\n{memory.summary}\n")
    return "".join(parts)


def history(messages: Sequence[Message]) -> str:
    """Render the notes to an agent, one JSON object a line, newest last."""
    return "".join(
        json.dumps(
            {"at": when(m.at), "from": m.sender, "text": m.text, "id": m.id}, ensure_ascii=False
        )
        + "\n"
        for m in messages
    )


def _line(text: str) -> str:
    return " ".join(text.split())
