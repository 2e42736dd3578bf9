"""What each operation does, and what it says when it does not."""

from __future__ import annotations

import ast
import hashlib
import os
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from mission_control.storage import Conflict, Forbidden, Invalid, Limited, MissionError, NotFound
from mission_control.storage import files as package
from mission_control.storage.files import (
    Access,
    AgentAccess,
    Kind,
    Limits,
    OperatorAccess,
    Projects,
    Quota,
    Right,
    ScopedFiles,
    Workspace,
)
from mission_control.storage.files._root import ProjectRoot

from .conftest import AGENT, Place

BINARY = bytes(range(256)) * 16


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def reason(error: pytest.ExceptionInfo[MissionError]) -> object:
    return error.value.details["reason"]


def test_bytes_come_back_as_they_went(files: ScopedFiles) -> None:
    written = files.write("src/a.bin", BINARY)
    assert (written.sha256, written.size, written.created) == (sha(BINARY), 4096, True)
    content = files.read("src/a.bin")
    assert (content.data, content.size, content.sha256) == (BINARY, 4096, sha(BINARY))
    assert not files.write("src/a.bin", b"").created
    assert files.read("src/a.bin").data == b""
    assert files.read("src/a.bin").sha256 == sha(b"")


def test_a_range_is_read_without_the_rest(files: ScopedFiles) -> None:
    files.write("src/a.bin", BINARY)
    part = files.read("src/a.bin", offset=250, length=10)
    assert (part.data, part.offset, part.size, part.sha256) == (BINARY[250:260], 250, 4096, None)
    assert files.read("src/a.bin", offset=4_000).data == BINARY[4_000:]
    assert files.read("src/a.bin", offset=9_999, length=5).data == b""
    assert files.read("src/a.bin", length=0).data == b""
    with pytest.raises(Invalid):
        files.read("src/a.bin", offset=-1)


def test_text_is_text_only_when_it_is_utf8(files: ScopedFiles) -> None:
    files.write("src/a.txt", "été ✓".encode())
    assert files.read("src/a.txt").text == "été ✓"
    files.write("src/a.txt", b"ab\xff")
    with pytest.raises(Invalid, match="at byte 2") as refused:
        _ = files.read("src/a.txt").text
    assert reason(refused) == "not_text"


def test_a_large_file_is_read_in_ranges(place: Place) -> None:
    (place.alpha / "src" / "big").write_bytes(b"x" * 100)
    with place.projects.open("alpha") as root:
        files = ScopedFiles(Workspace(root, place.quota, Limits(read=60)), AGENT)
        with pytest.raises(Limited, match="read ranges") as refused:
            files.read("src/big")
        assert reason(refused) == "too_large"
        assert len(files.read("src/big", length=60).data) == 60
        with pytest.raises(Limited):
            files.read("src/big", length=61)
        assert len(files.read("src/big", offset=60).data) == 40


def test_a_write_that_expects_another_file_changes_nothing(files: ScopedFiles) -> None:
    files.write("src/a", b"one")
    with pytest.raises(Conflict) as refused:
        files.write("src/a", b"two", expected=sha(b"zero"))
    assert refused.value.details["sha256"] == sha(b"one")
    with pytest.raises(Conflict):
        files.write("src/a", b"two", expected="absent")
    with pytest.raises(Conflict):
        files.write("src/a", b"two", overwrite=False)
    with pytest.raises(Conflict):
        files.write("src/none", b"two", expected=sha(b""))
    assert files.read("src/a").data == b"one"
    assert files.write("src/a", b"two", expected=sha(b"one")).sha256 == sha(b"two")


