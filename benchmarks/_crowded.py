"""Databases with much in them, made by SQL alone: the log is left out, and nothing is synced."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from mission_control.storage import migrate, open_writer

PROJECT: Final = "bench"
TASKS: Final = 100_000
OPEN_TASKS: Final = 1_000
EVENTS: Final = 1_000_000
STREAM: Final = 100
"""Events of each task that has any."""

_NUMBERS = "WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted LIMIT {})"


def task_id(number: int) -> str:
    """Return the id of a task; the open ones are numbered 0, 100, 200, ..."""
    return f"{number:08x}-0000-7000-8000-{number:012x}"


def _id(number: str) -> str:
    return f"printf('%08x-0000-7000-8000-%012x', {number}, {number})"


def crowd_board(path: Path, share: float = 1.0) -> None:
    """Make a project of 100,000 tasks, of which 1,000 are open, and of 1,000,000 events.

    Args:
        path: where there is no file yet.
        share: make only so much of the events.
    """
    with _filling(path) as connection:
        _add_tasks(connection, TASKS, open_every=TASKS // OPEN_TASKS)
        _log_events(connection, int(EVENTS * share), "'I read the failing test number ' || n")


def crowd_file(path: Path, size_bytes: int) -> None:
    """Make a database of *size_bytes*, or a little more: thoughts of a kilobyte each."""
    with _filling(path) as connection:
        _add_tasks(connection, 100, open_every=1)
        _log_events(connection, size_bytes // 1_330, f"'{'so ' * 333}' || n")


def _add_tasks(connection: sqlite3.Connection, count: int, *, open_every: int) -> None:
    connection.execute(
        f"""
        INSERT INTO tasks(id, project_id, title, description, status, assignee, priority,
          labels, side_effects, due_at, attempts, failures, not_before, created_by,
          created_at, updated_at, version)
        {_NUMBERS.format(count)}
        SELECT {_id("n")}, '{PROJECT}', 'Task number ' || n, 'What is to be done, and why: ' || n,
          iif(n % {open_every}, iif(n % 3, 4, 2), iif(n % {7 * open_every}, 0, 3)),
          'soul-' || (n % 20), 1 + n % 5, '["backend","urgent"]', 0, NULL, 0, 0, NULL,
          'operator', n, n, 1
        FROM counted"""  # noqa: S608 - our own numbers
    )


def _log_events(connection: sqlite3.Connection, count: int, thought: str) -> None:
    # The events of one task lie far apart: the next comes after those of all the others.
    connection.execute(
        f"""
        INSERT INTO task_events(id, project_id, task_id, kind, thought, action, at)
        {_NUMBERS.format(count)}
        SELECT {_id("n")}, '{PROJECT}', {_id(f"n % {max(1, count // STREAM)}")},
          'thought', {thought}, 'run it alone', n
        FROM counted"""  # noqa: S608 - our own numbers
    )


@contextmanager
def _filling(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(path)) as connection:
        migrate(connection)
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-200000")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO meta VALUES('epoch', ?)", [secrets.token_hex(6)])
        connection.execute(
            "INSERT INTO projects(id, name, state, base_id, created_at, updated_at, version)"
            " VALUES(?, 'Bench', 'archived', NULL, 0, 0, 1)",
            [PROJECT],
        )
        yield connection
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _sync(path)


def _sync(path: Path) -> None:
    """Leave nothing to be written while something is measured."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
