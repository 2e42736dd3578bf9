"""The way back: one step after the other, and what the older schema can hold is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
import sqlite_utils

from mission_control.storage import (
    Invalid,
    Migration,
    SchemaMismatch,
    Unavailable,
    known_migrations,
    migrate,
    open_writer,
)
from mission_control.storage import commands as c
from mission_control.storage._table import ENTITIES
from mission_control.storage.schema import (
    MigrationFailed,
    NoWayBack,
    rehearse_migrate,
    rehearse_rollback,
    rollback,
)
from mission_control.storage.schema._schema import plain, schema_of
from schema_steps import STEPS, look, looks
from storage_bench import Bench, open_bench

KNOWN = known_migrations()
ONE, TWO, THREE = STEPS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    """At the last of the steps for tests."""
    with closing(open_writer(path)) as opened:
        migrate(opened, STEPS)
        yield opened


def test_steps_are_undone_newest_first(path: Path, connection: sqlite3.Connection) -> None:
    assert rollback(connection, 1, STEPS) == [THREE.name]
    assert look(path) == looks(path.parent)[2]
    assert rollback(connection, 2, STEPS) == [TWO.name, ONE.name]
    assert look(path).names == ()
    assert look(path).data == ()
    assert migrate(connection, STEPS) == [step.name for step in STEPS]


def test_what_was_written_after_a_step_survives_its_rollback(
    path: Path, connection: sqlite3.Connection
) -> None:
    connection.execute("INSERT INTO cards VALUES(1000, 'late', 4)")
    rollback(connection, 2, STEPS)
    assert ("cards", 1000, "late") in look(path).data
    migrate(connection, STEPS)
    assert ("cards", 1000, "late", 4) in look(path).data


@pytest.mark.parametrize("count", [0, -1, 4])
def test_more_steps_than_there_are_cannot_be_undone(
    path: Path, connection: sqlite3.Connection, count: int
) -> None:
    before = look(path)
    with pytest.raises(Invalid, match=f"cannot undo {count} migrations: the database has 3"):
        rollback(connection, count, STEPS)
    assert look(path) == before


def test_nothing_is_undone_where_one_of_the_steps_has_no_way_back(
    path: Path, connection: sqlite3.Connection
) -> None:
    rollback(connection, 3, STEPS)
    steps = [ONE, attrs.evolve(TWO, down=None), THREE]
    migrate(connection, steps)
    before = look(path)
    with pytest.raises(NoWayBack, match=f"{TWO.name} cannot be undone: restore the backup"):
        rollback(connection, 2, steps)
    assert look(path) == before
    assert rollback(connection, 1, steps) == [THREE.name]


@pytest.mark.parametrize(
    ("down", "why"),
    [
        ("DROP TRIGGER cards_stay; DROP TABLE nowhere;", "no such table: nowhere"),
        ("DROP TRIGGER cards_stay; DELETE FROM cards;", "133 rows would refer to nothing"),
        ("DROP TRIGGER cards_stay; COMMIT;", "may not begin or end a transaction"),
    ],
)
def test_a_way_back_that_fails_leaves_everything_as_it_was(
    path: Path, connection: sqlite3.Connection, down: str, why: str
) -> None:
    rollback(connection, 1, STEPS)
    steps = [ONE, TWO, attrs.evolve(THREE, down=down)]
    migrate(connection, steps)
    before = look(path)
    with pytest.raises(MigrationFailed, match=why):
        rollback(connection, 2, steps)
    assert look(path) == before
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_an_edited_step_is_not_undone(path: Path, connection: sqlite3.Connection) -> None:
    before = look(path)
    with pytest.raises(SchemaMismatch, match=f"{ONE.name} was changed"):
        rollback(connection, 1, [attrs.evolve(ONE, down="DROP TABLE cards;"), TWO, THREE])
    with pytest.raises(SchemaMismatch, match="newer"):
        rollback(connection, 1, STEPS[:2])
    assert look(path) == before


def test_what_must_be_saved_is_saved_first(path: Path, connection: sqlite3.Connection) -> None:
    seen = []
    rollback(connection, 2, STEPS, before=lambda: seen.append(look(path).version))
    assert seen == [3]

    def fail() -> None:
        raise Unavailable("no room for a backup")

    with pytest.raises(Unavailable, match="no room"):
        rollback(connection, 1, STEPS, before=fail)
    assert look(path).version == 1


def test_sqlite_utils_agrees_on_what_was_undone(connection: sqlite3.Connection) -> None:
    theirs = sqlite_utils.Migrations("mission_control")
    for step in STEPS:
        theirs(name=step.name)(lambda db: None)
    rollback(connection, 2, STEPS)
    database = sqlite_utils.Database(connection, execute_plugins=False)
    assert [step.name for step in theirs.applied(database)] == [ONE.name]
    assert [step.name for step in theirs.pending(database)] == [TWO.name, THREE.name]


# Rehearsals.


def test_a_rehearsal_shows_what_would_change_and_changes_nothing(path: Path) -> None:
    with closing(open_writer(path)) as connection:
        migrate(connection, STEPS, to=1)
    before = path.read_bytes()
    found = rehearse_migrate(path, STEPS)
    assert found.steps == [TWO.name, THREE.name]
    assert "+CREATE INDEX cards_length ON cards(length);" in found.difference
    assert found.restored is True
    assert rehearse_migrate(path, STEPS, to=2).steps == [TWO.name]
    assert path.read_bytes() == before


def test_a_rehearsed_rollback_shows_what_would_go(
    path: Path, connection: sqlite3.Connection
) -> None:
    before = look(path)
    found = rehearse_rollback(path, 2, STEPS)
    assert found.steps == [THREE.name, TWO.name]
    assert "-CREATE INDEX cards_length ON cards(length);" in found.difference
    assert found.restored is True
    assert look(path) == before


@pytest.mark.parametrize(("down", "restored"), [("DROP TRIGGER cards_stay;", False), (None, None)])
def test_a_rehearsal_tells_where_the_way_back_leads(
    path: Path, down: str | None, restored: bool | None
) -> None:
    with closing(open_writer(path)) as connection:
        migrate(connection, [ONE, TWO])
    found = rehearse_migrate(path, [ONE, TWO, attrs.evolve(THREE, down=down)])
    assert found.restored is restored


def test_a_database_that_is_not_there_is_rehearsed_and_not_made(path: Path) -> None:
    found = rehearse_migrate(path, STEPS)
    assert (found.steps, found.restored) == ([step.name for step in STEPS], True)
    assert list(path.parent.iterdir()) == []


def test_a_rehearsal_with_nothing_to_do_says_so(path: Path, connection: sqlite3.Connection) -> None:
    found = rehearse_migrate(path, STEPS)
    assert (found.steps, found.difference, found.restored) == ([], "", True)


def test_a_rehearsal_fails_as_the_migration_would(
    path: Path, connection: sqlite3.Connection
) -> None:
    bad = Migration(4, "m0004_bad", "Fails.", "DELETE FROM cards;", "")
    with pytest.raises(MigrationFailed, match="rows would refer to nothing"):
        rehearse_migrate(path, [*STEPS, bad])
    with pytest.raises(SchemaMismatch, match="newer"):
        rehearse_migrate(path, STEPS[:1])
    with pytest.raises(Invalid, match="cannot undo 9"):
        rehearse_rollback(path, 9, STEPS)


# The real steps.


def _fill(bench: Bench) -> None:
    """Put rows into every table that records are kept in."""
    for name in ("P", "Q"):
        project = bench.project(name)
        agents = [bench.agent(project.id, soul) for soul in ("shuri", "fury", "vision")]
        tasks = [
            bench.task(project.id, f"task {number} 'ü'", agents[number % 3].soul)
            for number in range(12)
        ]
        for task in tasks:
            bench.do(c.LogEvent(task.id, "I think", "I act"))
        bench.do(c.UpdateTask(tasks[-1].id, depends_on=(tasks[0].id,)))
        bench.do(c.UpdateChronicle(project.id, "a summary", "some debt"))
        bench.do(c.SetBudget(project.id, 1_000, 0.1))
        for agent in agents:
            bench.do(c.SendMessage(agent.id, "hello"))
            bench.do(c.RecordSession(agent.id, f"key of {agent.id}", "s", "process"))
            bench.end(bench.begin(agent.id, triggered=True))
            bench.do(c.DistillMemory(agent.id, "learned"))
        bench.begin(agents[0].id, triggered=True)
        bench.do(c.RequestHelp(tasks[1].id, "which one?"))
    bench.connection.execute("INSERT INTO idempotency VALUES('k', 'c', 'h', '{}', 1)")
    empty = {name for name, rows in _tables(bench.connection).items() if not rows}
    assert empty.isdisjoint({*ENTITIES, "changes", "idempotency", "meta"})


def _tables(connection: sqlite3.Connection) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table of ours, as a dict; not when a step was applied."""
    names = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if name not in ("_sqlite_migrations", "migrations", "sqlite_sequence")
    ]
    found = {}
    for name in names:
        cursor = connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2")  # noqa: S608
        columns = [column[0] for column in cursor.description]
        found[name] = [dict(zip(columns, row, strict=True)) for row in cursor]
    found["meta"] = [row for row in found["meta"] if row["key"] != "judged_from"]
    return found


