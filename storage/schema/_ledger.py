"""What was applied, as the database itself remembers it.

The names stand in sqlite-utils' own table, so that its tools agree with ours; beside it, in
`migrations`, stands a checksum of each step; the number of the last one is the file's
`user_version`.
"""

from __future__ import annotations

import sqlite3

import attrs
from sqlite_utils import Database, Migrations

from .._connection import APPLICATION_ID
from ._migration import Migration, SchemaMismatch

MIGRATION_SET = "mission_control"

TABLES = (Migrations.migrations_table, "migrations")
"""Where the ledger itself is kept: the same at every step, and left there by a rollback."""

_CHECKSUMS = """
CREATE TABLE IF NOT EXISTS migrations(
  name TEXT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL) STRICT, WITHOUT ROWID
"""


@attrs.frozen
class Applied:
    """One entry."""

    name: str
    applied_at: str
    """UTC, as sqlite-utils writes it."""
    checksum: str | None
    """None where something else than this program recorded the step."""


def read_ledger(connection: sqlite3.Connection) -> list[Applied]:
    """Return what was applied, in the order in which it was.

    Raises:
        SchemaMismatch: the file is another program's.
    """
    _refuse_strangers(connection)
    entries = Migrations(MIGRATION_SET).applied(Database(connection, execute_plugins=False))
    checksums = _checksums(connection)
    return [Applied(each.name, each.applied_at, checksums.get(each.name)) for each in entries]


def _refuse_strangers(connection: sqlite3.Connection) -> None:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application_id not in (0, APPLICATION_ID) or (application_id == 0 and objects):
        raise SchemaMismatch(
            "the database file belongs to another program: move it away, or choose another home"
        )


def _checksums(connection: sqlite3.Connection) -> dict[str, str]:
    there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'"
    if connection.execute(there).fetchone() is None:
        return {}
    return dict(connection.execute("SELECT name, checksum FROM migrations"))


def enter(connection: sqlite3.Connection, step: Migration) -> None:
    """Record that *step* was applied, and that the file is ours."""
    Migrations(MIGRATION_SET).ensure_migrations_table(Database(connection, execute_plugins=False))
    connection.execute(_CHECKSUMS)
    connection.execute(
        "INSERT INTO _sqlite_migrations(migration_set, name, applied_at)"
        " VALUES(?, ?, strftime('%Y-%m-%d %H:%M:%f+00:00'))",
        [MIGRATION_SET, step.name],
    )
    connection.execute("INSERT INTO migrations VALUES(?, ?)", [step.name, step.checksum])
    # Both live in the file's first page, and so in the step's transaction.
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={step.number}")


def strike(connection: sqlite3.Connection, step: Migration) -> None:
    """Record that *step* was undone."""
    connection.execute(
        "DELETE FROM _sqlite_migrations WHERE migration_set = ? AND name = ?",
        [MIGRATION_SET, step.name],
    )
    connection.execute("DELETE FROM migrations WHERE name = ?", [step.name])
    connection.execute(f"PRAGMA user_version={step.number - 1}")
