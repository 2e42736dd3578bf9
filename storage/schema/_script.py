"""Running one step's SQL so that it is done whole, or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlite_utils import Database

from .._errors import Internal

_OWN_FAULTS = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH}
"""What the SQL of a step can be blamed for; anything else is the file or the disk."""

_NOT_IN_A_STEP = {
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_SAVEPOINT,
    sqlite3.SQLITE_ATTACH,
    sqlite3.SQLITE_DETACH,
}


class MigrationFailed(Internal):
    """A step could not be done, and was not; those before it were, and stay."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        # SQLite itself rolls back after some errors.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def keys_unchecked(connection: sqlite3.Connection) -> Iterator[None]:
    """A table that is rebuilt may be gone for a moment; the keys are checked after each step.

    This cannot be switched inside a transaction.  https://sqlite.org/lang_altertable.html#otheralter
    """
    (checked,) = connection.execute("PRAGMA foreign_keys").fetchone()
    connection.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA foreign_keys={checked}")


def run_script(connection: sqlite3.Connection, name: str, script: str) -> None:
    database = Database(connection, execute_plugins=False)
    connection.set_authorizer(_authorize)
    try:
        # Not the connection's own executescript(), which would commit first.
        database.executescript(script)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _OWN_FAULTS:
            raise MigrationFailed(_failed(name, str(error))) from error
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_AUTH:
            why = "a step may not begin or end a transaction, nor attach a file"
            raise MigrationFailed(_failed(name, why)) from error
        raise
    finally:
        connection.set_authorizer(None)
    orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    if orphans:
        table, _, parent, _ = orphans[0]
        why = f"{len(orphans)} rows would refer to nothing, the first in {table} to {parent}"
        raise MigrationFailed(_failed(name, why))


def _authorize(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_DENY if action in _NOT_IN_A_STEP else sqlite3.SQLITE_OK


def _failed(name: str, why: str) -> str:
    return (
        f"migration {name} failed, and nothing of it was done ({why}): check the database with"
        " `mission-control db check`, and report this with its answer"
    )
