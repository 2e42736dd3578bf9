"""Processes that run at once, again and again, and whether each began in every one of its times."""

from __future__ import annotations

import math
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import trio

import mission_control
from _fleet import Fleet, agent_id, project_id
from mission_control import Config, MissionControl
from mission_control.actors import phase
from mission_control.config import ListenSettings, ProcessSettings, PulseDefaults
from mission_control.storage import US, Agent, Pulse

GATE: Final = "gate"
"""A pipe in `src/` from which the first command of every agent takes one line, and waits for it."""
COMMAND: Final = (
    "sh",
    "-c",
    f'if mkdir ".$MISSION_CONTROL_AGENT_ID" 2>/dev/null; then read -r _ <{GATE}; fi; sleep 1',
)
PATIENCE_S: Final = 120.0
SLACK_S: Final = 1.0
"""A time of the schedule that came so shortly before the end is not looked for."""


async def on_time(home: Path, fleet: Fleet, rounds: int) -> int:
    """Return how many agents of the one project of *fleet* missed none of their times.

    Their first commands all run at once: each waits until the last of them does.  Then each runs
    for a second of every interval, so often as there are *rounds*.

    Raises:
        trio.TooSlowError: they never ran all at once.
    """
    settings = Config(
        listen=ListenSettings(port=0),
        process=ProcessSettings(command=COMMAND),
        pulse=PulseDefaults(
            max_running=fleet.size,
            max_running_per_project=fleet.size,
            max_idle_interval_s=0,  # its commands move nothing
        ),
    )
    async with mission_control.open(home, settings) as mc:
        with _gate(mc.mission.home.scope(project_id(0)).src) as gate:
            agents = await _put_to_work(mc, fleet)
            with trio.fail_after(PATIENCE_S):
                while not _all_run(mc, agents):  # noqa: ASYNC110 - a second or two, once
                    await trio.sleep(0.05)
            os.write(gate, b"\n" * fleet.size)
            await trio.sleep((rounds + 1.5) * fleet.interval_s)
            until_s, begun = time.time() - SLACK_S, _begun(mc, agents)
    return sum(_missed_none(agent, begun[agent.id], until_s) for agent in agents)


@contextmanager
def _gate(folder: Path) -> Iterator[int]:
    """Make the gate, and hold it open: nobody waits to open it, however late."""
    os.mkfifo(folder / GATE)
    gate = os.open(folder / GATE, os.O_RDWR)
    try:
        yield gate
    finally:
        os.close(gate)


async def _put_to_work(mc: MissionControl, fleet: Fleet) -> list[Agent]:
    ids = [agent_id(number, 0) for number in range(fleet.agents)]
    for each in ids:
        await mc.call(
            "mission.task.create",
            project_id=project_id(0),
            title=f"Work of {each}",
            assignee_id=each.partition(":")[0],
        )
    return [mc.mission.reads.agent(each) for each in ids]


def _all_run(mc: MissionControl, agents: Iterable[Agent]) -> bool:
    reads = mc.mission.reads
    return all(
        (pulse := reads.open_pulse(agent.id)) is not None and pulse.process_group is not None
        for agent in agents
    )


def _begun(mc: MissionControl, agents: Iterable[Agent]) -> dict[str, list[Pulse]]:
    begun: dict[str, list[Pulse]] = defaultdict(list)
    for agent in agents:
        task = mc.mission.reads.newest_pulse(agent.id)
        if task is not None and task.task_id is not None:
            begun[agent.id] = mc.mission.reads.pulses_of_task(task.task_id)
    return begun


def _missed_none(agent: Agent, pulses: list[Pulse], until_s: float) -> bool:
    """Whether one began in each time of the schedule from the end of the first to *until_s*."""

    def turn(at_s: float) -> int:
        return math.floor((at_s - phase(agent.slot, agent.interval_s)) / agent.interval_s)

    if not pulses or pulses[0].ended_at is None:
        return False
    begun = [turn(pulse.started_at / US) for pulse in pulses[1:]]
    due = range(turn(pulses[0].ended_at / US) + 1, turn(until_s) + 1)
    return set(due) <= set(begun) and len(begun) == len(set(begun))
