"""Migrations tried out on a copy: what they would change, and whether the way back is one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from .._connection import open_writer
from ._fit import applied_steps, refuse_misfit
from ._migration import Migration, known_migrations
from ._reading import open_anywhere
from ._schema import difference, same_shape, schema_of
from ._steps import NoWayBack, migrate, rollback

Walk = Callable[[sqlite3.Connection], list[str]]


@attrs.frozen
class Rehearsal:
    """What came of it."""

    steps: list[str]
    difference: str
    """Of the schema, as a unified diff."""
    restored: bool | None
    """Whether the way back led to the same schema; None where there is none."""


def rehearse_migrate(
    path: Path, steps: Sequence[Migration] | None = None, *, to: int | None = None
) -> Rehearsal:
    """Do what :func:`migrate` would on a copy of *path*, and undo it there.

    Raises:
        MissionError: what `migrate` would raise.
        sqlite3.Error: *path* cannot be read.
    """
    known = known_migrations() if steps is None else steps

    def back(connection: sqlite3.Connection, count: int) -> object:
        return rollback(connection, count, known)

    return _rehearse(path, known, lambda copy: migrate(copy, known, to=to), back)


def rehearse_rollback(
    path: Path, count: int = 1, steps: Sequence[Migration] | None = None
) -> Rehearsal:
    """Do what :func:`rollback` would on a copy of *path*, and apply the steps there again.

    Raises:
        MissionError: what `rollback` would raise.
        sqlite3.Error: *path* cannot be read.
    """
    known = known_migrations() if steps is None else steps

    def back(connection: sqlite3.Connection, count: int) -> object:
        return migrate(connection, known, to=applied_steps(connection, known) + count)

    return _rehearse(path, known, lambda copy: rollback(copy, count, known), back)


def _rehearse(
    path: Path,
    steps: Sequence[Migration],
    there: Walk,
    back: Callable[[sqlite3.Connection, int], object],
) -> Rehearsal:
    refuse_misfit(path, steps)
    with _copy(path) as copy:
        old = schema_of(copy)
        names = there(copy)
        new = schema_of(copy)
        return Rehearsal(names, difference(old, new), _restores(copy, old, len(names), back))


def _restores(
    copy: sqlite3.Connection,
    old: dict[str, str],
    count: int,
    back: Callable[[sqlite3.Connection, int], object],
) -> bool | None:
    if count == 0:
        return True
    try:
        back(copy, count)
    except NoWayBack:
        return None
    return same_shape(schema_of(copy), old)


@contextmanager
def _copy(path: Path) -> Iterator[sqlite3.Connection]:
    with (
        TemporaryDirectory(prefix="mission-control-") as private,
        closing(open_writer(Path(private, "copy.db"))) as copy,
    ):
        copy.execute("PRAGMA synchronous=OFF")
        if path.exists():
            with closing(open_anywhere(path)) as source:
                source.backup(copy)
        yield copy
