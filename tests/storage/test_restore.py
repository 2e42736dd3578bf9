"""Restores: all or nothing, to a backup or to any moment after it, and nothing is lost by one."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_home import (
    DATABASE,
    LATER_US,
    NOTES,
    Picture,
    furnished,
    killed_writer,
    notes,
    picture,
    telling,
    tree,
    write,
)
from log_tables import images_in, images_of
from mission_control.storage import (
    US,
    Conflict,
    HomeInUse,
    ManualClock,
    MissionError,
    NotFound,
    SchemaMismatch,
    hold_home,
    known_migrations,
    open_reader,
    open_writer,
)
from mission_control.storage import commands as c
from mission_control.storage.backups import (
    Backup,
    BackupDamaged,
    BackupFailed,
    Backups,
    DiskFull,
    RestoreUnfinished,
    finish_restore,
)
from mission_control.storage.backups import _install as install
from mission_control.storage.backups import _plan as plan
from mission_control.storage.backups._plan import Plan, write_plan
from mission_control.storage.commands import TrimLog
from mission_control.storage.history import Cursor, archive_log, fold, read_log
from mission_control.storage.schema import migrate, open_migrated, rollback
from random_history import ALL_STEPS, command_of
from storage_bench import Bench, open_bench

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(LATER_US)


@pytest.fixture
def made(home: Path, clock: ManualClock) -> Backup:
    """Of a home that has gone on since, and stands still now."""
    with furnished(home) as bench:
        backup = Backups(home, bench.clock).create()
        bench.task("p", "after the backup")
    write(home, {"souls/shuri/SOUL.md": "You are another.", "projects/p/KANBAN.md": "later"})
    return backup


def _meta(home: Path) -> dict[str, str]:
    with closing(open_reader(home / DATABASE)) as connection:
        return dict(connection.execute("SELECT key, value FROM meta"))


def test_a_restore_brings_everything_back_and_begins_a_new_epoch(
    home: Path, clock: ManualClock, made: Backup
) -> None:
    done = Backups(home, clock).restore(made.id)
    found = picture(home)
    assert found.notes == NOTES
    assert found.log[-1].seq == made.seq == done.cursor.seq
    with closing(open_reader(made.database)) as copy:
        assert found.rows == images_of(copy)
    assert _meta(home)["epoch"] == done.cursor.epoch != "e1"
    assert not list(home.glob(".restore-*"))
    assert not (home / plan.NAME).exists()
    assert (home / DATABASE).stat().st_mode & 0o777 == 0o600


def test_what_is_replaced_can_be_restored_in_turn(
    home: Path, clock: ManualClock, made: Backup
) -> None:
    before = picture(home)
    backups = Backups(home, clock)
    safety = backups.restore(made.id).safety
    assert picture(home) != before
    (kept,) = [each for each in backups.list() if each.reason == "before-restore"]
    assert kept.folder == safety
    backups.restore(kept.id)
    assert picture(home) == before


def test_src_other_files_and_unknown_projects_stay(
    home: Path, clock: ManualClock, made: Backup
) -> None:
    others = {
        "projects/p/src/main.py": "print('newer')",
        "projects/p/src/new.py": "",
        "projects/p/notes.txt": "newer",
        "projects/new/KANBAN.md": "# New",
        "projects/new/daily/2026-01-02.md": "- new",
        "projects/p/agents/new/SOUL.md": "new",
        "mission-control.token": "another",
    }
    write(home, others)
    Backups(home, clock).restore(made.id)
    assert {path: (home / path).read_text() for path in others} == others


def test_daily_mirrors_of_days_that_have_not_happened_go(
    home: Path, clock: ManualClock, made: Backup
) -> None:
    """Left there, they would keep the next start from writing the days before them."""
    write(home, {"projects/p/daily/2026-01-02.md": "- later", "projects/q/daily/1.md": "later"})
    done = Backups(home, clock).restore(made.id)
    assert [path.name for path in (home / "projects/p/daily").glob("[0-9]*")] == ["2026-01-01.md"]
    assert not (home / "projects/q/daily/1.md").exists()
    assert (done.safety / "files/projects/p/daily/2026-01-02.md").read_text() == "- later"


def test_modes_of_files_come_back(home: Path, clock: ManualClock) -> None:
    with furnished(home) as bench:
        script = home / "projects/p/agents/shuri/working.md"
        script.chmod(0o640)
        backup = Backups(home, bench.clock).create()
    script.chmod(0o600)
    Backups(home, clock).restore(backup.id)
    assert script.stat().st_mode & 0o777 == 0o640


def test_old_fencing_tokens_win_nothing_after_a_restore(home: Path, clock: ManualClock) -> None:
    with furnished(home) as bench:
        bench.begin("shuri:p")
        backup = Backups(home, bench.clock).create()
        tokens = dict(bench.connection.execute("SELECT name, token FROM leases"))
    Backups(home, clock).restore(backup.id)
    with closing(open_reader(home / DATABASE)) as connection:
        rows = connection.execute("SELECT name, holder, token, expires_at FROM leases").fetchall()
    assert len(rows) == 4
    for name, holder, token, expires_at in rows:
        assert (holder, expires_at) == (None, None)
        assert token >= tokens.get(name, 0) + 1_000_000


def test_nothing_is_restored_while_a_sidecar_runs(
    home: Path, clock: ManualClock, made: Backup
) -> None:
    with hold_home(home / "mission-control.lock"):
        held = tree(home)
        with pytest.raises(HomeInUse, match=f"pid {os.getpid()}"):
            Backups(home, clock).restore(made.id)
        assert tree(home) == held


@pytest.mark.parametrize("name", ["manifest.json", DATABASE, "files/souls/shuri/SOUL.md"])
def test_a_damaged_backup_is_not_restored(
    home: Path, clock: ManualClock, made: Backup, name: str
) -> None:
    path = made.folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    before = picture(home)
    with pytest.raises(BackupDamaged, match=path.name):
        Backups(home, clock).restore(made.id)
    assert picture(home) == before
    assert not list(home.glob(".restore-*"))


def test_a_backup_of_a_newer_schema_is_not_restored(home: Path, clock: ManualClock) -> None:
    with furnished(home) as bench:
        bench.connection.execute(
            "INSERT INTO _sqlite_migrations(migration_set, name, applied_at)"
            " VALUES('mission_control', 'm9999_later', '')"
        )
        bench.connection.execute("PRAGMA user_version=9999")
        backup = Backups(home, bench.clock).create()
        bench.task("p")
    before = picture(home)
    with pytest.raises(SchemaMismatch, match="newer than this program"):
        Backups(home, clock).restore(backup.id)
    assert picture(home) == before
    assert not list(home.glob(".restore-*"))


def test_a_backup_of_an_older_schema_is_restored_and_migrated_at_the_next_start(
    home: Path, clock: ManualClock
) -> None:
    with furnished(home) as bench:
        rows = images_of(bench.connection)["tasks"]
        rollback(bench.connection, len(known_migrations()) - 2)
        backup = Backups(home, bench.clock).create()
        migrate(bench.connection)
        assert backup.manifest.schema < 3
    Backups(home, clock).restore(backup.id)
    with closing(open_migrated(home / DATABASE)) as connection:
        assert images_of(connection)["tasks"] == rows


def test_a_damaged_database_is_replaced_and_its_files_are_kept(
    home: Path, clock: ManualClock, made: Backup
) -> None:
    home = killed_writer(home)
    data = b"not a database at all" * 1000
    (home / DATABASE).write_bytes(data)
    log = (home / f"{DATABASE}-wal").read_bytes()
    done = Backups(home, clock).restore(made.id)
    assert picture(home).log[-1].seq == made.seq
    assert (done.safety / DATABASE).read_bytes() == data
    assert (done.safety / f"{DATABASE}-wal").read_bytes() == log
    assert (done.safety / "files/projects/p/KANBAN.md").read_text() == "later"


def test_a_lost_database_is_replaced(home: Path, clock: ManualClock, made: Backup) -> None:
    (home / DATABASE).unlink()
    Backups(home, clock).restore(made.id)
    assert picture(home).log[-1].seq == made.seq


def test_backups_can_be_carried_to_another_home(
    home: Path, tmp_path: Path, clock: ManualClock, made: Backup
) -> None:
    there = tmp_path / "there"
    shutil.copytree(home / "backups", there / "backups")
    Backups(there, clock).restore(made.id)
    assert notes(there) == NOTES
    assert picture(there).log[-1].seq == made.seq


def test_what_was_replaced_as_it_was_goes_after_a_week(
    home: Path, clock: ManualClock, made: Backup
) -> None:
    (home / DATABASE).write_bytes(b"damaged")
    backups = Backups(home, clock)
    safety = backups.restore(made.id).safety
    assert backups.replaced() == (safety,)
    clock.advance(7 * 86_400)
    backups.prune()
    assert backups.replaced() == (safety,)
    clock.advance(1)
    backups.prune()
    assert backups.replaced() == ()


# What may stand in the way.


def test_links_in_the_way_are_moved_aside_and_never_followed(
    home: Path, tmp_path: Path, clock: ManualClock, made: Backup
) -> None:
    outside = tmp_path / "outside"
    write(outside, {"SOUL.md": "theirs", "shuri/SOUL.md": "theirs", "2026-01-01.md": "theirs"})
    shutil.rmtree(home / "projects/p/agents")
    (home / "projects/p/agents").symlink_to(outside)
    shutil.rmtree(home / "projects/p/daily")
    (home / "projects/p/daily").write_text("a file")
    (home / "projects/p/KANBAN.md").unlink()
    (home / "projects/p/KANBAN.md").symlink_to(outside / "SOUL.md")
    (home / "projects/p/.context").unlink()
    (home / "projects/p/.context").mkdir()
    before = tree(outside)
    Backups(home, clock).restore(made.id)
    assert notes(home) == NOTES
    assert tree(outside) == before
    aside = {path.name.partition(".replaced-")[0] for path in home.glob("projects/p/*.replaced-*")}
    assert aside | {".context"} == {"agents", "daily", ".context"}


def test_what_is_in_the_way_is_moved_aside_however_long_its_name(
    home: Path, clock: ManualClock
) -> None:
    """As long as a name may be, with nothing left for what would tell why it was moved."""
    for name in ("n" * 252 + ".md", "ö" * 127):
        path = f"projects/p/agents/shuri/{name}"
        home = home.with_name(f"of {len(name)}")
        with furnished(home) as bench:
            write(home, {path: "a file"})
            made = Backups(home, bench.clock).create()
        (home / path).unlink()
        write(home, {f"{path}/of/theirs": "a folder"})
        Backups(home, clock).restore(made.id)
        assert (home / path).read_text() == "a file"
        (aside,) = (home / path).parent.glob("*.replaced-*")
        assert (aside / "of/theirs").read_text() == "a folder"


def test_a_day_that_must_go_and_became_a_folder_is_moved_aside(home: Path, made: Backup) -> None:
    write(home, {"projects/p/daily/2026-01-02.md/theirs": "x"})
    write_plan(home, Plan(made.id, ".restore-01234567", (), ("projects/p/daily/2026-01-02.md",)))
    assert finish_restore(home) == made.id
    (aside,) = (home / "projects/p/daily").glob("2026-01-02.md.replaced-*")
    assert (aside / "theirs").read_text() == "x"


# Other disks.


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Another file system, where there is one that anybody may write to."""
    shared = Path("/dev/shm")
    usable = os.access(shared, os.W_OK)
    with tempfile.TemporaryDirectory(dir=shared if usable else tmp_path) as folder:
        yield Path(folder)