Rows: TypeAlias = dict[str, list[dict[str, Any]]]


def _as_the_older_holds_it(rows: Rows, older: Rows) -> Rows:
    """Leave out what the older schema has no table or no column for."""
    return {
        name: [{column: row[column] for column in row if column in columns} for row in rows[name]]
        for name, kept in older.items()
        if name in rows
        for columns in [kept[0].keys() if kept else ()]
        if kept or not rows[name]
    }


def _shape(connection: sqlite3.Connection) -> dict[str, str]:
    return {name: plain(sql) for name, sql in schema_of(connection).items()}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The schema after each step, of a database that never went back."""
    with closing(open_writer(tmp_path_factory.mktemp("fresh") / "a.db")) as connection:
        shapes = [_shape(connection)]
        for step in KNOWN:
            migrate(connection, to=step.number)
            shapes.append(_shape(connection))
        return shapes


def test_every_real_step_goes_down_and_up_on_a_full_database_without_a_loss(
    tmp_path: Path, fresh: list[dict[str, str]]
) -> None:
    with open_bench(tmp_path / "a.db") as bench:
        _fill(bench)
        connection = bench.connection
        held = {len(KNOWN): _tables(connection)}
        for step in reversed(KNOWN[1:]):
            rollback(connection, 1)
            older = step.number - 1
            assert _shape(connection) == fresh[older]
            held[older] = _tables(connection)
            assert held[older] == _as_the_older_holds_it(held[step.number], held[older])
        for step in KNOWN[1:]:
            migrate(connection, to=step.number)
            assert _shape(connection) == fresh[step.number]
            found = _tables(connection)
            assert _as_the_older_holds_it(found, held[step.number - 1]) == held[step.number - 1]
            held[step.number] = found
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert bench.project("after all of it").name == "after all of it"


def test_the_first_real_step_is_undone_to_nothing(
    tmp_path: Path, fresh: list[dict[str, str]]
) -> None:
    with open_bench(tmp_path / "a.db") as bench:
        _fill(bench)
        rollback(bench.connection, len(KNOWN))
        assert _shape(bench.connection) == fresh[0] == {}
        assert migrate(bench.connection) == [step.name for step in KNOWN]
        assert _shape(bench.connection) == fresh[-1]


def test_every_real_step_has_a_way_back() -> None:
    assert [step.name for step in KNOWN if step.down is None] == []
