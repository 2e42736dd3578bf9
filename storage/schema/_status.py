"""What is applied and what is not, for people to look at."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import attrs

from .._connection import open_aside
from ._fit import applied_steps
from ._ledger import Applied, read_ledger
from ._migration import Migration, SchemaMismatch, known_migrations


@attrs.frozen
class StepStatus:
    """One migration, as seen from a database.

    Attributes:
        state: `applied`, `pending`, or `unknown`: applied, but not one of this program's.
        checksum: `ok`, `changed` since it was applied, `missing` from the record; None where
            there is nothing to compare.
    """

    number: int | None
    name: str
    description: str
    state: str
    applied_at: str | None = None
    checksum: str | None = None


@attrs.frozen
class SchemaStatus:
    """All of them.

    Attributes:
        problem: why this program may not use the database, and what to do; None where it may.
    """

    migrations: list[StepStatus]
    problem: str | None


def schema_status(path: Path, steps: Sequence[Migration] | None = None) -> SchemaStatus:
    """Look at *path* without touching it; where no file is, everything is pending.

    Raises:
        SchemaMismatch: the file is another program's.
        sqlite3.Error: it cannot be read.
    """
    known = known_migrations() if steps is None else steps
    if not path.exists():
        return SchemaStatus(_compare([], known), None)
    with closing(open_aside(path)) as connection:
        return SchemaStatus(_compare(read_ledger(connection), known), _problem(connection, known))


def _problem(connection: sqlite3.Connection, steps: Sequence[Migration]) -> str | None:
    try:
        applied_steps(connection, steps)
    except SchemaMismatch as mismatch:
        return mismatch.message
    return None


def _compare(ledger: list[Applied], steps: Sequence[Migration]) -> list[StepStatus]:
    entries = {entry.name: entry for entry in ledger}
    found = [_status(step, entries.pop(step.name, None)) for step in steps]
    unknown = [
        StepStatus(None, entry.name, "", "unknown", entry.applied_at) for entry in entries.values()
    ]
    return found + unknown


def _status(step: Migration, entry: Applied | None) -> StepStatus:
    if entry is None:
        return StepStatus(step.number, step.name, step.description, "pending")
    match entry.checksum:
        case None:
            checksum = "missing"
        case step.checksum:
            checksum = "ok"
        case _:
            checksum = "changed"
    applied_at = entry.applied_at
    return StepStatus(step.number, step.name, step.description, "applied", applied_at, checksum)
