"""What tests of the whole share: a runner that they script, a crew, and waiting for a change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import attrs
import trio

from mission_control import MissionControl
from mission_control.actors import (
    HostAgent,
    Life,
    Outcome,
    OutcomeKind,
    Page,
    PulseOrder,
    RunHandle,
    SessionOrder,
    SessionStatus,
)
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
    recorded: set[str] = attrs.field(factory=set)
    """Those of `running` that know that their run stands in the database."""
    most_at_once: int = 0
    recovered: list[str] = attrs.field(factory=list)
    sessions: dict[str, str] = attrs.field(factory=dict)
    """By key, the life of each, as its host knows it; a test may take one away."""
    asked: list[str] = attrs.field(factory=list)
    """What was done to sessions."""
    souls: dict[str, str | None] = attrs.field(factory=dict)
    """Of the agents that its host has of its own."""
    name: str = "scripted"

    async def open_session(self, order: SessionOrder) -> str:
        if order.session_key not in self.sessions:
            self._begin(order.session_key)
        return self.sessions[order.session_key]

    def _begin(self, key: str) -> None:
        self.asked.append("begin")
        self.sessions[key] = f"life {len(self.asked)}"

    async def session_status(self, order: SessionOrder) -> SessionStatus | None:
        if order.session_key not in self.sessions:
            return None
        life, busy = self.sessions[order.session_key], order.agent_id in self.running
        return SessionStatus(life, str(order.cwd), None, busy)

    async def reset_session(self, order: SessionOrder) -> None:
        self._begin(order.session_key)

    async def end_session(self, order: SessionOrder) -> None:
        self.asked.append("end")
        self.sessions.pop(order.session_key, None)

    async def transcript(
        self, order: SessionOrder, *, cursor: str | None, limit: int
    ) -> Page | None:
        return None

    async def host_agents(self) -> tuple[HostAgent, ...]:
        return tuple(HostAgent(id_, id_, f"/work/{id_}", "a model") for id_ in self.souls)

    async def host_soul(self, agent_id: str) -> str | None:
        return self.souls[agent_id]

    async def run(self, order: PulseOrder, life: Life) -> Outcome:
        assert order.agent_id not in self.running, "two attempts of one agent at once"
        self.orders.append(order)
        self.running.add(order.agent_id)
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            await life.started(RunHandle(run_id=order.pulse_id))
            self.recorded.add(order.agent_id)
            return await self.script(order, life)
        finally:
            self.running.discard(order.agent_id)
            self.recorded.discard(order.agent_id)

    async def recover(self, order: PulseOrder, handle: RunHandle, life: Life) -> Outcome:
        self.recovered.append(order.pulse_id)
        return Outcome(OutcomeKind.LOST, "the scripted runner forgets")


FAST = PulseDefaults(
    interval_s=3600.0, timeout_s=300.0, deadman_s=300.0, retry_delay_s=0.05, tick_s=3600.0
)
"""The schedule and the tick far away: what happens in a test, happens because of an event."""

Open = Callable[..., AbstractAsyncContextManager[MissionControl]]


async def crew(mc: MissionControl, *souls: str, project: str = "P") -> str:
    """Make a project with these souls; return its id."""
    project_id = str((await mc.call("mission.project.init", project_name=project))["project_id"])
    for soul in souls:
        await mc.call("mission.agent.create", soul=soul, project_id=project_id)
    return project_id


PATIENCE_S = 60.0
"""For what takes milliseconds on an idle machine."""


async def until(mc: MissionControl, condition: Callable[[], bool]) -> None:
    """Wait for *condition*, looking again after every committed change.

    Of what is only in memory nobody tells, and it may come after the last change: so it looks
    again now and then as well.
    """
    async with await mc.subscribe() as changes:
        with trio.fail_after(PATIENCE_S):
            while not condition():
                with trio.move_on_after(0.5):
                    await changes.__anext__()
