"""What an agent is told for a pulse: gathered from the records and from its files."""

from __future__ import annotations

from pathlib import Path

from ..storage import Agent, Pulse, PulseKind, PulsesOf, Reads, Task, TaskEvent, read_plain
from ..storage.commands import FILE_EVENT
from ._mission import Mission
from ._runner import PulseOrder
from ._seal import unsealed
from ._session import session_order
from ._status_text import (
    RECENT_ATTEMPTS,
    RECENT_EVENTS,
    RECENT_NOTES,
    Layers,
    Standing,
    prompt,
    status_text,
)

LOOKED_AT = 200
"""How far back an agent's recent events are looked for."""
MAX_LAYER_BYTES = 64 * 1024
"""Of a file of memory; its end counts."""


def brief(mission: Mission, agent: Agent, pulse: Pulse, token: str = "") -> PulseOrder:
    """Tell a runner, and the agent through it, all there is to know for *pulse*."""
    standing = stand(mission, agent, pulse)
    scope, session = mission.home.scope(agent.project_id), session_order(mission, agent)
    return PulseOrder(
        pulse_id=pulse.id,
        agent_id=agent.id,
        project_id=agent.project_id,
        soul=agent.soul,
        session_key=session.session_key,
        kind=pulse.kind.value,
        task_id=pulse.task_id,
        task_title=standing.task.title if standing.task else None,
        attempt=pulse.attempt,
        scope=scope.path,
        cwd=session.cwd,
        status_text=status_text(standing, mission.templates.of(agent.project_id)),
        prompt=prompt(standing),
        timeout_s=agent.timeout_s + mission.settings.max_expected_silence_s,
        command=agent.command or mission.settings.command,
        token=token,
    )


def stand(mission: Mission, agent: Agent, pulse: Pulse) -> Standing:
    """Gather where *agent* stands at the beginning of *pulse*."""
    reads = mission.reads
    task = reads.find_task(pulse.task_id)
    return Standing(
        agent=agent,
        pulse=pulse,
        task=task,
        path=str(mission.home.scope(agent.project_id).path),
        layers=_layers(mission, agent),
        notes=tuple(reads.messages(agent.id, RECENT_NOTES)),
        news=tuple(reads.messages_shown(pulse)),
        events=_thoughts(reads, agent, task),
        earlier=_earlier(reads, pulse),
    )


def _earlier(reads: Reads, pulse: Pulse) -> tuple[Pulse, ...]:
    """Return the last attempts at the task that *pulse* is to work on; a watch has thousands."""
    if pulse.kind is not PulseKind.WORK or pulse.task_id is None:
        return ()
    # One more: *pulse* itself is among them.
    found = reads.pulses(PulsesOf("task_id", pulse.task_id), None, RECENT_ATTEMPTS + 1)
    return tuple(p for p in reversed(found) if p.id != pulse.id)


def _thoughts(reads: Reads, agent: Agent, task: Task | None) -> tuple[TaskEvent, ...]:
    """Return the last events but for those of files, which are many and say little."""
    task_id = task.id if task else None
    found = reads.events(task_id=task_id, project_id=agent.project_id, limit=LOOKED_AT)
    return tuple(event for event in found if event.kind != FILE_EVENT)[-RECENT_EVENTS:]


def _layers(mission: Mission, agent: Agent) -> Layers:
    scope = mission.home.scope(agent.project_id)
    notes = scope.agent(agent.soul)
    souls = (_text(mission.home.soul(agent.soul)), _text(notes / "SOUL.md"))
    return Layers(
        soul="\n\n".join(part for part in souls if part),
        context=_text(scope.context),
        working=_text(notes / "working.md"),
        learned=unsealed(_text(notes / "learned.md")).strip(),
    )


def _text(path: Path) -> str:
    return (read_plain(path, MAX_LAYER_BYTES) or b"").decode("utf-8", "replace").strip()
