"""The deadman: who is silent dies, who announced it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.actors._deadman import MAX_EXPECTED_SILENCE_S, Deadman


def test_an_agent_that_is_silent_for_the_limit_is_dead_and_told_why() -> None:
    deadman = Deadman(300.0, last_sign=1_000.0)
    assert deadman.dies_at == 1_300.0
    assert deadman.verdict(1_299.9) is None
    assert deadman.verdict(1_301.0) == "silent for 301 s (limit 300 s), last sign: start"


def test_a_sign_of_life_begins_the_silence_anew() -> None:
    deadman = Deadman(300.0, last_sign=0.0)
    deadman.sign(299.0, "log_event")
    assert deadman.verdict(598.0) is None
    assert str(deadman.verdict(599.0)).endswith("last sign: log_event")


def test_announced_silence_is_believed_until_the_agent_says_something_else() -> None:
    deadman = Deadman(300.0, last_sign=0.0)
    deadman.sign(10.0, "log_event", expect_silence_s=1_000.0)
    assert deadman.dies_at == 1_010.0
    deadman.sign(20.0, "output")
    assert deadman.dies_at == 1_010.0
    deadman.sign(30.0, "log_event", expect_silence_s=0.0)
    assert deadman.dies_at == 330.0


@pytest.mark.parametrize("announced", [1e9, float("inf")])
def test_nobody_is_believed_for_more_than_an_hour(announced: float) -> None:
    deadman = Deadman(300.0, last_sign=0.0)
    deadman.sign(0.0, "log_event", announced)
    assert deadman.dies_at == MAX_EXPECTED_SILENCE_S


def test_how_long_an_announcement_is_believed_can_be_chosen() -> None:
    deadman = Deadman(300.0, last_sign=0.0, longest_s=1_000.0)
    deadman.sign(0.0, "log_event", expect_silence_s=5_000.0)
    assert deadman.dies_at == deadman.announced_until == 1_000.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-10, 500)), max_size=20))
def test_no_announcement_makes_an_agent_die_earlier(signs: list[tuple[float, float]]) -> None:
    deadman, now = Deadman(300.0, last_sign=0.0), 0.0
    for wait, announced in signs:
        now += wait
        deadman.sign(now, "output", announced)
        assert deadman.dies_at >= now + 300.0
        assert deadman.verdict(deadman.dies_at) is not None
