"""Backups: made while others write, whole or absent, checked byte by byte, and kept by a policy."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_home import DATABASE, NOTES, OTHERS, furnished, picture, telling, tree, write
from mission_control.storage import (
    US,
    Invalid,
    ManualClock,
    MissionError,
    NotFound,
    known_migrations,
    open_reader,
    open_writer,
)
from mission_control.storage import commands as c
from mission_control.storage.backups import (
    SCHEDULED,
    Backup,
    BackupDamaged,
    BackupFailed,
    BackupInUse,
    Backups,
    BackupTooNew,
    Check,
    DiskFull,
)
from mission_control.storage.backups import _files as files
from mission_control.storage.backups import _manifest as manifest
from mission_control.storage.backups import _snapshot as snapshot
from mission_control.storage.backups._errors import disk_errors
from mission_control.storage.backups._manifest import (
    KeptFile,
    Manifest,
    belongs,
    read_manifest,
    write_manifest,
)
from mission_control.storage.backups._plan import Plan, write_plan
from mission_control.storage.backups._retention import KEPT_US, expendable
from mission_control.storage.backups._shelf import Shelf
from storage_bench import Bench

DAY_US = 86_400 * US


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def bench(home: Path) -> Iterator[Bench]:
    with furnished(home) as opened:
        yield opened


@pytest.fixture
def backups(home: Path, bench: Bench) -> Backups:
    return Backups(home, bench.clock)


def test_a_backup_holds_the_database_and_the_notes_and_nothing_else(
    home: Path, bench: Bench, backups: Backups
) -> None:
    made = backups.create()
    kept = {path.removeprefix("files/"): data for path, data in tree(made.folder).items()}
    assert {path: kept[path] for path in NOTES} == {
        path: text.encode() for path, text in NOTES.items()
    }
    assert not OTHERS.keys() & kept.keys()
    assert made.manifest.skipped == ()
    assert (made.seq, made.manifest.epoch) == (bench.reads.last_seq(), "e1")
    assert made.manifest.schema == len(known_migrations())
    assert made.created_at == bench.clock.now_us()
    assert made.size == sum(len(data) for path, data in kept.items() if path in (*NOTES, DATABASE))
    with closing(open_reader(made.database)) as copy:
        assert list(copy.iterdump()) == list(bench.connection.iterdump())
    assert backups.list() == (made,)
    assert made.check == Check(bench.clock.now_us(), sound=True)


def test_nobody_but_the_owner_reads_a_backup(backups: Backups) -> None:
    made = backups.create()
    files = [path for path in made.folder.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o077 for path in (made.folder, *files)} == {0}


def test_a_backup_is_one_state_however_much_is_written_meanwhile(
    home: Path, bench: Bench, backups: Backups
) -> None:
    """Written between the steps of the copy: no restart of it, nothing of it in the copy."""
    for _ in range(40):
        bench.do(c.CreateTask("p", "big", description="x" * 100_000))
    before = picture(home)
    written = []

    def meanwhile(done: int, total: int) -> None:
        assert 0 <= done <= total
        written.append(bench.do(c.CreateTask("p", "meanwhile", description="y" * 5_000)).id)

    made = backups.create(progress=meanwhile)
    assert len(written) > 3
    with closing(open_reader(made.database)) as copy:
        seq = copy.execute("SELECT max(seq) FROM changes").fetchone()[0]
    assert seq == made.seq == before.log[-1].seq
    assert set(written) <= {task.id for task in bench.reads.board("p")}


def test_without_the_pin_a_writer_makes_the_copy_begin_again(home: Path, bench: Bench) -> None:
    """The control of the test above: what the pin is for."""
    for _ in range(40):
        bench.do(c.CreateTask("p", "big", description="x" * 100_000))
    steps = []

    def meanwhile(_: int, remaining: int, total: int) -> None:
        steps.append(total - remaining)
        if len(steps) < 10:
            bench.do(c.CreateTask("p", "meanwhile"))

    with closing(open_reader(home / DATABASE)) as live, closing(sqlite3.connect(":memory:")) as to:
        live.backup(to, pages=snapshot.PAGES_A_STEP, progress=meanwhile)
    assert steps[:9] == [snapshot.PAGES_A_STEP] * 9


@pytest.mark.parametrize(("busy_s", "pause_s"), [(0.0, snapshot.PAUSE_S), (0.0625, 0.0625)])
def test_after_each_step_the_disk_belongs_to_others_for_as_long_as_it_took(
    backups: Backups, monkeypatch: pytest.MonkeyPatch, busy_s: float, pause_s: float
) -> None:
    now = [0.0]
    pauses: list[float] = []

    def fsync(_: int) -> None:
        now[0] += busy_s

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(snapshot, "PAGES_A_STEP", 10)
    clock = SimpleNamespace(perf_counter=lambda: now[0], sleep=pauses.append)
    monkeypatch.setattr(snapshot, "time", clock)
    backups.create()
    assert len(pauses) > 3
    assert set(pauses) == {pause_s}


def test_backups_are_made_beside_writers_by_many_at_once(home: Path, bench: Bench) -> None:
    made: list[Backup] = []
    failures: list[Exception] = []

    def make() -> None:
        try:
            made.append(Backups(home, ManualClock(bench.clock.now_us())).create())
        except MissionError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        bench.do(c.CreateTask("p", "one"))
        Backups(home, bench.clock).prune()
    for thread in threads:
        thread.join()
    assert failures == []
    backups = Backups(home, bench.clock)
    assert {each.id for each in backups.list()} == {each.id for each in made}
    for each in made:
        backups.verify(each.id)


# Damage.


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1
    path.write_bytes(data)


def test_a_flipped_bit_in_any_file_is_found(backups: Backups) -> None:
    made = backups.create()
    counted = [
        path
        for path in made.folder.rglob("*")
        if path.is_file() and path.name != "checked.json" and path.stat().st_size
    ]
    assert len(counted) == 1 + 1 + len([text for text in NOTES.values() if text])
    for path in counted:
        whole = path.read_bytes()
        for at in (0, len(whole) // 3, len(whole) // 2, len(whole) - 1):
            _flip(path, at)
            with pytest.raises(BackupDamaged, match=path.name):
                backups.verify(made.id)
            path.write_bytes(whole)
    assert backups.verify(made.id).check == made.check


def test_a_flipped_bit_anywhere_in_a_manifest_is_found(backups: Backups) -> None:
    made = backups.create()
    path = made.folder / "manifest.json"
    whole = path.read_bytes()
    for at in range(0, len(whole), 5):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 7]) + whole[at + 1 :])
        with pytest.raises((BackupDamaged, BackupTooNew)):
            read_manifest(made.folder)
    path.write_bytes(whole)
    assert read_manifest(made.folder) == made.manifest


def test_sqlites_own_check_would_not_do(backups: Backups) -> None:
    """The control: a byte inside a text is as good as any other to SQLite."""
    made = backups.create()
    data = made.database.read_bytes()
    made.database.write_bytes(data.replace(b"first", b"fIrst"))
    snapshot.inspect_database(made.database)
    with pytest.raises(BackupDamaged, match=DATABASE):
        backups.verify(made.id)


@pytest.mark.parametrize("name", [DATABASE, "files/souls/shuri/SOUL.md"])
@pytest.mark.parametrize("instead", ["nothing", "link", "pipe", "folder"])
def test_a_missing_file_is_found_and_so_is_what_is_no_file(
    backups: Backups, name: str, instead: str
) -> None:
    made = backups.create()
    path = made.folder / name
    kept = path.rename(made.folder / "elsewhere")
    match instead:
        case "link":
            path.symlink_to(kept)
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            pass
    with pytest.raises(BackupDamaged, match=Path(name).name):
        backups.verify(made.id)


def test_a_damaged_backup_is_known_as_such_from_then_on(backups: Backups) -> None:
    made = backups.create()
    _flip(made.database, 5000)
    assert not backups.list()[0].damaged
    with pytest.raises(BackupDamaged):
        backups.verify(made.id)
    assert backups.list()[0].damaged


def test_the_verdict_counts_where_nobody_can_write_it_down(backups: Backups) -> None:
    """On a full disk, say, or a read-only one."""
    made = backups.create()
    (made.folder / "checked.json").unlink()
    (made.folder / "checked.json/in the way").mkdir(parents=True)
    assert backups.verify(made.id).check == made.check
    assert backups.list()[0].check is None
    _flip(made.database, 5000)
    with pytest.raises(BackupDamaged, match=DATABASE):
        backups.verify(made.id)


def test_a_copy_that_is_not_what_was_read_is_no_backup(home: Path, bench: Bench) -> None:
    """It is compared after it was written, and on what the disk then says."""
    shelf = Backups(home, bench.clock).folder
    for name in (f"*/{DATABASE}", "*/files/souls/shuri/SOUL.md"):

        def spoil(step: str, name: str = name) -> None:
            if step == "verify":
                (path,) = shelf.glob(name)
                _flip(path, 5000)

        with pytest.raises(BackupDamaged, match=Path(name).name):
            Backups(home, bench.clock, step=spoil).create()
        assert _leftovers(Backups(home, bench.clock)) == []


def test_every_file_of_a_backup_is_on_the_disk_before_it_is_one(
    backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    made = backups.create()
    missing = [path for path in made.folder.rglob("*") if path.stat().st_ino not in synced]
    assert missing == []


def test_a_note_that_cannot_be_read_costs_no_other(
    home: Path, backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that begins to fail."""
    bad = (home / "projects/p/KANBAN.md").stat().st_ino
    real = files._read

    def read(descriptor: int, limit: int) -> bytes:
        if os.fstat(descriptor).st_ino == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, limit)

    monkeypatch.setattr(files, "_read", read)
    made = backups.create()
    assert made.manifest.skipped == ("projects/p/KANBAN.md: input/output error",)
    assert {file.path for file in made.manifest.files} == NOTES.keys() - {"projects/p/KANBAN.md"}


