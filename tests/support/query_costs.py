"""What statements cost on a database with much in it: their plans, and SQLite's steps."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs

STEPS_A_CALL: Final = 50
"""How often SQLite's progress is looked at, in instructions of its virtual machine."""


@attrs.frozen
class Asked:
    """One statement, with the values that it was asked with and what it took."""

    sql: str
    values: tuple[Any, ...]
    steps: int
    rows: int


@attrs.define
class Answer:
    """All rows of a statement, read at once, in the manner of a cursor."""

    rows: list[Any]
    rowcount: int

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def fetchone(self) -> Any:
        return self.rows.pop(0) if self.rows else None

    def fetchall(self) -> list[Any]:
        return self.rows


class WatchedConnection:
    """As much of `sqlite3.Connection` as commands and questions use; notes every statement."""

    def __init__(self, inner: sqlite3.Connection) -> None:
        self._inner = inner
        self._calls = 0
        self.asked: list[Asked] = []

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Answer:
        self._calls = 0
        self._inner.set_progress_handler(self._count, STEPS_A_CALL)
        try:
            cursor = self._inner.execute(sql, values)
            rows = cursor.fetchall()
        finally:
            self._inner.set_progress_handler(None, 0)
        self.asked.append(Asked(sql, tuple(values), self._calls * STEPS_A_CALL, len(rows)))
        return Answer(rows, cursor.rowcount)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        for values in rows:
            self.execute(sql, values)

    def plan(self, asked: Asked) -> list[str]:
        """What SQLite would do, asked with the values bound: written out, they may allow more."""
        rows = self._inner.execute(f"EXPLAIN QUERY PLAN {asked.sql}", asked.values)
        return [row[3] for row in rows]

    def close(self) -> None:
        """It is its giver's."""

    def _count(self) -> int:
        self._calls += 1
        return 0


_SCAN = re.compile(r"SCAN (?!\d+ CONSTANT ROWS)(\w+)")


def scanned(plan: list[str], small: set[str]) -> list[str]:
    """Return the steps that read through all of something, other than what is *small*."""
    return [
        step
        for step in plan
        if (found := _SCAN.match(step)) and found[1] not in small | {"CONSTANT", "json_each"}
    ]
