"""What pulses may take in a day: counted when they end, looked at before one is begun."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import attrs

from .._clock import US
from .._days import day_of, days_between, midnight
from .._errors import Invalid
from .._records import Budget, BudgetLevel
from .._registry import register
from .._table import BUDGETS, PROJECTS
from .._transaction import Command, Transaction

HOME = "*"
"""The id of the budget that holds for all projects together: no project can have it."""

BUDGET_UPDATED = "budget_updated"
"""Somebody set it."""
BUDGET_CHARGED = "budget_charged"
"""A pulse took some of it."""
BUDGET_SHORT, BUDGET_SPENT = "budget_short", "budget_spent"
"""It has come to that level."""

_EVENTS = {BudgetLevel.SHORT: BUDGET_SHORT, BudgetLevel.SPENT: BUDGET_SPENT}

WARN_AT = 0.8
HIGHEST_LIMIT = 10**15

MOST_TOKENS, MOST_COST_USD = 10**12, 1e9
"""More than any attempt takes: who reports more is believed that much, and sums stay numbers."""
SET_BACK_DAYS = 2
"""By how much a clock may be set back; one that was further ahead had been wrong."""

HOLDING = "WHERE id IN (?, '*') ORDER BY id"
"""The budgets that the pulses of a project are held to.  Asked with the project."""
_SPENT = """
SELECT coalesce(sum(tokens), 0), coalesce(sum(cost_usd), 0.0) FROM pulses
 WHERE project_id = ? AND started_at >= ? AND ended_at >= ?
"""


def spent_budget(budgets: Iterable[Budget], at_us: int) -> Budget | None:
    """Return the first of *budgets* of which nothing is left on the day of *at_us*."""
    spent = (each for each in budgets if level_on(each, at_us) is BudgetLevel.SPENT)
    return next(spent, None)


def level_on(budget: Budget, at_us: int) -> BudgetLevel:
    """Return how much of a budget is left on the day of *at_us*."""
    return _level(_on(budget, day_of(at_us)))


def budgets_holding(tx: Transaction, project_id: str) -> list[Budget]:
    """Return the budgets that the pulses of a project are held to: the home's, and its own."""
    return tx.all(BUDGETS, HOLDING, project_id)


@register
@attrs.frozen
class SetBudget(Command[Budget]):
    """Say what may be spent a day; what is spent already today counts."""

    project_id: str | None
    """None: by all projects together."""
    tokens_per_day: int | None = None
    """None: without limit; so is the cost."""
    cost_usd_per_day: float | None = None
    warn_at: float = WARN_AT
    """The share of either at which somebody is warned."""

    RESULT: ClassVar[type] = Budget

    def apply(self, tx: Transaction) -> Budget:
        """Refuses a limit below zero, and a share that is none."""
        self._check()
        if self.project_id is not None:
            tx.get(PROJECTS, self.project_id)
        id_ = self.project_id or HOME
        old = tx.find(BUDGETS, "WHERE id = ?", id_)
        if old is None:
            old = tx.insert(BUDGETS, self._first(tx, id_), BUDGET_UPDATED)
        limited = attrs.evolve(
            _on(old, day_of(tx.at)),
            tokens_per_day=self.tokens_per_day,
            cost_usd_per_day=self.cost_usd_per_day,
            warn_at=self.warn_at,
        )
        return _put(tx, limited, BUDGET_UPDATED)

    def _check(self) -> None:
        for field in ("tokens_per_day", "cost_usd_per_day"):
            limit = getattr(self, field)
            if limit is not None and not 0 <= limit <= HIGHEST_LIMIT:
                message = f"{field} must be 0 to {HIGHEST_LIMIT}, not {limit}"
                raise Invalid(message, field=field)
        if not 0 < self.warn_at <= 1:
            message = f"warn_at must be a share, more than 0 and at most 1, not {self.warn_at}"
            raise Invalid(message, field="warn_at")

    def _first(self, tx: Transaction, id_: str) -> Budget:
        tokens, cost_usd = _spent_today(tx, self.project_id)
        return Budget(
            id=id_,
            project_id=self.project_id,
            tokens_per_day=None,
            cost_usd_per_day=None,
            warn_at=WARN_AT,
            day=day_of(tx.at),
            tokens=tokens,
            cost_usd=cost_usd,
            level=BudgetLevel.AMPLE,
            created_at=tx.at,
            updated_at=tx.at,
        )


def believed(tokens: int | None, cost_usd: float | None) -> tuple[int | None, float | None]:
    """Return what an attempt took, of what its runner says that it took."""
    return (
        None if tokens is None else min(max(0, tokens), MOST_TOKENS),
        None if cost_usd is None else min(max(0.0, cost_usd), MOST_COST_USD),  # not a NaN either
    )


def charge(tx: Transaction, project_id: str, tokens: int | None, cost_usd: float | None) -> None:
    """Count what a pulse took against the budgets that it is held to.

    It counts on the day on which it becomes known: so no pulse that runs over midnight is free.
    """
    if not tokens and not cost_usd:
        return
    for budget in budgets_holding(tx, project_id):
        today = _on(budget, day_of(tx.at))
        charged = attrs.evolve(
            today,
            tokens=today.tokens + (tokens or 0),
            cost_usd=today.cost_usd + (cost_usd or 0.0),
        )
        _put(tx, charged, BUDGET_CHARGED)


def _put(tx: Transaction, budget: Budget, event: str) -> Budget:
    level = _level(budget)
    if level is not budget.level:
        event = _EVENTS.get(level, event)
    return tx.put(BUDGETS, budget, event, level=level)


def _on(budget: Budget, day: str) -> Budget:
    """Return *budget* as it is on *day*: a later one begins with nothing spent.

    An earlier one does not, or a clock that is set back would give the day's budget out again.
    """
    if 0 <= days_between(day, budget.day) <= SET_BACK_DAYS:
        return budget
    return attrs.evolve(budget, day=day, tokens=0, cost_usd=0.0, level=BudgetLevel.AMPLE)


def _level(budget: Budget) -> BudgetLevel:
    pairs = (
        (budget.tokens, budget.tokens_per_day),
        (budget.cost_usd, budget.cost_usd_per_day),
    )
    limited = [(taken, limit) for taken, limit in pairs if limit is not None]
    if any(taken >= limit for taken, limit in limited):
        return BudgetLevel.SPENT
    if any(taken >= limit * budget.warn_at for taken, limit in limited):
        return BudgetLevel.SHORT
    return BudgetLevel.AMPLE


def _spent_today(tx: Transaction, project_id: str | None) -> tuple[int, float]:
    """Sum up what ended today, of pulses that were begun yesterday at the earliest."""
    begin = midnight(tx.at)
    mine = [project_id] if project_id is not None else _projects(tx)
    tokens, cost_usd = 0, 0.0
    for each in mine:
        row = tx.connection.execute(_SPENT, [each, begin - 86_400 * US, begin]).fetchone()
        tokens, cost_usd = tokens + int(row[0]), cost_usd + float(row[1])
    return tokens, cost_usd


def _projects(tx: Transaction) -> list[str]:
    return [row[0] for row in tx.connection.execute("SELECT id FROM projects").fetchall()]
