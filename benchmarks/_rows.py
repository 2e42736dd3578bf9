"""The numbers that a benchmark prints, with what they are to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import attrs
from rich.table import Table

LARGE: Final = ("x", "/s", "at once")
"""Units of what is to be large: anything else is to be small."""


@attrs.frozen
class Row:
    """One number of the result."""

    key: str
    what: str
    unit: Literal["x", "/s", "at once", "B", "ms", "s", "%", ""]
    bar: float
    goal: float | None = None

    def reaches(self, limit: float, value: float) -> bool:
        """Whether *value* is as good as *limit*."""
        return value >= limit if self.unit in LARGE else value <= limit

    def verdict(self, value: float) -> str:
        """What *value* reaches."""
        if self.goal is not None and self.reaches(self.goal, value):
            return "goal"
        return "bar" if self.reaches(self.bar, value) else "missed"


def table_of(title: str, rows: Sequence[Row], values: Mapping[str, float]) -> Table:
    """Show *values* beside their bars."""
    table = Table("key", "measures", title=title)
    for column in ("value", "bar", "reaches"):
        table.add_column(column, justify="right")
    for row in rows:
        value = values[row.key]
        cells = [f"{number:,.4g} {row.unit}".rstrip() for number in (value, row.bar)]
        table.add_row(row.key, row.what, *cells, row.verdict(value))
    return table