def test_one_backup_for_a_reason_is_enough_while_nothing_changes(
    bench: Bench, backups: Backups
) -> None:
    """What fails at every start would otherwise make one at every start."""
    backups.create()
    made = backups.ensure(reason="before-migration")
    assert made.reason == "before-migration"
    bench.clock.advance(60)
    assert backups.ensure(reason="before-migration") == made
    bench.task("p")
    after = backups.ensure(reason="before-migration")
    assert after.seq == bench.reads.last_seq() > made.seq
    _flip(after.database, 5000)
    with pytest.raises(BackupDamaged):
        backups.verify(after.id)
    assert backups.ensure(reason="before-migration").id not in (made.id, after.id)


NESTED = "[" * 200_000


@pytest.mark.parametrize("text", [NESTED, '{"format": Infinity}', '{"format": 1e999}', "{}", ""])
def test_a_manifest_that_is_none_spoils_nothing_else(
    home: Path, backups: Backups, text: str
) -> None:
    made = backups.create()
    other = made.id[:-6] + "000000"
    write(backups.folder, {f"{other}/manifest.json": text})
    assert backups.list() == (made,)
    assert backups.unreadable() == (other,)
    for use in (backups.verify, backups.restore):
        with pytest.raises(BackupDamaged, match=other):
            use(other)
    backups.prune(0, 0)
    backups.create()


