"""What the log must give back: every row of every logged table, byte for byte."""

from __future__ import annotations

import sqlite3
from typing import TypeAlias

from mission_control.storage._table import table_named
from mission_control.storage.history import State

LOGGED = (
    "projects",
    "souls",
    "agents",
    "tasks",
    "task_dependencies",
    "task_events",
    "pulses",
    "sessions",
    "help_requests",
    "messages",
    "chronicle",
    "memories",
    "budgets",
)

Images: TypeAlias = dict[str, dict[str, str]]
"""Rows as the log would write them, by table and id."""


def images_of(connection: sqlite3.Connection) -> Images:
    """Return what the tables hold."""
    return {
        name: {row[0]: table.image(list(row)) for row in connection.execute(table.select)}
        for name, table in ((name, table_named(name)) for name in LOGGED)
    }


def images_in(state: State) -> Images:
    """Return what a replay has come to."""
    return {name: dict(state.images(name)) for name in LOGGED}
