"""The two ways to open files on Linux cannot be told apart by what operations do."""

from __future__ import annotations

import pytest

from files_fuzz import STEPS
from files_sandbox import CHAOS, PATIENCE_S, run_in_sandbox

EXAMPLES = 7_500 if CHAOS else 40
"""With what is put in the way, 150,000 steps in `make chaos`."""


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S + 60)
def test_both_ways_to_open_give_the_same_answers_and_the_same_trees() -> None:
    done = run_in_sandbox("files_fuzz:differences", examples=EXAMPLES)
    assert done >= EXAMPLES * STEPS
