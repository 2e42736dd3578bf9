"""Decides that a running attempt is dead: by its silence, not by how long it takes."""

from __future__ import annotations

import attrs

MAX_EXPECTED_SILENCE_S = 3_600.0


@attrs.define
class Deadman:
    """Watches one attempt.  Times are seconds on any steady clock."""

    limit_s: float
    """Longest silence of a healthy agent."""
    last_sign: float
    last_what: str = "start"
    longest_s: float = MAX_EXPECTED_SILENCE_S
    """How long an announced silence is believed in."""
    _until: float = 0.0

    def sign(self, now: float, what: str, expect_silence_s: float | None = None) -> None:
        """Something only a living agent does has happened.

        An agent that is about to do something long says so by *expect_silence_s*; it is believed
        for at most `longest_s`, and until it says something else.  None says nothing about it:
        what a long job prints meanwhile does not take the announcement back.
        """
        self.last_sign, self.last_what = now, what
        if expect_silence_s is not None:
            self._until = now + min(max(expect_silence_s, 0.0), self.longest_s)

    @property
    def announced_until(self) -> float:
        """Until when it said that it would be silent."""
        return self._until

    @property
    def dies_at(self) -> float:
        """When it will have been silent for too long."""
        return max(self.last_sign + self.limit_s, self._until)

    def verdict(self, now: float) -> str | None:
        """Why the attempt is dead, in one sentence; None while it is not."""
        if now < self.dies_at:
            return None
        silent = now - self.last_sign
        return f"silent for {silent:.3g} s (limit {self.limit_s:g} s), last sign: {self.last_what}"
