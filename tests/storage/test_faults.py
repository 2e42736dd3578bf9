"""Files and disks that fail, for real: what is said, what goes on, and what heals by itself."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest
import trio

from mission_control.storage import (
    STORAGE,
    DatabaseUnusable,
    HomeInUse,
    MissionError,
    Reads,
    SchemaMismatch,
    StorageActor,
    StorageFailed,
    Store,
    Unavailable,
    WallClock,
    Writer,
    hold_home,
    migrate,
    open_writer,
)
from mission_control.storage import commands as c
from mission_control.supervisor import Backoff, ChildSpec, Intensity, StartFailed, open_system
from storage_bench import Desk, open_bench
from system_command import Ended, Sidecar, run, sidecar

PATIENCE_S = 60.0

AS_ORDINARY = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Modes of files mean nothing to root, unless it gives that power away."""

TEXT = "a text that fills the disk " * 2_000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A closed one, of a project with 200 tasks, all of it in the file itself."""
    path = tmp_path / "mission-control.db"
    with open_bench(path) as bench:
        bench.project()
        for number in range(200):
            bench.task("p", f"task {number}", None)
        bench.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@asynccontextmanager
async def _storage(path: Path) -> AsyncIterator[Store]:
    """The storage actor, restarted as in the real tree."""
    async with open_system("test", intensity=Intensity(1_000, 60.0)) as system:
        store = Store(system, WallClock())
        spec = ChildSpec(
            STORAGE,
            StorageActor,
            args=(path, lambda: None, store.condition),
            register=STORAGE,
            interrupt=False,
            shutdown=30.0,
            backoff=Backoff(0.01, 0.1),
        )
        await system.root.start_child(spec)
        yield store


async def _refusal_at_start(path: Path) -> MissionError:
    """Why the storage cannot be started on *path*."""
    with pytest.raises(StartFailed) as failed:
        async with _storage(path):
            raise AssertionError("it started")
    cause: BaseException | None = failed.value
    while not isinstance(cause, MissionError):
        assert cause is not None
        cause = cause.__cause__
    return cause


def _image(path: Path) -> dict[str, bytes]:
    """Everything that lies in the folder of *path*."""
    return {each.name: each.read_bytes() for each in path.parent.iterdir() if each.is_file()}


def _overwrite(path: Path, at: int, count: int = -1) -> bytes:
    """Put noise into a file, up to its end if no *count* is given; return what was there."""
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(count)
        file.seek(at)
        file.write(b"\xa5" * len(old))
    return old


def _put_back(path: Path, at: int, what: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(what)


def _append_noise(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\xa5" * 10_000)


# A database that is no good when the service starts.


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "mission-control.db"
    path.write_bytes(b"Dear diary, " * 1_000)
    before = path.read_bytes()
    refusal = await _refusal_at_start(path)
    assert isinstance(refusal, DatabaseUnusable)
    assert "file is not a database" in refusal.message
    assert str(path) in refusal.message
    assert "restore a copy" in refusal.message
    assert path.read_bytes() == before


async def test_a_database_of_another_program_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "mission-control.db"
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE diary(entry)")
        foreign.commit()
    before = _image(path)
    refusal = await _refusal_at_start(path)
    assert isinstance(refusal, SchemaMismatch)
    assert "belongs to another program" in refusal.message
    assert _image(path) == before


async def test_a_database_of_a_newer_program_is_refused_and_not_touched(database: Path) -> None:
    with closing(sqlite3.connect(database)) as newer:
        newer.execute("PRAGMA journal_mode=DELETE")
        newer.execute("PRAGMA user_version=999")
        newer.execute(
            "INSERT INTO _sqlite_migrations(migration_set, name, applied_at)"
            " VALUES('mission_control', 'm0999_next', 'then')"
        )
        newer.execute("INSERT INTO migrations VALUES('m0999_next', 'x')")
        newer.commit()
    before = _image(database)
    assert isinstance(await _refusal_at_start(database), SchemaMismatch)
    assert _image(database) == before


async def test_a_damaged_first_page_is_told_of(database: Path) -> None:
    _overwrite(database, 100, 3_900)
    refusal = await _refusal_at_start(database)
    assert isinstance(refusal, DatabaseUnusable)
    assert "malformed" in refusal.message or "not a database" in refusal.message


async def test_a_database_that_was_cut_short_is_told_of(database: Path) -> None:
    os.truncate(database, 6_000)
    refusal = await _refusal_at_start(database)
    assert isinstance(refusal, DatabaseUnusable)
    assert "restore a copy" in refusal.message


# A log that is no good when the service starts.


def _left_behind(database: Path, count: int, *, mode: int = 0o600, part: float = 1.0) -> Path:
    """Copy the database as a power cut would leave it, with *count* tasks only in its log.

    Only the first *part* of the log is kept.
    """
    copy = database.parent / "copy" / database.name
    copy.parent.mkdir()
    with open_bench(database) as bench:
        bench.connection.execute("PRAGMA wal_autocheckpoint=0")
        bench.done = 10_000  # other ids than those that are there
        for number in range(count):
            bench.task("p", f"late {number}", None)
        for end in ("", "-wal"):
            shutil.copy(f"{database}{end}", f"{copy}{end}")
            Path(f"{copy}{end}").chmod(mode)
    log = Path(f"{copy}-wal")
    os.truncate(log, int(log.stat().st_size * part))
    return copy


async def _late_titles(path: Path) -> list[str]:
    async with _storage(path) as store:
        await store.write(c.CreateTask("p", "it goes on"), by="test")
        reads = Reads(path)
        titles = [task.title for task in reads.board("p")]
        assert [change.seq for change in reads.changes(0)] == list(
            range(1, min(reads.last_seq(), 500) + 1)
        )
        reads.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert "it goes on" in titles
    return [title for title in titles if title.startswith("late")]


async def test_a_log_with_noise_behind_it_loses_nothing(database: Path) -> None:
    copy = _left_behind(database, 20)
    _append_noise(Path(f"{copy}-wal"))
    assert await _late_titles(copy) == [f"late {number}" for number in range(20)]


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
async def test_of_a_log_that_was_cut_short_the_whole_commits_before_the_cut_count(
    database: Path, part: float
) -> None:
    copy = _left_behind(database, 20, part=part)
    late = await _late_titles(copy)
    assert late == [f"late {number}" for number in range(len(late))]
    assert 0 < len(late) < 20


# Who may use the file, and who does.


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640])
async def test_a_database_that_others_may_read_is_made_private(
    database: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    beside = _left_behind(database, 3, mode=mode)
    async with _storage(beside):
        files = list(beside.parent.glob("*.db*"))
        assert {file.name for file in files} >= {beside.name, f"{beside.name}-wal"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert f"{beside} could be used by others (mode {mode:03o})" in caplog.text


async def test_a_private_database_is_not_talked_about(
    database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with _storage(database):
        pass
    assert caplog.text == ""


@pytest.mark.slow
def test_a_database_that_may_not_be_written_is_refused_with_the_reason(database: Path) -> None:
    home = database.parent
    for file in home.iterdir():
        file.chmod(0o400)
    script = (
        "import sys, pathlib\n"
        "from mission_control.storage._actor import _open\n"
        "try: _open(pathlib.Path(sys.argv[1]), None)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    said = _python(script, str(database), prefix=AS_ORDINARY)
    assert said.startswith("DatabaseUnusable")
    assert "readonly database" in said
    assert str(database) in said


def _python(script: str, *arguments: str, prefix: tuple[str, ...] = ()) -> str:
    done = subprocess.run(
        [*prefix, sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


_HOLDER = """
import pathlib, sys
from mission_control.storage import hold_home
with hold_home(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def _holder(lock: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_the_second_of_two_processes_is_told_who_has_the_home(tmp_path: Path) -> None:
    lock = tmp_path / "mission-control.lock"
    with _holder(lock) as process:
        holder = f"in use by mission-control, pid {process.pid}:"
        with pytest.raises(HomeInUse, match=holder):
            hold_home(lock).__enter__()
        assert holder in run(tmp_path, "run", "--port", "0").refusal


@pytest.mark.slow
def test_a_lock_dies_with_its_holder_and_its_file_may_stay(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with _holder(lock) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        assert lock.read_text() == f"mission-control, pid {process.pid}\n"
        with hold_home(lock):
            assert lock.read_text() == f"mission-control, pid {os.getpid()}\n"


def test_a_lock_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"cannot lock the home by .*/lock"):
        hold_home(tmp_path / "nowhere" / "lock").__enter__()


# A file that goes bad while it is written.


async def test_a_page_that_went_bad_stops_the_writer_and_nothing_acknowledged_is_lost(
    database: Path,
) -> None:
    connection = open_writer(database)
    migrate(connection)
    connection.execute("PRAGMA cache_size=1")  # or it would never look at the file again
    failures: list[StorageFailed] = []
    desk = Desk(Writer(connection, on_commit=lambda: None, on_failure=failures.append))
    desk.writer.start()
    reads = Reads(database)  # open, as in the service: the log is not folded while it is
    try:
        made = await desk.do(c.CreateTask("p", "acknowledged"))
        assert reads.task(made.id) == made
        old = _overwrite(database, 4096)
        bad = [desk.submit(c.CreateTask("p", f"lost {number}")) for number in range(3)]
        for reply in bad:
            with pytest.raises(StorageFailed, match="the database failed"):
                await reply.outcome()
        assert len(failures) == 1
    finally:
        with trio.CancelScope(shield=True):
            await desk.writer.close()
    assert isinstance(await _refusal_at_start(database), DatabaseUnusable)
    _put_back(database, 4096, old)
    reads.close()
    async with _storage(database):
        assert reads.task(made.id) == made
        reads.close()


async def test_a_storage_that_fails_answers_everybody_and_comes_back(database: Path) -> None:
    """The disk takes no more than there is already: a limit of this process, for a while."""
    refused: list[Exception] = []

    async def write(number: int) -> None:
        try:
            await store.write(c.CreateTask("p", f"{number}", description=TEXT), by="test")
        except MissionError as refusal:
            refused.append(refusal)

    reads = Reads(database)
    async with _storage(database) as store:
        await store.write(c.CreateTask("p", "before"), by="test")
        assert len(reads.board("p")) == 201  # open, as in the service
        with _no_room(16_384):
            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(write, number)
            assert len(reads.board("p")) == 201  # reads go on
            assert refused
            assert len(refused) == 50
            assert all(isinstance(refusal, Unavailable) for refusal in refused)
            assert all(refusal.retryable for refusal in refused)  # type: ignore[attr-defined]
        await _until(store, lambda why: not why)
        assert store.condition.failure is None
        assert {task.title for task in reads.board("p")} >= {"before", "after"}
        reads.close()


async def test_a_storage_that_cannot_be_opened_again_says_why_and_tries_until_it_can(
    database: Path,
) -> None:
    async with _storage(database) as store:
        await store.write(c.CreateTask("p", "before"), by="test")
        _fold(database)
        header = _overwrite(database, 0, 100)
        with _no_room(16_384), pytest.raises(StorageFailed):
            await store.write(c.CreateTask("p", "lost", description=TEXT), by="test")
        await _until(store, lambda why: "cannot use the database" in why)
        _put_back(database, 0, header)
        await _until(store, lambda why: not why)
        assert store.condition.failure is None
    assert _named(database) >= {"before", "after"}


async def _why_not(store: Store) -> str:
    """Write something, and return why that was refused; nothing where it was not."""
    try:
        await store.write(c.CreateTask("p", "after"), by="test")
    except Unavailable as refusal:
        return refusal.message
    return ""


async def _until(store: Store, condition: Callable[[str], bool]) -> None:
    """Write again and again until it goes as wanted: nobody tells of the supervisor's pause."""
    with trio.fail_after(PATIENCE_S):
        while not condition(await _why_not(store)):  # noqa: ASYNC110 - as said
            await trio.sleep(0.01)


def _fold(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


def _named(path: Path) -> set[str]:
    with closing(Reads(path)) as reads:
        return {task.title for task in reads.board("p")}


@contextmanager
def _no_room(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond *size*: what is beyond fails as a disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


_FILLING = """
import json, pathlib, sys, trio
from mission_control.storage import Limited, Reads, Writer, migrate, open_writer
from mission_control.storage import commands as c
from storage_bench import Desk

how, path = sys.argv[1], pathlib.Path(sys.argv[2])
ballast = path.with_name("ballast")

async def main():
    connection = open_writer(path)
    migrate(connection)
    if how == "max_page_count":
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + 300}")
    else:
        ballast.write_bytes(bytes(1_000_000))
    failures = []
    desk = Desk(Writer(connection, on_commit=lambda: None, on_failure=failures.append))
    desk.writer.start()
    await desk.do(c.InitProject("P"))
    kept, refused = [], 0
    for number in range(200):
        try:
            task = c.CreateTask("p", f"task {number}", description="x" * 20_000)
            kept.append((await desk.do(task)).id)
        except Limited as limited:
            assert limited.message == "the disk is full: make room and retry"
            refused += 1
            assert [task.id for task in reads.board("p")] == kept
            if refused == 5:
                break
        else:
            reads = Reads(path)
    if how == "max_page_count":
        connection.execute("PRAGMA max_page_count=1073741823")
    else:
        ballast.unlink()
    for number in range(10):
        kept.append((await desk.do(c.CreateTask("p", "later", description="x" * 20_000))).id)
    assert {task.id for task in reads.board("p")} == set(kept)
    reads.close()
    await desk.writer.close()
    connection = open_writer(path)
    ((verdict,),) = connection.execute("PRAGMA integrity_check").fetchall()
    print(json.dumps([refused, len(kept), len(failures), verdict]))

trio.run(main)
"""


def _mounting(folder: Path) -> tuple[str, ...]:
    """What runs a command with a file system of 4 MB on *folder*, that nobody else sees."""
    mount = 'mount -t tmpfs -o size=4m mission-control "$0" && exec "$@"'
    return ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(folder))


def _can_mount() -> bool:
    try:
        done = subprocess.run(
            [*_mounting(Path("/mnt")), "true"], capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", ["max_page_count", *(["small disk"] if _can_mount() else [])])
def test_a_full_disk_refuses_command_by_command_and_heals_when_there_is_room(
    tmp_path: Path, how: str
) -> None:
    prefix = _mounting(tmp_path) if how == "small disk" else ()
    support = str(Path(__file__).parents[1] / "support")
    script = f"import sys; sys.path.insert(0, {support!r})\n{_FILLING}"
    said = _python(script, how, str(tmp_path / "mission-control.db"), prefix=prefix)
    refused, kept, failures, verdict = json.loads(said)
    assert (refused, failures, verdict) == (5, 0, "ok")
    assert kept > 20


# A whole sidecar.


@contextmanager
def _failing_disk(process_id: int) -> Iterator[None]:
    """Let the process write to no file: the system refuses it as a disk does that fails."""
    soft, hard = resource.prlimit(process_id, resource.RLIMIT_FSIZE)
    resource.prlimit(process_id, resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.prlimit(process_id, resource.RLIMIT_FSIZE, (soft, hard))


def _titles(running: Sidecar) -> list[str]:
    return [task["title"] for task in running.call("mission.task.list", project_id="p")["tasks"]]


def _create(running: Sidecar, title: str) -> Ended:
    return running.run(
        "call", "mission.task.create", json.dumps({"project_id": "p", "title": title})
    )


@pytest.mark.slow
def test_a_sidecar_whose_disk_fails_goes_on_answering_and_recovers_by_itself(
    tmp_path: Path,
) -> None:
    with sidecar(tmp_path / "home") as running:
        running.call("mission.project.init", project_name="P")
        assert _create(running, "before").code == 0
        with _failing_disk(running.process.pid):
            for number in range(2):
                refused = _create(running, f"lost {number}")
                assert refused.code == 69, refused
                assert "database" in refused.refusal
                assert "before" in _titles(running)
            assert running.process.poll() is None
        deadline = time.monotonic() + PATIENCE_S
        while _create(running, "after").code:
            assert time.monotonic() < deadline
        assert {"before", "after"} <= set(_titles(running))
        storage = running.call("mission.system.health")["storage"]
        assert (storage["ok"], storage["failure"]) == (True, None)
        assert storage["foreign_writes"] == 0
        assert running.stop().code == 0


@pytest.mark.slow
def test_a_sidecar_tells_of_another_program_that_writes(tmp_path: Path) -> None:
    with sidecar(tmp_path / "home") as running:
        running.call("mission.project.init", project_name="P")
        with closing(sqlite3.connect(tmp_path / "home" / "mission-control.db")) as other:
            other.execute("UPDATE projects SET name = name || '!'")
            other.commit()
        assert _create(running, "one").code == 0
        assert running.call("mission.system.health")["storage"]["foreign_writes"] == 1


@pytest.mark.slow
def test_a_sidecar_does_not_start_on_a_spoilt_database_and_says_why(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "mission-control.db").write_bytes(b"no database" * 900)
    ended = run(home, "run", "--port", "0")
    assert ended.code == 69
    assert "cannot use the database" in ended.refusal
    assert "restore a copy" in ended.refusal