def test_a_change_made_after_the_check_is_not_lost(
    place: Place, files: ScopedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write("src/a", b"one")
    stage = ProjectRoot.stage

    def somebody_writes(root: ProjectRoot, *arguments: Any, **named: Any) -> Any:
        (place.alpha / "src" / "other").write_bytes(b"theirs")
        (place.alpha / "src" / "other").replace(place.alpha / "src" / "a")
        return stage(root, *arguments, **named)

    monkeypatch.setattr(ProjectRoot, "stage", somebody_writes)
    with pytest.raises(Conflict) as refused:
        files.write("src/a", b"ours", expected=sha(b"one"))
    assert reason(refused) == "conflict"
    assert (place.alpha / "src" / "a").read_bytes() == b"theirs"


@pytest.mark.parametrize("there_before", [False, True])
def test_a_write_into_a_folder_that_was_moved_out_is_undone(
    place: Place, files: ScopedFiles, monkeypatch: pytest.MonkeyPatch, *, there_before: bool
) -> None:
    files.mkdir("src/d")
    if there_before:
        files.write("src/d/a", b"before")
    leads_to = ProjectRoot.leads_to

    def somebody_moves_it(root: ProjectRoot, names: tuple[str, ...], folder: int) -> bool:
        (place.alpha / "src" / "d").rename(place.path / "beta" / "d")
        return leads_to(root, names, folder)

    monkeypatch.setattr(ProjectRoot, "leads_to", somebody_moves_it)
    with pytest.raises(Forbidden) as refused:
        files.write("src/d/a", b"attacker")
    assert reason(refused) == "outside_jail"
    moved = place.path / "beta" / "d" / "a"
    assert (moved.read_bytes() if there_before else moved.exists()) == (
        b"before" if there_before else False
    )


def test_a_file_keeps_its_mode_and_not_its_special_bits(place: Place, files: ScopedFiles) -> None:
    files.write("src/run", b"#!/bin/sh")
    path = place.alpha / "src" / "run"
    path.chmod(0o4750)
    files.write("src/run", b"#!/bin/sh\n")
    assert path.stat().st_mode & 0o7777 == 0o750


def test_a_reader_never_sees_half_a_file(place: Place, files: ScopedFiles) -> None:
    files.write("src/a", b"a" * 100_000)
    with (place.alpha / "src" / "a").open("rb") as reader:
        start = reader.read(10)
        files.write("src/a", b"b" * 50_000)
        assert start + reader.read() == b"a" * 100_000


def test_a_write_that_fails_leaves_no_trace(
    place: Place, files: ScopedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write("src/a", b"one")
    used = place.quota.usage
    assert used is not None

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(MissionError) as refused:
        files.write("src/a", b"longer")
    assert reason(refused) == "no_space"
    monkeypatch.undo()
    assert files.read("src/a").data == b"one"
    assert place.staged() == []
    assert place.quota.usage == used


def test_append_makes_and_adds(files: ScopedFiles) -> None:
    assert files.append("agents/coder/working.md", b"one\n").created
    assert files.append("agents/coder/working.md", b"two\n").size == 8
    assert files.read("agents/coder/working.md").text == "one\ntwo\n"


def test_an_edit_replaces_exactly_what_it_names(files: ScopedFiles) -> None:
    files.write("src/a", b"one two one")
    for old, count in ((b"three", 0), (b"one", 2), (b"", 0)):
        with pytest.raises(Conflict, match=f"occurs {count} times") as refused:
            files.edit("src/a", old, b"x")
        assert refused.value.details["count"] == count
    files.edit("src/a", b"two", b"2")
    files.edit("src/a", b"one", b"1", everywhere=True)
    assert files.read("src/a").data == b"1 2 1"
    with pytest.raises(Conflict):
        files.edit("src/a", b"2", b"3", expected=sha(b"other"))
    with pytest.raises(NotFound):
        files.edit("src/none", b"a", b"b")


def test_a_listing_says_what_can_be_used(place: Place, files: ScopedFiles) -> None:
    src = place.alpha / "src"
    files.write("src/a.txt", b"123")
    (src / "d").mkdir()
    (src / "l").symlink_to("/etc/passwd")
    os.mkfifo(src / "p")
    (src / "two").write_text("x")
    (src / "names").hardlink_to(src / "two")
    (src / ".svc-left").write_text("x")
    (src / "back\\slash").write_text("x")
    Path(os.fsdecode(os.fsencode(src) + b"/\xff")).write_text("x")
    entries = {entry.name: entry for entry in files.list("src")}
    assert list(entries) == sorted(entries)
    assert {name: (entry.kind, entry.addressable) for name, entry in entries.items()} == {
        "a.txt": (Kind.FILE, True),
        "back\\slash": (Kind.FILE, False),
        "d": (Kind.FOLDER, True),
        "l": (Kind.LINK, False),
        "names": (Kind.FILE, False),
        "p": (Kind.SPECIAL, False),
        "two": (Kind.FILE, False),
        "\\xff": (Kind.FILE, False),
    }
    assert entries["a.txt"].size == 3
    assert entries["d"].size is None


def test_stat_and_exists_agree(files: ScopedFiles) -> None:
    files.write("src/a", b"123")
    assert (files.stat("src/a").kind, files.stat("src/a").size) == (Kind.FILE, 3)
    assert files.stat(".").kind is files.stat("src").kind is Kind.FOLDER
    assert files.exists("src/a")
    assert files.exists("src/")
    for missing in ("src/none", "none/none", "src/a/b"):
        assert not files.exists(missing)
        with pytest.raises((NotFound, Invalid)):
            files.stat(missing)


def test_search_finds_lines_in_plain_text_only(place: Place, files: ScopedFiles) -> None:
    src = place.alpha / "src"
    files.write("src/a.py", "first\nthe Needle é here\n".encode())
    files.mkdir("src/d")
    files.write("src/d/b.txt", b"needle\n" * 3)
    files.write("src/c.bin", b"Needle\xff")
    (src / "l.py").symlink_to(place.path / "beta" / "secret.txt")
    (src / "h.py").write_text("Needle")
    (src / "h2.py").hardlink_to(src / "h.py")
    found = files.search(".", "Needle")
    assert [(m.path, m.line, m.column, m.text) for m in found.matches] == [
        ("src/a.py", 2, 5, "the Needle é here")
    ]
    assert found.complete
    assert len(files.search("src", "NEEDLE", ignore_case=True).matches) == 4
    assert len(files.search(".", "needle", glob="*.txt").matches) == 3
    assert not files.search(".", "canary").matches
    with pytest.raises(Invalid):
        files.search(".", "")


def test_a_search_says_when_it_stopped_early(place: Place) -> None:
    (place.alpha / "src" / "a").write_text("x\n" * 10)
    (place.alpha / "src" / "b").write_text("x\n" * 10)
    with place.projects.open("alpha") as root:
        for limits, count in ((Limits(matches=15), 15), (Limits(searched=30), 20)):
            found = ScopedFiles(Workspace(root, place.quota, limits), AGENT).search("src", "x")
            assert (len(found.matches), found.complete) == (count, False)


def test_secrets_are_seen_by_administrators_only(place: Place) -> None:
    (place.alpha / ".secrets").mkdir()
    (place.alpha / ".secrets" / "token").write_text("hidden treasure")
    with place.projects.open("alpha") as root:
        accesses: list[Access] = [OperatorAccess("alpha", "ann", right) for right in Right]
        for access in (AGENT, *accesses):
            files = ScopedFiles(Workspace(root, place.quota), access)
            admin = isinstance(access, OperatorAccess) and access.right is Right.ADMIN
            assert bool(files.search(".", "treasure").matches) == admin
            if not admin:
                with pytest.raises(Forbidden):
                    files.read(".secrets/token")


def test_folders_are_made_one_by_one_or_all_at_once(place: Place, files: ScopedFiles) -> None:
    with pytest.raises(NotFound):
        files.mkdir("src/a/b")
    files.mkdir("src/a/b", parents=True)
    files.mkdir("src/a/c", parents=True)
    with pytest.raises(Conflict):
        files.mkdir("src/a/b")
    assert sorted(p.name for p in (place.alpha / "src" / "a").iterdir()) == ["b", "c"]


def test_a_move_does_not_overwrite_by_accident(files: ScopedFiles) -> None:
    files.write("src/a", b"a")
    files.write("src/b", b"b")
    with pytest.raises(Conflict):
        files.move("src/a", "src/b")
    files.move("src/a", "src/b", overwrite=True)
    assert files.read("src/b").data == b"a"
    assert not files.exists("src/a")
    with pytest.raises(Invalid, match="there already"):
        files.move("src/b", "src/b", overwrite=True)
    with pytest.raises(Forbidden):
        files.move("src/b", "b")
    with pytest.raises(Forbidden):
        files.move("KANBAN.md", "src/board.md")


def test_a_tree_is_deleted_and_links_in_it_are_not_followed(
    place: Place, files: ScopedFiles
) -> None:
    files.mkdir("src/t/u", parents=True)
    files.write("src/t/u/a", b"a")
    (place.alpha / "src" / "t" / "l").symlink_to(place.path / "beta")
    os.mkfifo(place.alpha / "src" / "t" / "p")
    with pytest.raises(Conflict) as refused:
        files.delete("src/t")
    assert reason(refused) == "directory_not_empty"
    files.delete("src/t", recursive=True)
    assert list((place.alpha / "src").iterdir()) == []
    assert (place.path / "beta" / "secret.txt").read_text() == "canary"


def test_a_tree_too_deep_is_not_deleted_blindly(place: Place) -> None:
    (place.alpha / "src" / "/".join("d" * 12)).mkdir(parents=True)
    with place.projects.open("alpha") as root:
        files = ScopedFiles(Workspace(root, place.quota, Limits(depth=5)), AGENT)
        with pytest.raises(Limited):
            files.delete("src/d", recursive=True)
        assert files.search("src", "x").complete


def test_what_a_killed_service_left_is_swept(place: Place) -> None:
    (place.path / ".staging" / ".svc-0").write_text("half")
    (place.path / ".staging" / "folder" / "in").mkdir(parents=True)
    with Projects(place.path):
        assert place.staged() == []
    assert (place.path / ".staging").stat().st_mode & 0o777 == 0o700


def test_a_project_that_is_a_link_is_not_opened(place: Place) -> None:
    (place.path / "gamma").symlink_to("beta")
    for project, error in (("gamma", MissionError), ("delta", NotFound), ("..", Invalid)):
        with pytest.raises(error), place.projects.open(project):
            pass


def test_a_staging_folder_that_is_a_link_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / ".staging").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotADirectoryError):
        Projects(tmp_path / "projects")