@pytest.mark.parametrize(
    "text", [NESTED, '{"at": Infinity, "sound": true}', '{"at": 1e300, "sound": true}', "[]"]
)
def test_a_note_of_a_check_that_is_none_counts_for_nothing(backups: Backups, text: str) -> None:
    made = backups.create()
    (made.folder / "checked.json").write_text(text)
    assert backups.list()[0].check is None


def test_a_time_that_no_clock_shows_is_refused(backups: Backups) -> None:
    made = backups.create()
    for at in (-1, 1 << 57):
        write_manifest(made.folder, attrs.evolve(made.manifest, created_at=at))
        with pytest.raises(BackupDamaged, match="no clock"):
            backups.verify(made.id)
    (made.folder / "checked.json").write_text(json.dumps({"at": 10**300, "sound": True}))
    write_manifest(made.folder, made.manifest)
    assert backups.list()[0].check is None


def test_a_damaged_database_is_not_backed_up(home: Path, bench: Bench, backups: Backups) -> None:
    bench.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = home / DATABASE
    data = bytearray(path.read_bytes())
    for page in range(3, len(data) // 4096, 2):
        data[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    path.write_bytes(data)
    with pytest.raises((BackupDamaged, BackupFailed)):
        backups.create()
    assert _leftovers(backups) == []


def test_a_strangers_database_is_not_backed_up(home: Path) -> None:
    home.mkdir()
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        connection.execute("CREATE TABLE t(a)")
    with pytest.raises(BackupDamaged, match="not a database of Mission Control"):
        Backups(home, ManualClock()).create()


def test_a_home_without_a_database_has_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no database"):
        Backups(tmp_path, ManualClock()).create()


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    backups = Backups(tmp_path / "typo", ManualClock())
    with pytest.raises(NotFound, match="no database"):
        backups.create()
    assert backups.prune() == ()
    assert backups.list() == ()
    assert list(tmp_path.iterdir()) == []


def _leftovers(backups: Backups) -> list[str]:
    """What stands on the shelf and is no backup."""
    known = {each.id for each in backups.list()} | {".lock"}
    folder = backups.folder
    return sorted({each.name for each in folder.iterdir()} - known) if folder.exists() else []


def _steps(run: Callable[[Callable[[str], None]], object]) -> list[str]:
    told: list[str] = []
    run(told.append)
    return told


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES])
def test_a_disk_that_fails_at_any_step_leaves_nothing_behind(
    home: Path, bench: Bench, number: int
) -> None:
    clock = bench.clock
    steps = _steps(lambda step: Backups(home, clock, step=step).create())
    assert len(steps) > 5 + len(NOTES)
    (first,) = Backups(home, clock).list()
    for failing in telling(steps[:-1]):  # the last one comes after the manifest
        told = 0

        def step(_: str, failing: int = failing) -> None:
            nonlocal told
            told += 1
            if told == failing:
                raise OSError(number, os.strerror(number))

        backups = Backups(home, clock, step=step)
        full = number in (errno.ENOSPC, errno.EDQUOT)
        with pytest.raises(DiskFull if full else BackupFailed):
            backups.create()
        assert backups.list() == (first,)
        assert _leftovers(backups) == []


