"""Decides which open tasks nobody sees to: neither a live, nor a waiting, nor a recovery path.

Every reason but three is such a path: a human, a clock or another task ends it.  A task that is
next in line, whose agent is being started, or whose attempt nobody follows is on its way for a
moment only: one that is still there, unchanged, at a later look is stranded.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

import attrs

from ._reason import Because, Reason

BRIEF: Final = (Because.NEXT, Because.STARTING)

LOOKS: Final = 3
"""So often in a row must a task be found in the same place.

Between two looks is a tick, and each tick wakes every agent that has something to do: so two of
them were in vain.
"""


@attrs.frozen
class Sighting:
    """A task on its way: in this place, at so many looks in a row."""

    reason: Reason
    looks: int = 1


@attrs.frozen
class Stranded:
    """A task that nobody sees to."""

    task_id: str
    reason: Reason
    news: bool
    """Whether this is the first look that finds it stranded."""


@attrs.define
class Liveness:
    """Remembers the tasks that were on their way at the last look."""

    _seen: dict[str, Sighting] = attrs.field(factory=dict)

    def look(self, reasons: Mapping[str, Reason], orphaned: Set[str]) -> tuple[Stranded, ...]:
        """Compare *reasons*, by task, with those of the last look.

        Args:
            reasons: of all open tasks.
            orphaned: tasks with an open attempt that nobody follows.
        """
        brief = {
            id_: reason
            for id_, reason in reasons.items()
            if reason.because in BRIEF or id_ in orphaned
        }
        self._seen = {id_: self._again(id_, reason) for id_, reason in brief.items()}
        return tuple(
            Stranded(task_id, seen.reason, news=seen.looks == LOOKS)
            for task_id, seen in self._seen.items()
            if seen.looks >= LOOKS
        )

    def _again(self, task_id: str, reason: Reason) -> Sighting:
        before = self._seen.get(task_id)
        if before is None or _place(before.reason) != _place(reason):
            return Sighting(reason)
        return Sighting(reason, before.looks + 1)


def _place(reason: Reason) -> tuple[Because, str | None, str | None, int]:
    return reason.because, reason.agent_id, reason.pulse_id, reason.version
