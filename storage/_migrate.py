"""Brings a database to the schema this program knows, or says why it will not.

What was applied is recorded in sqlite-utils' own table, so `sqlite-utils migrate --list` agrees;
beside it stands a checksum of each step.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pkgutil
import sqlite3

import attrs
from sqlite_utils import Database

from . import migrations
from ._connection import APPLICATION_ID
from ._errors import Conflict

MIGRATION_SET = "mission_control"

_RECORDS = """
CREATE TABLE IF NOT EXISTS _sqlite_migrations(
  id INTEGER PRIMARY KEY, migration_set TEXT, name TEXT, applied_at TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS idx__sqlite_migrations_migration_set_name
  ON _sqlite_migrations(migration_set, name);
CREATE TABLE IF NOT EXISTS migrations(
  name TEXT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""


class SchemaMismatch(Conflict):
    """The database and this program do not fit; the message says what to do."""


@attrs.frozen
class Migration:
    """One step."""

    number: int
    name: str
    description: str
    up: str
    down: str

    @property
    def checksum(self) -> str:
        """Of what the step does, not of how its file is laid out."""
        return hashlib.sha256(f"{self.up}\0{self.down}".encode()).hexdigest()


def known_migrations() -> list[Migration]:
    """Return the steps that this program knows, first to last."""
    found = []
    for module_info in pkgutil.iter_modules(migrations.__path__):
        name = module_info.name
        module = importlib.import_module(f"{migrations.__name__}.{name}")
        description = inspect.getdoc(module) or ""
        found.append(Migration(int(name[1:5]), name, description, module.UP, module.DOWN))
    found.sort(key=lambda step: step.number)
    return found


def migrate(connection: sqlite3.Connection, steps: list[Migration] | None = None) -> list[str]:
    """Apply what is missing, each step in a transaction of its own; return the names applied.

    Raises:
        SchemaMismatch: the file is not ours, is newer than this program, or a step that was
            applied reads differently now.
    """
    steps = known_migrations() if steps is None else steps
    database = Database(connection, execute_plugins=False)
    _refuse_strangers(connection)
    _prepare(database)
    applied = _applied(connection)
    _compare(applied, steps)
    names = []
    for step in steps[len(applied) :]:
        _apply(database, step)
        names.append(step.name)
    return names


def _refuse_strangers(connection: sqlite3.Connection) -> None:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application_id not in (0, APPLICATION_ID) or (application_id == 0 and objects):
        raise SchemaMismatch(
            "the database file belongs to another program: move it away, or choose another home"
        )


def _prepare(database: Database) -> None:
    """Make the tables for what was applied, and the mark that the file is ours, in one step."""
    connection: sqlite3.Connection = database.conn
    connection.execute("BEGIN IMMEDIATE")
    database.executescript(_RECORDS)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute("COMMIT")


def _applied(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute(
        "SELECT s.name, m.checksum FROM _sqlite_migrations s LEFT JOIN migrations m USING(name)"
        " WHERE s.migration_set = ? ORDER BY s.id",
        [MIGRATION_SET],
    )
    return {name: checksum or "" for name, checksum in rows}


def _compare(applied: dict[str, str], steps: list[Migration]) -> None:
    known = {step.name: step.checksum for step in steps}
    newer = [name for name in applied if name not in known]
    if newer:
        raise SchemaMismatch(
            f"the database is newer than this program (it has {newer[-1]}): upgrade"
            " openclaw-mission-control, or restore an older backup"
        )
    for (name, checksum), step in zip(applied.items(), steps, strict=False):
        if name != step.name or checksum != step.checksum:
            raise SchemaMismatch(
                f"migration {name} was changed after it had been applied: install an unmodified"
                " openclaw-mission-control, or restore a backup"
            )


def _apply(database: Database, step: Migration) -> None:
    connection: sqlite3.Connection = database.conn
    connection.execute("BEGIN IMMEDIATE")
    try:
        database.executescript(step.up)
        connection.execute(
            "INSERT INTO _sqlite_migrations(migration_set, name, applied_at)"
            " VALUES(?, ?, strftime('%Y-%m-%d %H:%M:%f+00:00'))",
            [MIGRATION_SET, step.name],
        )
        connection.execute("INSERT INTO migrations VALUES(?, ?)", [step.name, step.checksum])
        # It lives in the file's first page, and so in this transaction.
        connection.execute(f"PRAGMA user_version={step.number}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
