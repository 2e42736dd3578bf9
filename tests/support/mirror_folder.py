"""A project's folder, its database, and how far the files are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from mission_control.actors import Home
from mission_control.actors._mirror_files import Restored
from mission_control.actors._mirrors import Mirrors
from mission_control.storage import US, Task, TaskStatus
from mission_control.storage import commands as c
from storage_bench import Bench, open_bench

AGENT = "shuri:p"


@attrs.define
class Folder:
    """The folder of project `p`, where `shuri` works."""

    bench: Bench
    home: Home
    mirrors: Mirrors
    shown: int = 0

    def follow(self, *, check: bool = False) -> list[Restored]:
        """Show what was committed; return what others had changed."""
        self.shown = self.mirrors.render(self.bench.reads, self.shown, check=check)
        return self.mirrors.take_restored()

    def start_again(self) -> list[Restored]:
        """Do as the next process does, which remembers nothing."""
        self.mirrors = Mirrors(self.home.scope("p"), "p")
        self.shown = self.mirrors.render_all(self.bench.reads)
        return self.mirrors.take_restored()

    @property
    def path(self) -> Path:
        return self.home.scope("p").path

    def read(self, name: str) -> str:
        return (self.path / name).read_text("utf-8")

    def archived(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in (self.path / "archive").iterdir()}

    def finish(self, task: Task) -> None:
        pulse = self.bench.begin(AGENT)
        self.bench.do(c.MoveTask(task.id, TaskStatus.DONE))
        self.bench.end(pulse)

    @property
    def notes(self) -> Path:
        return self.path / "agents" / "shuri" / "working.md"

    def write_notes(self, text: str) -> None:
        """Write the agent's working notes now, by the clock of the records."""
        self.notes.parent.mkdir(parents=True, exist_ok=True)
        self.notes.write_text(text)
        now_s = self.bench.clock.now_us() // US
        os.utime(self.notes, (now_s, now_s))


@contextmanager
def open_folder(path: Path) -> Iterator[Folder]:
    home = Home(path)
    with open_bench(home.database) as bench:
        bench.project("P")
        bench.agent("p")
        home.scope("p").make()
        made = Folder(bench, home, Mirrors(home.scope("p"), "p"))
        made.shown = made.mirrors.render_all(bench.reads)
        yield made
