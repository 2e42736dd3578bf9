"""Going up and down the schema's history, a transaction a step."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from .._errors import Conflict, Invalid
from ._fit import applied_steps
from ._ledger import enter, strike
from ._migration import Migration, known_migrations
from ._script import keys_unchecked, run_script, transaction


class NoWayBack(Conflict):
    """A step cannot be undone."""


def migrate(
    connection: sqlite3.Connection,
    steps: Sequence[Migration] | None = None,
    *,
    to: int | None = None,
    before: Callable[[], object] | None = None,
) -> list[str]:
    """Apply what is missing, each step in a transaction of its own; return the names applied.

    Safe beside another process that does the same: who comes second finds it done.

    Args:
        connection: from :func:`open_writer`, without a transaction.
        steps: all steps; those that this program knows by default.
        to: the number of the last step to apply; by default, apply all.
        before: is called once, where there is something to apply and something to lose.

    Raises:
        SchemaMismatch: the database and *steps* do not fit.
        Invalid: *to* is no step, or the database is beyond it.
        MigrationFailed: a step failed.
        sqlite3.Error: the file cannot be used.
    """
    steps = known_migrations() if steps is None else steps
    at = applied_steps(connection, steps)
    target = len(steps) if to is None else _target(to, at, steps)
    if before is not None and 0 < at < target:
        before()
    with keys_unchecked(connection):
        return list(iter(lambda: _up(connection, steps, target), None))


def _target(to: int, at: int, steps: Sequence[Migration]) -> int:
    if not 1 <= to <= len(steps):
        raise Invalid(f"there is no migration {to}: known are 1 to {len(steps)}", field="to")
    if to < at:
        raise Invalid(
            f"the database is at migration {at}, beyond {to}: go back with"
            f" `mission-control db rollback --steps {at - to}`",
            field="to",
        )
    return to


def _up(connection: sqlite3.Connection, steps: Sequence[Migration], target: int) -> str | None:
    """Apply one step; return its name, or None where *target* is reached."""
    with transaction(connection):
        # Again, now that nobody else can write: another process may have been faster.
        at = applied_steps(connection, steps)
        if at >= target:
            return None
        step = steps[at]
        run_script(connection, step.name, step.up)
        enter(connection, step)
        return step.name


def rollback(
    connection: sqlite3.Connection,
    count: int = 1,
    steps: Sequence[Migration] | None = None,
    *,
    before: Callable[[], object] | None = None,
) -> list[str]:
    """Undo the last *count* steps, newest first; return their names.

    Each is undone in a transaction of its own.

    Args:
        connection: from :func:`open_writer`, without a transaction.
        count: how many.
        steps: all steps; those that this program knows by default.
        before: is called once, before the first.

    Raises:
        SchemaMismatch: the database and *steps* do not fit.
        Invalid: there are not so many.
        NoWayBack: one of them cannot be undone; nothing was.
        MigrationFailed: a step failed.
        sqlite3.Error: the file cannot be used.
    """
    steps = known_migrations() if steps is None else steps
    at = applied_steps(connection, steps)
    if not 1 <= count <= at:
        raise Invalid(
            f"cannot undo {count} migrations: the database has {at}", field="steps", applied=at
        )
    target = at - count
    for step in reversed(steps[target:at]):
        _way_back(step)
    if before is not None:
        before()
    with keys_unchecked(connection):
        return list(iter(lambda: _down(connection, steps, target), None))


def _way_back(step: Migration) -> str:
    if step.down is None:
        raise NoWayBack(
            f"migration {step.name} cannot be undone: restore the backup that was made before it"
        )
    return step.down


def _down(connection: sqlite3.Connection, steps: Sequence[Migration], target: int) -> str | None:
    """Undo one step; return its name, or None where *target* is reached."""
    with transaction(connection):
        at = applied_steps(connection, steps)
        if at <= target:
            return None
        step = steps[at - 1]
        run_script(connection, step.name, _way_back(step))
        strike(connection, step)
        return step.name