def test_sqlites_word_for_a_full_disk_is_understood() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count=2")
        connection.execute("CREATE TABLE t(a)")
        with pytest.raises(DiskFull, match="make room"), disk_errors("it could not be done"):
            connection.execute("INSERT INTO t VALUES(zeroblob(100000))")


@pytest.mark.slow
def test_a_copy_that_grows_too_large_is_refused_and_removed(home: Path, bench: Bench) -> None:
    """The kernel's own refusal, in the middle of the copy."""
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from mission_control.storage import ManualClock, MissionError\n"
        "from mission_control.storage.backups import Backups\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    Backups(Path(sys.argv[1]), ManualClock()).create()\n"
        "except MissionError as refusal:\n"
        "    print(refusal)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, home], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("the backup could not be made"), done
    assert _leftovers(Backups(home, bench.clock)) == []


# Files that agents may have put there.


def test_links_pipes_and_giants_are_left_out_and_named(
    home: Path, backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1_000)
    secret = home.parent / "secret"
    secret.write_text("secret")
    outside = home.parent / "outside"
    write(outside, {"daily/stolen.md": "secret", "deep/SOUL.md": "secret"})
    agents = home / "projects/p/agents"
    (agents / "link.md").symlink_to(secret)
    (agents / "dangling.md").symlink_to(home / "nowhere")
    (agents / "linked").symlink_to(outside)
    os.mkfifo(agents / "pipe")
    (agents / "giant.md").write_text("x" * 1_001)
    (home / "projects/evil").symlink_to(outside)
    (home / "projects/file").write_text("no folder")
    (home / "projects/p/KANBAN.md").unlink()
    (home / "projects/p/KANBAN.md").mkdir()
    made = backups.create()
    assert set(made.manifest.skipped) == {
        "projects/evil: a link",
        "projects/file: no plain file",
        "projects/p/agents/dangling.md: a link",
        "projects/p/agents/giant.md: larger than 0 MiB",
        "projects/p/agents/link.md: a link",
        "projects/p/agents/linked: a link",
        "projects/p/agents/pipe: no plain file",
    }
    assert b"secret" not in b"".join(
        data for data in tree(made.folder).values() if isinstance(data, bytes)
    )
    assert {file.path for file in made.manifest.files} == NOTES.keys() - {"projects/p/KANBAN.md"}
    backups.verify(made.id)


