"""Kills processes that migrate, and looks at what they leave.  A program: argv is a folder.

It forks, which only a process without threads may do, and which costs a hundredth of a new Python.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import attrs

from schema_steps import LOOKS, STEPS, Look, go, look, looks

OPERATIONS = 40
"""So many of SQLite's own between two places where a child can be killed."""

RANDOM_KILLS = 20
OUTSIDE_KILLS = 10

Watch: TypeAlias = Callable[[sqlite3.Connection], object]


def forked(work: Callable[[], object]) -> int:
    """Run *work* in a child; return its pid."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    """Return how a child ended, as `Popen.returncode` says it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@attrs.define
class Ticks:
    """Counts what a connection does, and ends the process at a given count."""

    last: int = 0
    count: int = 0

    def statements(self, connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(self._tick)

    def operations(self, connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(self._tick, OPERATIONS)

    def _tick(self, *_: object) -> int:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0


@attrs.define
class Rounds:
    """One direction; each round goes on from the same whole database."""

    folder: Path
    up: bool
    expected: list[Look]
    chance: random.Random = attrs.field(factory=lambda: random.Random(11))  # noqa: S311
    left_at: Counter[int] = attrs.field(factory=Counter)
    _made: int = 0

    def run(self) -> None:
        start = time.monotonic()
        statements, operations = Ticks(), Ticks()
        go(self._begin(), up=self.up, watch=statements.statements)
        go(self._begin(), up=self.up, watch=operations.operations)
        seconds = time.monotonic() - start
        for last in range(1, statements.count + 1):
            self._killed_inside(Ticks(last).statements)
        for _ in range(RANDOM_KILLS):
            self._killed_inside(Ticks(self.chance.randint(1, operations.count)).operations)
        for _ in range(OUTSIDE_KILLS):
            self._killed_outside(self.chance.uniform(0, seconds))

    def _begin(self) -> Path:
        """Make a database that has the whole way before it."""
        self._made += 1
        path = self.folder / f"{self.up}-{self._made}.db"
        if not self.up:
            shutil.copy(self.folder / LOOKS, path)
        return path

    def _killed_inside(self, watch: Watch) -> None:
        path = self._begin()
        code = ended(forked(lambda: go(path, up=self.up, watch=watch)))
        assert code == -signal.SIGKILL, code
        self._judge(path)

    def _killed_outside(self, seconds: float) -> None:
        path = self._begin()
        here, there = os.pipe()
        pid = forked(lambda: go(path, up=self.up))
        os.close(there)
        # Its end of the pipe is closed when it is done, however it was.
        select.select([here], [], [], seconds)
        os.kill(pid, signal.SIGKILL)
        assert ended(pid) in (0, -signal.SIGKILL)
        os.close(here)
        self._judge(path)

    def _judge(self, path: Path) -> None:
        """What is left is one of the steps, whole; and the next run goes all the way."""
        left = look(path)
        assert left == self.expected[left.version], f"mixed: {left.version}, {left.names}"
        self.left_at[left.version] += 1
        go(path, up=self.up)
        assert look(path) == self.expected[len(STEPS) if self.up else 1]


def main() -> None:
    folder = Path(sys.argv[1])
    expected = looks(folder)
    answer = {}
    for up in (True, False):
        rounds = Rounds(folder, up, expected)
        rounds.run()
        answer["up" if up else "down"] = {str(at): n for at, n in sorted(rounds.left_at.items())}
    print(json.dumps(answer))  # noqa: T201


if __name__ == "__main__":
    main()
