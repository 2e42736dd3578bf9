"""What an agent is told at the start of each pulse (SYSTEM §6, the System Pulse Template)."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ..storage import Agent, Message, Pulse, PulseKind, Task, TaskEvent
from ._template import Template, parse_template

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

DEFAULT = parse_template(TEMPLATE, "the built-in template")

TAIL_CHARS = 2_000
"""How much of each layer of memory is quoted."""
NOTE_CHARS = 4_000
"""How much of a message is quoted."""
THOUGHT_CHARS = 2_000
"""How much of an event is quoted."""
DESCRIPTION_CHARS = 50_000
"""How much of a card is quoted."""
RECENT_ATTEMPTS = 10
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
    """The last attempts at the same task, oldest first."""


SECTIONS = {
    "attempt": "ATTEMPT",
    "task_description": "TASK DESCRIPTION",
    "soul": "YOUR SOUL",
    "context": "PROJECT RULES",
    "working": "YOUR WORKING NOTES",
}
"""What follows a template that has no place for it, and under which title."""


def status_text(standing: Standing, template: Template = DEFAULT) -> str:
    """Fill in *template*, and add attempts, task and memory where it has no place for them."""
    values = _values(standing)
    rest = [
        f"\n[{title}]\n{values[name]}\n"
        for name, title in SECTIONS.items()
        if values[name] and name not in template.names
    ]
    return template.fill(values) + "".join(rest)


def _values(standing: Standing) -> dict[str, str]:
    """Return what is put in for each placeholder."""
    task, layers = standing.task, standing.layers
    return {
        "agent_id": standing.agent.id,
        "attempt": attempt_line(standing),
        "context": _tail(layers.context),
        "events": _listed(map(_event, standing.events)),
        "learned": _tail(layers.learned) or "nothing yet",
        "notes": _listed(_notes(standing)),
        "project_id": standing.agent.project_id,
        "scoped_path": standing.path,
        "soul": layers.soul.strip(),
        "task_description": _head(task.description, DESCRIPTION_CHARS, "on the card")
        if task
        else "",
        "task_id": task.id if task else "none",
        "task_title": task.title if task else "none",
        "working": _tail(layers.working),
    }


def attempt_line(standing: Standing) -> str:
    """Return what became of the last attempts, or nothing where all is well."""
    bad = [p for p in standing.earlier if p.outcome not in (None, "succeeded", "not_started")]
    if not bad or standing.pulse.kind is not PulseKind.WORK:
        return ""
    return "; ".join([f"attempt {standing.pulse.attempt}", *map(_told, bad)])


def _told(pulse: Pulse) -> str:
    what = f"attempt {pulse.attempt} ended because: {pulse.outcome}, {pulse.detail}"
    return f"{what} ({pulse.effects})" if pulse.effects else what


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
        yield f"{note.sender}{mark}: {_head(note.text, NOTE_CHARS, 'in your history.jsonl')}"


def _event(event: TaskEvent) -> str:
    return f"{event.kind}: {_head(event.thought, THOUGHT_CHARS, 'among the events of the task')}"


def _head(text: str, chars: int, where: str) -> str:
    if len(text) <= chars:
        return text
    return f"{text[:chars]}... (the whole of it stands {where})"


def _tail(text: str) -> str:
    return text.strip()[-TAIL_CHARS:]


def _listed(lines: Iterable[str]) -> str:
    return "".join(f"\n  - {line}" for line in lines) or "none"
