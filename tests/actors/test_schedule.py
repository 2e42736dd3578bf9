"""The stagger: few sizes of gap, for ever, whoever joins."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.actors._schedule import (
    IDLE_EXCUSED,
    PHI_INVERSE,
    RETRY_LIMIT_S,
    next_after_idling,
    next_pulse,
    phase,
    retry_delay,
    times_between,
)

intervals = st.floats(0.5, 86_400.0)
slots = st.integers(0, 20_000)
times = st.floats(0.0, 4e9)


def _sizes(gaps: list[float], tolerance: float) -> int:
    ordered = sorted(gaps)
    return 1 + sum(b - a > tolerance for a, b in itertools.pairwise(ordered))


@given(st.integers(2, 2_000), intervals)
def test_gaps_between_agents_have_at_most_three_sizes(count: int, interval_s: float) -> None:
    phases = sorted(phase(slot, interval_s) for slot in range(count))
    gaps = [b - a for a, b in zip(phases, [*phases[1:], phases[0] + interval_s], strict=True)]
    assert _sizes(gaps, interval_s * 1e-9) <= 3
    # The smallest is no crowd: the golden ratio is the worst to approximate.
    assert min(gaps) > 0.38 * interval_s / count


@given(slots, intervals)
def test_a_phase_lies_inside_the_interval(slot: int, interval_s: float) -> None:
    assert 0 <= phase(slot, interval_s) < interval_s


def test_the_phases_are_those_of_the_contract() -> None:
    assert PHI_INVERSE == 0.618033988749895
    assert [round(phase(slot, 60.0), 3) for slot in range(4)] == [0.0, 37.082, 14.164, 51.246]
    assert next_pulse(0.0, 1, 60.0) == pytest.approx(37.082, abs=1e-3)
    assert next_pulse(60.0, 0, 60.0) == 120.0


@given(times, slots, intervals)
def test_the_next_pulse_is_later_by_at_most_an_interval(
    now: float, slot: int, interval_s: float
) -> None:
    at = next_pulse(now, slot, interval_s)
    assert now < at <= now + interval_s + 1e-5


@given(times, slots, intervals)
def test_pulses_follow_each_other_by_the_interval(now: float, slot: int, interval_s: float) -> None:
    first = next_pulse(now, slot, interval_s)
    second = next_pulse(first + interval_s / 2, slot, interval_s)
    assert second - first == pytest.approx(interval_s, abs=1e-5)
    third = next_pulse(now + interval_s * 1_000_000, slot, interval_s)
    assert ((third - first) / interval_s) % 1 == pytest.approx(0, abs=1e-4) or (
        (third - first) / interval_s
    ) % 1 == pytest.approx(1, abs=1e-4)


@given(st.integers(0, 10**9), slots, st.floats(1.0, 3_600.0), st.integers(0, 20))
def test_times_that_come_in_mid_run_are_counted(
    now: int, slot: int, interval_s: float, count: int
) -> None:
    first = next_pulse(float(now), slot, interval_s)
    between = first + (count - 0.5) * interval_s
    assert times_between(now, max(between, now), slot, interval_s) == count
    assert times_between(between, now, slot, interval_s) == 0 or count == 0


@given(st.integers(1, 10_000), st.floats(0.01, 60.0))
def test_delays_double_up_to_five_minutes(failures: int, base_s: float) -> None:
    delay, after = retry_delay(failures, base_s), retry_delay(failures + 1, base_s)
    assert base_s <= delay <= RETRY_LIMIT_S
    assert after == min(2 * delay, RETRY_LIMIT_S) or failures > 30
    assert retry_delay(1, base_s) == base_s


@given(times, slots, st.floats(1.0, 7_200.0), st.integers(0, 200))
def test_who_idles_rests_for_twice_as_many_intervals_each_time_up_to_a_limit(
    now: float, slot: int, interval_s: float, idle: int
) -> None:
    at = next_after_idling(now, slot, interval_s, idle, 3_600.0)
    longest_s = max(interval_s, min(interval_s * 2.0 ** max(idle - IDLE_EXCUSED, 0), 3_600.0))
    assert longest_s - interval_s - 1e-5 < at - now <= longest_s + 1e-5
    times_since = (at - next_pulse(now, slot, interval_s)) / interval_s
    assert times_since == pytest.approx(round(times_since), abs=1e-4)


@given(times, slots, intervals, st.integers(0, 200))
def test_without_a_limit_on_rest_or_after_few_attempts_the_schedule_holds(
    now: float, slot: int, interval_s: float, idle: int
) -> None:
    due = next_pulse(now, slot, interval_s)
    assert next_after_idling(now, slot, interval_s, idle, 0.0) == due
    assert next_after_idling(now, slot, interval_s, IDLE_EXCUSED, 3_600.0) == due
