"""What was spent, counted beside the product: nothing may be begun on a budget that is spent."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs

from mission_control.storage import US, Change

HOME = "*"


@attrs.define
class Purse:
    """One budget, as its row says, and what we have counted on its day."""

    row: dict[str, Any]
    tokens: int
    cost_usd: float

    def is_spent(self, at_us: int) -> bool:
        """Whether nothing may be begun on it at this time."""
        pairs = (
            (self.tokens, self.row["tokens_per_day"]),
            (self.cost_usd, self.row["cost_usd_per_day"]),
        )
        today = self.row["day"] == str(datetime.fromtimestamp(at_us / US, UTC).date())
        return today and any(limit is not None and taken >= limit for taken, limit in pairs)

    def agrees(self) -> bool:
        """Whether the row says what we have counted."""
        same_cost = math.isclose(self.row["cost_usd"], self.cost_usd, abs_tol=1e-9)
        return bool(self.row["tokens"] == self.tokens) and same_cost


@attrs.define
class Purses:
    """All budgets of a world."""

    fail: Callable[[str], None]
    _purses: dict[str, Purse] = attrs.field(factory=dict)

    def set_or_charged(self, id_: str, row: dict[str, Any] | None) -> None:
        """Follow a budget's row; what is counted on a new day begins with what the row says."""
        if row is None:
            self._purses.pop(id_, None)
            return
        purse = self._purses.get(row["id"])
        if purse is None or purse.row["day"] != row["day"]:
            self._purses[row["id"]] = Purse(row, row["tokens"], row["cost_usd"])
        else:
            purse.row = row

    def begun(self, change: Change, pulse: dict[str, Any]) -> None:
        """Look whether this attempt might be begun."""
        for purse in self._holding(pulse):
            if purse.is_spent(change.at):
                self.fail(f"an attempt was begun on a spent budget: {purse.row}")

    def ended(self, pulse: dict[str, Any]) -> None:
        """Count what an attempt has taken."""
        for purse in self._holding(pulse):
            purse.tokens += pulse["tokens"] or 0
            purse.cost_usd += pulse["cost_usd"] or 0.0

    def compare(self) -> None:
        """Look whether all rows say what was taken, after a commit."""
        for purse in self._purses.values():
            if not purse.agrees():
                counted = f"{purse.tokens} tokens, {purse.cost_usd} USD"
                self.fail(f"a budget does not say what was taken, {counted}: {purse.row}")

    def _holding(self, pulse: dict[str, Any]) -> list[Purse]:
        ids = (HOME, pulse["project_id"])
        return [self._purses[id_] for id_ in ids if id_ in self._purses]
