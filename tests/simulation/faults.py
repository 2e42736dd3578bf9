"""What goes wrong, and when: actors that end, power that fails, disks and hosts with bad days."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Set
from typing import Any

import attrs
import trio

from mission_control.supervisor import Ref, TreeNode

from .host import Host
from .laws import FILES
from .life import Life, TimeOfDay

FAULTS = {
    "kill_actor": 12, "kill_many": 2, "cut_power": 3, "stop": 1, "lose_host": 3, "restart_host": 2,
    "break_disk": 2, "fill_disk": 1, "slow_disk": 1, "kill_supervisor": 3, "set_clock": 3,
    "cut_at_commit": 6, "go_back": 2,
}  # fmt: skip
"""What happens, and how often."""

TRAPPED = (FILES, "agents", "messages", "projects", "pulses", "sessions", "task_events", "tasks")
TRAP_S = 1_800.0
"""Longer than this nobody waits for the commit at which the power is to go."""


@attrs.frozen
class Trap:
    """Set off by the next commit that touches a table."""

    table: str
    sprung: trio.Event = attrs.field(factory=trio.Event)


@attrs.define
class Faults:
    """The bad luck of a world."""

    chance: random.Random
    clock: TimeOfDay
    host: Host
    life: Callable[[], Life | None]
    """The sidecar that runs, if one does."""
    note: Callable[[str], None]
    every_s: float
    """Between two faults, on average."""
    wants_the_past: bool = False
    """Whether a backup is to be restored before the next life."""
    _trap: Trap | None = None

    async def work(self) -> None:
        """Do one harm after the other, for ever."""
        while True:
            await trio.sleep(self.chance.expovariate(1 / self.every_s))
            fault = self.chance.choices([*FAULTS], [*FAULTS.values()])[0]
            life = self.life()
            if life is not None:
                self.note(f"fault: {fault}")
                await getattr(self, f"_{fault}")(life)

    def committed(self, touched: Set[str]) -> None:
        """Hear of a commit."""
        if self._trap is not None and self._trap.table in touched:
            self._trap.sprung.set()

    def end(self) -> None:
        """Make good what lasts."""
        self.host.come_back()
        life = self.life()
        if life is not None:
            life.machine.full, life.machine.commit_s = False, 0.005

    async def _kill_actor(self, life: Life) -> None:
        self._kill(self.chance.choice([ref for ref, _ in running(life)]))

    async def _kill_many(self, life: Life) -> None:
        for _ in range(self.chance.randrange(2, 8)):
            await self._kill_actor(life)
            await trio.sleep(self.chance.choice([0.0, 0.01, 1.0]))

    async def _kill_supervisor(self, life: Life) -> None:
        self._kill(self.chance.choice([ref for ref, node in running(life) if node.children]))

    def _kill(self, ref: Ref[Any]) -> None:
        self.note(f"kill {ref.path}")
        ref.kill()

    async def _cut_power(self, life: Life) -> None:
        life.cut()

    async def _cut_at_commit(self, life: Life) -> None:
        """Hit upon the moments between what is committed, what is done and what is heard of it."""
        self._trap = Trap(self.chance.choice(TRAPPED))
        with trio.move_on_after(TRAP_S):
            await self._trap.sprung.wait()
            await trio.sleep(self.chance.choice([0.0, self.chance.uniform(0.0, 1.0)]))
            life.cut()
        self._trap = None

    async def _go_back(self, life: Life) -> None:
        self.wants_the_past = True
        life.stop()

    async def _stop(self, life: Life) -> None:
        life.stop()

    async def _lose_host(self, life: Life) -> None:
        self.host.leave("the simulated link is down")
        await trio.sleep(self.chance.expovariate(1 / 600.0))
        self.host.come_back()

    async def _restart_host(self, life: Life) -> None:
        self.host.leave("the simulated host starts")
        self.host.start_again()
        await trio.sleep(self.chance.uniform(1.0, 60.0))
        self.host.come_back()

    async def _break_disk(self, life: Life) -> None:
        life.machine.breaks = True

    async def _fill_disk(self, life: Life) -> None:
        life.machine.full = True
        await trio.sleep(self.chance.uniform(1.0, 600.0))
        life.machine.full = False

    async def _slow_disk(self, life: Life) -> None:
        life.machine.commit_s = 70.0  # longer than anybody waits for an answer
        await trio.sleep(self.chance.uniform(1.0, 300.0))
        life.machine.commit_s = 0.005

    async def _set_clock(self, life: Life) -> None:
        most_s = self.chance.choice([60.0, 7_200.0, 200_000.0])
        self.clock.ahead_s = self.chance.uniform(-most_s, most_s)


def running(life: Life) -> Iterator[tuple[Ref[Any], TreeNode]]:
    """Return every actor and supervisor that runs but the root, in the order of the tree."""
    for node in _below(life.system.tree()):
        if node.state == "running":
            yield life.refs[node.path], node


def _below(node: TreeNode) -> Iterator[TreeNode]:
    for child in node.children:
        yield child
        yield from _below(child)
