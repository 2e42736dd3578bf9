"""Which tasks are stranded: those that stay where no task stays."""

from __future__ import annotations

import attrs
import pytest

from mission_control.actors import Because, Reason
from mission_control.actors._liveness import BRIEF, LOOKS, Liveness, Stranded

NEXT = Reason(Because.NEXT, "It is next in line.", agent_id="shuri:p", version=3)
RUNS = Reason(Because.RUNNING, "It runs.", agent_id="shuri:p", pulse_id="x", version=3)


def look(liveness: Liveness, reason: Reason, *, orphaned: bool = False) -> tuple[Stranded, ...]:
    return liveness.look({"task": reason}, {"task"} if orphaned else set())


@pytest.mark.parametrize("because", BRIEF)
def test_a_task_that_stays_on_its_way_is_stranded(because: Because) -> None:
    liveness, reason = Liveness(), attrs.evolve(NEXT, because=because)
    found = [look(liveness, reason) for _ in range(LOOKS)]
    assert found[:-1] == [()] * (LOOKS - 1)
    assert found[-1] == (Stranded("task", reason, news=True),)


def test_it_is_told_once_and_found_until_it_goes_on() -> None:
    liveness = Liveness()
    found = [look(liveness, NEXT) for _ in range(LOOKS + 2)]
    assert [each.news for looks in found for each in looks] == [True, False, False]
    assert look(liveness, RUNS) == ()
    assert look(liveness, NEXT) == ()


def test_a_task_that_anything_happened_to_meanwhile_is_not() -> None:
    liveness = Liveness()
    for version in range(10):
        assert look(liveness, attrs.evolve(NEXT, version=version)) == ()


def test_an_attempt_that_nobody_follows_is_and_one_that_is_followed_is_not() -> None:
    followed, orphaned = Liveness(), Liveness()
    for _ in range(LOOKS):
        assert look(followed, RUNS) == ()
    assert [bool(look(orphaned, RUNS, orphaned=True)) for _ in range(LOOKS)][-1]


@pytest.mark.parametrize("because", [each for each in Because if each not in BRIEF])
def test_what_waits_for_somebody_or_something_may_wait_for_ever(because: Because) -> None:
    liveness = Liveness()
    for _ in range(10):
        assert look(liveness, attrs.evolve(NEXT, because=because)) == ()
