"""A history of a schema for tests, and what a database looks like at each of its steps."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import attrs

from mission_control.storage import Migration, migrate, open_writer
from mission_control.storage.schema import rollback
from mission_control.storage.schema._schema import plain

STEPS = [
    Migration(
        1,
        "m0001_cards",
        "Cards and their notes.",
        "CREATE TABLE cards(id INTEGER PRIMARY KEY, title TEXT NOT NULL) STRICT;"
        "CREATE TABLE notes(id INTEGER PRIMARY KEY, card INTEGER NOT NULL REFERENCES cards(id),"
        " text TEXT NOT NULL) STRICT;"
        "INSERT INTO cards"
        " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
        " SELECT i, 'card ' || i FROM n;"
        "INSERT INTO notes SELECT id, id, 'note on ' || title FROM cards WHERE id % 3 = 0;",
        "DROP TABLE notes; DROP TABLE cards;",
    ),
    Migration(
        2,
        "m0002_length",
        "Rebuilds a table that others refer to.",
        "CREATE TABLE cards_new(id INTEGER PRIMARY KEY, title TEXT NOT NULL CHECK(title <> ''),"
        " length INTEGER NOT NULL) STRICT;"
        "INSERT INTO cards_new SELECT id, title, length(title) FROM cards;"
        "DROP TABLE cards; ALTER TABLE cards_new RENAME TO cards;"
        "CREATE INDEX cards_length ON cards(length);",
        "CREATE TABLE cards_new(id INTEGER PRIMARY KEY, title TEXT NOT NULL) STRICT;"
        "INSERT INTO cards_new SELECT id, title FROM cards;"
        "DROP TABLE cards; ALTER TABLE cards_new RENAME TO cards;",
    ),
    Migration(
        3,
        "m0003_history",
        "Cards are never renamed.",
        "ALTER TABLE notes ADD COLUMN shouted TEXT;"
        "UPDATE notes SET shouted = upper(text);"
        "CREATE TRIGGER cards_stay BEFORE UPDATE OF title ON cards"
        " BEGIN SELECT RAISE(ABORT, 'never'); END;",
        "DROP TRIGGER cards_stay; ALTER TABLE notes DROP COLUMN shouted;",
    ),
]


@attrs.frozen
class Look:
    """All that a database holds."""

    names: tuple[str, ...]
    version: int
    schema: tuple[str, ...]
    data: tuple[tuple[object, ...], ...]


def look(path: Path) -> Look:
    """Read everything, and see that the pages and keys are sound."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        found = _column(connection, "SELECT sql FROM sqlite_schema WHERE sql NOT NULL")
        schema = tuple(sorted(plain(sql) for sql in found))
        names: tuple[str, ...] = ()
        if any("_sqlite_migrations" in sql for sql in schema):
            names = _column(connection, "SELECT name FROM _sqlite_migrations ORDER BY id")
            with_checksum = _column(connection, "SELECT name FROM migrations ORDER BY name")
            assert with_checksum == names
        tables = _column(
            connection, "SELECT name FROM sqlite_schema WHERE name IN ('cards', 'notes') ORDER BY 1"
        )
        data = tuple(
            (table, *row)
            for table in tables
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608
        )
        return Look(names, version, schema, data)


def _column(connection: sqlite3.Connection, sql: str) -> tuple[str, ...]:
    return tuple(cell for (cell,) in connection.execute(sql))


def go(
    path: Path, *, up: bool, watch: Callable[[sqlite3.Connection], object] = lambda _: None
) -> list[str]:
    """Bring *path* to the last step, or back to the first one."""
    with closing(open_writer(path)) as connection:
        watch(connection)
        if up:
            return migrate(connection, STEPS)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return rollback(connection, version - 1, STEPS) if version > 1 else []


LOOKS = "looks.db"


def looks(folder: Path) -> list[Look]:
    """Return how a database looks at each step, from none to the last, that nobody killed.

    The database stays there, at the last step.
    """
    path = folder / LOOKS
    found = []
    with closing(open_writer(path)) as connection:
        found.append(look(path))
        for step in STEPS:
            migrate(connection, STEPS, to=step.number)
            found.append(look(path))
    return found
