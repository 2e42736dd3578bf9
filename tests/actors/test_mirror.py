"""The mirrors' texts: what a person finds in the files."""

from __future__ import annotations

import json

import attrs

from mission_control.actors._mirror import (
    BoardView,
    Closed,
    chronicle,
    daily,
    history,
    kanban,
    learned,
    when,
)
from mission_control.storage import (
    US,
    ChronicleEntry,
    Memory,
    Message,
    Project,
    ProjectState,
    Result,
    Task,
    TaskStatus,
)

AT = 1_767_225_600 * US  # 2026-01-01
PROJECT = Project("p", "Demo", ProjectState.ACTIVE, None, AT, AT)
TASK = Task(
    id="t1",
    project_id="p",
    title="Write it",
    description="",
    status=TaskStatus.BACKLOG,
    assignee="shuri",
    priority=2,
    labels=("ui", "x y"),
    side_effects=False,
    due_at=None,
    attempts=0,
    failures=0,
    not_before=None,
    created_by="operator",
    created_at=AT,
    updated_at=AT,
)
RESULT = Result(
    agent_id="shuri:p",
    task_title="Write\nit",
    kind="work",
    attempt=2,
    outcome="failed",
    detail="exit code 1:\nno output",
    started_at=AT,
    ended_at=AT + 2_500_000,
)


def test_the_board_shows_columns_in_order_and_what_each_card_waits_for() -> None:
    first = attrs.evolve(TASK, id="t0", title="First\nof all", assignee=None, labels=())
    done = attrs.evolve(TASK, id="t9", title="Begin", status=TaskStatus.DONE)
    text = kanban(BoardView(PROJECT, [first, TASK], {"t1": [first.title]}, Closed(1, [done])))
    assert text == (
        "# Demo\n"
        "\n## In progress (0)\n\n"
        "\n## Blocked (0)\n\n"
        "\n## Backlog (2)\n\n"
        "- [ ] **First of all** · P2 · unassigned · `t0`\n"
        "- [ ] **Write it** · P2 · shuri · #ui #x y · waits for First of all · `t1`\n"
        "\n## Done (1)\n\n"
        "- [x] **Begin** · P2 · shuri · #ui #x y · `t9`\n"
    )


def test_archived_cards_have_a_section_only_where_there_are_some() -> None:
    assert "Archived" not in kanban(BoardView(PROJECT))
    archived = attrs.evolve(TASK, status=TaskStatus.ARCHIVED)
    text = kanban(BoardView(PROJECT, archived=Closed(1, [archived])))
    assert "## Archived (1)\n\n- [x] **Write it**" in text


def test_of_many_cards_that_are_over_the_board_says_how_many_it_does_not_show() -> None:
    done = attrs.evolve(TASK, status=TaskStatus.DONE)
    text = kanban(BoardView(PROJECT, done=Closed(100_000, [done, done])))
    assert "## Done (100000)\n" in text
    assert text.count("- [x] **Write it**") == 2
    assert text.endswith("\n- and 99998 more, which were changed before these\n")


def test_names_stay_on_their_line() -> None:
    odd = attrs.evolve(PROJECT, name="Two\n# Lines")
    card = attrs.evolve(TASK, title="a\n- [x] b", labels=("l\nm",))
    for text in (kanban(BoardView(odd, [card], {"t1": [card.title]})), chronicle(odd, [])):
        assert text.startswith("# ")
        assert "\n# Lines" not in text
        assert "\n- [x]" not in text


def test_the_chronicle_tells_what_was_done_and_left_undone() -> None:
    entries = [
        ChronicleEntry("c1", "p", "maria", "Shipped.", "No tests.", AT),
        ChronicleEntry("c2", "p", "shuri:p", "Rested.", "", AT + 60 * US),
    ]
    assert chronicle(PROJECT, entries) == (
        "# Chronicle of Demo\n"
        "\n## 2026-01-01 00:00:00 · maria\n\nShipped.\n\nTechnical debt: No tests.\n"
        "\n## 2026-01-01 00:01:00 · shuri:p\n\nRested.\n"
    )


def test_each_attempt_that_ended_is_one_line_of_its_day() -> None:
    distil = attrs.evolve(RESULT, kind="distill", outcome="succeeded", detail="")
    assert daily([RESULT, distil]) == (
        "- 00:00:00 shuri:p: Write it · attempt 2 · failed in 2.5 s · exit code 1: no output\n"
        "- 00:00:00 shuri:p: distill · attempt 2 · succeeded in 2.5 s\n"
    )


def test_what_was_learned_names_its_task() -> None:
    memories = [
        Memory("m1", "p", "shuri:p", "t1", "Read first.", AT),
        Memory("m2", "p", "shuri:p", None, "Rest.", AT),
    ]
    assert learned(memories, {"t1": "Write it"}) == (
        "\n## 2026-01-01 · Write it\n\nRead first.\n\n## 2026-01-01 · in general\n\nRest.\n"
    )


def test_notes_to_an_agent_are_one_json_object_a_line() -> None:
    note = Message("n1", "p", "shuri:p", "maria", "Hé!\nTwo lines.", None, AT)
    (line,) = history([note]).splitlines()
    assert json.loads(line) == {
        "at": "2026-01-01 00:00:00",
        "from": "maria",
        "text": "Hé!\nTwo lines.",
        "id": "n1",
    }
    assert "Hé" in line
    assert history([]) == ""


def test_times_are_told_in_utc() -> None:
    assert when(AT + 86_399 * US) == "2026-01-01 23:59:59"
