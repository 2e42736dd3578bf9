"""What an attempt is known to have done: deeds count, words do not."""

from __future__ import annotations

import pytest

from mission_control.actors._evidence import COMMAND, Evidence
from mission_control.gateway_bridge._turn import SIGNS


def test_an_attempt_that_only_spoke_has_done_nothing() -> None:
    evidence = Evidence()
    assert evidence.effects() == ""
    evidence.note("token")
    evidence.note("turn")
    assert evidence.effects() == ""


@pytest.mark.parametrize("deed", ["tool call", "tool output", "output", "progress", COMMAND])
def test_a_deed_is_told_of_with_how_often(deed: str) -> None:
    evidence = Evidence()
    evidence.note("token")
    evidence.note(deed)
    evidence.note(deed)
    assert evidence.effects() == f"it had acted: {deed} (2)"


def test_signs_that_nobody_thought_of_are_deeds() -> None:
    """Who must not repeat a deed would rather be asked once too often."""
    evidence = Evidence()
    evidence.note("something of a later Gateway")
    assert evidence.effects()
    assert sorted(sign for sign in SIGNS.values() if _effects_of(sign)) == [
        "progress",
        "tool call",
        "tool output",
    ]


def _effects_of(sign: str) -> str:
    evidence = Evidence()
    evidence.note(sign)
    return evidence.effects()


def test_what_nobody_saw_may_have_been_a_deed() -> None:
    assert Evidence(unseen=True).effects() == "nobody saw what it did before the sidecar ended"
