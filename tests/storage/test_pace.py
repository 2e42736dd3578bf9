"""How many of those who wait are written at once."""

from __future__ import annotations

import pytest

from mission_control.storage._pace import MAX_GROUP, WORTH_HALVING, Pace


def learned(each_s: float, commit_s: float) -> Pace:
    """Return one that has seen a group."""
    pace = Pace()
    pace.note(10, 10 * each_s, commit_s)
    return pace


@pytest.fixture
def quick_disk() -> Pace:
    return learned(1e-4, 1e-5)


def test_all_are_written_at_once_before_anything_is_known_of_the_disk() -> None:
    assert Pace().size(100, 0) == 100


def test_half_of_all_are_written_where_the_disk_is_quick(quick_disk: Pace) -> None:
    assert quick_disk.size(100, 0) == 50


def test_who_waits_for_an_answer_counts_as_one_of_all(quick_disk: Pace) -> None:
    assert quick_disk.size(50, 20) == 35
    assert quick_disk.size(50, 50) == 50


def test_all_are_written_at_once_where_the_disk_takes_longer_than_their_commands() -> None:
    assert learned(1e-4, 0.011).size(100, 0) == 100
    assert learned(1e-4, 0.009).size(100, 0) == 50


def test_a_few_are_never_parted(quick_disk: Pace) -> None:
    assert quick_disk.size(1, 0) == 1
    assert quick_disk.size(WORTH_HALVING - 1, 0) == WORTH_HALVING - 1


def test_no_group_is_larger_than_the_limit(quick_disk: Pace) -> None:
    assert Pace().size(4_000, 0) == MAX_GROUP
    assert quick_disk.size(4_000, 0) == MAX_GROUP


def test_halves_stay_halves_while_the_others_have_not_come_back(quick_disk: Pace) -> None:
    assert quick_disk.size(100, 0) == 50
    assert quick_disk.size(50, 0) == 38


def test_a_crowd_that_stays_away_is_forgotten(quick_disk: Pace) -> None:
    assert quick_disk.size(200, 0) == 100
    assert [quick_disk.size(24, 0) for _ in range(9)][-1] == 12


def test_one_slow_commit_among_many_changes_nothing() -> None:
    pace = learned(1e-4, 1e-5)
    pace.note(10, 1e-3, 0.03)
    assert pace.size(100, 0) == 50


def test_a_disk_that_became_slow_is_waited_for_by_all() -> None:
    pace = learned(1e-4, 1e-5)
    for _ in range(20):
        pace.note(10, 1e-3, 0.03)
    assert pace.size(100, 0) == 100
