"""What an agent is told at the start of a pulse."""

from __future__ import annotations

import re

import attrs
import pytest

from mission_control.actors._status_text import (
    DESCRIPTION_CHARS,
    TAIL_CHARS,
    TEMPLATE,
    THOUGHT_CHARS,
    Layers,
    Standing,
    attempt_line,
    prompt,
    status_text,
)
from mission_control.storage import Pulse, PulseKind, PulseState
from standing import AGENT, FULL, PULSE


def _ended(attempt: int, outcome: str, detail: str = "") -> Pulse:
    return attrs.evolve(
        PULSE, attempt=attempt, outcome=outcome, detail=detail, state=PulseState.ENDED
    )


def test_the_template_is_that_of_the_contract_and_every_place_is_filled() -> None:
    assert status_text(FULL).startswith(
        "[SYSTEM STATUS UPDATE]\n"
        "- Current Project: p\n"
        "- Current Path: /srv/p\n"
        "- Active Task: Write {it} (ID: t1)\n"
        "- Last Learned Context: Read first.\n"
        "- Internal Team Notes: \n  - maria: Hurry.\n"
        "- Recent Events: \n  - created: created: Write {it}\n"
        "\n"
        "INSTRUCTION: Update your status via 'log_event' before taking any tool actions.\n"
    )
    places = set(re.findall(r"{(\w+)}", TEMPLATE))
    assert places == {
        "project_id",
        "scoped_path",
        "task_title",
        "task_id",
        "learned",
        "notes",
        "events",
    }


def test_what_is_not_there_is_said_to_be_none() -> None:
    text = status_text(Standing(AGENT, PULSE, None, "/srv/p", Layers()))
    assert "- Active Task: none (ID: none)\n" in text
    assert "- Last Learned Context: nothing yet\n" in text
    assert "- Internal Team Notes: none\n" in text
    assert "- Recent Events: none\n" in text
    assert text.endswith("tool actions.\n")


def test_task_and_memory_follow_under_their_titles() -> None:
    text = status_text(FULL)
    assert text.endswith(
        "\n[TASK DESCRIPTION]\nAll of it.\n"
        "\n[YOUR SOUL]\nYou are Shuri.\n"
        "\n[PROJECT RULES]\nNo tabs.\n"
        "\n[YOUR WORKING NOTES]\nhalf done\n"
    )


def test_of_long_notes_the_end_is_quoted() -> None:
    layers = Layers(learned="old " * TAIL_CHARS + "newest", working="w" * 3 * TAIL_CHARS)
    text = status_text(attrs.evolve(FULL, layers=layers))
    assert "newest\n" in text
    assert len(text) < 3 * TAIL_CHARS


def test_of_a_long_event_and_of_a_long_card_the_beginning_is_quoted() -> None:
    (event,), task = FULL.events, FULL.task
    assert task is not None
    wordy = attrs.evolve(
        FULL,
        events=(attrs.evolve(event, thought="e" * 1_000_000),) * 5,
        task=attrs.evolve(task, description="d" * 1_000_000),
    )
    text = status_text(wordy)
    assert text.count("e" * THOUGHT_CHARS + "...") == 5
    assert "d" * DESCRIPTION_CHARS + "... (the whole of it stands on the card)" in text
    assert len(text) < DESCRIPTION_CHARS + 6 * THOUGHT_CHARS


def test_earlier_attempts_and_why_they_ended_are_told() -> None:
    earlier = (
        _ended(1, "failed", "exit code 1"),
        _ended(2, "succeeded"),
        _ended(2, "not_started", "away"),
        _ended(2, "lost", "the sidecar ended"),
    )
    standing = attrs.evolve(FULL, earlier=earlier)
    line = (
        "attempt 3; attempt 1 ended because: failed, exit code 1;"
        " attempt 2 ended because: lost, the sidecar ended"
    )
    assert attempt_line(standing) == line
    assert f"\n[ATTEMPT]\n{line}\n" in status_text(standing)


@pytest.mark.parametrize("kind", [PulseKind.DISTILL, PulseKind.MESSAGE, PulseKind.TRIGGER])
def test_attempts_are_told_to_who_works_only(kind: PulseKind) -> None:
    earlier = (_ended(1, "failed"),)
    assert not attempt_line(attrs.evolve(FULL, earlier=(_ended(1, "succeeded"),)))
    assert not attempt_line(
        attrs.evolve(FULL, earlier=earlier, pulse=attrs.evolve(PULSE, kind=kind))
    )


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (PulseKind.WORK, "Work on your task 'Write {it}' (ID: t1)"),
        (PulseKind.DISTILL, "Call distill_memory"),
        (PulseKind.MESSAGE, "new messages"),
        (PulseKind.TRIGGER, "look at where things stand"),
    ],
)
def test_each_kind_of_pulse_says_what_it_is_for(kind: PulseKind, said: str) -> None:
    assert said in prompt(attrs.evolve(FULL, pulse=attrs.evolve(PULSE, kind=kind)))
