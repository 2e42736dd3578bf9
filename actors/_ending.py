"""The end of an attempt: whether its task is to blame, and when that goes on."""

from __future__ import annotations

import attrs

from ..storage import US, PulseKind
from ..storage.commands import LOST_EXCUSED, EndPulse
from ._attempt import Attempt
from ._mission import Mission
from ._runner import Outcome, OutcomeKind
from ._schedule import next_after_idling, retry_delay, times_between

FAILURES = (OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABORTED)
"""Outcomes that count against the task; of one that was lost see `LOST_EXCUSED`."""


@attrs.frozen
class Ending:
    """An attempt that has ended, and whose row is still open."""

    _mission: Mission
    attempt: Attempt
    outcome: Outcome
    _rest_s: float
    """Until what is neither to blame nor done is tried again."""

    @property
    def is_to_blame(self) -> bool:
        """Whether it counts against the task."""
        if self.outcome.kind is OutcomeKind.LOST:
            return self._mission.reads.lost_in_a_row(self.attempt.pulse) >= LOST_EXCUSED
        return self.outcome.kind in FAILURES and not self.attempt.excused

    async def look_for_traces(self) -> None:
        """See what it has moved, where nothing else tells."""
        if self.outcome.kind is OutcomeKind.SUCCEEDED and self._idle():
            await self.attempt.look_for_traces()

    def command(self, *, blame: bool) -> EndPulse:
        """Return what closes its row.

        Raises:
            Unavailable: the database cannot be read.
        """
        attempt, outcome = self.attempt, self.outcome
        succeeded = outcome.kind is OutcomeKind.SUCCEEDED
        return EndPulse(
            pulse_id=attempt.pulse.id,
            outcome=outcome.kind.value,
            failed=blame,
            detail=_plain(outcome.detail),
            output=_plain(outcome.output),
            tokens=outcome.tokens,
            cost_usd=outcome.cost_usd,
            to_backlog=attempt.aborted is not None and not attempt.excused,
            retry_delay_s=self._pause(blame=blame),
            scheduled_s=self._until_next(idle=0) if succeeded and not blame else None,
            never_ran=outcome.kind is OutcomeKind.NOT_STARTED,
            effects=attempt.effects(outcome),
            skipped=self._skipped(),
            moved=attempt.moved if succeeded else "",
        )

    def _idle(self) -> int:
        """In how many attempts in a row nothing moved at the task, if this one has succeeded."""
        pulse = self.attempt.pulse
        task = self._mission.reads.find_task(pulse.task_id)
        if task is None or self.attempt.moved or pulse.kind is not PulseKind.WORK:
            return 0
        return self._mission.reads.idle_in_a_row(task, pulse)

    def _pause(self, *, blame: bool) -> float:
        """Seconds until a task that is still in progress is looked at again."""
        if in_a_row := self._in_vain(blame=blame):
            return retry_delay(in_a_row, self._mission.settings.retry_delay_s)
        if self.outcome.kind is OutcomeKind.SUCCEEDED:
            return self._until_next(self._idle())
        return self._rest_s

    def _in_vain(self, *, blame: bool) -> int:
        """How many attempts in a row failed, or were lost, with this one; 0 if it did neither."""
        reads, pulse = self._mission.reads, self.attempt.pulse
        task = reads.find_task(pulse.task_id) if blame else None
        failed = task.failures + 1 if task is not None else 0
        lost = reads.lost_in_a_row(pulse) + 1 if self.outcome.kind is OutcomeKind.LOST else 0
        return max(failed, lost)

    def _until_next(self, idle: int) -> float:
        """Seconds until its agent's next time: the later, the more attempts were *idle*."""
        agent = self._mission.reads.agent(self.attempt.pulse.agent_id)
        now, longest_s = self._now_s, self._mission.settings.max_idle_interval_s
        return next_after_idling(now, agent.slot, agent.interval_s, idle, longest_s) - now

    def _skipped(self) -> int:
        """How many times of the schedule came while it ran."""
        pulse = self.attempt.pulse
        agent = self._mission.reads.find_agent(pulse.agent_id)
        if agent is None:
            return 0
        began = pulse.started_at / US
        return times_between(began, self._now_s, agent.slot, agent.interval_s)

    @property
    def _now_s(self) -> float:
        return self._mission.clock.now_us() / US


def _plain(text: str) -> str:
    """Return what of *text* can be kept: an agent may cut a character in two."""
    return text.encode("utf-8", "replace").decode()
