"""Wall-clock time, passed in so that a test can run a day in a second."""

from __future__ import annotations

import time
from typing import Protocol

import attrs

US = 1_000_000
"""Microseconds in a second.  All stored times are whole microseconds since the Unix epoch, UTC."""


class Clock(Protocol):
    """Tells the time of day."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch."""


class WallClock:
    """The machine's clock."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch."""
        return time.time_ns() // 1_000


@attrs.define
class ManualClock:
    """Stands still until told otherwise; for tests and for replay."""

    at_us: int = 1_767_225_600 * US  # 2026-01-01

    def now_us(self) -> int:
        """Microseconds since the Unix epoch."""
        return self.at_us

    def advance(self, seconds: float) -> None:
        """Move on by *seconds*."""
        self.at_us += round(seconds * US)
