"""Kills processes that make and restore backups, step by step.  A program: argv is a folder.

It forks, which only a process without threads may do, and which costs a hundredth of a new Python.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import attrs

from backup_home import (
    DATABASE,
    LATER_US,
    Picture,
    furnished,
    killed_writer,
    picture,
    telling,
    write,
)
from mission_control.storage import ManualClock
from mission_control.storage import commands as c
from mission_control.storage.backups import Backup, Backups, finish_restore
from mission_control.storage.history import Cursor
from mission_control.storage.schema import open_migrated
from schema_kills import ended, forked
from storage_bench import Bench


@attrs.define
class Killer:
    """A step hook that ends the process at the step of this number; with 0, at none."""

    last: int = 0
    told: list[str] = attrs.field(factory=list)

    def __call__(self, step: str) -> None:
        self.told.append(step)
        if len(self.told) == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def backups(home: Path, step: Callable[[str], None] = lambda _: None) -> Backups:
    return Backups(home, ManualClock(LATER_US), step=step)


def steps_of(run: Callable[[Killer], object]) -> list[str]:
    """Return all that *run* is told, in a child, so that nothing of it stays here."""
    here, there = os.pipe()

    def work() -> None:
        killer = Killer()
        run(killer)
        with os.fdopen(there, "w") as answer:
            json.dump(killer.told, answer)

    pid = forked(work)
    os.close(there)
    with os.fdopen(here) as answer:
        told: list[str] = json.load(answer)
    assert ended(pid) == 0
    return told


@attrs.define
class Rounds:
    """All from one home, with a backup, and with changes after it that stand in the log only."""

    folder: Path
    left: Counter[str] = attrs.field(factory=Counter)
    chance: random.Random = attrs.field(factory=lambda: random.Random(5))  # noqa: S311
    _made: int = 0

    @property
    def original(self) -> Path:
        return self.folder / "home"

    def prepare(self) -> tuple[Backup, Cursor]:
        """Return a backup, and a place that comes after it."""
        with furnished(self.original) as bench:
            made = Backups(self.original, bench.clock).create()
            bench.task("p", "after the backup")
            until = bench.reads.cursor()
            bench.task("p", "given up")
        changed = {
            "souls/shuri/SOUL.md": "You are another.",
            "projects/p/KANBAN.md": "# P, later",
            "projects/p/daily/2026-01-02.md": "- later",
            "projects/p/agents/okoye/working.md": "of nobody whom the backup knows",
            "projects/r/KANBAN.md": "of a project that the backup does not know",
        }
        write(self.original, changed)
        (self.original / "projects/p/.context").unlink()
        killed = killed_writer(self.original)
        shutil.rmtree(self.original)
        killed.rename(self.original)
        return made, until

    def copy(self) -> Path:
        self._made += 1
        home = self.folder / str(self._made)
        shutil.copytree(self.original, home)
        return home

    def kill_creates(self) -> None:
        home = self.copy()
        steps = steps_of(lambda killer: backups(home, killer).create())
        for last in telling(steps):
            home = self.copy()
            before = picture(home)
            known = {each.id for each in backups(home).list()}
            killer = Killer(last)
            pid = forked(lambda home=home, killer=killer: backups(home, killer).create())  # type: ignore[misc]
            assert ended(pid) == -signal.SIGKILL
            found = {each.id for each in backups(home).list()} - known
            self.left[f"backups: {len(found)}"] += 1
            for each in found:
                backups(home).verify(each)
            backups(home).create()
            folders = [p for p in backups(home).folder.iterdir() if p.is_dir()]
            assert len(folders) == len(known) + len(found) + 1, folders
            assert picture(home) == before

    def kill_restores(self, made: Backup, until: Cursor) -> None:
        old = picture(self.copy())
        home, other = self.copy(), self.copy()
        backups(home).restore(made.id, until=until)
        new = picture(home)
        assert new.rows != old.rows
        assert new.notes != old.notes

        def restore(home: Path, killer: Killer) -> None:
            backups(home, killer).restore(made.id, until=until)

        steps = steps_of(lambda killer: restore(other, killer))
        for last in telling(steps):
            home = self.copy()
            killer = Killer(last)
            assert ended(forked(lambda h=home, k=killer: restore(h, k))) == -signal.SIGKILL  # type: ignore[misc]
            self._kill_again(home)
            finish_restore(home)
            self._judge(home, old, new)

    def _kill_again(self, home: Path) -> None:
        """Kill the one that goes on, too; it may be done before that."""
        killer = Killer(self.chance.randint(1, 12))

        def go_on() -> None:
            # As any restore does first; and this one asks for what is not there.
            try:
                backups(home, killer).restore("20000101T000000Z-000000")
            except Exception:  # noqa: BLE001 - the refusal; a wrong one shows in the judgement
                os._exit(0)

        assert ended(forked(go_on)) in (0, -signal.SIGKILL)

    def _judge(self, home: Path, old: Picture, new: Picture) -> None:
        """What is left is the one or the other, whole; nothing lies about; and it can be used."""
        left = picture(home)
        assert left in (old, new), "neither the one nor the other"
        self.left["old" if left == old else "new"] += 1
        names = {path.name for path in home.iterdir()} - {f"{DATABASE}-wal", f"{DATABASE}-shm"}
        assert not [name for name in names if name.startswith((".", "mission-control.restoring"))]
        assert (home / "projects/p/src/main.py").read_text() == "print()"
        assert (home / "projects/r/KANBAN.md").exists()
        assert (home / "projects/p/daily/2026-01-02.md").exists() == (left == old)
        with closing(open_migrated(home / DATABASE)) as connection:
            bench = Bench(home / DATABASE, connection, None, done=2_000)  # type: ignore[arg-type]
            bench.do(c.CreateTask("p", "and on"), at=LATER_US)
        backups(home).create()


def main() -> None:
    rounds = Rounds(Path(sys.argv[1]))
    made, until = rounds.prepare()
    rounds.kill_creates()
    rounds.kill_restores(made, until)  # with all the steps of one without a replay
    print(json.dumps(rounds.left))  # noqa: T201


if __name__ == "__main__":
    main()
