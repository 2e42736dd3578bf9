"""How long it takes from an assignment to the call of the runner, among many idle agents."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import trio

import mission_control
from _fleet import Fleet, agent_id
from _tests import ScriptedRunner
from mission_control import Config, MissionControl
from mission_control.actors import Life, Outcome, OutcomeKind, PulseOrder, Subscription
from mission_control.config import ListenSettings


async def wake_s(home: Path, fleet: Fleet, times: int) -> float:
    """Return the median of the seconds from one to the other, of *times* agents in turn.

    It begins with the commit, which a subscriber hears of when the agents do.
    """
    called: dict[str | None, float] = {}
    ran = trio.Semaphore(0)

    async def note(order: PulseOrder, _: Life) -> Outcome:
        called[order.task_id] = time.perf_counter()
        ran.release()
        return Outcome(OutcomeKind.SUCCEEDED)

    settings = Config(listen=ListenSettings(port=0))
    async with mission_control.open(home, settings, runner=ScriptedRunner(note)) as mc:
        taken = []
        for number in range(times):
            project = number % fleet.projects
            committed, task_id = await _assign(mc, agent_id(number // fleet.projects, project))
            await ran.acquire()
            taken.append(called[task_id] - committed)
            await mc.call("mission.task.delete", task_id=task_id)
        return median(taken)


async def _assign(mc: MissionControl, assignee: str) -> tuple[float, str]:
    """Make a task for an agent; return when it was committed, and its id."""
    soul, project = assignee.split(":")
    heard = 0.0

    async def hear(changes: Subscription) -> None:
        nonlocal heard
        async for change in changes:
            if change.kind == "task_updated":
                heard = time.perf_counter()
                return

    async with await mc.subscribe() as changes, trio.open_nursery() as nursery:
        nursery.start_soon(hear, changes)
        made = await mc.call(
            "mission.task.create", project_id=project, title="Work", assignee_id=soul
        )
    return heard, str(made["task_id"])
