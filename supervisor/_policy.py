"""What a supervisor decides, without the means to do it: no clock, no tasks.

Rules and names are those of Erlang/OTP's `supervisor`; times are in seconds of whatever clock
the caller reads.
"""

from __future__ import annotations

import enum
import math
import random
from bisect import bisect_left
from typing import Final

import attrs

from ._errors import BadFlags
from ._exits import Exit, Normal, ShutdownExit


class Strategy(enum.Enum):
    """Who is started again when a child has to be."""

    ONE_FOR_ONE = "one_for_one"
    """Only that child."""
    ONE_FOR_ALL = "one_for_all"
    """Every child, also those that had been stopped by hand or had finished."""
    REST_FOR_ONE = "rest_for_one"
    """That child and those that stand after it."""


class Restart(enum.Enum):
    """When a child that ended by itself is started again."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    """Unless it ended as :class:`Normal` or :class:`ShutdownExit`."""
    TEMPORARY = "temporary"
    """Never; its specification is forgotten."""


class AutoShutdown(enum.Enum):
    """Whether the end of significant children ends their supervisor."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


def restarts(restart: Restart, reason: Exit) -> bool:
    """Whether a child that ended by itself is to be started again."""
    match restart:
        case Restart.PERMANENT:
            return True
        case Restart.TRANSIENT:
            return not isinstance(reason, Normal | ShutdownExit)
        case Restart.TEMPORARY:
            return False


@attrs.frozen
class Intensity:
    """At most *restarts* restarts in any *period* seconds; one more, and the supervisor gives up.

    The default is Elixir's.  A restart exactly *period* seconds ago still counts, as in OTP.
    """

    restarts: int = 3
    period: float = 5.0

    def __attrs_post_init__(self) -> None:
        if type(self.restarts) is not int or self.restarts < 0:
            raise BadFlags("intensity", self.restarts, "a number of restarts, 0 or more")
        if not (_is_number(self.period) and 0 < self.period < math.inf):
            raise BadFlags("period", self.period, "seconds, more than 0")


NO_STAMPS: Final[list[float]] = []
"""Stands for an empty list, which most supervisors have no use for."""


class Window:
    """The restarts of one supervisor that still count."""

    __slots__ = ("_stamps", "intensity")

    def __init__(self, intensity: Intensity) -> None:
        self.intensity = intensity
        self._stamps = NO_STAMPS
        """In order."""

    def admit(self, now: float) -> bool:
        """Count a restart attempt at *now*; False when it is one too many."""
        self._forget_before(now - self.intensity.period)
        if self._stamps is NO_STAMPS:
            self._stamps = []
        self._stamps.append(now)
        return len(self._stamps) <= self.intensity.restarts

    def has_room(self, now: float) -> bool:
        """Whether :meth:`admit` would say yes."""
        self._forget_before(now - self.intensity.period)
        return len(self._stamps) < self.intensity.restarts

    def _forget_before(self, then: float) -> None:
        del self._stamps[: bisect_left(self._stamps, then)]


@attrs.frozen
class Backoff:
    """Delays between restarts of one child: *min*, *min* x *factor*, ..., at most *max* seconds.

    *jitter* adds up to that part of a delay at random.  A run of at least *reset_after* seconds
    (by default *min*, as in Akka) starts the series anew.
    """

    min: float
    max: float
    factor: float = 2.0
    jitter: float = 0.0
    reset_after: float | None = None

    def __attrs_post_init__(self) -> None:
        for name, least in (("min", 0), ("max", self.min), ("factor", 1), ("jitter", 0)):
            value = getattr(self, name)
            if not _is_number(value) or not least <= value < math.inf:
                raise BadFlags(f"backoff.{name}", value, f"a number, {least} or more")

    def delay(self, attempt: int, rng: random.Random) -> float:
        """Seconds to wait before the restart number *attempt*, counted from 0."""
        # The exponent is bounded so that a long-lived series cannot overflow a float.
        base = min(self.max, self.min * self.factor ** min(attempt, 512))
        return base * (1 + self.jitter * rng.random()) if self.jitter else base

    def next_attempt(self, attempt: int, ran_for: float) -> int:
        """Where the series stands after a run of *ran_for* seconds."""
        limit = self.min if self.reset_after is None else self.reset_after
        return 0 if ran_for >= limit and ran_for > 0 else attempt


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
