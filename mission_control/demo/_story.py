"""What happened, told from the records, and whether it is what should have happened."""

from __future__ import annotations

from collections.abc import Iterator

from ..actors import group_exists
from ..app import MissionControl
from ..storage import HelpState, Pulse, Task, TaskStatus
from ._plot import CARDS


def failures(mc: MissionControl, project_id: str) -> Iterator[str]:
    """Tell each attempt that did not end well, and what came after it."""
    for task in mc.mission.reads.board(project_id):
        pulses = [p for p in mc.mission.reads.pulses_of_task(task.id) if p.kind.value == "work"]
        for number, pulse in enumerate(pulses):
            if pulse.outcome not in (None, "succeeded"):
                yield _told(task, pulse, pulses[number + 1 :])
    for request in mc.mission.reads.help_requests(project_id=project_id, state="answered"):
        yield (
            f"question by {request.agent_id}: {request.issue}\n"
            f"  answered by {request.answered_by}: {request.answer}; the task went on."
        )


def _told(task: Task, pulse: Pulse, later: list[Pulse]) -> str:
    group = ""
    if pulse.process_group is not None:
        alive = (
            "still runs" if group_exists(pulse.process_group) else "is gone, every process of it"
        )
        group = f"; process group {pulse.process_group} {alive}"
    then = "; nobody has tried since."
    if later:
        then = f"; attempt {later[-1].attempt} ended {later[-1].outcome}, the task is"
        then += f" {task.status.name.lower()}."
    return (
        f"{pulse.agent_id}, {task.title!r}, attempt {pulse.attempt}:\n"
        f"  {pulse.outcome}: {pulse.detail}{group}{then}"
    )


def is_over(mc: MissionControl, project_id: str) -> bool:
    """Whether every task is done and every agent has distilled and rests."""
    reads = mc.mission.reads
    tasks = reads.board(project_id)
    at_rest = all(agent.status.value == "idle" for agent in reads.agents(project_id))
    return at_rest and all(task.status is TaskStatus.DONE for task in tasks)


def complaints(mc: MissionControl, project_id: str) -> list[str]:
    """Return what did not end as it should; nothing, if all is well."""
    reads = mc.mission.reads
    tasks = {task.title: task for task in reads.board(project_id)}
    found = []
    for card in CARDS:
        task = tasks.get(card.title)
        if task is None or task.status is not TaskStatus.DONE:
            status = "missing" if task is None else task.status.name.lower()
            found.append(f"{card.title!r} should be done and is {status}")
            continue
        outcomes = [p.outcome for p in reads.pulses_of_task(task.id) if p.kind.value == "work"]
        expected = {"crash": "failed", "hang": "aborted"}.get(card.label)
        if expected is not None and outcomes != [expected, "succeeded"]:
            found.append(f"{card.title!r} should have {expected} once: {outcomes}")
    answered = reads.help_requests(project_id=project_id, state=HelpState.ANSWERED.value)
    if len(answered) != 1:
        found.append(f"one question should have been answered, not {len(answered)}")
    return found
