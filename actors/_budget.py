"""Budgets in words, and what a change of one means."""

from __future__ import annotations

import json
import logging

from ..storage import Budget, BudgetLevel, Change, record_of
from ..storage.commands import BUDGET_CHARGED, BUDGET_SHORT, BUDGET_SPENT

log = logging.getLogger("mission_control.budgets")


def lets_go_on(change: Change) -> bool:
    """Whether pulses may be begun after a change of a budget that were not before it.

    What pulses take only lessens it: that, the commonest of changes, need wake nobody.
    """
    if change.kind == BUDGET_CHARGED or change.after is None:
        return change.after is None
    return bool(json.loads(change.after)["level"] != BudgetLevel.SPENT.value)


def warn_of_budget(change: Change) -> None:
    """Say in the log that a budget comes to its end, or has come to it."""
    if change.kind in (BUDGET_SHORT, BUDGET_SPENT) and change.after is not None:
        budget: Budget = record_of(change.entity, change.after)
        log.warning("budget %s: %s", budget.level.value, spending(budget))


def spending(budget: Budget) -> str:
    """Say what was spent of a budget, and what may be."""
    whose = "the home" if budget.project_id is None else f"project {budget.project_id}"
    parts = []
    if budget.tokens_per_day is not None:
        parts.append(f"{budget.tokens} of {budget.tokens_per_day} tokens")
    if budget.cost_usd_per_day is not None:
        parts.append(f"{budget.cost_usd:.2f} of {budget.cost_usd_per_day:.2f} USD")
    return f"{whose} has spent {' and '.join(parts) or 'without limit'} on {budget.day} (UTC)"
