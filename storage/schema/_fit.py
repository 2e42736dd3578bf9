"""Whether a database and this program fit, and how far apart they are: reading only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from .._connection import open_aside, open_writer
from ._ledger import Applied, read_ledger
from ._migration import FILE_NAME, Migration, SchemaMismatch, known_migrations, refuse_gaps


def applied_steps(connection: sqlite3.Connection, steps: Sequence[Migration]) -> int:
    """Return how many of *steps* the database has: the first so many.

    Raises:
        SchemaMismatch: it has others, or others in their place; the file is another program's.
    """
    refuse_gaps(steps)
    with _one_state(connection):
        ledger = read_ledger(connection)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    for at, entry in enumerate(ledger):
        _compare(entry, steps[at] if at < len(steps) else None, steps)
    if version != len(ledger):
        raise SchemaMismatch(
            f"the database says that it is at migration {version}, and records {len(ledger)}:"
            " another tool changed it; restore a backup"
        )
    return len(ledger)


@contextmanager
def _one_state(connection: sqlite3.Connection) -> Iterator[None]:
    """See one state of the database, though another process may migrate it now."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _compare(entry: Applied, step: Migration | None, steps: Sequence[Migration]) -> None:
    if step is None or entry.name != step.name:
        raise SchemaMismatch(_misplaced(entry.name, step, steps))
    if entry.checksum is None:
        raise SchemaMismatch(
            f"migration {entry.name} was recorded by another tool, without its checksum: restore"
            " a backup, and migrate it with `mission-control db migrate`"
        )
    if entry.checksum != step.checksum:
        raise SchemaMismatch(
            f"migration {entry.name} was changed after it had been applied: install an unmodified"
            " openclaw-mission-control, or restore a backup"
        )


def _misplaced(name: str, step: Migration | None, steps: Sequence[Migration]) -> str:
    known = name in {each.name for each in steps}
    fitting = FILE_NAME.fullmatch(name)
    if not known and (step is None or fitting is None or int(fitting["number"]) > len(steps)):
        return (
            f"the database is newer than this program (it has {name}): upgrade"
            " openclaw-mission-control, or restore an older backup"
        )
    place = step.name if step is not None else "nothing"
    if known:
        return (
            f"migrations were applied out of order: the database has {name} where {place}"
            " belongs: restore a backup"
        )
    return (
        f"the database was made by another build: it has {name} where this program has {place}:"
        " install that build, or restore a backup"
    )


def refuse_misfit(path: Path, steps: Sequence[Migration] | None = None) -> None:
    """See that *path* may be migrated by this program, touching nothing; no file is fine.

    Raises:
        SchemaMismatch: it may not.
        sqlite3.Error: it cannot be read.
    """
    if path.exists():
        with closing(open_aside(path)) as connection:
            applied_steps(connection, known_migrations() if steps is None else steps)


def open_fitting(path: Path, steps: Sequence[Migration] | None = None) -> sqlite3.Connection:
    """Open *path* for the one writer, once it is known to fit.

    Opening for writing alone changes a file: it is put into WAL mode.

    Raises:
        SchemaMismatch: it does not fit, and is as it was.
        sqlite3.Error: it cannot be opened.
    """
    refuse_misfit(path, steps)
    return open_writer(path)
