"""Questions about what pulses may take."""

from __future__ import annotations

from .._records import Budget
from .._table import BUDGETS
from ..commands.budgets import HOLDING, HOME, spent_budget
from ._ask import Questions


class BudgetQuestions(Questions):
    """What may be spent."""

    def budget(self, project_id: str | None) -> Budget | None:
        """Return the budget of a project, or of the home; None where nobody set one."""
        return BUDGETS.get(self._open, project_id or HOME)

    def budgets(self) -> list[Budget]:
        """Return all budgets, the home's first."""
        return BUDGETS.all(self._open, "ORDER BY id")

    def spent_budget(self, project_id: str, now_us: int) -> Budget | None:
        """Return the budget that keeps a project's pulses from being begun, if one does."""
        return spent_budget(BUDGETS.all(self._open, HOLDING, project_id), now_us)