def test_descriptors_are_all_closed_whatever_happens(place: Place, files: ScopedFiles) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    files.write("src/a", b"a")
    (place.alpha / "src" / "l").symlink_to("a")
    for _ in range(3):
        for attempt in (
            lambda: files.read("src/l"),
            lambda: files.read("src/a/b"),
            lambda: files.write("src/l", b"x"),
            lambda: files.write("src/none/a", b"x"),
            lambda: files.move("src/a", "src/l"),
            lambda: files.edit("src/a", b"z", b"y"),
            lambda: files.list("src/a"),
        ):
            with pytest.raises(MissionError):
                attempt()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_quota_is_of_bytes_and_of_files(place: Place) -> None:
    now = 0.0
    limits = Limits(project_bytes=200_000, project_files=10)
    quota = Quota(limits, clock=lambda: now)
    with place.projects.open("alpha") as root:
        files = ScopedFiles(Workspace(root, quota, limits), AGENT)
        files.write("src/a", b"x" * 150_000)
        with pytest.raises(Limited, match="delete some") as refused:
            files.write("src/b", b"x" * 50_001)
        assert reason(refused) == "quota_exceeded"
        files.write("src/a", b"x" * 100_000)
        files.write("src/b", b"x" * 50_001)
        for number in range(3):
            files.write(f"src/{number}", b"")
        with pytest.raises(Limited):
            files.mkdir("src/d/e/f/g", parents=True)
        files.delete("src/d", recursive=True)
        files.mkdir("src/d")


