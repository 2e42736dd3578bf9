"""Retention: what leaves the table is in the archive first, and the log stays one."""

from __future__ import annotations

import gzip
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log_tables import images_in, images_of
from mission_control.storage import US, Change, Conflict, MissionError
from mission_control.storage import commands as c
from mission_control.storage.history import (
    LogDamaged,
    Segment,
    _archive,
    archive_log,
    fold,
    read_log,
    retention_seq,
    segments,
)
from mission_control.storage.history._segment import write_segment
from random_history import ALL_STEPS, command_of, furnish
from storage_bench import Bench, open_bench

FOR_EVER = 1 << 62


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def long(bench: Bench) -> Bench:
    """A log of some two thousand changes, a second between two commands."""
    bench.agent(bench.project().id)
    for number in range(1_000):
        bench.task("p", f"card {number}")
    return bench


def log_of(bench: Bench, archive: Path) -> list[Change]:
    return list(read_log(bench.connection, archive))


def copy(bench: Bench, archive: Path, up_to: int = FOR_EVER, **how: int) -> Segment | None:
    return archive_log(bench.path, archive, **{"before_us": FOR_EVER, "up_to": up_to, **how})


def trim(bench: Bench, archive: Path, up_to: int = FOR_EVER, **how: int) -> int:
    """Archive and trim once; return how many changes went."""
    segment = copy(bench, archive, up_to, **how)
    if segment is None:
        return 0
    begun = retention_seq(bench.connection)
    while bench.do(c.TrimLog(segment)):
        pass
    return segment.last - begun


def kept(bench: Bench) -> list[int]:
    return [seq for (seq,) in bench.connection.execute("SELECT seq FROM changes ORDER BY seq")]


def test_the_log_is_the_same_before_and_after_its_old_part_was_archived(
    long: Bench, archive: Path
) -> None:
    before, end = log_of(long, archive), long.reads.last_seq()
    assert trim(long, archive, up_to=1500) == 1500
    assert kept(long) == list(range(1501, end + 1))
    assert log_of(long, archive) == before
    assert list(read_log(long.connection, archive, after=1400, until=1600)) == before[1400:1600]
    assert images_in(fold(log_of(long, archive))) == images_of(long.connection)


def test_a_segment_is_lines_of_json_that_any_tool_can_read(long: Bench, archive: Path) -> None:
    before = log_of(long, archive)
    segment = copy(long, archive, up_to=20)
    assert segment is not None
    path = archive / segment.file
    assert path.name == "000000000001-000000000020.jsonl.gz"
    assert path.stat().st_mode & 0o777 == 0o600
    with gzip.open(path) as lines:
        rows = [json.loads(line) for line in lines]
    assert rows == [attrs.asdict(change) for change in before[:20]]


def test_a_command_deletes_a_thousand_changes_at_most(long: Bench, archive: Path) -> None:
    segment = copy(long, archive, up_to=2000)
    assert segment is not None
    assert [long.do(c.TrimLog(segment)) for _ in range(3)] == [1000, 0, 0]
    assert retention_seq(long.connection) == 2000


def test_what_is_young_stays_and_so_does_all_that_follows_it(bench: Bench, archive: Path) -> None:
    begin = bench.clock.now_us()
    for second, name in ((1, "A"), (2, "B"), (9, "C"), (3, "D"), (10, "E")):
        bench.do(c.InitProject(name), at=begin + second * US)
    assert trim(bench, archive, before_us=begin + US) == 0
    assert trim(bench, archive, before_us=begin + 5 * US) == 2
    assert kept(bench) == [3, 4, 5]