def test_a_project_of_endless_files_or_folders_does_not_fill_the_disk(
    home: Path, backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 20)
    write(home, {f"projects/p/agents/a/{number:03}.md": "x" for number in range(50)})
    write(home, {"projects/q/KANBAN.md": "q"})
    (home / "projects/q/daily" / "/".join("d" * 400)).mkdir(parents=True)
    made = backups.create()
    kept = [file.path for file in made.manifest.files]
    assert len([path for path in kept if path.startswith("projects/p/")]) == 20
    assert "projects/q/KANBAN.md" in kept, "another project pays for it"
    assert "souls/shuri/SOUL.md" in kept
    assert any(each.endswith(": too deep") for each in made.manifest.skipped)
    assert "projects/p/agents/a: from '017.md' on: too many files" in made.manifest.skipped


def test_a_manifest_can_be_read_again_however_many_names_an_agent_makes(
    home: Path, backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_LISTED_BYTES", 20_000)
    many = home / "projects/p/agents/a"
    many.mkdir()
    for number in range(300):
        (many / f"{number:03}{'x' * 200}").symlink_to("nowhere")
    made = backups.create()
    assert len(made.manifest.skipped) < 100
    assert made.manifest.skipped[-1] == "projects/p: from 'archive' on: too many files"
    assert backups.list() == (made,)
    assert "souls/shuri/SOUL.md" in {file.path for file in made.manifest.files}


def test_a_backup_whose_manifest_could_not_be_read_again_is_not_made(
    backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "MAX_BYTES", 1_000)
    with pytest.raises(BackupFailed, match="too many to be read again"):
        backups.create()
    assert _leftovers(backups) == []


def test_folders_that_their_owner_keeps_elsewhere_are_backed_up(
    home: Path, backups: Backups
) -> None:
    for name in ("projects", "souls"):
        (home / name).rename(home.parent / name)
        (home / name).symlink_to(home.parent / name)
    made = backups.create()
    assert made.manifest.skipped == ()
    assert {file.path for file in made.manifest.files} == NOTES.keys()


def test_names_that_are_no_text_are_told_as_text(home: Path, backups: Backups) -> None:
    (home / os.fsdecode(b"projects/p/daily/x\xff.md")).symlink_to("nowhere")
    (told,) = backups.create().manifest.skipped
    assert told == "projects/p/daily/x\\xff.md: a link"
    assert backups.list()[0].manifest.skipped == (told,)


def test_odd_names_are_kept_as_they_are(home: Path, backups: Backups) -> None:
    odd = ["new\nline.md", "quote'\".md", "ünï ✓.md", ".hidden", "-flag", "a\\b.md"]
    write(home, {f"projects/p/agents/{name}": name for name in odd})
    made = backups.create()
    assert {f"projects/p/agents/{name}" for name in odd} <= {f.path for f in made.manifest.files}
    backups.verify(made.id)


@pytest.mark.parametrize(
    "path",
    [
        "../souls/a",
        "souls/../../etc/passwd",
        "/etc/passwd",
        "souls//a",
        "souls/./a",
        "souls/a/",
        "souls",
        "projects/p/src/main.py",
        "projects/p/daily/../src/main.py",
        "projects/../souls/KANBAN.md",
        "projects/p/KANBAN.md/x",
        "mission-control.token",
        "mission-control.toml\n",
        "souls/a\0b",
        "",
    ],
)
def test_a_manifest_that_names_what_no_backup_holds_is_refused(backups: Backups, path: str) -> None:
    assert not belongs(path)
    made = backups.create()
    # Written by somebody who can do sums: the checksum is right.
    forged = attrs.evolve(made.manifest, files=(KeptFile(path, 0, "0" * 64),))
    write_manifest(made.folder, forged)
    with pytest.raises(BackupDamaged, match="no backup holds"):
        backups.verify(made.id)
    with pytest.raises(BackupDamaged, match="no backup holds"):
        backups.restore(made.id)


@pytest.mark.parametrize(
    "id_",
    [
        "",
        ".",
        "..",
        "../..",
        "/etc",
        "x",
        "20260101T000000Z-abcdef/..",
        "20260101T000000Z-abcdef\n",
        "20260101T000000Z-ABCDEF",
        "\0",
        "projects",
    ],
)
def test_what_is_no_id_is_refused_before_anything_is_touched(
    home: Path, backups: Backups, id_: str
) -> None:
    backups.create()
    before = tree(home)
    for use in (backups.verify, backups.restore):
        with pytest.raises(Invalid, match="no id of a backup"):
            use(id_)
    assert {**tree(home), "mission-control.lock": b""} == {**before, "mission-control.lock": b""}


def test_a_backup_that_is_not_there_is_not_found(home: Path, backups: Backups) -> None:
    made = backups.create()
    other = made.id[:-6] + "000000"
    (backups.folder / other).symlink_to(made.folder)
    for use in (backups.verify, backups.restore):
        with pytest.raises(NotFound, match=other):
            use(other)
    assert backups.list() == (made,)


def test_a_renamed_backup_is_refused(backups: Backups) -> None:
    made = backups.create()
    other = made.id[:-6] + "000000"
    made.folder.rename(backups.folder / other)
    assert backups.list() == ()
    assert backups.unreadable() == (other,)
    with pytest.raises(BackupDamaged, match=made.id):
        backups.verify(other)


def test_a_backup_of_a_newer_program_is_left_alone(backups: Backups) -> None:
    made = backups.create()
    path = made.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2, "new": 1}))
    assert backups.list() == ()
    for use in (backups.verify, backups.restore):
        with pytest.raises(BackupTooNew, match="upgrade"):
            use(made.id)
    backups.prune(0, 0)
    assert made.folder.exists()


