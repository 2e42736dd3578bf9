"""Mirrors that somebody else changed: noticed, put right, and what was found is kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mirror_folder import AGENT, Folder, open_folder
from mission_control.actors._mirror_files import Restored, make_folder
from mission_control.storage import commands as c


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with open_folder(tmp_path) as made:
        made.bench.task("p", "Write it")
        made.bench.do(c.UpdateChronicle("p", "Begun."))
        made.bench.do(c.SendMessage(AGENT, "Hurry."))
        made.follow()
        yield made


def add_a_line(path: Path) -> None:
    with path.open("a") as file:
        file.write("mine\n")


def other_bytes(path: Path) -> None:
    path.write_bytes(b"\xff\xfe no text")


def other_line_ends(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def same_size_and_time(path: Path) -> None:
    found = path.stat()
    raw = path.read_bytes()
    path.write_bytes(raw[:-4] + b"mine")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def another_file(path: Path) -> None:
    new = path.with_name("new")
    new.write_text("theirs")
    new.replace(path)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


CHANGES = [
    add_a_line,
    other_bytes,
    other_line_ends,
    same_size_and_time,
    another_file,
    nothing,
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["KANBAN.md", "CHRONICLE.md", "agents/shuri/history.jsonl"])
def test_a_changed_mirror_is_restored_and_what_was_found_is_kept(
    folder: Folder, name: str, change: Callable[[Path], None]
) -> None:
    right = (folder.path / name).read_bytes()
    change(folder.path / name)
    found = (folder.path / name).read_bytes()
    (restored,) = folder.follow(check=True)
    assert restored.name == name
    assert restored.kept is not None
    assert restored.kept.startswith("archive/")
    assert (folder.path / restored.kept).read_bytes() == found
    assert (folder.path / name).read_bytes() == right
    assert folder.follow(check=True) == []


def test_whoever_writes_the_mirror_next_notices_too(folder: Folder) -> None:
    add_a_line(folder.path / "KANBAN.md")
    folder.bench.task("p", "Another")
    (restored,) = folder.follow()
    assert restored.name == "KANBAN.md"
    assert "Another" in folder.read("KANBAN.md")
    assert "mine" not in folder.read("KANBAN.md")


def test_what_was_changed_while_nobody_looked_is_noticed_at_the_start(folder: Folder) -> None:
    right = folder.read("KANBAN.md")
    add_a_line(folder.path / "KANBAN.md")
    (restored,) = folder.start_again()
    assert restored.name == "KANBAN.md"
    assert folder.read("KANBAN.md") == right


def test_a_mirror_that_a_crash_left_behind_is_no_work_of_others(folder: Folder) -> None:
    folder.bench.task("p", "Another")  # and nobody follows
    assert folder.start_again() == []
    assert "Another" in folder.read("KANBAN.md")
    assert folder.archived() == {}


def test_an_older_mirror_that_somebody_put_back_is_noticed(folder: Folder) -> None:
    old = folder.read("KANBAN.md")
    folder.bench.task("p", "Another")
    folder.follow()
    (folder.path / "KANBAN.md").write_text(old)
    (restored,) = folder.follow(check=True)
    assert restored.name == "KANBAN.md"
    assert "Another" in folder.read("KANBAN.md")


def test_a_removed_mirror_is_made_again(folder: Folder) -> None:
    right = folder.read("KANBAN.md")
    (folder.path / "KANBAN.md").unlink()
    assert folder.follow(check=True) == [Restored("KANBAN.md", None)]
    assert folder.read("KANBAN.md") == right
    (folder.path / "KANBAN.md").unlink()
    assert folder.start_again() == []
    assert folder.read("KANBAN.md") == right


def test_the_same_change_made_twice_is_kept_twice(folder: Folder) -> None:
    for _ in range(2):
        (folder.path / "KANBAN.md").write_text("mine")
        folder.follow(check=True)
    assert list(folder.archived().values()) == ["mine", "mine"]


def a_link(path: Path) -> None:
    target = path.with_name("precious")
    target.write_text("theirs")
    path.unlink()
    path.symlink_to(target)


def a_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("theirs")


@pytest.mark.parametrize("put", [a_link, a_dangling_link, a_pipe, a_folder])
@pytest.mark.parametrize("restart", [False, True], ids=["running", "at the start"])
def test_what_is_no_plain_file_is_moved_away_and_not_followed(
    folder: Folder, put: Callable[[Path], None], restart: bool
) -> None:
    path = folder.path / "KANBAN.md"
    right = path.read_text()
    put(path)
    kind = stat.S_IFMT(path.lstat().st_mode)
    (restored,) = folder.start_again() if restart else folder.follow(check=True)
    assert stat.S_ISREG(path.lstat().st_mode)
    assert path.read_text() == right
    assert restored.kept is not None
    kept = folder.path / restored.kept
    assert stat.S_IFMT(kept.lstat().st_mode) == kind
    if put is a_link:
        assert path.with_name("precious").read_text() == "theirs"
    if put is a_folder:
        assert (kept / "inside").read_text() == "theirs"


def test_a_hard_link_to_elsewhere_is_replaced_and_its_other_name_left(
    folder: Folder, tmp_path: Path
) -> None:
    target = tmp_path / "precious"
    target.write_text("theirs")
    (folder.path / "KANBAN.md").unlink()
    (folder.path / "KANBAN.md").hardlink_to(target)
    folder.follow(check=True)
    assert target.read_text() == "theirs"
    assert "Write it" in folder.read("KANBAN.md")


@pytest.mark.parametrize("at", ["agents", "agents/shuri", "archive"])
def test_a_link_in_place_of_a_folder_leads_nothing_away(
    folder: Folder, tmp_path: Path, at: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = folder.path / at
    place.rename(tmp_path / "kept")
    place.symlink_to(elsewhere)
    if at == "archive":
        (folder.path / "agents/shuri/history.jsonl").write_text("mine")
    folder.bench.do(c.SendMessage(AGENT, "Faster."))
    folder.follow()
    assert list(elsewhere.iterdir()) == []
    assert place.is_dir()
    assert not place.is_symlink()
    assert "Faster." in folder.read("agents/shuri/history.jsonl")


def test_a_folder_is_made_where_a_file_was_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("theirs")
    make_folder(tmp_path / "a" / "b", below=tmp_path)
    assert (tmp_path / "a" / "b").is_dir()
    (kept,) = tmp_path.glob("a-found-*")
    assert kept.read_text() == "theirs"


def test_a_message_of_what_happened_says_where_the_work_is(folder: Folder) -> None:
    (folder.path / "KANBAN.md").write_text("mine")
    (restored,) = folder.follow(check=True)
    assert str(restored) == (
        "KANBAN.md was changed behind Mission Control's back and is restored:"
        f" what was there is now {restored.kept}"
    )
    assert "it had been removed" in str(Restored("KANBAN.md", None))
