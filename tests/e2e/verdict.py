"""Whether a project came through: all done, nothing twice, nothing forgotten, nobody stuck."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mission_control.actors import Home
from mission_control.storage import AgentStatus, PulseKind, Reads, Task, TaskStatus

from .shift import Shift


def rests(reads: Reads, project_id: str) -> bool:
    """Whether all cards are done, and all agents at rest."""
    return all(task.status is TaskStatus.DONE for task in reads.board(project_id)) and all(
        agent.status is AgentStatus.IDLE and reads.open_pulse(agent.id) is None
        for agent in reads.agents(project_id)
    )


def wrongs(shift: Shift, home: Path, reads: Reads, project_id: str) -> list[str]:
    """Return all that is not as it should be once everybody rests."""
    return [*_unfinished(Home(home), reads, project_id), *_doubled(shift, reads, project_id)]


def _unfinished(home: Home, reads: Reads, project_id: str) -> Iterator[str]:
    kanban = home.scope(project_id).kanban.read_text("utf-8")
    for task in reads.board(project_id):
        if task.status is not TaskStatus.DONE:
            yield f"{task.title!r} is {task.status.name}"
        elif not any(
            line.startswith("- [x]") and task.title in line for line in kanban.split("\n")
        ):
            yield f"{task.title!r} is not done in KANBAN.md"
    for agent in reads.agents(project_id):
        if agent.status is not AgentStatus.IDLE or reads.open_pulse(agent.id) is not None:
            yield f"{agent.id} is stuck: {agent.status.value}"


def _doubled(shift: Shift, reads: Reads, project_id: str) -> Iterator[str]:
    for task in reads.board(project_id):
        attempts = _attempts(reads, task)
        begun = shift.begun(task.title)
        if begun > len(attempts):
            yield f"{task.title!r} was begun {begun} times in {len(attempts)} attempts"
        yield from _thought_twice(reads, task, attempts)


def _attempts(reads: Reads, task: Task) -> set[str]:
    """The attempts that the runner may have let act."""
    recorded = [p for p in reads.pulses_of_task(task.id) if p.kind is PulseKind.WORK]
    return {pulse.id for pulse in recorded if pulse.outcome != "not_started"}


def _thought_twice(reads: Reads, task: Task, attempts: set[str]) -> Iterator[str]:
    events = reads.events(task_id=task.id, limit=500)
    thoughts = [event for event in events if event.kind == "thought"]
    for thought, times in Counter(event.thought for event in thoughts).items():
        if times > 1:
            yield f"{thought!r} was thought {times} times"
    for pulse_id, times in Counter(event.pulse_id for event in thoughts).items():
        if times > 1 or pulse_id not in attempts:
            yield f"{times} turns thought in attempt {pulse_id} of {task.title!r}"
