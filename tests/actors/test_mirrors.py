"""The files of a project follow the database, and say how far."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirror_folder import AGENT, Folder, open_folder
from mission_control.actors import Home, _mirrors
from mission_control.actors._mirror_files import MAX_BYTES
from mission_control.actors._mirrors import NEWEST_CLOSED, NEWEST_ENTRIES
from mission_control.actors._seal import seal, seal_of, unsealed
from mission_control.storage import TaskStatus
from mission_control.storage import commands as c


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with open_folder(tmp_path) as made:
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


def test_each_file_names_the_change_that_it_shows_and_the_checksum_of_the_rest(
    folder: Folder,
) -> None:
    folder.finish(folder.bench.task("p", "Write it"))
    folder.bench.do(c.SendMessage(AGENT, "Hé!"))
    folder.bench.do(c.DistillMemory(AGENT, "Read first."))
    folder.follow()
    names = ("KANBAN.md", "CHRONICLE.md", "daily/2026-01-01.md", "agents/shuri/learned.md")
    for name in (*names, "agents/shuri/history.jsonl"):
        raw = (folder.path / name).read_bytes()
        seal = seal_of(raw)
        assert seal is not None, name
        assert (seal.epoch, seal.seq) == ("e1", folder.shown)
        for other in (raw[:-1], raw + b"\n", b" " + raw, raw.replace(b"Mission", b"Our", 1)):
            assert seal_of(other) is None
    for name in names:
        assert re.match(r"<!-- .* cursor=e1\.\d+ sha256=[0-9a-f]{64} -->\n", folder.read(name))


def test_in_a_file_of_objects_the_first_line_is_an_object_too(folder: Folder) -> None:
    folder.bench.do(c.SendMessage(AGENT, "Hurry."))
    folder.follow()
    first, note = map(json.loads, folder.read("agents/shuri/history.jsonl").splitlines())
    assert first["cursor"] == f"e1.{folder.shown}"
    assert note["text"] == "Hurry."


def test_of_an_agent_that_has_no_memories_or_messages_there_are_no_files(folder: Folder) -> None:
    assert not (folder.path / "agents").exists() or not list(folder.path.glob("agents/*/*"))


def test_what_is_right_is_not_written_again(folder: Folder) -> None:
    task = folder.bench.task("p", "Write it")
    folder.finish(task)
    folder.follow()
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*.md")}
    folder.bench.do(c.UpdateTask(task.id, description="which no mirror shows"))
    assert folder.follow(check=True) == []
    assert folder.start_again() == []
    assert {path: path.stat().st_mtime_ns for path in folder.path.rglob("*.md")} == before


def test_the_board_shows_every_open_card_and_the_newest_of_those_that_are_over(
    folder: Folder,
) -> None:
    tasks = [folder.bench.task("p", f"card {n:03}") for n in range(NEWEST_CLOSED + 3)]
    for task in tasks:
        folder.bench.do(c.MoveTask(task.id, TaskStatus.DONE))
    for n in range(60):
        folder.bench.task("p", f"open {n}")
    folder.follow()
    text = folder.read("KANBAN.md")
    assert text.count("**open ") == 60
    assert f"## Done ({NEWEST_CLOSED + 3})" in text
    assert text.count("**card ") == NEWEST_CLOSED
    assert "- and 3 more" in text
    assert "card 052" in text
    assert "card 002" not in text
    assert "Archived" not in text


def test_of_what_grows_for_ever_the_files_show_the_newest_and_say_so(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_mirrors, "NEWEST_RESULTS", 4)
    said = [f"number {n}" for n in range(NEWEST_ENTRIES)]
    for text in said:
        folder.bench.do(c.UpdateChronicle("p", text))
        folder.bench.do(c.DistillMemory(AGENT, text))
    for _ in range(4):
        folder.bench.end(folder.bench.begin(AGENT, triggered=True))
    grown = ("CHRONICLE.md", "agents/shuri/learned.md", "daily/2026-01-01.md")
    folder.follow()
    assert ["in the database only" in folder.read(name) for name in grown] == [True, False, False]
    folder.bench.do(c.DistillMemory(AGENT, "the last"))
    folder.bench.end(folder.bench.begin(AGENT, triggered=True))
    folder.follow()
    for name in grown:
        assert "in the database only" in folder.read(name)
    learned = folder.read("agents/shuri/learned.md")
    assert learned.count("\n## ") == NEWEST_ENTRIES
    assert learned.endswith("the last\n")
    assert "number 0\n" not in learned
    assert folder.read("CHRONICLE.md").count("\n## ") == NEWEST_ENTRIES
    assert folder.read("daily/2026-01-01.md").count("attempt") == 4
    assert folder.start_again() == []


def test_files_of_another_history_are_replaced_even_if_they_say_the_same(folder: Folder) -> None:
    folder.bench.task("p")
    folder.follow()
    folder.bench.connection.execute("UPDATE meta SET value = 'e2' WHERE key = 'epoch'")
    assert folder.start_again() == []
    seal = seal_of((folder.path / "KANBAN.md").read_bytes())
    assert seal is not None
    assert (seal.epoch, seal.seq) == ("e2", folder.shown)


def test_a_new_agent_does_not_find_the_notes_of_a_namesake_from_another_history(
    folder: Folder,
) -> None:
    folder.bench.connection.execute("UPDATE meta SET value = 'e2' WHERE key = 'epoch'")
    body = '{"text": "of a day that a restore has undone"}\n'
    note = folder.path / "agents" / "okoye" / "history.jsonl"
    note.parent.mkdir(parents=True)
    note.write_text(seal(body, epoch="e1", seq=2).over(note.name, body))
    folder.start_again()
    folder.bench.agent("p", "okoye")
    folder.follow()
    assert unsealed(note.read_text()) == ""


def test_a_mirror_that_claims_a_change_to_come_is_replaced(folder: Folder) -> None:
    body = unsealed(folder.read("KANBAN.md"))
    early = seal(body, epoch="e1", seq=10_000).over("KANBAN.md", body)
    (folder.path / "KANBAN.md").write_text(early)
    folder.start_again()
    said = seal_of((folder.path / "KANBAN.md").read_bytes())
    assert said is not None
    assert said.seq == folder.shown


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As a full disk, for whoever runs the tests: longer writes fail half-way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_cannot_be_written_keeps_no_other_from_being_right_and_heals(
    folder: Folder,
) -> None:
    for n in range(200):
        folder.bench.do(c.UpdateChronicle("p", "Shipped." + "x" * 19_000 + str(n)))
    folder.follow()
    story = folder.read("CHRONICLE.md")
    folder.bench.do(c.UpdateChronicle("p", "Sold."))
    folder.bench.task("p", "Write it")
    folder.bench.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with no_file_larger_than(2**20), pytest.raises(OSError, match="large"):
        folder.follow()
    assert "Write it" in folder.read("KANBAN.md")
    assert folder.read("CHRONICLE.md") == story
    assert [path.name for path in folder.path.glob(".*") if path.name != ".context"] == []
    assert folder.start_again() == []
    assert "Sold." in folder.read("CHRONICLE.md")


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
    assert unsealed(folder.read("daily/2026-01-01.md")).startswith(unsealed(first))
    assert "distill" in folder.read("daily/2026-01-01.md")
    assert "two" in folder.read("daily/2026-01-03.md")
    assert sorted(path.name for path in (folder.path / "daily").iterdir()) == [
        "2026-01-01.md",
        "2026-01-03.md",
    ]


def test_days_that_were_removed_while_nobody_looked_are_written_again(folder: Folder) -> None:
    for _ in range(4):
        folder.finish(folder.bench.task("p"))
        folder.bench.clock.advance(86_400)
        folder.bench.end(folder.bench.begin(AGENT))  # it distils
        folder.bench.clock.advance(86_400)
    folder.follow()
    days = {path: path.read_text() for path in sorted((folder.path / "daily").iterdir())}
    assert len(days) == 8
    first, second, third, *_ = days
    first.unlink()
    second.write_text(days[third])  # sealed, but another day
    third.write_text("mine now")
    folder.start_again()
    assert {path: unsealed(path.read_text()) for path in days if path != second} == {
        path: unsealed(text) for path, text in days.items() if path != second
    }


def test_a_giant_in_a_mirror_s_place_is_not_read_whole(folder: Folder) -> None:
    with (folder.path / "KANBAN.md").open("ab") as file:
        file.truncate(MAX_BYTES * 4096)  # sparse; more than any memory
    (restored,) = folder.start_again()
    assert restored.kept is not None
    assert (folder.path / restored.kept).stat().st_size == MAX_BYTES * 4096
    assert "## Backlog (0)" in folder.read("KANBAN.md")


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


def test_what_people_wrote_or_removed_in_a_project_is_not_made_anew_from_its_base(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    base, scope = home.scope("base"), home.scope("p")
    base.make()
    base.context.write_text("No tabs.")
    base.template.write_text("base {task_id}")
    scope.make(base)
    scope.context.unlink()
    scope.template.write_text("ours {task_id}")
    scope.make(base)
    assert not scope.context.read_text()
    assert scope.template.read_text() == "ours {task_id}"


def test_a_project_whose_making_was_cut_short_is_made_to_its_end(tmp_path: Path) -> None:
    home = Home(tmp_path)
    base, scope = home.scope("base"), home.scope("p")
    base.make()
    base.context.write_text("No tabs.")
    base.agent("shuri").mkdir()
    (base.agent("shuri") / "SOUL.md").write_text("Bold.")
    scope.agent("shuri").mkdir(parents=True)
    scope.make(base)
    assert scope.context.read_text() == "No tabs."
    assert (scope.agent("shuri") / "SOUL.md").read_text() == "Bold."
