"""What one caller may take: pure counting."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.gateway_bridge import _limits
from mission_control.gateway_bridge._limits import Allowance, Allowances, Limits, Seats
from mission_control.storage import Limited


def test_an_allowance_is_a_burst_and_then_a_rate() -> None:
    allowance = Allowance(per_s=2.0, burst=3.0)
    assert [allowance.take(10.0) for _ in range(3)] == [0, 0, 0]
    assert allowance.take(10.0) == 0.5
    assert allowance.wait(10.25) == 0.25
    assert allowance.take(10.5) == 0
    assert allowance.take(10.5) == 0.5


def test_what_was_not_used_for_long_is_no_more_than_the_burst() -> None:
    allowance = Allowance(per_s=2.0, burst=3.0)
    allowance.take(0.0)
    assert [allowance.take(1e9) for _ in range(4)] == [0, 0, 0, 0.5]


@given(
    st.floats(0.1, 1000),
    st.floats(1, 100),
    st.lists(st.floats(0, 10), min_size=1, max_size=200),
)
def test_nobody_gets_more_than_the_burst_and_the_rate_together(
    per_s: float, burst: float, pauses: list[float]
) -> None:
    allowance, now, taken = Allowance(per_s, burst), 0.0, 0
    for pause in pauses:
        now += pause
        taken += not allowance.take(now)
    assert taken <= burst + now * per_s + 1e-6


def test_each_name_has_its_own_allowance_and_keeps_it() -> None:
    allowances = Allowances(per_s=1.0, burst=1.0)
    assert allowances.of("a") is allowances.of("a")
    assert allowances.of("a").take(0.0) == 0
    assert allowances.of("b").take(0.0) == 0
    assert allowances.of("a").take(0.0) == 1


def test_names_that_were_away_longest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_limits, "MAX_REMEMBERED", 2)
    allowances = Allowances(per_s=1.0, burst=1.0)
    first, second = allowances.of("first"), allowances.of("second")
    assert allowances.of("first") is first
    allowances.of("third")
    assert allowances.of("first") is first
    assert allowances.of("second") is not second


def test_connections_are_limited_for_each_and_for_all_and_given_back() -> None:
    seats = Seats(Limits(connections=3, connections_each=2))
    with ExitStack() as held:
        held.enter_context(seats.taken("a"))
        held.enter_context(seats.taken("a"))
        with pytest.raises(Limited, match="a has 2 connections") as refusal, seats.taken("a"):
            pass
        assert refusal.value.retry_after_ms
        held.enter_context(seats.taken("b"))
        with pytest.raises(Limited, match="all 3 connections are taken"), seats.taken("c"):
            pass
    with seats.taken("c"), seats.taken("c"), seats.taken("a"):
        pass


def test_agents_leave_half_of_the_connections_to_others() -> None:
    seats = Seats(Limits(connections=4, connections_each=4, agent_connections_each=1))
    with ExitStack() as held:
        held.enter_context(seats.taken("a:p", is_agent=True))
        with (
            pytest.raises(Limited, match="agent_connections_each"),
            seats.taken("a:p", is_agent=True),
        ):
            pass
        held.enter_context(seats.taken("b:p", is_agent=True))
        with pytest.raises(Limited, match="all 2 connections"), seats.taken("c:p", is_agent=True):
            pass
        held.enter_context(seats.taken("operator"))
        held.enter_context(seats.taken("operator"))
        with pytest.raises(Limited, match="all 4 connections"), seats.taken("operator"):
            pass


@pytest.mark.parametrize("wrong", [{"strangers": 0}, {"calls_per_s": 0.0}, {"headers": -1}])
def test_a_limit_of_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=min(wrong)):
        Limits(**wrong)  # type: ignore[arg-type]
