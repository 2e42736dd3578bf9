"""The files of a project follow the database, and heal what happened behind our back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from mission_control.actors import Home
from mission_control.actors._mirrors import Mirrors
from mission_control.storage import Task, TaskStatus
from mission_control.storage import commands as c
from storage_bench import Bench, open_bench

AGENT = "shuri:p"


@attrs.define
class Folder:
    """A project's folder, its database, and how far the files are."""

    bench: Bench
    home: Home
    mirrors: Mirrors
    shown: int = 0

    def follow(self) -> None:
        self.shown = self.mirrors.render(self.bench.reads, self.shown)

    @property
    def path(self) -> Path:
        return self.home.scope("p").path

    def read(self, name: str) -> str:
        return (self.path / name).read_text("utf-8")

    def finish(self, task: Task) -> None:
        pulse = self.bench.begin(AGENT)
        self.bench.do(c.MoveTask(task.id, TaskStatus.DONE))
        self.bench.end(pulse)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    home = Home(tmp_path)
    with open_bench(home.database) as bench:
        bench.project("P")
        bench.agent("p")
        home.scope("p").make()
        made = Folder(bench, home, Mirrors(home, "p"))
        made.shown = made.mirrors.render_all(bench.reads)
        yield made


def test_the_board_follows_every_change_of_a_card(folder: Folder) -> None:
    assert "## Backlog (0)" in folder.read("KANBAN.md")
    task = folder.bench.task("p", "Write it")
    folder.follow()
    assert "Write it" in folder.read("KANBAN.md")
    assert folder.shown == folder.bench.reads.last_seq()
    folder.bench.do(c.UpdateTask(task.id, depends_on=(folder.bench.task("p", "Read").id,)))
    folder.follow()
    assert "waits for Read" in folder.read("KANBAN.md")


def test_every_mirror_is_written_from_its_own_records(folder: Folder) -> None:
    task = folder.bench.task("p", "Write it")
    folder.finish(task)
    folder.bench.do(c.SendMessage(AGENT, "Hurry."), by="maria")
    folder.bench.do(c.UpdateChronicle("p", "Shipped."))
    folder.bench.do(c.DistillMemory(AGENT, "Read first."))
    folder.follow()
    assert "Shipped." in folder.read("CHRONICLE.md")
    assert "Read first." in folder.read("agents/shuri/learned.md")
    assert "Hurry." in folder.read("agents/shuri/history.jsonl")
    assert "Write it · attempt 1 · succeeded" in folder.read("daily/2026-01-01.md")


def test_a_change_touches_the_files_that_it_is_about(folder: Folder) -> None:
    before = {path: path.stat().st_ino for path in folder.path.rglob("*.md")}
    folder.bench.task("p")
    folder.follow()
    changed = [path.name for path, inode in before.items() if path.stat().st_ino != inode]
    assert changed == ["KANBAN.md"]
    folder.follow()
    assert {p: p.stat().st_ino for p in before if p.name != "KANBAN.md"} == {
        p: inode for p, inode in before.items() if p.name != "KANBAN.md"
    }


def test_what_was_changed_behind_our_back_is_restored(folder: Folder) -> None:
    right = folder.read("KANBAN.md")
    for wrong in (b"mine now", b"\xff\xfe no text", right.replace("\n", "\r\n").encode()):
        (folder.path / "KANBAN.md").write_bytes(wrong)
        folder.mirrors.render_all(folder.bench.reads)
        assert (folder.path / "KANBAN.md").read_bytes() == right.encode()
    (folder.path / "KANBAN.md").unlink()
    folder.mirrors.render_all(folder.bench.reads)
    assert folder.read("KANBAN.md") == right


def test_a_file_that_somebody_linked_elsewhere_is_replaced_and_its_target_left(
    folder: Folder, tmp_path: Path
) -> None:
    target = tmp_path / "precious"
    target.write_text("theirs")
    (folder.path / "KANBAN.md").unlink()
    (folder.path / "KANBAN.md").symlink_to(target)
    folder.mirrors.render_all(folder.bench.reads)
    assert target.read_text() == "theirs"
    assert not (folder.path / "KANBAN.md").is_symlink()


