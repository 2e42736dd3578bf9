"""Budgets: what pulses take is counted by the day, and where nothing is left none is begun."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mission_control.storage import US, Budget, BudgetLevel, Invalid, NotFound, day_of, next_day
from mission_control.storage import commands as c
from storage_bench import Bench

AGENT = "shuri:p"
DAY_S = 86_400


@pytest.fixture
def project(bench: Bench) -> str:
    project = bench.project().id
    bench.agent(project)
    bench.task(project)
    return project


def spend(bench: Bench, tokens: int | None = None, cost_usd: float | None = None) -> None:
    bench.end(bench.begin(AGENT), tokens=tokens, cost_usd=cost_usd)


def budget(bench: Bench, project_id: str | None) -> Budget:
    found = bench.reads.budget(project_id)
    assert found is not None
    return found


def may_begin(bench: Bench) -> bool:
    """Whether a pulse would be begun now, by what is read and by the command itself."""
    pulse = bench.do(c.BeginPulse(AGENT, "process", triggered=True))
    if pulse is not None:
        bench.end(pulse)
    agent = bench.reads.agent(AGENT)
    assert bench.reads.has_work(agent, bench.clock.now_us()) is (pulse is not None)
    return pulse is not None


def events(bench: Bench) -> list[str]:
    return [change.kind for change in bench.reads.changes(0) if change.entity == "budgets"]


def test_without_a_budget_nothing_is_counted_and_everything_runs(
    bench: Bench, project: str
) -> None:
    spend(bench, 10**9, 1e6)
    assert bench.reads.budgets() == []
    assert may_begin(bench)


@pytest.mark.parametrize(
    ("limits", "taken"),
    [({"tokens_per_day": 100}, (100, None)), ({"cost_usd_per_day": 0.5}, (None, 0.5))],
)
@pytest.mark.parametrize("of", ["p", None])
def test_where_a_limit_is_reached_no_pulse_is_begun_until_the_next_day(
    bench: Bench, project: str, of: str | None, limits: dict[str, Any], taken: tuple[Any, Any]
) -> None:
    bench.do(c.SetBudget(of, **limits))
    assert may_begin(bench)
    spend(bench, *taken)
    assert not may_begin(bench)
    assert bench.reads.spent_budget(project, bench.clock.now_us()) == budget(bench, of)
    bench.clock.at_us = next_day(bench.clock.now_us()) - 2 * US
    assert not may_begin(bench), "a second before midnight"
    assert may_begin(bench), "at midnight"
    spend(bench, *taken)
    assert not may_begin(bench)


def test_a_budget_that_is_raised_or_lifted_lets_pulses_begin(bench: Bench, project: str) -> None:
    bench.do(c.SetBudget("p", 100))
    spend(bench, 120)
    bench.do(c.SetBudget("p", 120))
    assert not may_begin(bench)
    bench.do(c.SetBudget("p", 121))
    assert may_begin(bench)
    bench.do(c.SetBudget("p", 1))
    assert not may_begin(bench)
    bench.do(c.SetBudget("p"))
    assert may_begin(bench)


def test_what_was_spent_before_there_was_a_budget_counts(bench: Bench, project: str) -> None:
    spend(bench, 70, 0.2)
    bench.clock.advance(DAY_S)
    spend(bench, 10, 0.1)
    spend(bench, 5)
    for of in ("p", None):
        bench.do(c.SetBudget(of, 15))
        found = budget(bench, of)
        assert (found.tokens, found.cost_usd, found.level) == (15, 0.1, BudgetLevel.SPENT)
        assert found.day == day_of(bench.clock.now_us())


def test_a_pulse_that_runs_over_midnight_counts_on_the_day_on_which_it_ends(
    bench: Bench, project: str
) -> None:
    bench.do(c.SetBudget("p", 100))
    pulse = bench.begin(AGENT)
    bench.clock.advance(DAY_S)
    bench.end(pulse, tokens=99)
    assert budget(bench, "p").tokens == 99
    bench.do(c.SetBudget(None, 100))
    assert budget(bench, None).tokens == 99


def test_the_budget_of_one_project_stops_no_other_and_that_of_the_home_stops_all(
    bench: Bench, project: str
) -> None:
    bench.agent(bench.project("Q").id)
    bench.task("q")
    bench.do(c.SetBudget("p", 1))
    bench.do(c.SetBudget(None, 3))
    spend(bench, 2)
    assert not may_begin(bench)
    other = bench.begin("shuri:q")
    bench.end(other, tokens=1)
    assert budget(bench, None).tokens == 3
    assert bench.do(c.BeginPulse("shuri:q", "process", triggered=True)) is None


def test_somebody_is_warned_once_at_the_share_and_told_once_of_the_end(
    bench: Bench, project: str
) -> None:
    bench.do(c.SetBudget("p", 100))
    for tokens in (79, 1, 19, 1):
        spend(bench, tokens)
    assert events(bench) == [
        "budget_updated",
        "budget_updated",
        "budget_charged",
        "budget_short",
        "budget_charged",
        "budget_spent",
    ]
    bench.clock.advance(DAY_S)
    spend(bench, 90)
    assert events(bench)[-1] == "budget_short", "on the next day again"


def test_the_share_of_the_warning_can_be_chosen(bench: Bench, project: str) -> None:
    bench.do(c.SetBudget("p", 100, warn_at=0.5))
    spend(bench, 50)
    assert budget(bench, "p").level is BudgetLevel.SHORT


def test_pulses_that_report_nothing_or_nonsense_take_nothing(bench: Bench, project: str) -> None:
    bench.do(c.SetBudget("p", 100))
    spend(bench)
    spend(bench, -50, -1.0)
    found = budget(bench, "p")
    assert (found.tokens, found.cost_usd) == (0, 0.0)


def test_a_budget_of_nothing_begins_nothing(bench: Bench, project: str) -> None:
    bench.do(c.SetBudget("p", 0))
    assert not may_begin(bench)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tokens_per_day", -1),
        ("cost_usd_per_day", -0.01),
        ("cost_usd_per_day", math.inf),
        ("tokens_per_day", 10**30),
        ("cost_usd_per_day", math.nan),
        ("warn_at", 0.0),
        ("warn_at", 1.1),
        ("warn_at", math.nan),
    ],
)
def test_a_limit_below_zero_is_refused_by_its_name(
    bench: Bench, project: str, field: str, value: Any
) -> None:
    seq = bench.reads.last_seq()
    with pytest.raises(Invalid, match=field) as refusal:
        bench.do(c.SetBudget("p", **{field: value}))
    assert refusal.value.details["field"] == field
    assert bench.reads.last_seq() == seq


def test_there_is_no_budget_for_a_project_that_is_not_there(bench: Bench) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        bench.do(c.SetBudget("nowhere", 1))


def test_days_begin_at_midnight_utc() -> None:
    noon = 1_767_268_800 * US  # 2026-01-01T12:00:00Z
    assert day_of(noon) == "2026-01-01"
    midnight = next_day(noon)
    assert day_of(midnight - 1) == "2026-01-01"
    assert day_of(midnight) == "2026-01-02"
    assert next_day(midnight) == midnight + DAY_S * US


def test_a_clock_that_is_set_back_gives_no_budget_out_again(bench: Bench, project: str) -> None:
    bench.do(c.SetBudget(project, tokens_per_day=100))
    bench.clock.advance(10 * DAY_S)
    spend(bench, 100)
    for back in (1, 1):
        bench.clock.advance(-back * DAY_S)
        assert not may_begin(bench)
    bench.clock.advance(2 * DAY_S)
    assert not may_begin(bench)
    bench.clock.advance(DAY_S)
    assert may_begin(bench)


def test_a_clock_that_was_days_ahead_does_not_keep_the_budget_spent(
    bench: Bench, project: str
) -> None:
    bench.do(c.SetBudget(project, tokens_per_day=100))
    bench.clock.advance(10 * DAY_S)
    spend(bench, 100)
    bench.clock.advance(-10 * DAY_S)
    assert may_begin(bench)
    spend(bench, 100)
    assert not may_begin(bench)
