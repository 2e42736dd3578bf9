"""Those who look again and again: at tasks that nobody sees to, and at words that come too late."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs
import trio

from mission_control.actors import Because, why_all
from mission_control.storage import Forbidden, MissionError, PulseState
from mission_control.storage.commands import LogEvent

from .host import Host, Run
from .life import Life

LOOK_S = 3_600.0
SOON_S = 5 * 3_600.0
"""So long may a task be next in line, or its agent be starting, in one life."""

AT_ONCE = (Because.NEXT, Because.STARTING)
"""Reasons that are none for long."""


@attrs.define
class Watchers:
    """They change nothing: what they write must be refused."""

    chance: random.Random
    life: Callable[[], Life | None]
    host: Host
    fail: Callable[[str], None]
    _since: dict[tuple[Life, str, Because], float] = attrs.field(factory=dict)

    async def watch_tasks(self) -> None:
        """See that each open task has a reason, and none is about to be worked on for ever."""
        while True:
            await trio.sleep(LOOK_S)
            life = self.life()
            if life is not None:
                self._since = await self._look(life)

    async def _look(self, life: Life) -> dict[tuple[Life, str, Because], float]:
        now, since = trio.current_time(), {}
        try:
            for project in life.mission.reads.projects():
                for task_id, reason in (await why_all(life.mission, project.id)).items():
                    if reason.because in AT_ONCE:
                        key = (life, task_id, reason.because)
                        since[key] = self._since.get(key, now)
                        if now - since[key] > SOON_S:
                            self.fail(f"stranded: task {task_id}: {reason.sentence}")
        except MissionError:
            return {}  # the storage is being started
        return since

    async def try_late_words(self) -> None:
        """Let attempts that have ended write, by the fence that they had."""
        while True:
            await trio.sleep(self.chance.expovariate(1 / 1_800.0))
            ended = [run for run in self.host.runs.values() if not run.active and run.fence]
            life = self.life()
            if ended and life is not None:
                await self._speak(life, self.chance.choice(ended[-5:]))

    async def _speak(self, life: Life, run: Run) -> None:
        task_id, agent_id = run.order.task_id, run.order.agent_id
        try:
            pulse = life.mission.reads.pulse(run.order.pulse_id)
            if task_id is None or pulse.state is not PulseState.ENDED:
                return
            late = LogEvent(task_id, "late words", by_agent=agent_id)
            await life.mission.store.write(late, by=agent_id, fence=run.fence)
        except Forbidden:
            return
        except MissionError:
            return  # the storage is being started, or is full
        self.fail(f"an attempt of {agent_id} that had ended wrote something")
