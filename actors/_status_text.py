"""What an agent is told at the start of each pulse (SYSTEM §6, the System Pulse Template)."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ..storage import Agent, Message, Pulse, PulseKind, Task, TaskEvent

TEMPLATE = """\
[SYSTEM STATUS UPDATE]
- Current Project: {project_id}
- Current Path: {scoped_path}
- Active Task: {task_title} (ID: {task_id})
- Last Learned Context: {learned}
- Internal Team Notes: {notes}
- Recent Events: {events}

INSTRUCTION: Update your status via 'log_event' before taking any tool actions.
"""

TAIL_CHARS = 2_000
"""How much of each layer of memory is quoted."""
NOTE_CHARS = 4_000
"""How much of a message is quoted."""
RECENT_EVENTS = 5
RECENT_NOTES = 5


@attrs.frozen
class Layers:
    """The layers of memory, as texts."""

    soul: str = ""
    """L1, the persona and its refinement for the project."""
    context: str = ""
    """L2, the project's rules."""
    working: str = ""
    """L3, the agent's own notes."""
    learned: str = ""
    """L4, what it learned."""


@attrs.frozen
class Standing:
    """Where an agent stands at the beginning of a pulse."""

    agent: Agent
    pulse: Pulse
    task: Task | None
    path: str
    layers: Layers
    notes: tuple[Message, ...] = ()
    """The last messages, oldest first."""
    news: tuple[Message, ...] = ()
    """The messages that this pulse is the first to be shown; each is in one pulse's status text."""
    events: tuple[TaskEvent, ...] = ()
    earlier: tuple[Pulse, ...] = ()
    """Attempts at the same task, oldest first."""


def status_text(standing: Standing) -> str:
    """Fill in the template, and add attempts, task and memory where there are any."""
    task, layers = standing.task, standing.layers
    text = TEMPLATE.format(
        project_id=standing.agent.project_id,
        scoped_path=standing.path,
        task_title=task.title if task else "none",
        task_id=task.id if task else "none",
        learned=_tail(layers.learned) or "nothing yet",
        notes=_listed(_notes(standing)),
        events=_listed(f"{e.kind}: {e.thought}" for e in standing.events),
    )
    sections = [
        ("ATTEMPT", attempt_line(standing)),
        ("TASK DESCRIPTION", task.description if task else ""),
        ("YOUR SOUL", layers.soul.strip()),
        ("PROJECT RULES", _tail(layers.context)),
        ("YOUR WORKING NOTES", _tail(layers.working)),
    ]
    return text + "".join(f"\n[{title}]\n{body}\n" for title, body in sections if body)


def attempt_line(standing: Standing) -> str:
    """Return what became of earlier attempts, or nothing on the first."""
    bad = [p for p in standing.earlier if p.outcome not in (None, "succeeded", "not_started")]
    if not bad or standing.pulse.kind is not PulseKind.WORK:
        return ""
    told = "; ".join(f"attempt {p.attempt} ended because: {p.outcome}, {p.detail}" for p in bad)
    return f"attempt {standing.pulse.attempt}; {told}"


def prompt(standing: Standing) -> str:
    """Say in one or two sentences what the pulse is for."""
    task = standing.task
    match standing.pulse.kind:
        case PulseKind.WORK if task is not None:
            return (
                f"Work on your task {task.title!r} (ID: {task.id}). When it is done, move it to"
                " done; when you cannot go on without a human, request help."
            )
        case PulseKind.DISTILL:
            about = f" {task.title!r}" if task else ""
            return f"Your task{about} is done. Call distill_memory with what you learned from it."
        case PulseKind.MESSAGE:
            return "You have new messages in your team notes. Act on them."
        case _:
            return "You were asked to look at where things stand. Act if there is need."


def _notes(standing: Standing) -> Iterable[str]:
    """Return the tail of the notes, and what is new however much that is."""
    new, tail = ({note.id for note in notes} for notes in (standing.news, standing.notes))
    older = [note for note in standing.news if note.id not in tail]
    for note in (*older, *standing.notes):
        mark = " (new)" if note.id in new else ""
        yield f"{note.sender}{mark}: {_head(note.text)}"


def _head(text: str) -> str:
    if len(text) <= NOTE_CHARS:
        return text
    return f"{text[:NOTE_CHARS]}... (the whole of it stands in your history.jsonl)"


def _tail(text: str) -> str:
    return text.strip()[-TAIL_CHARS:]


def _listed(lines: Iterable[str]) -> str:
    return "".join(f"\n  - {line}" for line in lines) or "none"
