"""What `db check` and `db status` find, and that they leave everything as it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_control.storage import (
    DatabaseUnusable,
    Migration,
    MissionError,
    SchemaMismatch,
    known_migrations,
    migrate,
    open_writer,
)
from mission_control.storage import commands as c
from mission_control.storage.history import archive_log, read_log
from mission_control.storage.schema import (
    check_database,
    rehearse_rollback,
    rollback,
    schema_status,
)
from random_history import ALL_STEPS, command_of, furnish
from schema_steps import STEPS
from storage_bench import Bench, open_bench

KNOWN = known_migrations()
NEXT = Migration(len(KNOWN) + 1, "m9998_next", "", "CREATE TABLE n(a);", "DROP TABLE n;")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_bench(tmp_path / "a.db") as opened:
        project = opened.project()
        opened.agent(project.id)
        tasks = [opened.task(project.id, f"task {number}") for number in range(20)]
        opened.do(c.UpdateTask(tasks[0].id, title="renamed"))
        opened.do(c.DeleteTask(tasks[-1].id))
        yield opened


def _check(path: Path) -> list[str]:
    return check_database(path, path.parent / "log")


def test_a_database_in_use_is_sound(bench: Bench) -> None:
    assert _check(bench.path) == []


@pytest.mark.parametrize("count", range(len(KNOWN) + 1))
def test_a_database_of_any_age_is_sound(tmp_path: Path, count: int) -> None:
    path = tmp_path / "a.db"
    with closing(open_writer(path)) as connection:
        migrate(connection, KNOWN[:count])
    assert _check(path) == []


def test_a_database_that_went_down_and_up_is_sound(bench: Bench) -> None:
    if len(KNOWN) > 1:
        rollback(bench.connection, len(KNOWN) - 1)
        assert _check(bench.path) == []
        migrate(bench.connection)
    assert _check(bench.path) == []


@pytest.mark.parametrize(
    ("spoil", "finds"),
    [
        ("DROP INDEX tasks_board", "schema: tasks_board is missing"),
        ("CREATE TABLE extra(a)", "schema: extra is not of ours"),
        (
            "ALTER TABLE souls ADD COLUMN extra TEXT",
            "schema: souls is not what the migrations make",
        ),
        (
            "PRAGMA foreign_keys=OFF; DELETE FROM projects",
            "foreign key: a row of agents refers to what is not in projects",
        ),
        (
            "DROP TRIGGER IF EXISTS changes_are_kept; DELETE FROM changes WHERE seq = 5",
            "log: {fewer} changes from 1 to {all}, where all from 1 to {all} belong",
        ),
        (
            "DROP TRIGGER IF EXISTS changes_are_kept;"
            "DELETE FROM changes WHERE seq = (SELECT max(seq) FROM changes)",
            "log: {fewer} changes from 1 to {fewer}, where all from 1 to {all} belong",
        ),
        (
            "DROP TRIGGER IF EXISTS changes_are_kept; DELETE FROM changes WHERE seq = 1",
            "log: {fewer} changes from 2 to {all}, where all from 1 to {all} belong",
        ),
        (
            "DROP TRIGGER IF EXISTS changes_are_kept; DELETE FROM changes",
            "log: 0 changes from 1 to 0, where all from 1 to {all} belong",
        ),
        ("UPDATE projects SET name = 'Z'", "replay: projects p is not what the log says"),
        ("DELETE FROM agents", "replay: agents shuri:p is in the log, and not in its table"),
        (
            "INSERT INTO souls VALUES('x', '', 1, 1)",
            "replay: souls x is in no change of the log",
        ),
    ],
)
def test_what_is_wrong_is_named(bench: Bench, spoil: str, finds: str) -> None:
    (count,) = bench.connection.execute("SELECT max(seq) FROM changes").fetchone()
    bench.connection.executescript(spoil)
    assert finds.format(all=count, fewer=count - 1) in _check(bench.path)


@settings(max_examples=20)
@given(steps=st.lists(ALL_STEPS, max_size=25))
def test_whatever_was_done_the_database_is_sound(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.db"
    with open_bench(path) as bench:
        furnish(bench)
        for step in steps:
            with suppress(MissionError):
                bench.do(command_of(bench, step))
        assert _check(path) == []


def test_a_log_that_was_archived_is_read_from_its_archive(bench: Bench) -> None:
    archive = bench.path.parent / "log"
    segment = archive_log(bench.path, archive, before_us=1 << 62, up_to=1 << 62)
    assert segment is not None
    while bench.do(c.TrimLog(segment)):
        pass
    assert _check(bench.path) == []
    (archive / segment.file).unlink()
    (finding,) = _check(bench.path)
    assert finding.startswith("log: ")
    assert segment.file in finding


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A database that nobody uses, in a folder in which nothing may be made."""
    path = tmp_path / "medium" / "a.db"
    path.parent.mkdir()
    with open_bench(path) as opened:
        furnish(opened)
    path.parent.chmod(0o555)
    yield path
    path.parent.chmod(0o755)


