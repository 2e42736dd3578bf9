"""A Gateway that keeps failing is left alone, and tried again."""

from __future__ import annotations

from contextlib import suppress

import attrs
import pytest

from mission_control.gateway_bridge._breaker import FAILURES, LONGEST_PAUSE_S, Breaker
from mission_control.storage import Deadline, Invalid, MissionError, Unavailable


@attrs.define
class Bench:
    now: float = 0.0
    breaker: Breaker = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.breaker = Breaker(lambda: self.now)

    def fail(self, times: int = 1, error: MissionError | None = None) -> None:
        for _ in range(times):
            with suppress(MissionError), self.breaker.watch("any"):
                raise error or Unavailable("no")

    def tried(self) -> bool:
        """Whether a call gets through; it ends well."""
        try:
            with self.breaker.watch("any"):
                return True
        except Unavailable:
            return False


def test_a_few_failures_leave_it_closed() -> None:
    bench = Bench()
    bench.fail(FAILURES - 1)
    assert bench.tried()
    bench.fail(FAILURES - 1)
    assert bench.tried()


def test_many_failures_in_a_row_open_it_and_the_refusal_says_for_how_long() -> None:
    bench = Bench()
    bench.fail(FAILURES, Deadline("late"))
    assert bench.breaker.is_open
    with (
        pytest.raises(Unavailable, match=r"sessions.create: .* failed 5 times") as refused,
        bench.breaker.watch("sessions.create"),
    ):
        pytest.fail("it was let through")
    assert refused.value.retry_after_ms == 1000


def test_refusals_that_are_answers_do_not_count() -> None:
    bench = Bench()
    bench.fail(FAILURES - 1)
    bench.fail(1, Invalid("bad"))
    bench.fail(FAILURES - 1)
    assert not bench.breaker.is_open


def test_after_the_pause_one_probe_is_let_through_and_closes_it() -> None:
    bench = Bench()
    bench.fail(FAILURES)
    bench.now += 1.0
    with bench.breaker.watch("probe"):
        assert not bench.tried()
    assert not bench.breaker.is_open
    assert bench.tried()


def test_a_probe_that_fails_doubles_the_pause_up_to_a_limit() -> None:
    bench = Bench()
    bench.fail(FAILURES)
    for pause_s in (1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE_S, LONGEST_PAUSE_S):
        bench.now += pause_s - 0.01
        assert not bench.tried()
        bench.now += 0.01
        bench.fail()


def test_a_probe_that_was_cancelled_leaves_room_for_the_next() -> None:
    bench = Bench()
    bench.fail(FAILURES)
    bench.now += 1.0
    with suppress(KeyboardInterrupt), bench.breaker.watch("probe"):
        raise KeyboardInterrupt
    assert bench.tried()


def test_another_life_of_the_gateway_is_given_a_new_chance() -> None:
    bench = Bench()
    bench.fail(FAILURES)
    bench.breaker.reset()
    assert bench.tried()