def test_foreign_files_among_the_days_do_not_matter(folder: Folder) -> None:
    folder.finish(folder.bench.task("p"))
    for name in ("notes.md", "2026-19-39.md"):
        (folder.path / "daily" / name).write_text("theirs")
    folder.mirrors.render_all(folder.bench.reads)
    assert "succeeded" in folder.read("daily/2026-01-01.md")
    assert folder.read("daily/notes.md") == "theirs"


def test_days_that_a_crash_left_behind_are_written_at_the_next_start(folder: Folder) -> None:
    folder.finish(folder.bench.task("p", "one"))
    folder.follow()
    first = folder.read("daily/2026-01-01.md")
    pulse = folder.bench.begin(AGENT)
    folder.bench.clock.advance(2 * 86_400)
    folder.bench.end(pulse)
    folder.bench.task("p", "two")
    folder.bench.end(folder.bench.begin(AGENT))
    folder.mirrors.render_all(folder.bench.reads)
    assert folder.read("daily/2026-01-01.md").startswith(first)
    assert "distill" in folder.read("daily/2026-01-01.md")
    assert "two" in folder.read("daily/2026-01-03.md")
    assert sorted(path.name for path in (folder.path / "daily").iterdir()) == [
        "2026-01-01.md",
        "2026-01-03.md",
    ]


def test_working_notes_are_put_away_when_their_task_was_distilled(folder: Folder) -> None:
    notes = folder.path / "agents" / "shuri" / "working.md"
    folder.finish(folder.bench.task("p"))
    notes.write_text("half an idea")
    folder.follow()
    assert notes.exists()
    memory = folder.bench.do(c.DistillMemory(AGENT, "Read first."))
    folder.follow()
    assert not notes.exists()
    assert folder.read(f"archive/shuri-{memory.id}.md") == "half an idea"


def test_working_notes_are_put_away_when_the_chance_was_missed_but_not_before(
    folder: Folder,
) -> None:
    notes = folder.path / "agents" / "shuri" / "working.md"
    folder.finish(folder.bench.task("p"))
    notes.write_text("half an idea")
    pulse = folder.bench.begin(AGENT)
    folder.bench.end(pulse, outcome="not_started", never_ran=True)
    folder.follow()
    assert notes.exists()
    missed = folder.bench.begin(AGENT)
    folder.bench.end(missed)
    folder.follow()
    assert folder.read(f"archive/shuri-{missed.id}.md") == "half an idea"
    assert not notes.exists()


def test_a_link_in_place_of_working_notes_is_moved_and_not_followed(
    folder: Folder, tmp_path: Path
) -> None:
    target = tmp_path / "precious"
    target.write_text("theirs")
    notes = folder.path / "agents" / "shuri" / "working.md"
    notes.symlink_to(target)
    memory = folder.bench.do(c.DistillMemory(AGENT, "Read first."))
    folder.follow()
    assert (folder.path / "archive" / f"shuri-{memory.id}.md").is_symlink()
    assert target.read_text() == "theirs"


def test_the_map_of_a_home_is_that_of_the_contract(tmp_path: Path) -> None:
    home = Home(tmp_path)
    scope, base = home.scope("p"), home.scope("base")
    base.make()
    base.context.write_text("No tabs.")
    scope.make(base)
    scope.make(None)
    assert scope.context.read_text() == "No tabs."
    made = {str(path.relative_to(scope.path)) for path in scope.path.rglob("*")}
    assert made == {"src", "daily", "archive", "agents", ".context"}
    assert home.taken() == ("base", "p")
    assert home.soul("shuri") == tmp_path / "souls/shuri/SOUL.md"
    assert Home(tmp_path / "none").taken() == ()