def _move(folder: Path, disk: Path) -> None:
    """Move *folder* to the disk, and leave a link to it."""
    shutil.move(folder, disk / folder.name)
    folder.symlink_to(disk / folder.name)


def test_folders_on_another_disk_are_backed_up_and_restored_there(
    home: Path, clock: ManualClock, made: Backup, disk: Path
) -> None:
    write(home, {"projects/p/src/main.py": "newer"})
    for name in ("projects", "souls"):
        _move(home / name, disk)
    before = picture(home)
    (home / "projects/p/agents/shuri/working.md").chmod(0o600)
    backups = Backups(home, clock)
    done = backups.restore(made.id)
    assert notes(home) == NOTES
    assert (home / "projects").is_symlink()
    assert (home / "projects/p/src/main.py").read_text() == "newer"
    assert (disk / "projects/p/agents/shuri/working.md").stat().st_mode & 0o777 == 0o644
    assert not [*disk.rglob(".restore.*"), *disk.rglob("*.replaced-*")]
    backups.restore(done.safety.name)
    assert picture(home) == before


@pytest.mark.parametrize("last", ["replace projects/p/CHRONICLE.md", "sync", "discard the plan"])
def test_a_restore_to_another_disk_is_ended_by_whoever_comes_next(
    home: Path, clock: ManualClock, made: Backup, disk: Path, last: str
) -> None:
    _move(home / "projects", disk)

    def interrupt(step: str) -> None:
        if step == last:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(RestoreUnfinished, match="put that right"):
        Backups(home, clock, step=interrupt).restore(made.id)
    assert finish_restore(home) == made.id
    assert notes(home) == NOTES
    assert not list(home.glob(".restore-*"))


