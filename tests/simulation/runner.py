"""The runner of one life: how a sidecar reaches the simulated host, while its machine is on."""

from __future__ import annotations

import attrs
import trio

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
from mission_control.storage import Unavailable

from .host import Host, Run
from .machine import Machine

NEVER_BEGAN = Outcome(OutcomeKind.NOT_STARTED, "the simulated host never heard of it")
GONE = Outcome(OutcomeKind.LOST, "the simulated host was started again since")


@attrs.define
class SimulatedRunner:
    """Implements `Runner`."""

    host: Host
    machine: Machine

    name = "simulated"

    @property
    def away(self) -> str | None:
        """As the host is."""
        return self.host.away

    async def _reach(self) -> None:
        """Take the time of a request; whose machine is off, never hears an answer."""
        await trio.sleep(self.host.chance.uniform(0.0, 2.0))
        if not self.machine.on:
            await trio.sleep_forever()
        if self.host.away is not None:
            raise Unavailable(self.host.away, retry_after_ms=1000)

    async def open_session(self, order: SessionOrder) -> str:
        await self._reach()
        return self.host.open_session(order.session_key)

    async def session_status(self, order: SessionOrder) -> SessionStatus | None:
        await self._reach()
        life = self.host.sessions.get(order.session_key)
        busy = any(run.order.agent_id == order.agent_id for run in self.host.active)
        return None if life is None else SessionStatus(life, str(order.cwd), None, busy)

    async def reset_session(self, order: SessionOrder) -> None:
        await self._reach()
        self._end_runs(order.agent_id)
        self.host.sessions.pop(order.session_key, None)
        self.host.open_session(order.session_key)

    async def end_session(self, order: SessionOrder) -> None:
        await self._reach()
        self._end_runs(order.agent_id)
        self.host.sessions.pop(order.session_key, None)

    def _end_runs(self, agent_id: str) -> None:
        for run in self.host.active:
            if run.order.agent_id == agent_id:
                run.end(Outcome(OutcomeKind.ABORTED, "its session was ended"))

    async def transcript(
        self, order: SessionOrder, *, cursor: str | None, limit: int
    ) -> Page | None:
        return None

    async def host_agents(self) -> tuple[HostAgent, ...]:
        return ()

    async def host_soul(self, agent_id: str) -> str | None:
        return None

    async def run(self, order: PulseOrder, life: Life) -> Outcome:
        """Begin a turn and follow it; its handle is recorded before it acts."""
        try:
            await self._reach()
        except Unavailable as away:
            return Outcome(OutcomeKind.NOT_STARTED, away.message)
        await life.started(RunHandle(run_id=order.pulse_id, boot_id=str(self.host.boot)))
        try:
            await self._reach()
        except Unavailable as away:
            return Outcome(OutcomeKind.NOT_STARTED, away.message)
        return await self._follow(self.host.begin(order, life))

    async def recover(self, order: PulseOrder, handle: RunHandle, life: Life) -> Outcome:
        """Adopt what goes on, tell how it ended, or that it never began."""
        await self._reach()
        run = self.host.runs.get(order.pulse_id)
        if run is None:
            return NEVER_BEGAN if handle.boot_id in (None, str(self.host.boot)) else GONE
        if run.active and self.host.chance.random() < 0.3:
            run.end(Outcome(OutcomeKind.LOST, "an earlier life's, aborted"))
        run.life = life
        run.order = attrs.evolve(run.order, token=order.token)
        return await self._follow(run)

    async def _follow(self, run: Run) -> Outcome:
        try:
            while run.active or self.host.away is not None:
                await run.ended.wait()
                while self.host.away is not None:
                    await self.host.back.wait()
        except trio.Cancelled:
            self._abort(run)
            raise
        assert run.outcome is not None
        return run.outcome

    def _abort(self, run: Run) -> None:
        """Leave nothing running, where the host can be told so."""
        if self.machine.on and self.host.away is None:
            run.end(Outcome(OutcomeKind.ABORTED, "aborted"))