def test_a_database_is_looked_at_where_nothing_may_be_written(closed: Path) -> None:
    assert _check(closed) == []
    assert rehearse_rollback(closed).steps == [KNOWN[-1].name]


def test_where_nobody_can_look_no_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with open_bench(path) as opened:
        opened.project()
    path.with_name("a.db-wal").touch()
    path.with_name("a.db-shm").symlink_to("nowhere/else")
    with pytest.raises(DatabaseUnusable, match="cannot use the database"):
        _check(path)


def test_an_archived_log_is_found_again_after_every_way_back(bench: Bench) -> None:
    archive = bench.path.parent / "log"
    before = list(read_log(bench.connection, archive))
    for up_to in (5, 9):
        segment = archive_log(bench.path, archive, before_us=1 << 62, up_to=up_to)
        assert segment is not None
        bench.do(c.TrimLog(segment))
    for count in range(1, len(KNOWN)):
        rollback(bench.connection, count)
        migrate(bench.connection)
        assert _check(bench.path) == []
        assert list(read_log(bench.connection, archive)) == before


def test_a_damaged_page_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with open_bench(path) as bench:
        project = bench.project()
        for number in range(200):
            bench.task(project.id, f"task {number}", None)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"task 150")
    page = place // 4096 * 4096
    content[page : page + 64] = bytes(64)
    path.write_bytes(content)
    findings = _check(path)
    assert any(each.startswith(("integrity: ", "cannot be read: ")) for each in findings)


@pytest.mark.parametrize(
    ("content", "finds"),
    [
        (b"no database at all " * 100, "cannot be read: file is not a database"),
        (b"SQLite format 3\0" + bytes(4080), "cannot be read: file is not a database"),
    ],
)
def test_what_is_no_database_is_said_to_be_none(tmp_path: Path, content: bytes, finds: str) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    assert _check(path) == [finds]
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs(a)")
    before = path.read_bytes()
    (finding,) = _check(path)
    assert finding.startswith("schema: the database file belongs to another program")
    assert path.read_bytes() == before


def test_a_newer_database_is_not_judged(bench: Bench) -> None:
    migrate(bench.connection, [*KNOWN, NEXT])
    (finding,) = _check(bench.path)
    assert "newer than this program" in finding


def test_a_million_findings_are_a_hundred(bench: Bench) -> None:
    for number in range(150):
        bench.connection.execute(f"CREATE TABLE extra_{number}(a)")
    assert len(_check(bench.path)) == 100


# Status.


def test_status_tells_what_is_applied_and_what_is_pending(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    assert [each.state for each in schema_status(path, STEPS).migrations] == ["pending"] * 3
    assert list(tmp_path.iterdir()) == []
    with closing(open_writer(path)) as connection:
        migrate(connection, STEPS, to=2)
    before = path.read_bytes()
    found = schema_status(path, STEPS)
    one, two, three = found.migrations
    assert (one.number, one.name, one.description) == (1, STEPS[0].name, STEPS[0].description)
    assert (one.state, one.checksum) == ("applied", "ok")
    assert two.applied_at is not None
    assert two.applied_at.endswith("+00:00")
    assert (three.state, three.applied_at, three.checksum) == ("pending", None, None)
    assert found.problem is None
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.db"]


def _forget(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM migrations WHERE name = ?", [STEPS[0].name])


def test_status_tells_why_a_database_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(open_writer(path)) as connection:
        migrate(connection, STEPS)
        edited = [STEPS[0], attrs.evolve(STEPS[1], up="CREATE TABLE n(a);"), STEPS[2]]
        found = schema_status(path, edited)
        assert [each.checksum for each in found.migrations] == ["ok", "changed", "ok"]
        assert "was changed" in str(found.problem)
        found = schema_status(path, STEPS[:2])
        assert [each.state for each in found.migrations] == ["applied", "applied", "unknown"]
        assert "newer" in str(found.problem)
        _forget(connection)
        found = schema_status(path, STEPS)
        assert [each.checksum for each in found.migrations] == ["missing", "ok", "ok"]
        assert "another tool" in str(found.problem)


@pytest.mark.parametrize("look", [schema_status, _check])
def test_looking_is_for_those_who_may_only_read(
    bench: Bench, look: Callable[[Path], object]
) -> None:
    """Beside a writer that is in the middle of a transaction."""
    bench.connection.execute("BEGIN IMMEDIATE")
    bench.connection.execute("UPDATE projects SET name = 'not yet'")
    look(bench.path)
    bench.connection.execute("ROLLBACK")


def test_a_stranger_has_no_status(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs(a)")
    with pytest.raises(SchemaMismatch, match="another program"):
        schema_status(path)