def test_a_copy_that_does_not_read_back_takes_nothing_out_of_the_log(
    bench: Bench, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a disk that says that it has written, and has not."""

    def lose_the_end(folder: Path, file: str, changes: Iterable[Change]) -> Segment:
        segment = write_segment(folder, file, changes)
        path = folder / file
        path.write_bytes(path.read_bytes()[:-9])
        return segment

    furnish(bench)
    before = kept(bench)
    monkeypatch.setattr(_archive, "write_segment", lose_the_end)
    with pytest.raises(LogDamaged):
        trim(bench, archive)
    assert (kept(bench), segments(bench.connection)) == (before, [])
    monkeypatch.undo()
    assert trim(bench, archive) == len(before) - 1


def test_a_time_in_the_future_keeps_nothing_from_the_archive(bench: Bench, archive: Path) -> None:
    begin = bench.clock.now_us()
    for second, name in ((1, "A"), (99, "B"), (2, "C"), (98, "D"), (7, "E"), (97, "F"), (8, "G")):
        bench.do(c.InitProject(name), at=begin + second * US)
    old = {"before_us": begin + 5 * US, "now_us": begin + 10 * US}
    assert trim(bench, archive, **old) == 3  # D was made after C: perhaps long after
    assert trim(bench, archive, **old) == 0
    assert kept(bench) == [4, 5, 6, 7]


def test_the_newest_change_is_never_trimmed(bench: Bench, archive: Path) -> None:
    furnish(bench)
    end = bench.reads.last_seq()
    assert trim(bench, archive) == end - 1
    assert (kept(bench), bench.reads.last_seq()) == ([end], end)
    bench.project("Next")
    assert bench.reads.last_seq() == end + 1


def test_a_long_log_becomes_segments_of_limited_size(long: Bench, archive: Path) -> None:
    before = log_of(long, archive)
    while trim(long, archive, up_to=1234, most=500):
        pass
    found = segments(long.connection)
    assert [(each.first, each.last) for each in found] == [(1, 500), (501, 1000), (1001, 1234)]
    assert log_of(long, archive) == before


@settings(max_examples=25, deadline=None)
@given(st.lists(ALL_STEPS | st.tuples(st.just("trim"), st.integers(1, 9)), max_size=30))
def test_however_often_the_log_is_trimmed_on_its_way_all_of_it_is_told(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("trimmed")
    with open_bench(folder / "a.db") as bench:
        furnish(bench)
        known: list[Change] = []
        for step in steps:
            known += bench.reads.changes(known[-1].seq if known else 0)
            if step[0] == "trim":
                trim(bench, folder, most=step[1])
            else:
                with suppress(MissionError):
                    bench.do(command_of(bench, step))
        known += bench.reads.changes(known[-1].seq if known else 0)
        assert log_of(bench, folder) == known
        assert images_in(fold(known)) == images_of(bench.connection)


# Cut off between two steps.


def test_a_file_that_was_never_entered_is_written_anew_and_its_leavings_go(
    long: Bench, archive: Path
) -> None:
    before = log_of(long, archive)
    lost = copy(long, archive, up_to=700)
    assert lost is not None
    staged = archive / "e1" / ".000000000001-000000000900.jsonl.gz.1234abcd.tmp"
    staged.write_bytes(b"half a segm")
    assert log_of(long, archive) == before
    assert trim(long, archive, up_to=800) == 800
    assert [path.name for path in archive.rglob("*.*")] == ["000000000001-000000000800.jsonl.gz"]
    assert log_of(long, archive) == before


def test_a_trim_that_was_cut_off_is_finished_with_the_same_file(long: Bench, archive: Path) -> None:
    before = log_of(long, archive)
    segment = copy(long, archive, up_to=1800)
    assert segment is not None
    assert long.do(c.TrimLog(segment)) == 800
    assert log_of(long, archive) == before
    assert copy(long, archive, up_to=1900) == segment
    assert trim(long, archive, up_to=1900) == 800
    assert trim(long, archive, up_to=1900) == 100
    assert log_of(long, archive) == before
    assert long.do(c.TrimLog(segment)) == 0, "a repetition is harmless"


def test_nothing_more_is_deleted_once_the_file_is_damaged(long: Bench, archive: Path) -> None:
    segment = copy(long, archive, up_to=1800)
    assert segment is not None
    long.do(c.TrimLog(segment))
    path = archive / segment.file
    whole = path.read_bytes()
    for damage in (whole[:-1], whole[:50] + b"!" + whole[51:], b"", whole + b"more"):
        path.write_bytes(damage)
        with pytest.raises(LogDamaged, match="changes 1 to 1800 cannot be read"):
            copy(long, archive)
        with pytest.raises(LogDamaged):
            log_of(long, archive)
    path.unlink()
    with pytest.raises(LogDamaged):
        copy(long, archive)
    path.write_bytes(whole)
    assert copy(long, archive) == segment


def test_a_whole_file_of_other_changes_is_not_taken_for_the_segment(
    long: Bench, archive: Path
) -> None:
    segment = copy(long, archive, up_to=10)
    assert segment is not None
    long.do(c.TrimLog(segment))
    lines = gzip.decompress((archive / segment.file).read_bytes()).replace(b"shuri", b"okoye")
    (archive / segment.file).write_bytes(gzip.compress(lines))
    with pytest.raises(LogDamaged, match="checksum"):
        log_of(long, archive)


def test_a_segment_is_taken_out_in_its_turn_only(long: Bench, archive: Path) -> None:
    segment = copy(long, archive, up_to=10)
    assert segment is not None
    for wrong in (
        attrs.evolve(segment, first=2),
        attrs.evolve(segment, last=long.reads.last_seq()),
    ):
        with pytest.raises(Conflict, match="archive it again"):
            long.do(c.TrimLog(wrong))
    trim(long, archive, up_to=10)
    with pytest.raises(Conflict, match="begins at 11"):
        long.do(c.TrimLog(attrs.evolve(segment, last=20, sha256="0" * 64)))
    assert kept(long)[0] == 11


def test_an_archive_that_cannot_be_written_keeps_the_log_as_it_is(
    long: Bench, tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("not a folder")
    with pytest.raises(OSError, match="blocked"):
        copy(long, blocked)
    assert kept(long)[0] == 1


def test_files_of_another_history_are_neither_read_nor_removed(long: Bench, archive: Path) -> None:
    """A restore goes back to before they were entered, and begins another epoch."""
    before = log_of(long, archive)
    lost = copy(long, archive, up_to=700)
    assert lost is not None
    long.connection.execute("UPDATE meta SET value = 'e2' WHERE key = 'epoch'")
    assert trim(long, archive, up_to=600) == 600
    assert sorted(path.parent.name for path in archive.rglob("*.gz")) == ["e1", "e2"]
    assert log_of(long, archive) == before


_WRITER = """
import sys
from pathlib import Path
from mission_control.storage import commands as c
from mission_control.storage.history import archive_log, last_seq
from storage_bench import open_bench

path, archive = Path(sys.argv[1]), Path(sys.argv[2])
with open_bench(path) as bench:
    bench.done = last_seq(bench.connection) + 1
    while True:
        for _ in range(40):
            bench.do(c.LogEvent(sys.argv[3], "hm" * 50))
        print("wrote", flush=True)
        segment = archive_log(path, archive, before_us=1 << 62, up_to=1 << 62)
        print("archived", flush=True)
        while segment is not None and bench.do(c.TrimLog(segment)):
            print("trimmed", flush=True)
"""


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_and_doubles_nothing(tmp_path: Path, archive: Path) -> None:
    path = tmp_path / "a.db"
    support = Path(__file__).parent.parent / "support"
    with open_bench(path) as bench:
        bench.agent(bench.project().id)
        command = [sys.executable, "-c", _WRITER, str(path), str(archive), bench.task("p").id]
    trimmed = 0
    for steps in range(1, 13):
        with subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": str(support)}, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            for _ in range(steps):
                assert child.stdout.readline()
            child.kill()
        with open_bench(path) as bench:
            log = log_of(bench, archive)
            assert [each.seq for each in log] == list(range(1, bench.reads.last_seq() + 1))
            assert images_in(fold(log)) == images_of(bench.connection)
            trimmed = bench.reads.retention_seq()
    assert trimmed > 0


def test_a_segment_is_on_the_disk_before_it_has_its_name_and_its_name_before_anything_is_cut(
    long: Bench, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, os.replace

    def noted_sync(descriptor: int) -> None:
        sync(descriptor)
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append("folder" if is_folder else f"{os.fstat(descriptor).st_size} bytes")

    def noted_rename(source: Any, target: Any) -> None:
        steps.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_rename)
    segment = copy(long, archive)
    assert segment is not None
    size = (archive / segment.file).stat().st_size
    assert steps == [f"{size} bytes", "rename", "folder", "folder", "folder"]
