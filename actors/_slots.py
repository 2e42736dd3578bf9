"""How many pulses run at once: a place is given in the order in which it was asked for."""

from __future__ import annotations

from collections import Counter

import attrs

from ..supervisor import Actor, Context, Deferred

NAME = "slots"


@attrs.frozen
class Acquire:
    """Wait for a place; answered with the holder when it has one."""

    holder: str
    """An agent's id: it holds at most one place."""
    project_id: str


@attrs.frozen
class Release:
    """Give the place of *holder* back, or stop waiting for one."""

    holder: str


@attrs.frozen
class HowFull:
    """Answered with the holders' ids."""


@attrs.define
class _Waiting:
    request: Acquire
    reply: Deferred


class Slots(Actor[Acquire | Release | HowFull]):
    """Gives out places, at most so many in all and so many a project."""

    ctx: Context[Acquire | Release | HowFull]

    def __init__(self, in_all: int, per_project: int) -> None:
        self._in_all = in_all
        self._per_project = per_project
        self._holders: dict[str, str] = {}
        self._waiting: list[_Waiting] = []

    def receive(self, message: Acquire | Release | HowFull) -> list[str] | None:
        """Queue, release, or tell."""
        match message:
            case Acquire():
                self._forget(message.holder)
                self._waiting.append(_Waiting(message, self.ctx.defer()))
            case Release(holder):
                self._forget(holder)
            case HowFull():
                return sorted(self._holders)
        self._give()
        return None

    def _forget(self, holder: str) -> None:
        self._holders.pop(holder, None)
        self._waiting = [w for w in self._waiting if w.request.holder != holder]

    def _give(self) -> None:
        taken = Counter(self._holders.values())
        still = []
        for waiting in self._waiting:
            request = waiting.request
            if waiting.reply.abandoned:
                continue
            if len(self._holders) < self._in_all and taken[request.project_id] < self._per_project:
                self._holders[request.holder] = request.project_id
                taken[request.project_id] += 1
                waiting.reply.answer(request.holder)
            else:
                still.append(waiting)
        self._waiting = still
