"""How many pulses run at once, and whose turn it is.

A place that is free goes to the project that has waited longest since it was given one, and in it
to whoever asked first: so a project with many agents never makes another wait for all of them.
"""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest
from typing import TypeAlias

import attrs

from ..storage import ProjectState, Reads
from ..supervisor import Actor, Context, Deferred

NAME = "slots"


@attrs.frozen
class Acquire:
    """Wait for a place; answered with the holder when it has one."""

    holder: str
    """An agent's id: it holds at most one place."""
    project_id: str


@attrs.frozen
class Hold:
    """Count *holder* among those who have a place, free or not: its attempt goes on already."""

    holder: str
    project_id: str


@attrs.frozen
class Release:
    """Give the place of *holder* back, or stop waiting for one."""

    holder: str


@attrs.frozen
class HowFull:
    """Answered with the holders' ids."""


@attrs.frozen
class HowLong:
    """Answered with the :class:`Line`."""


@attrs.frozen
class Line:
    """Who has a place, and who waits for one, first to last: ids of agents."""

    holders: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    def place(self, agent_id: str) -> int | None:
        """Return the place of an agent in the line, from 1; None where it does not wait."""
        return self.waiting.index(agent_id) + 1 if agent_id in self.waiting else None


@attrs.define
class Places:
    """Who has a place.

    Outlives the actor, who is the only one to give and take any: what runs goes on when that is
    started again.
    """

    holders: dict[str, str] | None = None
    """By agent, the project; None before the actor was first started."""


@attrs.define
class _Waiting:
    holder: str
    reply: Deferred


Message: TypeAlias = Acquire | Hold | Release | HowFull | HowLong


class Slots(Actor[Message]):
    """Gives out places, at most so many in all and so many a project."""

    ctx: Context[Message]

    def __init__(self, reads: Reads, places: Places, in_all: int, per_project: int) -> None:
        self._reads = reads
        self._places = places
        self._in_all = in_all
        self._per_project = per_project
        self._queues: dict[str, dict[str, _Waiting]] = {}
        """By project and holder, in the order in which they asked; none is empty."""
        self._waits_in: dict[str, str] = {}
        """By holder, the project."""
        self._turns: dict[str, int] = {}
        """By project, when it was last given a place: the number of that gift."""

    async def started(self) -> None:
        """Begin with the attempts that an earlier process left open: they may go on."""
        if self._places.holders is None:
            active = {p.id for p in self._reads.projects() if p.state is ProjectState.ACTIVE}
            self._places.holders = {
                pulse.agent_id: pulse.project_id
                for pulse in self._reads.running_pulses()
                if pulse.project_id in active  # in another nobody recovers it, and gives it back
            }

    @property
    def _holders(self) -> dict[str, str]:
        assert self._places.holders is not None  # noqa: S101 - since the start
        return self._places.holders

    def receive(self, message: Message) -> list[str] | Line | None:
        """Queue, release, or tell."""
        match message:
            case Acquire(holder, project_id):
                self._forget(holder)
                queue = self._queues.setdefault(project_id, {})
                queue[holder] = _Waiting(holder, self.ctx.defer())
                self._waits_in[holder] = project_id
            case Hold(holder, project_id):
                self._forget(holder)
                self._holders[holder] = project_id
            case Release(holder):
                self._forget(holder)
            case HowFull():
                return sorted(self._holders)
            case HowLong():
                return self._line()
        self._give()
        return None

    def _forget(self, holder: str) -> None:
        self._holders.pop(holder, None)
        project_id = self._waits_in.get(holder)
        if project_id is not None:
            self._take(project_id, holder)

    def _take(self, project_id: str, holder: str) -> _Waiting:
        queue = self._queues[project_id]
        waiting = queue.pop(holder)
        del self._waits_in[holder]
        if not queue:
            del self._queues[project_id]
        return waiting

    def _give(self) -> None:
        while (project_id := self._whose_turn()) is not None:
            waiting = self._take(project_id, next(iter(self._queues[project_id])))
            if waiting.reply.abandoned:
                continue
            self._holders[waiting.holder] = project_id
            self._turns[project_id] = max(self._turns.values(), default=0) + 1
            waiting.reply.answer(waiting.holder)

    def _whose_turn(self) -> str | None:
        """Return the project whose turn it is; None where nobody who waits may have a place."""
        if len(self._holders) >= self._in_all:
            return None
        taken = Counter(self._holders.values())
        fitting = (each for each in self._queues if taken[each] < self._per_project)
        return min(fitting, key=lambda each: self._turns.get(each, 0), default=None)

    def _line(self) -> Line:
        """The line as if every place were free: a round of the projects after the other."""
        projects = sorted(self._queues, key=lambda each: self._turns.get(each, 0))
        rounds = zip_longest(*(self._queues[each] for each in projects))
        waiting = tuple(holder for each in rounds for holder in each if holder is not None)
        return Line(tuple(self._holders), waiting)
