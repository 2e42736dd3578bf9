"""Whether a database is sound: pages, keys, schema, log."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from .._connection import usable
from ..history import retention_seq
from ._fit import applied_steps, refuse_misfit
from ._migration import Migration, SchemaMismatch, known_migrations
from ._reading import cannot_look, open_anywhere
from ._replay import unlike_the_log
from ._schema import plain, schema_of
from ._steps import migrate

Findings: TypeAlias = Iterator[str]
Look: TypeAlias = Callable[[sqlite3.Connection], Findings]

MAX_FINDINGS = 100
"""Of each kind: a damaged file may have millions."""


def check_database(
    path: Path, archive: Path, steps: Sequence[Migration] | None = None
) -> list[str]:
    """Return all that is wrong with *path*, a line each; nothing is written, and writers go on.

    Args:
        path: of the database.
        archive: where the older parts of its log are kept.
        steps: all steps; those that this program knows by default.

    Raises:
        DatabaseUnusable: nobody can look: what a reader needs beside it is not to be had.
    """
    known = known_migrations() if steps is None else list(steps)
    try:
        refuse_misfit(path, known)
        with closing(open_anywhere(path)) as connection:
            # One state of the database for all questions.
            connection.execute("BEGIN")
            return list(_all_findings(connection, archive, known))
    except SchemaMismatch as mismatch:
        return [f"schema: {mismatch.message}"]
    except sqlite3.DatabaseError as error:
        with usable(path):
            if cannot_look(error):
                raise
        return [f"cannot be read: {error}"]


def _all_findings(
    connection: sqlite3.Connection, archive: Path, known: list[Migration]
) -> Findings:
    applied = known[: applied_steps(connection, known)]
    looks: list[Look] = [_pages, _keys, lambda each: _shape(each, applied), _log]
    # The records of this program are those of the newest schema.
    if applied == known_migrations():
        looks.append(lambda each: unlike_the_log(each, archive))
    for look in looks:
        yield from islice(_findings(look, connection), MAX_FINDINGS)


def _findings(look: Look, connection: sqlite3.Connection) -> Findings:
    try:
        yield from look(connection)
    except sqlite3.DatabaseError as error:
        yield f"cannot be read: {error}"


def _pages(connection: sqlite3.Connection) -> Findings:
    for (line,) in connection.execute(f"PRAGMA integrity_check({MAX_FINDINGS})"):
        if line != "ok":
            yield f"integrity: {' '.join(line.split())}"


def _keys(connection: sqlite3.Connection) -> Findings:
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        which = f"row {row}" if row is not None else "a row"
        yield f"foreign key: {which} of {table} refers to what is not in {parent}"


def _shape(connection: sqlite3.Connection, applied: Sequence[Migration]) -> Findings:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh, applied)
        expected = schema_of(fresh)
    found = schema_of(connection)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            yield f"schema: {name} is missing"
        elif name not in expected:
            yield f"schema: {name} is not of ours"
        elif plain(found[name]) != plain(expected[name]):
            yield f"schema: {name} is not what the migrations make"


def _log(connection: sqlite3.Connection) -> Findings:
    if "changes" not in schema_of(connection):
        return
    (end,) = connection.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'changes'"
    ).fetchone()
    begin = retention_seq(connection) + 1
    count, first, last = connection.execute(
        "SELECT count(*), coalesce(min(seq), ?), coalesce(max(seq), 0) FROM changes", [begin]
    ).fetchone()
    if (count, first, last) != (end - begin + 1, begin, end):
        yield (
            f"log: {count} changes from {first} to {last}, where all from {begin} to {end} belong"
        )
