"""One task that keeps every deadline of a system."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from typing import final

import trio

from ._deferred import Deferred

TICK = 1 / 64
"""Askers that time out within the same tick share a timer, up to this many seconds late.

A power of two: multiples are exact as floats, so virtual time shows round numbers.
"""

COMPACT_FROM = 64


@final
class Timer:
    """A message, or several, to come."""

    __slots__ = ("_callback", "_service", "active", "cancelled", "period", "queued")

    def __init__(
        self, service: Timers, callback: Callable[[Timer], None], period: float | None
    ) -> None:
        self._service = service
        self._callback = callback
        self.period = period
        self.active = True
        """It can fire yet."""
        self.cancelled = False
        self.queued = False
        """Its message is in the mailbox."""

    def cancel(self) -> None:
        """Stop it; a message that is already in the mailbox is not handled any more."""
        self.cancelled = True
        if self.active:
            self.active = False
            self._service.cancelled()

    def fire(self) -> None:
        """Call back."""
        self._callback(self)


class Timers:
    """The deadlines of one system, in a heap.

    Callbacks run in the task of :meth:`run`; they do not block and do not raise.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._cancelled = 0
        self._scope = trio.CancelScope()
        self._asks: dict[float, set[Deferred]] = {}

    def at(
        self, deadline: float, callback: Callable[[Timer], None], *, period: float | None = None
    ) -> Timer:
        """Call back at *deadline*, and with *period* every so many seconds after."""
        timer = Timer(self, callback, period)
        self._push(deadline, timer)
        return timer

    def timeouts_at(self, deadline: float) -> set[Deferred]:
        """The set of questions that expire at *deadline*, or up to :data:`TICK` later.

        To join and to leave it costs what a set costs.
        """
        due = math.ceil(deadline / TICK) * TICK
        bucket = self._asks.get(due)
        if bucket is None:
            bucket = self._asks[due] = set()
            self.at(due, lambda _: self._time_out(due))
        return bucket

    def cancelled(self) -> None:
        """Note that a timer was cancelled; the heap is cleaned when half of it is such."""
        self._cancelled += 1
        if self._cancelled > COMPACT_FROM and 2 * self._cancelled > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].active]
            heapq.heapify(self._heap)
            self._cancelled = 0

    async def run(self) -> None:
        """Keep the deadlines until cancelled."""
        while True:
            with trio.CancelScope(deadline=self._next()) as self._scope:
                await trio.sleep_forever()
            self._fire(trio.current_time())

    def _push(self, deadline: float, timer: Timer) -> None:
        heapq.heappush(self._heap, (deadline, next(self._numbers), timer))
        self._scope.deadline = min(self._scope.deadline, deadline)

    def _next(self) -> float:
        while self._heap and not self._heap[0][2].active:
            heapq.heappop(self._heap)
            self._cancelled = max(0, self._cancelled - 1)
        return self._heap[0][0] if self._heap else math.inf

    def _fire(self, now: float) -> None:
        while self._next() <= now:
            deadline, _, timer = heapq.heappop(self._heap)
            if timer.period is None:
                timer.active = False
            else:
                # What was missed is not made up for, and the rhythm is kept.
                missed = math.floor((now - deadline) / timer.period)
                self._push(deadline + (missed + 1) * timer.period, timer)
            timer.fire()

    def _time_out(self, due: float) -> None:
        for ask in self._asks.pop(due):
            ask.expire()
