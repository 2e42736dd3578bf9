"""The board, the story and the notes as files, rendered from records: pure text, no IO.

These are the bodies; the line above them is the seal's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import attrs

from ..storage import (
    US,
    ChronicleEntry,
    Memory,
    Message,
    Project,
    PulseKind,
    Result,
    Task,
    TaskStatus,
)

_OPEN = {
    TaskStatus.IN_PROGRESS: "In progress",
    TaskStatus.BLOCKED: "Blocked",
    TaskStatus.BACKLOG: "Backlog",
}


_EARLIER = "\nWhat was before this is in the database only.\n"


def when(at_us: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a stored time in words, UTC."""
    return datetime.fromtimestamp(at_us / US, UTC).strftime(form)


@attrs.frozen
class Closed:
    """A column of what is over."""

    count: int = 0
    newest: Sequence[Task] = ()
    """The last that came to it, newest first."""


@attrs.frozen
class BoardView:
    """What the board's mirror shows: every open card, and the newest of the others."""

    project: Project
    open: Sequence[Task] = ()
    waits: Mapping[str, Sequence[str]] = attrs.field(factory=dict)
    """By task, the titles of what it waits for."""
    done: Closed = Closed()
    archived: Closed = Closed()


def kanban(board: BoardView) -> str:
    """Render the board: a section for each column, always in the same order."""
    parts = [f"# {_line(board.project.name)}\n"]
    for status, title in _OPEN.items():
        cards = [task for task in board.open if task.status is status]
        parts.append(_section(title, len(cards)))
        parts += [_card(task, board.waits.get(task.id, ())) for task in cards]
    parts.append(_closed("Done", board.done))
    if board.archived.count:
        parts.append(_closed("Archived", board.archived))
    return "".join(parts)


def _section(title: str, count: int) -> str:
    return f"\n## {title} ({count})\n\n"


def _closed(title: str, column: Closed) -> str:
    cards = "".join(_card(task, ()) for task in column.newest)
    more = column.count - len(column.newest)
    rest = f"- and {more} more, which were changed before these\n" if more else ""
    return _section(title, column.count) + cards + rest


def _card(task: Task, waits: Sequence[str]) -> str:
    mark = "x" if task.status in (TaskStatus.DONE, TaskStatus.ARCHIVED) else " "
    facts = [f"P{task.priority}", task.assignee or "unassigned"]
    if task.labels:
        facts.append(" ".join(f"#{_line(label)}" for label in task.labels))
    if waits:
        facts.append("waits for " + ", ".join(map(_line, waits)))
    return f"- [{mark}] **{_line(task.title)}** · {' · '.join(facts)} · `{task.id}`\n"


def chronicle(project: Project, entries: Sequence[ChronicleEntry], *, earlier: bool = False) -> str:
    """Render the story, oldest first; *earlier*: of a longer one, the last part."""
    parts = [f"# Chronicle of {_line(project.name)}\n", _EARLIER if earlier else ""]
    for entry in entries:
        parts.append(f"\n## {when(entry.at)} · {entry.author}\n\n{entry.summary}\n")
        if entry.technical_debt:
            parts.append(f"\nTechnical debt: {entry.technical_debt}\n")
    return "".join(parts)


def daily(results: Sequence[Result], *, earlier: bool = False) -> str:
    """Render one day: a line for each attempt that has ended."""
    lines = [f"- {_EARLIER[1:]}"] if earlier else []
    for result in results:
        what = result.task_title if result.kind == PulseKind.WORK.value else None
        took = (result.ended_at - result.started_at) / US
        line = f"- {when(result.started_at, '%H:%M:%S')} {result.agent_id}:"
        line += f" {_line(what or result.kind)} · attempt {result.attempt}"
        line += f" · {result.outcome} in {took:.1f} s"
        lines.append(f"{line} · {_line(result.detail)}\n" if result.detail else f"{line}\n")
    return "".join(lines)


def learned(memories: Sequence[Memory], titles: Mapping[str, str], *, earlier: bool = False) -> str:
    """Render what an agent learned, oldest first."""
    parts = [_EARLIER] if earlier else []
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
