"""The machine that a sidecar runs on: its power, and a disk that has moods.

The writer of the storage has a thread of its own, and nobody could say how far that has come when
virtual time jumps.  Here it is a task of the loop: time stands still while it works, and passes
only where its disk takes some.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import attrs
import trio

from mission_control.storage import Limited, StorageCondition, Unavailable, Writer
from mission_control.storage import _actor as storage_actor
from mission_control.storage._group import Answer, Item, StorageFailed, Write

from .replacing import replacing

GROUP = 16
"""Commands in one commit; few, so that more can happen between two."""

THREAD_S = 0.5
"""How long a thread takes; much else can happen meanwhile."""


@attrs.define
class Machine:
    """One life of the machine.  What is cut off never works again: the next life has another."""

    chance: random.Random
    on_commit: Callable[[sqlite3.Connection], None]
    """Looks at what every commit has done, before anybody hears of it."""
    on: bool = True
    commit_s: float = 0.005
    """Longest time that a commit takes."""
    breaks: bool = False
    """The next commit fails, and takes the writer with it."""
    full: bool = False

    async def writes(self) -> None:
        """Take as long as a commit."""
        await trio.sleep(self.chance.uniform(0.0, self.commit_s))

    def new_writer(self, connection: sqlite3.Connection, **hooks: Any) -> LoopWriter:
        """Make the storage actor's writer, in place of the one with a thread."""
        return LoopWriter(self, connection, **hooks)


class LoopWriter(Writer):
    """Commits as the writer does, in a task of the loop instead of a thread."""

    def __init__(
        self,
        machine: Machine,
        connection: sqlite3.Connection,
        *,
        condition: StorageCondition | None = None,
        **hooks: Any,
    ) -> None:
        super().__init__(connection, condition=condition, **hooks)
        connection.execute("PRAGMA synchronous=OFF")  # what we cut has no page cache to lose
        self._machine = machine
        self._send, self._receive = trio.open_memory_channel[Item](10_000)
        self._over = trio.Event()

    def start(self) -> None:
        """Begin to write."""
        trio.lowlevel.spawn_system_task(self._live, name="simulated writer")

    def submit(self, write: Write, reply: Answer) -> None:
        """Queue *write*."""
        self.pending += 1
        self._send.send_nowait(Item(write, reply))

    async def close(self) -> None:
        """Write what is queued, then close the connection."""
        self._send.close()
        await self._over.wait()

    async def _live(self) -> None:
        async for first in self._receive:
            group = [first, *self._rest()]
            late = (
                self._machine.chance.random() < 0.5
            )  # the time that it takes others to hear of it
            if not late:
                await self._machine.writes()
            self._commit_or_lose(group)
            if late:
                await self._machine.writes()
            if not self._machine.on:
                self._lose(group)  # it may stand in the file, and nobody hears of it
            self._deliver(group)
        self._connection.close()
        self._over.set()

    def _rest(self) -> Iterator[Item]:
        for _ in range(self._machine.chance.randrange(GROUP)):
            try:
                yield self._receive.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return

    def _commit_or_lose(self, group: list[Item]) -> None:
        machine = self._machine
        if machine.breaks:
            machine.breaks = False
            self._failed = StorageFailed("the simulated disk broke", retry_after_ms=1000)
        if not machine.on or self._failed is not None:
            self._lose(group)
        elif machine.full:
            for item in group:
                item.error = Limited("the simulated disk is full", retry_after_ms=5000)
        else:
            self._settle(group)
            machine.on_commit(self._connection)

    def _lose(self, group: list[Item]) -> None:
        for item in group:
            item.result, item.error = None, StorageFailed("the machine is off")


class PowerCut(Unavailable):
    """What a thread was about to do when its machine went off; nobody is left to hear of it."""


async def at_once(machine: Machine, do: Callable[..., Any], *args: Any) -> Any:
    """Do in the loop what is meant for a thread, which takes its time and cannot be cancelled.

    Of what is under way when the power is cut, some had been done just before.
    """
    with trio.CancelScope(shield=True):
        await trio.sleep(THREAD_S)
    if not machine.on and machine.chance.random() < 0.5:
        raise PowerCut("the machine is off", retry_after_ms=1000)
    return do(*args)


def go_on() -> None:
    """Do not look whether the thread is cancelled: there is none."""


@contextmanager
def one_thread(machine: Callable[[], Machine]) -> Iterator[None]:
    """Have all of the product run in this thread, and its writer on the present *machine*."""

    def new_writer(connection: sqlite3.Connection, **hooks: Any) -> LoopWriter:
        return machine().new_writer(connection, **hooks)

    async def run_sync(do: Callable[..., Any], *args: Any, **_: object) -> Any:
        return await at_once(machine(), do, *args)

    with ExitStack() as stack:
        stack.enter_context(replacing(storage_actor, "Writer", new_writer))
        stack.enter_context(replacing(trio.to_thread, "run_sync", run_sync))
        stack.enter_context(replacing(trio.from_thread, "check_cancelled", go_on))
        yield
