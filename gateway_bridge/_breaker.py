"""A circuit breaker: a Gateway that keeps failing is left alone for a while.

Closed, it lets every call through and counts failures in a row.  Open, it lets none through.
After a pause it lets one through, the probe, whose end closes it or opens it for longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from ..storage import Deadline, MissionError, Unavailable

FAILURES = 5
"""In a row, before it opens."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0


@attrs.define
class Breaker:
    """One for each Gateway."""

    _now: Callable[[], float]
    """A clock that never steps back, in seconds."""
    failures: int = attrs.field(default=0, init=False)
    _closed_until_probe: float | None = attrs.field(default=None, init=False)
    _pause_s: float = attrs.field(default=FIRST_PAUSE_S, init=False)
    _probing: bool = attrs.field(default=False, init=False)

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, but for a probe."""
        return self._closed_until_probe is not None

    def reset(self) -> None:
        """Begin anew: another life of the Gateway answers now."""
        self.failures, self._pause_s = 0, FIRST_PAUSE_S
        self._closed_until_probe = None

    @contextmanager
    def watch(self, what: str) -> Iterator[None]:
        """Let the block try, and learn from how it ends.

        A deadline and an `Unavailable` are failures; any other refusal is an answer.

        Raises:
            Unavailable: the Gateway is being left alone.
        """
        self._admit(what)
        try:
            yield
        except (Deadline, Unavailable):
            self._failed()
            raise
        except MissionError:
            self.reset()
            raise
        else:
            self.reset()
        finally:
            self._probing = False

    def _admit(self, what: str) -> None:
        if self._closed_until_probe is None:
            return
        left = self._closed_until_probe - self._now()
        if left > 0 or self._probing:
            raise Unavailable(
                f"{what}: the Gateway has failed {self.failures} times in a row and is left alone",
                retry_after_ms=max(1, round(left * 1000), 100 if self._probing else 0),
            )
        self._probing = True

    def _failed(self) -> None:
        self.failures += 1
        if self.failures < FAILURES:
            return
        if self.failures > FAILURES and self._probing:
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._closed_until_probe = self._now() + self._pause_s
