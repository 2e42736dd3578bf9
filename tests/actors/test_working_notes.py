"""Working notes are put away once, when it is time, also when a crash came between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_folder import AGENT, Folder, open_folder
from mission_control.storage import commands as c


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with open_folder(tmp_path) as made:
        yield made


def test_working_notes_are_put_away_when_their_task_was_distilled(folder: Folder) -> None:
    folder.finish(folder.bench.task("p"))
    folder.write_notes("half an idea")
    folder.follow()
    assert folder.notes.exists()
    memory = folder.bench.do(c.DistillMemory(AGENT, "Read first."))
    folder.follow()
    assert folder.notes.read_bytes() == b""
    assert folder.read(f"archive/shuri-{memory.id}.md") == "half an idea"


def test_they_stay_where_the_agent_says_so(folder: Folder) -> None:
    folder.finish(folder.bench.task("p"))
    folder.write_notes("half an idea")
    pulse = folder.bench.begin(AGENT)
    folder.bench.do(c.DistillMemory(AGENT, "Read first.", archive_notes=False))
    folder.follow()
    folder.bench.end(pulse)
    folder.follow()
    folder.start_again()
    assert folder.notes.read_text() == "half an idea"
    assert folder.archived() == {}


def test_they_are_put_away_when_the_chance_was_missed_but_not_before(folder: Folder) -> None:
    folder.finish(folder.bench.task("p"))
    folder.write_notes("half an idea")
    pulse = folder.bench.begin(AGENT)
    folder.bench.end(pulse, outcome="not_started", never_ran=True)
    folder.follow()
    assert folder.notes.exists()
    missed = folder.bench.begin(AGENT)
    folder.bench.end(missed)
    folder.follow()
    assert folder.read(f"archive/shuri-{missed.id}.md") == "half an idea"
    assert folder.notes.read_bytes() == b""


def test_notes_begun_after_the_distilling_are_not_taken_for_the_old_ones(folder: Folder) -> None:
    folder.finish(folder.bench.task("p"))
    folder.write_notes("old")
    pulse = folder.bench.begin(AGENT)
    folder.bench.do(c.DistillMemory(AGENT, "Read first."))
    folder.follow()
    folder.write_notes("new")
    folder.bench.end(pulse)
    folder.follow()
    folder.start_again()
    assert folder.notes.read_text() == "new"
    assert list(folder.archived().values()) == ["old"]


def test_the_file_stays_for_who_may_write_it_and_make_no_other(folder: Folder) -> None:
    folder.write_notes("old")
    with folder.notes.open("a") as still_open:
        memory = folder.bench.do(c.DistillMemory(AGENT, "Read first."))
        folder.follow()
        still_open.write("new")
    assert folder.notes.read_text() == "new"
    assert folder.archived() == {f"shuri-{memory.id}.md": "old"}


def test_notes_of_which_a_crash_left_two_are_put_away_once(folder: Folder) -> None:
    folder.write_notes("half an idea")
    memory = folder.bench.do(c.DistillMemory(AGENT, "Read first."))
    folder.follow()
    folder.write_notes("half an idea")  # copied, and not yet cut
    folder.start_again()
    assert folder.notes.read_bytes() == b""
    assert folder.archived() == {f"shuri-{memory.id}.md": "half an idea"}


def test_notes_that_their_agent_closed_to_all_are_put_away_all_the_same(folder: Folder) -> None:
    folder.write_notes("old")
    folder.notes.chmod(0)
    memory = folder.bench.do(c.DistillMemory(AGENT, "Read first."))
    folder.follow()
    kept = folder.path / "archive" / f"shuri-{memory.id}.md"
    kept.chmod(0o600)
    assert kept.read_text() == "old"


def test_a_link_in_place_of_working_notes_is_moved_and_not_followed(
    folder: Folder, tmp_path: Path
) -> None:
    target = tmp_path / "precious"
    target.write_text("theirs")
    folder.notes.parent.mkdir(parents=True)
    folder.notes.symlink_to(target)
    memory = folder.bench.do(c.DistillMemory(AGENT, "Read first."))
    folder.follow()
    assert (folder.path / "archive" / f"shuri-{memory.id}.md").is_symlink()
    assert target.read_text() == "theirs"


@pytest.mark.parametrize("missed", [False, True], ids=["distilled", "missed"])
def test_a_crash_after_the_commit_does_not_leave_them_lying(folder: Folder, missed: bool) -> None:
    folder.finish(folder.bench.task("p"))
    folder.write_notes("half an idea")
    pulse = folder.bench.begin(AGENT)
    if missed:
        folder.bench.end(pulse)
        id_ = pulse.id
    else:
        id_ = folder.bench.do(c.DistillMemory(AGENT, "Read first.")).id
        folder.bench.end(pulse)
    folder.start_again()  # and nobody had followed
    assert folder.notes.read_bytes() == b""
    assert folder.archived() == {f"shuri-{id_}.md": "half an idea"}


def test_after_a_crash_notes_that_were_written_since_stay(folder: Folder) -> None:
    folder.finish(folder.bench.task("p"))
    pulse = folder.bench.begin(AGENT)
    folder.bench.do(c.DistillMemory(AGENT, "Read first."))
    folder.bench.clock.advance(1)
    folder.write_notes("new")
    folder.bench.end(pulse)
    folder.start_again()
    assert folder.notes.read_text() == "new"
    assert folder.archived() == {}


def test_after_a_crash_notes_of_an_agent_that_has_begun_another_attempt_stay(
    folder: Folder,
) -> None:
    folder.write_notes("of which task?")
    folder.bench.do(c.DistillMemory(AGENT, "Read first."))
    folder.bench.task("p")
    folder.bench.begin(AGENT)
    folder.start_again()
    assert folder.notes.read_text() == "of which task?"


def test_what_was_put_away_on_an_occasion_is_not_put_away_on_it_again(folder: Folder) -> None:
    folder.write_notes("old")
    memory = folder.bench.do(c.DistillMemory(AGENT, "Read first."))
    folder.follow()
    folder.notes.write_text("a clock that was set back")
    folder.start_again()
    assert folder.notes.exists()
    assert folder.archived() == {f"shuri-{memory.id}.md": "old"}