# What kills leave, and who holds what.


def test_an_unfinished_backup_is_listed_by_nobody_and_swept_by_the_next(
    bench: Bench, backups: Backups
) -> None:
    kept = backups.create()
    left = backups.folder / "20260101T000000Z-abcdef"
    shutil.copytree(kept.folder, left)
    (left / "manifest.json").unlink()
    assert backups.list() == (kept,)
    assert backups.unreadable() == ()
    bench.clock.advance(1)
    made = backups.create()
    assert not left.exists()
    assert backups.list() == (kept, made)


def test_what_somebody_else_makes_just_now_is_not_swept(home: Path, backups: Backups) -> None:
    shelf = Shelf(backups.folder)
    shelf.prepare()
    with shelf.claim(0) as folder:
        (folder / DATABASE).write_text("half")
        made = backups.create()
        assert (folder / DATABASE).read_text() == "half"
    backups.create()
    assert not folder.exists()
    assert made in backups.list()


def test_other_folders_on_the_shelf_are_nobodys_business(backups: Backups) -> None:
    write(backups.folder, {"projects/p.tar.gz": "x", "changes/e1/1.gz": "x", "notes.txt": "x"})
    made = backups.create()
    backups.prune(0, 0)
    assert backups.list() == (made,)
    assert _leftovers(backups) == ["changes", "notes.txt", "projects"]


def test_prune_leaves_what_somebody_reads(bench: Bench, backups: Backups) -> None:
    old = backups.create(reason=SCHEDULED)
    bench.clock.advance(400 * 86_400)
    new = backups.create(reason=SCHEDULED)
    with Shelf(backups.folder).reading(old.id):
        assert backups.prune(1, 1) == ()
    assert backups.prune(1, 1) == (old,)
    assert backups.list() == (new,)


def test_what_another_prune_has_removed_just_now_is_no_failure(backups: Backups) -> None:
    made = backups.create()
    shelf = Shelf(backups.folder)
    assert shelf.remove(made.id)
    assert not shelf.remove(made.id)


def test_no_backup_is_made_while_one_is_restored_nor_the_other_way_round(
    backups: Backups,
) -> None:
    made = backups.create()
    shelf = Shelf(backups.folder)
    with shelf.replacing():
        for use in (backups.create, backups.prune):
            with pytest.raises(BackupInUse, match="is being restored"):
                use()
    with shelf.making(), pytest.raises(BackupInUse, match="is being made"):
        backups.restore(made.id)


