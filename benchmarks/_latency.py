"""How long others wait for an actor that has much to do.

The process is never idle meanwhile, so its CPU clock tells how long that is where no other program
takes the processor away.
"""

from __future__ import annotations

import math
from time import process_time

import trio

from _actors import quiet_system
from mission_control.supervisor import Actor, ChildSpec

BACKLOG = 100_000
PERIOD = 0.010


class Busy(Actor[int]):
    """Works for about a microsecond on each message."""

    def __init__(self, left: int, done: trio.Event) -> None:
        self._left = left
        self._done = done

    def receive(self, msg: int) -> None:  # noqa: ARG002 - every message is the same work
        sum(range(90))
        self._left -= 1
        if not self._left:
            self._done.set()


class Ticker(Actor[None]):
    """Has a timer of 10 ms, again and again, and notes how long each took."""

    def __init__(self, waits: list[float]) -> None:
        self._waits = waits
        self._armed = 0.0

    async def started(self) -> None:
        self._arm()

    def receive(self, msg: None) -> None:  # noqa: ARG002 - it carries nothing
        # A processor that was taken away makes it look early, which no timer is.
        self._waits.append(max(PERIOD, process_time() - self._armed))
        self._arm()

    def _arm(self) -> None:
        self._armed = process_time()
        self.ctx.after(PERIOD, None)


async def stop_backlog() -> float:
    """Seconds until an actor with a backlog is stopped, and its messages are accounted for."""
    async with quiet_system() as system:
        spec = ChildSpec("busy", Busy, (BACKLOG, trio.Event()), capacity=math.inf)
        busy = await system.root.start_child(spec)
        for _ in range(BACKLOG):
            busy.tell(1)
        started = process_time()
        await system.root.terminate_child(busy)
        return process_time() - started


async def timer() -> float:
    """The longest, in seconds, that a timer of 10 ms took while a backlog was worked off."""
    async with quiet_system() as system:
        done = trio.Event()
        spec = ChildSpec("busy", Busy, (BACKLOG, done), capacity=math.inf)
        busy = await system.root.start_child(spec)
        for _ in range(BACKLOG):
            busy.tell(1)
        waits: list[float] = []
        await system.root.start_child(ChildSpec("ticker", Ticker, (waits,)))
        await done.wait()
        return max(waits)
