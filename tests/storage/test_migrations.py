"""The schema's history: applied once, never mixed up, undone by its other half."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import attrs
import pytest
import sqlite_utils

from mission_control.storage import (
    Migration,
    Reads,
    SchemaMismatch,
    Unavailable,
    known_migrations,
    migrate,
    open_reader,
    open_writer,
)

KNOWN = known_migrations()
NEXT = Migration(
    len(KNOWN) + 1, "m9999_next", "Adds a table.", "CREATE TABLE n(a);", "DROP TABLE n;"
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "a.db")) as opened:
        yield opened


def _schema(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    return connection.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()


def test_a_fresh_file_is_brought_up_to_date_once(connection: sqlite3.Connection) -> None:
    assert migrate(connection) == [step.name for step in KNOWN]
    schema = _schema(connection)
    assert migrate(connection) == []
    assert _schema(connection) == schema
    assert connection.execute("PRAGMA user_version").fetchone() == (len(KNOWN),)


def test_only_what_is_missing_is_applied(connection: sqlite3.Connection) -> None:
    migrate(connection)
    assert migrate(connection, [*KNOWN, NEXT]) == [NEXT.name]


def test_steps_are_numbered_without_a_gap_and_say_what_they_are_for() -> None:
    assert [step.number for step in KNOWN] == list(range(1, len(KNOWN) + 1))
    assert all(step.name.startswith(f"m{step.number:04}_") for step in KNOWN)
    assert all(step.description for step in KNOWN)


def test_a_database_of_a_newer_program_is_refused(connection: sqlite3.Connection) -> None:
    migrate(connection, [*KNOWN, NEXT])
    with pytest.raises(SchemaMismatch, match=r"newer than this program \(it has m9999_next\)"):
        migrate(connection)


def test_a_step_that_was_edited_after_it_was_applied_is_refused(
    connection: sqlite3.Connection,
) -> None:
    migrate(connection, [*KNOWN, NEXT])
    edited = attrs.evolve(NEXT, up="CREATE TABLE n(a, b);")
    with pytest.raises(SchemaMismatch, match="m9999_next was changed"):
        migrate(connection, [*KNOWN, edited])
    described = attrs.evolve(NEXT, description="Adds a table, said better.")
    assert migrate(connection, [*KNOWN, described]) == []


def test_a_database_of_another_program_is_refused_and_left_as_it_was(
    connection: sqlite3.Connection,
) -> None:
    connection.execute("CREATE TABLE theirs(a)")
    schema = _schema(connection)
    with pytest.raises(SchemaMismatch, match="another program"):
        migrate(connection)
    assert _schema(connection) == schema


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"no database at all " * 100)
    with pytest.raises(sqlite3.DatabaseError):
        open_writer(path)
    assert path.read_bytes() == b"no database at all " * 100


def test_a_step_that_fails_leaves_nothing_of_itself(connection: sqlite3.Connection) -> None:
    migrate(connection)
    schema = _schema(connection)
    broken = attrs.evolve(NEXT, up="CREATE TABLE n(a); INSERT INTO nowhere VALUES(1);")
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(connection, [*KNOWN, broken])
    assert _schema(connection) == schema
    assert migrate(connection, [*KNOWN, NEXT]) == [NEXT.name]


def test_a_first_start_that_was_killed_before_its_first_step_is_taken_up(
    connection: sqlite3.Connection,
) -> None:
    assert migrate(connection, []) == []
    assert migrate(connection) == [step.name for step in KNOWN]


@pytest.mark.parametrize("step", KNOWN, ids=lambda step: step.name)
def test_the_down_of_a_step_undoes_its_up(connection: sqlite3.Connection, step: Migration) -> None:
    migrate(connection, KNOWN[: step.number - 1])
    before = _schema(connection)
    connection.executescript(step.up)
    assert _schema(connection) != before
    connection.executescript(step.down)
    assert _schema(connection) == before


def test_sqlite_utils_agrees_on_what_was_applied(connection: sqlite3.Connection) -> None:
    migrate(connection)
    applied = sqlite_utils.Migrations("mission_control").applied(
        sqlite_utils.Database(connection, execute_plugins=False)
    )
    assert [step.name for step in applied] == [step.name for step in KNOWN]


def test_the_writer_keeps_what_it_says_and_the_file_to_its_owner(
    tmp_path: Path, connection: sqlite3.Connection
) -> None:
    assert (tmp_path / "a.db").stat().st_mode & 0o777 == 0o600
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_nothing_is_written_through_a_reader(
    tmp_path: Path, connection: sqlite3.Connection
) -> None:
    migrate(connection)
    with (
        closing(open_reader(tmp_path / "a.db")) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader.execute("INSERT INTO meta VALUES('a', 'b')")


async def test_questions_before_the_file_is_there_are_to_be_asked_again(tmp_path: Path) -> None:
    reads = Reads(tmp_path / "nowhere.db")
    with pytest.raises(Unavailable):
        reads.last_seq()
    with pytest.raises(Unavailable):
        await reads.elsewhere(Reads.last_seq)


async def test_a_long_question_sees_one_state(
    tmp_path: Path, connection: sqlite3.Connection
) -> None:
    migrate(connection)
    connection.execute("INSERT INTO meta VALUES('epoch', 'before')")
    reads = Reads(tmp_path / "a.db")

    def twice(asked: Reads) -> tuple[str, str]:
        first = asked.epoch()
        connection.execute("UPDATE meta SET value = 'after' WHERE key = 'epoch'")
        return first, asked.epoch()

    assert await reads.elsewhere(twice) == ("before", "before")
    assert reads.epoch() == "after"
    reads.close()
    assert reads.epoch() == "after"
    reads.close()
