"""The shape of a database, in words that can be compared."""

from __future__ import annotations

import difflib
import re
import sqlite3
from collections.abc import Mapping

from ._ledger import TABLES


def schema_of(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the SQL of every table, index, trigger and view by name, without the ledger's."""
    found = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND tbl_name NOT IN (?, ?)"
        " ORDER BY tbl_name, type DESC, name",
        TABLES,
    )
    return dict(found)


def same_shape(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two schemas are the same but for how they are written."""
    return {name: plain(sql) for name, sql in one.items()} == {
        name: plain(sql) for name, sql in other.items()
    }


def plain(sql: str) -> str:
    """Return *sql* without what `ALTER TABLE` changes in its looks: quotes and white space."""
    unquoted = re.sub(r'"(\w+)"', r"\1", re.sub(r"--[^\n]*", "", sql))
    return re.sub(r"\s*([(),;])\s*", r"\1", re.sub(r"\s+", " ", unquoted))


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Return a unified diff of two schemas; nothing where they are the same."""
    lines = difflib.unified_diff(_lines(old), _lines(new), "before", "after", lineterm="")
    return "\n".join(lines)


def _lines(schema: Mapping[str, str]) -> list[str]:
    return [line for sql in schema.values() for line in f"{sql};".splitlines()]
