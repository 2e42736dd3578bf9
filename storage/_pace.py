"""How many of the commands that wait are written at once."""

from __future__ import annotations

MAX_GROUP = 256

WORTH_HALVING = 16
"""Commands; with fewer, there is little that could be done meanwhile."""

_WEIGHT = 0.25
"""Of the newest group in what is expected of the next."""


class Pace:
    """Learns from each group what the next costs.

    While a commit waits for the disk, the loop can answer those of the group before, who then
    write again: where that takes longer than the disk, half of them are written at a time, and
    the other half is answered meanwhile.  A slow disk had better be waited for once, by all.
    """

    def __init__(self) -> None:
        """Expects nothing of the disk before it has seen it."""
        self._each_s = 0.0
        self._commit_s: float | None = None
        self._crowd = 0

    def note(self, commands: int, applying_s: float, committing_s: float) -> None:
        """So long the commands of a group took, and their commit."""
        each_s = applying_s / commands
        if self._commit_s is None:
            self._each_s, self._commit_s = each_s, committing_s
        else:
            self._each_s += _WEIGHT * (each_s - self._each_s)
            self._commit_s += _WEIGHT * (committing_s - self._commit_s)

    def size(self, waiting: int, unanswered: int) -> int:
        """Return how many of those who wait to write, while others wait for answers only."""
        # Who was answered a moment ago comes back: a crowd is forgotten slowly.
        self._crowd = max(waiting + unanswered, self._crowd * 3 // 4)
        size = min(waiting, MAX_GROUP)
        if self._crowd < WORTH_HALVING or self._commit_s is None:
            return size
        is_quick = self._commit_s < self._crowd * self._each_s
        return min(size, (self._crowd + 1) // 2) if is_quick else size