def test_what_others_delete_is_noticed_before_a_refusal_stands(place: Place) -> None:
    now = 0.0
    limits = Limits(project_bytes=200_000)
    quota = Quota(limits, clock=lambda: now)
    with place.projects.open("alpha") as root:
        files = ScopedFiles(Workspace(root, quota, limits), AGENT)
        files.write("src/a", b"x" * 150_000)
        (place.alpha / "src" / "a").unlink()
        with pytest.raises(Limited):
            files.write("src/b", b"x" * 150_000)
        now = 11.0
        files.write("src/b", b"x" * 150_000)


def test_only_the_root_and_the_kernel_open_anything() -> None:
    allowed = {"_root.py", "_kernel.py", "_openat2.py", "_walk.py", "_darwin.py"}
    opening = set()
    for path in Path(str(package.__file__)).parent.glob("*.py"):
        calls = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text()))
                 if isinstance(node, ast.Name | ast.Attribute)}  # fmt: skip
        if any(re.fullmatch(r"open|os\.open|.*\.(read|write)_(text|bytes)", c) for c in calls):
            opening.add(path.name)
    assert opening <= allowed


def test_what_is_passed_around_cannot_be_changed() -> None:
    access = AgentAccess("alpha", "coder")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        access.project = "beta"  # type: ignore[misc]