def _refusing(
    monkeypatch: pytest.MonkeyPatch, call: str, number: int, wanted: Callable[[str], bool]
) -> None:
    """Let a system call refuse a name, as it would on a mount: making one takes root."""
    real = getattr(os, call)

    def refuse(*names: Any, **where: Any) -> Any:
        name = names[1] if call == "rename" else names[0]
        if {"dir_fd", "dst_dir_fd"} & where.keys() and wanted(name):
            raise OSError(number, os.strerror(number))
        return real(*names, **where)

    monkeypatch.setattr(os, call, refuse)


def test_a_file_that_is_a_mount_of_its_own_stays_and_is_named(
    home: Path, clock: ManualClock, made: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As configuration often is, in a container."""
    write(home, {"mission-control.toml": "mounted"})
    _refusing(monkeypatch, "rename", errno.EBUSY, lambda name: name == "mission-control.toml")
    assert Backups(home, clock).restore(made.id).left == ("mission-control.toml",)
    assert notes(home) == {**NOTES, "mission-control.toml": "mounted"}
    assert finish_restore(home) is None


def test_a_restore_that_could_never_be_ended_is_refused_before_anything_changes(
    home: Path, clock: ManualClock, made: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = picture(home)
    _refusing(monkeypatch, "open", errno.EROFS, lambda name: str(name).startswith(".restore."))
    with pytest.raises(BackupFailed, match="nothing can be put into"):
        Backups(home, clock).restore(made.id)
    assert picture(home) == before
    assert [each.id for each in Backups(home, clock).list()] == [made.id]
    assert finish_restore(home) is None


def test_a_damaged_database_is_kept_on_another_disk_too(
    home: Path, clock: ManualClock, made: Backup, disk: Path
) -> None:
    _move(home / "backups", disk)
    (home / DATABASE).write_bytes(b"damaged" * 1000)
    done = Backups(home, clock).restore(made.id)
    assert (done.safety / DATABASE).read_bytes() == b"damaged" * 1000
    assert picture(home).log[-1].seq == made.seq


@pytest.mark.parametrize(
    "changed",
    [
        {"staging": "../elsewhere"},
        {"staging": "."},
        {"files": ["projects/p/src/main.py"]},
        {"stale": ["../outside/SOUL.md"]},
        {"stale": "mission-control.token"},
        {"more": 1},
        None,
    ],
)
def test_a_plan_that_somebody_changed_is_refused(
    home: Path, made: Backup, changed: dict[str, Any] | None
) -> None:
    write_plan(home, Plan(made.id, ".restore-01234567", (), ()))
    path = home / plan.NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | changed) if changed else "{")
    before = tree(home)
    with pytest.raises(BackupDamaged, match="move it away"):
        finish_restore(home)
    assert tree(home) == before


def test_without_a_restore_there_is_nothing_to_finish(home: Path, made: Backup) -> None:
    (home / ".restore-01234567").mkdir()
    write(home / ".restore-01234567", {DATABASE: "half"})
    (home / ".restore-notes").mkdir()
    write(home, {".mission-control.restoring.01234567.tmp": "half", ".x.01234567.tmp/x": "x"})
    assert finish_restore(home) is None
    assert not (home / ".mission-control.restoring.01234567.tmp").exists()
    assert not (home / ".restore-01234567").exists()
    assert (home / ".restore-notes").exists(), "that is somebody else's"


# Faults and kills.


def _steps(home: Path, made: Backup) -> list[str]:
    told: list[str] = []
    spare = home.parent / "spare"
    shutil.copytree(home, spare)
    Backups(spare, ManualClock(LATER_US), step=told.append).restore(made.id)
    return told


def _failing(at: int, number: int) -> Callable[[str], None]:
    told = 0

    def step(_: str) -> None:
        nonlocal told
        told += 1
        if told == at:
            raise OSError(number, os.strerror(number))

    return step


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_leaves_all_as_it_was_or_the_restore_to_be_ended(
    home: Path, clock: ManualClock, made: Backup, number: int
) -> None:
    steps = _steps(home, made)
    old, before = picture(home), Backups(home, clock).list()
    new = picture(home.parent / "spare")
    decided = steps.index("write the plan") + 1
    assert 10 < decided < len(steps) - 10
    for at in telling(steps)[1:]:
        (copy := home.parent / str(at)).mkdir()
        shutil.copytree(home, copy, dirs_exist_ok=True)
        backups = Backups(copy, clock, step=_failing(at, number))
        try:
            backups.restore(made.id)
        except (DiskFull, BackupFailed):
            assert at <= decided
            assert picture(copy) == old
            assert [each.id for each in backups.list()] == [each.id for each in before]
            assert not list(copy.glob(".restore-*"))
        except RestoreUnfinished:
            assert at > decided
            finish_restore(copy)
            assert picture(copy) == new
        else:
            # The copy of what is there could not be made, so the files themselves were kept.
            assert number == errno.EIO
            assert picture(copy) == new
        shutil.rmtree(copy)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_at_every_step_leave_the_old_or_the_new_whole(tmp_path: Path) -> None:
    """Of create and restore, with committed rows in the log; whoever goes on is killed too."""
    support = str(ROOT / "tests" / "support")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "support" / "backup_kills.py"), tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": support},
    )
    assert done.returncode == 0, done.stderr
    left = json.loads(done.stdout)
    assert left["old"] >= 10
    assert left["new"] >= 10
    assert left["backups: 0"] >= 5


def test_the_log_of_the_replaced_database_does_not_reach_the_new_one(
    home: Path, clock: ManualClock, made: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = killed_writer(home)
    spare = home.parent / "spare"
    shutil.copytree(killed, spare)
    for each in (home, killed):
        Backups(each, clock).restore(made.id)
    assert picture(killed) == picture(home)
    # The control: left where it was, it brings back what was given up, and that is found.
    monkeypatch.setattr(install, "LOGS", ())
    Backups(spare, clock).restore(made.id)
    try:
        left: Picture | None = picture(spare)
    except (sqlite3.DatabaseError, AssertionError):
        left = None
    assert left != picture(home)


# Points in time.


@pytest.fixture
def history(home: Path) -> Iterator[Bench]:
    with furnished(home) as bench:
        yield bench


def _told(home: Path, archive: Path, until: int) -> dict[str, dict[str, str]]:
    with closing(open_reader(home / DATABASE)) as connection:
        return images_in(fold(read_log(connection, archive, until=until)))


def _rows(home: Path) -> dict[str, dict[str, str]]:
    return picture(home).rows


@pytest.mark.timeout(300)
@settings(max_examples=5)
@given(st.lists(ALL_STEPS, min_size=10, max_size=40), st.integers(0, 1 << 30))
def test_any_moment_after_a_backup_comes_back_as_it_was(
    steps: list[tuple[Any, ...]], seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with furnished(home, files={}) as bench:
            first = _live(home, bench, steps, seed)
            end = bench.reads.last_seq()
        archive = Backups(home, bench.clock).log_archive
        for number in range(3):
            until = first + (seed >> number * 5) % (end - first + 1)
            wanted = _told(home, archive, until)
            copy = Path(folder) / str(number)
            shutil.copytree(home, copy)
            done = Backups(copy, ManualClock(LATER_US)).restore_at(Cursor("e1", until))
            assert done.cursor.seq == until
            assert _rows(copy) == wanted
            assert _told(copy, archive, until) == wanted
            with closing(open_writer(copy / DATABASE)) as connection:
                again = Bench(copy / DATABASE, connection, bench.reads, ManualClock(LATER_US), 9999)
                again.do(c.RenameProject("p", "and on"))
            assert picture(copy).log[-1].seq == until + 1


def _live(home: Path, bench: Bench, steps: list[tuple[Any, ...]], seed: int) -> int:
    """Let the steps happen, with backups and a trimmed log among them."""
    backups = Backups(home, bench.clock)
    first = backups.create().seq
    for number, step in enumerate(steps):
        try:
            bench.do(command_of(bench, step))
        except (MissionError, sqlite3.IntegrityError, UnicodeEncodeError):
            continue
        if number % 13 == seed % 13:
            backups.create()
        if number % 11 == seed % 11:
            _trim(bench, backups)
    return first


def _trim(bench: Bench, backups: Backups) -> None:
    segment = archive_log(
        bench.path, backups.log_archive, before_us=bench.clock.now_us(), up_to=1 << 40, most=9
    )
    if segment is not None:
        while bench.do(TrimLog(segment)):
            pass


def test_a_time_means_what_had_happened_by_then(home: Path, history: Bench) -> None:
    backup = Backups(home, history.clock).create()
    for number in range(4):
        history.task("p", f"number {number}")
    at = history.clock.now_us() - 2 * US
    wanted = _told(home, home / "none", history.reads.last_seq() - 4)
    history.reads.close()
    history.connection.close()
    done = Backups(home, ManualClock(LATER_US)).restore_at(at)
    assert done.backup.id == backup.id
    assert _rows(home) == wanted
    assert {"number 0", "number 1"} <= {
        json.loads(row)["title"] for row in _rows(home)["tasks"].values()
    }


def test_a_moment_of_a_history_that_was_given_up_comes_back_too(home: Path) -> None:
    """The copy that a restore makes first tells of it, by its time and by its cursor."""
    clock = ManualClock(LATER_US)
    backups = Backups(home, clock)
    with furnished(home) as bench:
        made = Backups(home, bench.clock).create()
        bench.task("p", "given up")
        given_up = Cursor("e1", bench.reads.last_seq())
        at = bench.clock.now_us()
        bench.task("p", "given up later")
    wanted = _told(home, home / "none", given_up.seq)
    backups.restore(made.id)
    with open_bench(home / DATABASE) as bench:
        bench.clock.at_us = LATER_US + 60 * US
        bench.done = 5_000
        bench.task("p", "instead")
        instead = bench.reads.last_seq()
    clock.advance(3_600)
    for moment in (at, given_up):
        copy = home.parent / str(moment)
        shutil.copytree(home, copy)
        Backups(copy, clock).restore_at(moment)
        assert _rows(copy) == wanted
    present = _rows(home)
    backups.restore_at(LATER_US + 120 * US)
    assert _rows(home) == present
    assert picture(home).log[-1].seq == instead
    with pytest.raises(NotFound):
        backups.restore_at(Cursor("e1", 1 << 30))


def test_the_copy_of_a_restore_that_was_killed_tells_of_nothing_after_it(home: Path) -> None:
    """It was killed before it was decided on, and the old history went on."""
    with furnished(home) as bench:
        backups = Backups(home, bench.clock)
        left = backups.create(reason="before-restore")
        bench.task("p", "acknowledged")
        at = bench.clock.now_us()
    (home / DATABASE).write_bytes(b"lost")
    backups = Backups(home, ManualClock(LATER_US))
    with pytest.raises(NotFound, match="nothing tells"):
        backups.restore_at(at)
    assert backups.restore_at(left.created_at).cursor.seq == left.seq


def test_a_moment_before_the_first_backup_is_refused(home: Path, made: Backup) -> None:
    before = picture(home)
    for moment in (made.created_at - 1, 0, Cursor("e1", made.seq - 1), Cursor("e2", made.seq)):
        with pytest.raises(NotFound):
            Backups(home, ManualClock(LATER_US)).restore_at(moment)
    assert picture(home) == before


def test_what_nothing_tells_of_any_more_is_refused(
    home: Path, clock: ManualClock, made: Backup
) -> None:
    """The log was lost after the backup was made."""
    (home / DATABASE).write_bytes(b"lost")
    with pytest.raises(NotFound, match="nothing tells"):
        Backups(home, clock).restore_at(made.created_at + US)
    with pytest.raises(MissionError):
        Backups(home, clock).restore(made.id, until=Cursor("e1", made.seq + 1))
    assert (home / DATABASE).read_bytes() == b"lost"
    Backups(home, clock).restore(made.id, until=Cursor("e1", made.seq))
    assert picture(home).log[-1].seq == made.seq


def test_a_place_before_the_named_backup_is_refused(
    home: Path, clock: ManualClock, made: Backup
) -> None:
    with pytest.raises(NotFound, match=made.id):
        Backups(home, clock).restore(made.id, until=Cursor("e1", made.seq - 1))


def test_a_backup_of_an_older_schema_is_migrated_before_the_log_is_replayed(
    home: Path, history: Bench
) -> None:
    rollback(history.connection, len(known_migrations()) - 2)
    backup = Backups(home, history.clock).create()
    migrate(history.connection)
    history.task("p", "under the newest schema")
    history.begin("shuri:p")
    until = history.reads.last_seq()
    wanted = _told(home, home / "none", until)
    history.reads.close()
    history.connection.close()
    Backups(home, ManualClock(LATER_US)).restore(backup.id, until=Cursor("e1", until))
    assert _rows(home) == wanted


def test_a_gap_in_the_log_is_refused_and_nothing_changes(home: Path, history: Bench) -> None:
    backups = Backups(home, history.clock)
    made = backups.create()
    for _ in range(5):
        history.task("p")
    _trim(history, backups)
    until = history.reads.last_seq()
    history.reads.close()
    history.connection.close()
    with closing(open_writer(home / DATABASE)) as connection:
        connection.execute("DROP TRIGGER changes_are_kept")
        connection.execute("DELETE FROM changes WHERE seq BETWEEN ? AND ?", [until - 3, until - 2])
    before = tree(home)
    with pytest.raises((MissionError, Conflict)):
        backups.restore(made.id, until=Cursor("e1", until))
    after = tree(home)
    for name in (DATABASE, *NOTES):
        assert after[name] == before[name]
    assert not list(home.glob(".restore-*"))