def test_no_backup_is_made_of_a_home_whose_restore_was_interrupted(
    home: Path, backups: Backups
) -> None:
    write_plan(home, Plan("x", ".restore-01234567", (), ()))
    with pytest.raises(BackupInUse, match="interrupted"):
        backups.create()


# Retention.


def _backup(at_us: int, reason: str = SCHEDULED, *, damaged: bool = False) -> Backup:
    id_ = f"{at_us:020}-{reason}"
    manifest = Manifest(id_, reason, at_us, "", 1, "e", 0, 0, KeptFile("", 0, ""), (), ())
    return Backup(Path(id_), manifest, Check(0, sound=False) if damaged else None)


def _kept(backups: list[Backup], now_us: int, daily: int = 7, weekly: int = 4) -> list[int]:
    gone = expendable(backups, now_us, keep_daily=daily, keep_weekly=weekly)
    return [backup.created_at for backup in backups if backup not in gone]


def test_seven_days_and_four_weeks_are_kept_of_a_year() -> None:
    noon = round(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()) * US
    year = [_backup(noon + day * DAY_US) for day in range(365)]
    kept = _kept(year, noon + 365 * DAY_US)
    days = [datetime.fromtimestamp(at / US, UTC).date() for at in kept]
    newest = [datetime.fromtimestamp(b.created_at / US, UTC).date() for b in year[-7:]]
    assert days[-7:] == newest
    assert [day.isocalendar().week for day in days[:-7]] == [50, 51]
    assert all(day.isoweekday() == 7 for day in days[:-7])
    assert len({day.isocalendar()[:2] for day in days}) == 4


def test_what_was_asked_for_or_made_before_a_change_stays_seven_days() -> None:
    now = 1_000 * DAY_US
    for reason in ("manual", "before-migration", "before-restore"):
        backups = [_backup(now - KEPT_US + 1, reason), _backup(now - KEPT_US, reason)]
        backups = [*reversed(backups), _backup(now)]
        assert _kept(backups, now, 0, 0) == [now - KEPT_US + 1, now]


def test_a_damaged_backup_keeps_no_place_and_the_newest_sound_one_is_never_removed() -> None:
    now = 1_000 * DAY_US
    sound = _backup(now - 60 * DAY_US)
    backups = [sound, *(_backup(now - day * DAY_US, damaged=True) for day in range(30, 10, -1))]
    assert _kept(backups, now, 1, 1) == [sound.created_at]
    alone = [_backup(now - 60 * DAY_US, damaged=True)]
    assert _kept(alone, now, 0, 0) == [alone[0].created_at]


@given(
    st.lists(st.integers(0, 400 * DAY_US), max_size=60, unique=True),
    st.integers(0, 10),
    st.integers(0, 6),
)
def test_pruning_again_removes_nothing_and_the_newest_stays(
    times: list[int], daily: int, weekly: int
) -> None:
    backups = [_backup(at) for at in sorted(times)]
    now = 400 * DAY_US
    kept = _kept(backups, now, daily, weekly)
    assert kept[-1:] == sorted(times)[-1:]
    assert len(kept) <= max(1, daily + weekly)
    assert _kept([_backup(at) for at in kept], now, daily, weekly) == kept


def test_prune_removes_the_folders_of_what_may_go(bench: Bench, backups: Backups) -> None:
    made = []
    for _ in range(12):
        made.append(backups.create(reason=SCHEDULED))
        bench.clock.advance(86_400)
    gone = backups.prune(3, 0)
    assert gone == tuple(made[:-3])
    assert backups.list() == tuple(made[-3:])
    assert _leftovers(backups) == []


def test_the_writers_file_is_read_only_to_a_backup(home: Path, backups: Backups) -> None:
    """Also without a writer, and after a kill that left its log."""
    backups.create()
    with closing(open_writer(home / DATABASE)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("INSERT INTO meta VALUES('x', 'y')")
        before = (home / DATABASE).read_bytes()
        made = backups.create()
        assert (home / DATABASE).read_bytes() == before
    with closing(open_reader(made.database)) as copy:
        found = copy.execute("SELECT value FROM meta WHERE key = 'x'").fetchone()
        assert found == ("y",)
