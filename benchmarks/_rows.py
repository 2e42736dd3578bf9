"""The numbers that a benchmark prints, with what they are to be."""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.frozen
class Row:
    """One number of the result."""

    key: str
    what: str
    unit: Literal["x", "B", "ms"]
    bar: float
    goal: float

    def reaches(self, limit: float, value: float) -> bool:
        """A ratio is to be large, and anything else small."""
        return value >= limit if self.unit == "x" else value <= limit

    def verdict(self, value: float) -> str:
        """What *value* reaches."""
        if self.reaches(self.goal, value):
            return "goal"
        return "bar" if self.reaches(self.bar, value) else "missed"
