"""Those who look again and again: at tasks that nobody sees to, and at words that come too late."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs
import trio

from mission_control.actors import Because, FileLedger, why_all
from mission_control.storage import MissionError, PulseState
from mission_control.storage.commands import LogEvent
from mission_control.storage.files import AgentAccess, WriteFile, fingerprint

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
        """Let attempts that have ended speak and write, by the fence that they had."""
        while True:
            await trio.sleep(self.chance.expovariate(1 / 1_800.0))
            ended = [run for run in self.host.runs.values() if not run.active and run.fence]
            life = self.life()
            if ended and life is not None:
                await self._try(life, self.chance.choice(ended[-5:]))

    async def _try(self, life: Life, run: Run) -> None:
        try:
            if life.mission.reads.pulse(run.order.pulse_id).state is not PulseState.ENDED:
                return
            await self.chance.choice([self._speak, self._write])(life, run)
        except MissionError:
            return  # it is refused, as it must; or the storage is being started, or is full
        self.fail(f"an attempt of {run.order.agent_id} that had ended wrote something")

    async def _speak(self, life: Life, run: Run) -> None:
        late = LogEvent(str(run.order.task_id), "late words", by_agent=run.order.agent_id)
        await life.mission.store.write(late, by=run.order.agent_id, fence=run.fence)

    async def _write(self, life: Life, run: Run) -> None:
        order, wanted = run.order, WriteFile("src/late.txt", b"late words\n")
        ledger = FileLedger(
            life.mission,
            order.project_id,
            order.agent_id,
            fingerprint(wanted),
            fence=run.fence,
            agent_id=order.agent_id,
        )
        access = AgentAccess(order.project_id, order.soul)
        await life.mission.files.change(access, wanted, ledger=ledger)
