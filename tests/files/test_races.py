"""Nobody gets out by exchanging what a name stands for while an operation runs."""

from __future__ import annotations

import pytest

from files_corpus import OPENERS
from files_races import RACES
from files_sandbox import CHAOS, NAMESPACES, PATIENCE_S, run_in_sandbox

ROUNDS = 100_000 if CHAOS else 150


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S + 60)
@pytest.mark.parametrize("opener", OPENERS)
def test_no_operation_is_led_out_by_an_exchange(opener: str) -> None:
    tallies = run_in_sandbox("files_races:races", opener=opener, rounds=ROUNDS)
    assert tallies.keys() == RACES.keys()
    for name, tally in tallies.items():
        assert tally["escapes"] == 0, name
        assert tally["attempts"] >= ROUNDS, name
        assert tally["exchanges"] > 0, name


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S + 60)
def test_the_same_attacker_beats_a_jail_that_compares_paths() -> None:
    result = run_in_sandbox("files_races:naive")
    assert result["kinds"] == 2, "the attacker did not run"
    assert result["escapes"] > 0 or result["sandbox"] != NAMESPACES
