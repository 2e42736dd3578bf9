"""What tests of the whole share: a runner that they script, a crew, and waiting for a change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import attrs
import trio

from mission_control import MissionControl
from mission_control.actors import Life, Outcome, OutcomeKind, PulseOrder, RunHandle
from mission_control.config import PulseDefaults

Script = Callable[[PulseOrder, Life], Awaitable[Outcome]]

DONE = Outcome(OutcomeKind.SUCCEEDED)


@attrs.define
class ScriptedRunner:
    """Runs a function for each pulse, and notes which ran, and which ran at once."""

    script: Script
    away: str | None = None
    orders: list[PulseOrder] = attrs.field(factory=list)
    running: set[str] = attrs.field(factory=set)
    most_at_once: int = 0
    recovered: list[str] = attrs.field(factory=list)

    name = "scripted"

    async def open_session(self, order: PulseOrder) -> str:
        return order.session_key

    async def run(self, order: PulseOrder, life: Life) -> Outcome:
        assert order.agent_id not in self.running, "two attempts of one agent at once"
        self.orders.append(order)
        self.running.add(order.agent_id)
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            await life.started(RunHandle(run_id=order.pulse_id))
            return await self.script(order, life)
        finally:
            self.running.discard(order.agent_id)

    async def recover(self, order: PulseOrder, handle: RunHandle, life: Life) -> Outcome:
        self.recovered.append(order.pulse_id)
        return Outcome(OutcomeKind.LOST, "the scripted runner forgets")


FAST = PulseDefaults(
    interval_s=3600.0, timeout_s=30.0, deadman_s=30.0, retry_delay_s=0.05, tick_s=3600.0
)
"""The schedule and the tick far away: what happens in a test, happens because of an event."""

Open = Callable[..., AbstractAsyncContextManager[MissionControl]]


async def crew(mc: MissionControl, *souls: str, project: str = "P") -> str:
    """Make a project with these souls; return its id."""
    project_id = str((await mc.call("mission.project.init", project_name=project))["project_id"])
    for soul in souls:
        await mc.call("mission.agent.create", soul=soul, project_id=project_id)
    return project_id


async def until(mc: MissionControl, condition: Callable[[], bool], within_s: float = 15.0) -> None:
    """Wait for *condition*, looking again after every committed change."""
    async with await mc.subscribe() as changes:
        with trio.fail_after(within_s):
            while not condition():
                await changes.__anext__()
