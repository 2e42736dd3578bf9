"""The schema's history: applied once, never mixed up, and only where it fits."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import attrs
import pytest
import sqlite_utils

from mission_control.storage import (
    Internal,
    Invalid,
    Migration,
    Reads,
    SchemaMismatch,
    Unavailable,
    known_migrations,
    migrate,
    migrations,
    open_reader,
    open_writer,
)
from mission_control.storage.schema import MigrationFailed, open_fitting, open_migrated
from mission_control.storage.schema._schema import schema_of
from schema_steps import STEPS, look, looks

KNOWN = known_migrations()
NEXT = Migration(
    len(KNOWN) + 1,
    f"m{len(KNOWN) + 1:04}_next",
    "Adds a table.",
    "CREATE TABLE n(a);",
    "DROP TABLE n;",
)
ONE, TWO, THREE = STEPS
SET = "mission_control"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(path)) as opened:
        yield opened


def test_a_fresh_file_is_brought_up_to_date_once(connection: sqlite3.Connection) -> None:
    assert migrate(connection) == [step.name for step in KNOWN]
    schema = schema_of(connection)
    assert migrate(connection) == []
    assert schema_of(connection) == schema
    assert connection.execute("PRAGMA user_version").fetchone() == (len(KNOWN),)


def test_only_what_is_missing_is_applied(connection: sqlite3.Connection) -> None:
    migrate(connection)
    assert migrate(connection, [*KNOWN, NEXT]) == [NEXT.name]


def test_it_stops_where_it_is_told_to(path: Path, connection: sqlite3.Connection) -> None:
    assert migrate(connection, STEPS, to=2) == [ONE.name, TWO.name]
    assert migrate(connection, STEPS, to=2) == []
    assert look(path).version == 2
    assert migrate(connection, STEPS) == [THREE.name]


@pytest.mark.parametrize(
    ("to", "says"),
    [
        (0, "there is no migration 0: known are 1 to 3"),
        (4, "there is no migration 4: known are 1 to 3"),
        (1, "is at migration 2, beyond 1: go back with `mission-control db rollback --steps 1`"),
    ],
)
def test_a_number_that_cannot_be_gone_to_is_refused(
    connection: sqlite3.Connection, to: int, says: str
) -> None:
    migrate(connection, STEPS, to=2)
    with pytest.raises(Invalid, match=says) as refused:
        migrate(connection, STEPS, to=to)
    assert refused.value.details == {"field": "to"}


def test_steps_are_numbered_without_a_gap_and_say_what_they_are_for() -> None:
    assert [step.number for step in KNOWN] == list(range(1, len(KNOWN) + 1))
    assert all(step.name.startswith(f"m{step.number:04}_") for step in KNOWN)
    assert all(step.description for step in KNOWN)


def test_what_must_be_saved_is_saved_before_anything_is_changed(
    path: Path, connection: sqlite3.Connection
) -> None:
    seen = []

    def save() -> None:
        seen.append(look(path).version)

    migrate(connection, STEPS[:1], before=save)
    assert seen == [], "there was nothing to lose"
    migrate(connection, STEPS[:1], before=save)
    assert seen == [], "there was nothing to do"
    migrate(connection, STEPS, before=save)
    assert seen == [1]


def test_what_cannot_be_saved_is_not_changed(path: Path, connection: sqlite3.Connection) -> None:
    migrate(connection, STEPS[:1])

    def fail() -> None:
        raise Unavailable("no room for a backup")

    with pytest.raises(Unavailable, match="no room"):
        migrate(connection, STEPS, before=fail)
    assert look(path).version == 1


# Databases that do not fit.


def test_a_database_of_a_newer_program_is_refused(connection: sqlite3.Connection) -> None:
    migrate(connection, [*KNOWN, NEXT])
    with pytest.raises(SchemaMismatch, match=rf"newer than this program \(it has {NEXT.name}\)"):
        migrate(connection)


def test_a_step_that_was_edited_after_it_was_applied_is_refused(
    connection: sqlite3.Connection,
) -> None:
    migrate(connection, [*KNOWN, NEXT])
    edited = attrs.evolve(NEXT, up="CREATE TABLE n(a, b);")
    with pytest.raises(SchemaMismatch, match=f"{NEXT.name} was changed"):
        migrate(connection, [*KNOWN, edited])
    with pytest.raises(SchemaMismatch, match=f"{NEXT.name} was changed"):
        migrate(connection, [*KNOWN, attrs.evolve(NEXT, down="DROP TABLE IF EXISTS n;")])
    described = attrs.evolve(NEXT, description="Adds a table, said better.")
    assert migrate(connection, [*KNOWN, described]) == []


def _forget(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM migrations WHERE name = ?", [TWO.name])


def _drop_from_the_middle(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = ?", [TWO.name])


def _claim_more(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA user_version=9")


def _rename(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE _sqlite_migrations SET name = 'm0002_other' WHERE id = 2")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_forget, f"{TWO.name} was recorded by another tool, without its checksum"),
        (_drop_from_the_middle, f"out of order: the database has {THREE.name} where {TWO.name}"),
        (_claim_more, "says that it is at migration 9, and records 3"),
        (_rename, f"made by another build: it has m0002_other where this program has {TWO.name}"),
    ],
)
def test_a_record_that_does_not_add_up_is_refused(
    path: Path,
    connection: sqlite3.Connection,
    spoil: Callable[[sqlite3.Connection], None],
    says: str,
) -> None:
    migrate(connection, STEPS)
    spoil(connection)
    with pytest.raises(SchemaMismatch, match=says):
        migrate(connection, STEPS)


@pytest.mark.parametrize("steps", [[TWO], [ONE, THREE], [ONE, ONE]], ids=["first", "gap", "twice"])
def test_a_program_whose_own_steps_have_a_gap_touches_nothing(
    path: Path, connection: sqlite3.Connection, steps: list[Migration]
) -> None:
    with pytest.raises(SchemaMismatch, match="not numbered without a gap"):
        migrate(connection, steps)
    assert look(path).schema == ()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("m0001_a", "UP = 'CREATE TABLE a(b)'", None),
        ("m0001_a", "UP = ' '", "has an empty UP"),
        ("m0001_a", "", "has an empty UP"),
        ("mistake", "UP = 'CREATE TABLE a(b)'", "call it mNNNN_name.py"),
    ],
)
def test_a_file_that_is_no_step_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, says: str | None
) -> None:
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(migrations, "__path__", [str(tmp_path)])
    module = f"{migrations.__name__}.{name}"
    try:
        if says is None:
            assert known_migrations() == [Migration(1, name, "", "CREATE TABLE a(b)", None)]
        else:
            with pytest.raises(Internal, match=says):
                known_migrations()
    finally:
        sys.modules.pop(module, None)


def _theirs(path: Path, *pragmas: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE theirs(a)")


def _newer(path: Path) -> None:
    with closing(open_writer(path)) as connection:
        migrate(connection, [*KNOWN, NEXT])


def _edited(path: Path) -> None:
    with closing(open_writer(path)) as connection:
        migrate(connection, [attrs.evolve(KNOWN[0], down=None), *KNOWN[1:]])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_theirs, "another program"),
        (lambda path: _theirs(path, "application_id=77"), "another program"),
        (lambda path: _theirs(path, "journal_mode=WAL"), "another program"),
        (_newer, "newer"),
        (_edited, "was changed"),
    ],
    ids=["unmarked", "marked", "in WAL mode", "newer", "edited"],
)
def test_what_does_not_fit_is_left_byte_for_byte(
    path: Path, make: Callable[[Path], None], says: str
) -> None:
    make(path)
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    with pytest.raises(SchemaMismatch, match=says):
        open_fitting(path)
    with pytest.raises(SchemaMismatch, match=says):
        open_migrated(path)
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before


def test_a_stranger_is_refused_by_migrate_itself(
    path: Path, connection: sqlite3.Connection
) -> None:
    connection.execute("CREATE TABLE theirs(a)")
    before = look(path)
    with pytest.raises(SchemaMismatch, match="another program"):
        migrate(connection)
    assert look(path) == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"no database at all " * 100)
    with pytest.raises(sqlite3.DatabaseError):
        open_writer(path)
    with pytest.raises(Unavailable, match="file is not a database"):
        open_migrated(path)
    assert path.read_bytes() == b"no database at all " * 100


# Steps that fail.


def _fails(connection: sqlite3.Connection, up: str) -> str:
    """Apply a step that cannot be applied, and return why not."""
    with pytest.raises(MigrationFailed, match=f"{THREE.name} failed, and nothing of it") as failed:
        migrate(connection, [ONE, TWO, attrs.evolve(THREE, up=up)])
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert not connection.in_transaction
    return failed.value.message


@pytest.mark.parametrize(
    ("up", "why"),
    [
        ("CREATE TABLE n(a); INSERT INTO nowhere VALUES(1);", "no such table: nowhere"),
        ("CREATE TABLE n(a); nonsense", "syntax error"),
        ("CREATE TABLE n(a); INSERT INTO cards VALUES(1, 'one', 3);", "UNIQUE constraint failed"),
        ("CREATE TABLE n(a); UPDATE cards SET length = 'long';", "cannot store TEXT value"),
        ("CREATE TABLE n(a); DELETE FROM cards WHERE id = 3;", "in notes to cards"),
        ("CREATE TABLE n(a); COMMIT; DROP TABLE cards;", "may not begin or end a transaction"),
        ("CREATE TABLE n(a); ROLLBACK;", "may not begin or end a transaction"),
        ("CREATE TABLE n(a); SAVEPOINT s;", "may not begin or end a transaction"),
        ("CREATE TABLE n(a); ATTACH ':memory:' AS m;", "nor attach a file"),
    ],
)
def test_a_step_that_fails_leaves_nothing_of_itself(
    path: Path, connection: sqlite3.Connection, up: str, why: str
) -> None:
    migrate(connection, [ONE, TWO])
    before = look(path)
    assert why in _fails(connection, up)
    assert look(path) == before
    assert migrate(connection, STEPS) == [THREE.name]


def test_the_steps_before_one_that_fails_stay(path: Path, connection: sqlite3.Connection) -> None:
    _fails(connection, "nonsense")
    assert look(path) == looks(path.parent)[2]


def test_a_first_start_that_was_killed_before_its_first_step_is_taken_up(
    connection: sqlite3.Connection,
) -> None:
    assert migrate(connection, []) == []
    assert migrate(connection) == [step.name for step in KNOWN]


def test_a_file_that_was_marked_and_no_more_is_taken_up(connection: sqlite3.Connection) -> None:
    """As version 0.1.0 left it when it was killed at the right moment."""
    connection.execute("PRAGMA application_id=0x4D437472")
    assert migrate(connection) == [step.name for step in KNOWN]


# The tools of sqlite-utils.

LIST = """
from sqlite_utils import Migrations
from mission_control.storage import known_migrations

ours = Migrations("mission_control")
for step in known_migrations():
    ours(name=step.name)(lambda db: None)
"""


def test_sqlite_utils_agrees_on_what_was_applied(connection: sqlite3.Connection) -> None:
    migrate(connection)
    applied = sqlite_utils.Migrations(SET).applied(
        sqlite_utils.Database(connection, execute_plugins=False)
    )
    assert [step.name for step in applied] == [step.name for step in KNOWN]


@pytest.mark.slow
def test_the_command_of_sqlite_utils_lists_our_migrations(
    path: Path, connection: sqlite3.Connection
) -> None:
    migrate(connection, KNOWN, to=1)
    listing = path.with_name("migrations.py")
    listing.write_text(LIST)
    shown = subprocess.run(
        [sys.executable, "-m", "sqlite_utils", "migrate", path, listing, "--list"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    applied, _, pending = shown.partition("Pending:")
    assert f"Migrations for: {SET}" in applied
    assert KNOWN[0].name in applied
    assert pending.split() == [step.name for step in KNOWN[1:]] or pending.split() == ["(none)"]


# Connections.


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
