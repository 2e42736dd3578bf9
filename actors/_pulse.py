"""The pulse of one agent: wakes when there is something to do, runs one attempt at a time.

An attempt that this actor could not close, because the process was killed, is found open by the
next incarnation and recovered before anything else is begun.
"""

from __future__ import annotations

import attrs
import trio
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from ..storage import US, Deadline, Limited, NotFound, Pulse, Unavailable
from ..storage.commands import BeginPulse, EndPulse
from ..supervisor import Actor, Context, Crash, Exit, Timer
from ._attempt import Attempt
from ._mission import Mission
from ._runner import Outcome, OutcomeKind
from ._schedule import next_pulse, retry_delay
from ._slots import NAME as SLOTS
from ._slots import Acquire, Release

FAILURES = (OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABORTED, OutcomeKind.LOST)

CLOSE_WITHIN_S = 30.0
"""How long a finished attempt is offered to a storage that is restarting."""

TRANSIENT = (Unavailable, Deadline, Limited)


def pulse_name(agent_id: str) -> str:
    """Under which an agent's pulse is registered."""
    return f"pulse/{agent_id}"


class AgentSilent(Exception):
    """An attempt was ended from outside: the agent is started afresh."""


@attrs.frozen
class Wake:
    """Something may have changed for this agent: look whether there is work."""

    triggered: bool = False
    """Run a pulse even if there is none."""


@attrs.frozen
class Sign:
    """The agent is alive: it did *what*."""

    what: str
    expect_silence_s: float = 0.0


@attrs.frozen
class Kill:
    """Abort the attempt that runs now, if one does."""

    why: str


class PulseActor(Actor[Wake | Sign | Kill]):
    """Runs the attempts of one agent."""

    ctx: Context[Wake | Sign | Kill]

    def __init__(self, mission: Mission, agent_id: str) -> None:
        self._mission = mission
        self._agent_id = agent_id
        self._attempt: Attempt | None = None
        """The one whose row is open."""
        self._busy = False
        self._next: Wake | None = None
        """What the turn in hand, or the next one, has to look at."""
        self._timer: Timer | None = None
        self._looked_at = 0

    async def started(self) -> None:
        """Recover the attempt that an earlier incarnation left open, then look for work."""
        open_pulse = self._mission.reads.open_pulse(self._agent_id)
        self._busy = True
        self._next = Wake()
        self.ctx.start_soon(self._turn, open_pulse)

    def receive(self, message: Wake | Sign | Kill) -> None:
        """Note what happened; attempts run beside this."""
        match message:
            case Wake(triggered):
                self._next = Wake(triggered or (self._next is not None and self._next.triggered))
                if not self._busy:
                    self._busy = True
                    self.ctx.start_soon(self._turn, None)
            case Sign(what, expected) if self._attempt is not None:
                self._attempt.sign(what, expected)
            case Kill(why) if self._attempt is not None:
                self._attempt.abort(why)
            case _:
                pass  # for an attempt that has ended meanwhile

    async def stopped(self, reason: Exit) -> None:
        """Close the attempt in hand: its run has ended with this incarnation's nursery."""
        attempt = self._attempt
        if attempt is not None:
            outcome = Outcome(OutcomeKind.ABORTED, f"the agent was stopped: {reason}")
            await self._close(attempt, outcome, blame=isinstance(reason, Crash))
        self._mission.tell(SLOTS, Release(self._agent_id))

    async def _turn(self, left_open: Pulse | None) -> None:
        """Look for work, again and again while there is reason to; then set the timer."""
        wait_s: float | None = None
        try:
            if left_open is not None:
                await self._run(left_open, recovering=True)
            while self._next is not None:
                wake, self._next = self._next, None
                await self._look(wake)
        except NotFound:
            return  # the agent was destroyed; its supervisor is about to stop us
        except TRANSIENT:
            wait_s = self._mission.settings.retry_delay_s
        finally:
            self._busy = False
        self._plan(wait_s)

    async def _look(self, wake: Wake) -> None:
        """Run one pulse if there is something to do."""
        mission = self._mission
        agent = mission.reads.agent(self._agent_id)
        self._looked_at = mission.clock.now_us()
        if not (wake.triggered or mission.reads.has_work(agent, self._looked_at)):
            return
        if mission.runner.away is not None:
            raise Unavailable(mission.runner.away)
        await mission.ask(SLOTS, Acquire(agent.id, agent.project_id))
        try:
            begin = BeginPulse(agent.id, mission.runner.name, wake.triggered)
            pulse = await mission.commit(agent.project_id, begin, by=agent.id)
            if pulse is not None:
                await self._run(pulse, recovering=False)
        finally:
            mission.tell(SLOTS, Release(agent.id))

    async def _run(self, pulse: Pulse, *, recovering: bool) -> None:
        agent = self._mission.reads.agent(self._agent_id)
        self._attempt = attempt = Attempt(self._mission, agent, pulse)
        outcome = await attempt.run(recovering=recovering)
        await self._close(attempt, outcome, blame=outcome.kind in FAILURES)
        if attempt.aborted is not None:
            raise AgentSilent(attempt.aborted)

    async def _close(self, attempt: Attempt, outcome: Outcome, *, blame: bool) -> None:
        """Close the attempt's row, whatever it takes: until then no other can be begun."""
        pulse = attempt.pulse
        end = EndPulse(
            pulse_id=pulse.id,
            outcome=outcome.kind.value,
            failed=blame,
            detail=outcome.detail,
            output=outcome.output,
            tokens=outcome.tokens,
            cost_usd=outcome.cost_usd,
            to_backlog=attempt.aborted is not None,
            retry_delay_s=self._pause(pulse, outcome, failed=blame),
            never_ran=outcome.kind is OutcomeKind.NOT_STARTED,
        )
        async for offer in AsyncRetrying(
            retry=retry_if_exception_type(TRANSIENT),
            wait=wait_exponential(0.1, max=2.0),
            stop=stop_after_delay(CLOSE_WITHIN_S),
            sleep=trio.sleep,
            reraise=True,
        ):
            with offer:
                await self._mission.commit(pulse.project_id, end, by="mission-control")
        self._attempt = None

    def _pause(self, pulse: Pulse, outcome: Outcome, *, failed: bool) -> float:
        """Seconds until a task that is still in progress is looked at again."""
        mission = self._mission
        task = mission.reads.find_task(pulse.task_id)
        if failed and task is not None:
            return retry_delay(task.failures + 1, mission.settings.retry_delay_s)
        if outcome.kind is OutcomeKind.SUCCEEDED:
            return self._until_next()
        return mission.settings.retry_delay_s

    def _until_next(self) -> float:
        """Seconds until this agent's next time in the schedule."""
        agent = self._mission.reads.agent(self._agent_id)
        now = self._mission.clock.now_us() / US
        return next_pulse(now, agent.slot, agent.interval_s) - now

    def _plan(self, wait_s: float | None) -> None:
        """Set the timer for the next look: the schedule, or a task that is due before it."""
        mission = self._mission
        agent = mission.reads.agent(self._agent_id)
        if wait_s is None:
            wait_s = self._until_next()
            # Since the last look, not since now: what fell due in between must not be missed.
            not_before = mission.reads.next_not_before(agent, self._looked_at)
            if not_before is not None:
                wait_s = min(wait_s, (not_before - mission.clock.now_us()) / US)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.ctx.after(max(wait_s, 0.0), Wake())
