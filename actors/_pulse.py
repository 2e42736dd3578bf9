"""The pulse of one agent: wakes when there is something to do, runs one attempt at a time.

An attempt that this actor could not close, because the process was killed, is found open by the
next incarnation and recovered before anything else is begun.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TypeAlias

import attrs
import trio
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from ..storage import (
    OURSELVES,
    US,
    Agent,
    Deadline,
    Limited,
    MissionError,
    NotFound,
    Pulse,
    Unavailable,
)
from ..storage.commands import BeginPulse
from ..supervisor import Actor, Context, Crash, Exit, Timer
from ._attempt import Attempt
from ._ending import Ending
from ._mission import Mission
from ._runner import Outcome, OutcomeKind
from ._schedule import next_pulse, retry_delay
from ._slots import NAME as SLOTS
from ._slots import Acquire, Hold, Release

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
    expect_silence_s: float | None = None
    """Announces long work; None says nothing about it."""


@attrs.frozen
class Moved:
    """The agent has called *method*, which changes something, and was not refused."""

    method: str
    task_id: str | None = None
    """The card that it named, if it named one."""


@attrs.frozen
class Kill:
    """Abort the attempt that runs now, if one does."""

    why: str


@attrs.frozen
class Restart:
    """End the attempt that runs now, if one does, without blame, and begin another."""

    why: str


@attrs.frozen
class Follows:
    """Answered with whether this attempt is made, or has ended and its end is still to be told."""

    pulse_id: str


Message: TypeAlias = Wake | Sign | Moved | Kill | Restart | Follows


class PulseActor(Actor[Message]):
    """Runs the attempts of one agent."""

    ctx: Context[Message]

    def __init__(self, mission: Mission, agent_id: str) -> None:
        self._mission = mission
        self._agent_id = agent_id
        self._attempt: Attempt | None = None
        """The one that runs."""
        self._ended: Ending | None = None
        """The one that has ended and whose row is still open."""
        self._busy = False
        self._next: Wake | None = None
        """What the turn in hand, or the next one, has to look at."""
        self._timer: Timer | None = None
        self._looked_at = 0
        self._rests_until = -math.inf
        """After something that was away: hints before this time start nothing."""
        self._refused = 0
        """How many attempts in a row the runner's host would not begin, though it was there."""

    async def started(self) -> None:
        """Look for work; first at the attempt that an earlier incarnation left open."""
        self.receive(Wake())

    def receive(self, message: Message) -> bool | None:
        """Note what happened; attempts run beside this."""
        match message:
            case Wake():
                if message.triggered or self._busy or self._is_engaged():
                    self._remember(message)
                    self._begin_turn(message)
            case Sign(what, expected) if self._attempt is not None:
                self._attempt.sign(what, expected)
            case Moved(method, task_id) if self._attempt is not None:
                self._attempt.has_called(method, task_id)
            case Kill(why) if self._attempt is not None:
                self._attempt.abort(why)
            case Restart(why):
                if self._attempt is not None:
                    self._attempt.abort(why, excused=True)
                self.receive(Wake(triggered=True))
            case Follows(pulse_id):
                return self._follows(pulse_id)
            case _:
                pass  # for an attempt that has ended meanwhile
        return None

    async def stopped(self, reason: Exit) -> None:
        """Close the attempt in hand: its run has ended with this incarnation's nursery.

        One that may go on where we cannot reach it stays open, for the next incarnation to recover.
        """
        attempt = self._attempt
        if cut_short := attempt is not None and not attempt.may_go_on:
            kind = OutcomeKind.ABORTED if attempt.began else OutcomeKind.NOT_STARTED
            self._end(attempt, attempt.ended_early(kind, f"the agent was stopped: {reason}"))
        if (ending := self._ended) is not None:
            with suppress(*TRANSIENT):
                to_blame = not cut_short and ending.is_to_blame
                await self._write_end(ending, blame=to_blame or isinstance(reason, Crash))
        self._mission.tell(SLOTS, Release(self._agent_id))

    def _follows(self, pulse_id: str) -> bool:
        held = self._ended.attempt if self._ended is not None else self._attempt
        return held is not None and held.pulse.id == pulse_id

    def _is_engaged(self) -> bool:
        """Whether there is anything to look at: most wakes of most agents end here."""
        if self._next is not None or self._ended is not None:
            return True
        try:
            return self._mission.reads.is_engaged(self._agent_id)
        except MissionError:
            return True  # a turn finds out what that means

    def _begin_turn(self, wake: Wake) -> None:
        rested = wake.triggered or trio.current_time() >= self._rests_until
        if rested and not self._busy:
            self._busy = True
            self.ctx.start_soon(self._turn)

    def _remember(self, wake: Wake) -> None:
        self._next = Wake(wake.triggered or (self._next is not None and self._next.triggered))

    async def _turn(self) -> None:
        """Look for work, again and again while there is reason to; then set the timer."""
        wait_s: float | None = None
        try:
            await self._settle()
            while self._next is not None:
                wake, self._next = self._next, None
                await self._look(wake)
        except NotFound:
            if self._mission.reads.has_agent(self._agent_id):
                raise
            return  # the agent was destroyed; its supervisor is about to stop us
        except TRANSIENT:
            wait_s = self._rest_s
            self._rests_until = trio.current_time() + wait_s
        finally:
            self._busy = False
        self._plan(wait_s)

    async def _settle(self) -> None:
        """Close or recover what is open: before that, nothing else may be begun."""
        if self._ended is not None:
            await self._close(self._ended)
        left_open = self._mission.reads.open_pulse(self._agent_id)
        if left_open is not None:
            mission = self._mission
            mission.tell(SLOTS, Hold(self._agent_id, left_open.project_id))
            try:
                await self._run(left_open, recovering=True)
            finally:
                mission.tell(SLOTS, Release(self._agent_id))

    async def _look(self, wake: Wake) -> None:
        """Run one pulse if there is something to do.

        Raises:
            MissionError: not now; the wake is remembered if somebody asked for it.
        """
        agent = self._mission.reads.agent(self._agent_id)
        self._looked_at = self._mission.clock.now_us()
        if not (wake.triggered or self._mission.reads.has_work(agent, self._looked_at)):
            return
        try:
            await self._begin(agent, wake)
        except TRANSIENT:
            if wake.triggered:
                self._remember(wake)
            raise

    async def _begin(self, agent: Agent, wake: Wake) -> None:
        mission = self._mission
        if mission.runner.away is not None:
            self._refused = 0
            raise Unavailable(mission.runner.away)
        try:
            await mission.ask(SLOTS, Acquire(agent.id, agent.project_id), timeout_s=None)
            begin = BeginPulse(agent.id, mission.runner.name, wake.triggered)
            # Shielded: a row that was made must be known here, to be closed.
            with trio.CancelScope(shield=True):
                pulse = await mission.store.write(begin, by=agent.id)
            if pulse is None:
                return
            outcome = await self._run(pulse, recovering=False)
            if outcome.kind is OutcomeKind.NOT_STARTED:
                raise Unavailable(outcome.detail)
        finally:
            mission.tell(SLOTS, Release(agent.id))

    async def _run(self, pulse: Pulse, *, recovering: bool) -> Outcome:
        agent = self._mission.reads.agent(self._agent_id)
        self._attempt = attempt = Attempt(self._mission, agent, pulse, recovering=recovering)
        outcome = await attempt.run()
        self._refused = self._refused + 1 if outcome.kind is OutcomeKind.NOT_STARTED else 0
        await self._close(self._end(attempt, outcome))
        if attempt.aborted is not None and not attempt.excused:
            if self._next is not None and self._next.triggered:
                self.ctx.self.tell(self._next)  # for the next incarnation
            raise AgentSilent(attempt.aborted)
        return outcome

    def _end(self, attempt: Attempt, outcome: Outcome) -> Ending:
        ending = Ending(self._mission, attempt, outcome, self._rest_s)
        self._attempt, self._ended = None, ending
        return ending

    async def _close(self, ending: Ending) -> None:
        """Close the row of what has ended; storage may be restarting, so more than once."""
        await ending.look_for_traces()
        async for offer in AsyncRetrying(
            retry=retry_if_exception_type(TRANSIENT),
            wait=wait_exponential(0.1, max=2.0),
            stop=stop_after_delay(CLOSE_WITHIN_S),
            sleep=trio.sleep,
            reraise=True,
        ):
            with offer:
                await self._write_end(ending, blame=ending.is_to_blame)

    async def _write_end(self, ending: Ending, *, blame: bool) -> None:
        # Not through the board: it may be what has just failed, and nobody waits for its mirrors.
        await self._mission.store.write(ending.command(blame=blame), by=OURSELVES)
        self._ended = None

    @property
    def _rest_s(self) -> float:
        """Seconds to wait for what was away, or refused."""
        return retry_delay(max(self._refused, 1), self._mission.settings.retry_delay_s)

    def _plan(self, wait_s: float | None) -> None:
        """Set a timer for the next look, where something may be due by then without a change."""
        if wait_s is None:
            wait_s = self._until_due()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if wait_s is None else self.ctx.after(max(wait_s, 0.0), Wake())

    def _until_due(self) -> float | None:
        """Seconds until something is due; None where only a change, or a new day, can make it so.

        What could be begun now, and was not, is looked at again by the schedule.
        """
        mission, now = self._mission, self._mission.clock.now_us()
        agent = mission.reads.agent(self._agent_id)
        # Since the last look, not since now: what fell due in between must not be missed.
        due = mission.reads.next_not_before(agent, self._looked_at)
        waits = [] if due is None else [(due - now) / US]
        if mission.reads.has_work(agent, now):
            waits.append(next_pulse(now / US, agent.slot, agent.interval_s) - now / US)
        return min(waits, default=None)
