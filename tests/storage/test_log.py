"""The change log: complete, gapless, never rewritten; and what holds after any commands."""

from __future__ import annotations

import itertools
import sqlite3
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log_tables import images_in, images_of
from mission_control.storage import AgentStatus, MissionError, NotFound, TaskStatus
from mission_control.storage import commands as c
from mission_control.storage.history import fold
from random_history import PROJECTS, STEPS, command_of, furnish
from storage_bench import Bench, open_bench


def _check_invariants(bench: Bench) -> None:
    tasks = [task for project in PROJECTS for task in bench.reads.board(project)]
    in_hand = [(t.project_id, t.assignee) for t in tasks if t.status is TaskStatus.IN_PROGRESS]
    assert len(in_hand) == len(set(in_hand)), "an agent has two tasks in progress"
    asked = bench.reads.help_requests(project_id=None, state="open")
    by_id = {task.id: task for task in tasks}
    assert all(by_id[each.task_id].status is TaskStatus.BLOCKED for each in asked)
    assert len({each.task_id for each in asked}) == len(asked)
    waiting = {each.agent_id for each in asked}
    for agent in bench.reads.agents():
        if agent.id in waiting:
            assert agent.status in (AgentStatus.BLOCKED, AgentStatus.PAUSED)
        else:
            assert agent.status is not AgentStatus.BLOCKED
    assert all(task.attempts >= 0 and task.failures >= 0 for task in tasks)


def _check_has_work(bench: Bench) -> None:
    """What the question says must be what the command does."""
    for agent in bench.reads.agents():
        if bench.reads.open_pulse(agent.id) is None:
            at = bench.clock.now_us() + 1_000_000
            expected = bench.reads.has_work(agent, at)
            pulse = bench.do(c.BeginPulse(agent.id, "process"), at=at)
            assert (pulse is not None) == expected
            if pulse is not None:
                bench.end(pulse)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_the_log_alone_gives_back_every_table_after_any_commands(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    with open_bench(tmp_path_factory.mktemp("log") / "a.db") as bench:
        furnish(bench)
        for step in steps:
            command, seq = command_of(bench, step), bench.reads.last_seq()
            try:
                bench.do(command)
            except MissionError:
                assert bench.reads.last_seq() == seq, "a refused command changed something"
            _check_invariants(bench)
        _check_has_work(bench)
        log = bench.reads.changes(0, 1 << 40)
        assert images_in(fold(log)) == images_of(bench.connection)
        numbers = [change.seq for change in log]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_change_names_who_made_it_when_and_in_which_project(bench: Bench) -> None:
    project = bench.project("P")
    bench.agent("p")
    seq = bench.reads.last_seq()
    task = bench.do(c.CreateTask("p", "one", "shuri"), by="maria")
    created, noted = bench.reads.changes(seq)
    assert (created.kind, created.entity, created.entity_id) == ("task_updated", "tasks", task.id)
    assert (created.project_id, created.actor, created.at) == (project.id, "maria", task.created_at)
    assert noted.kind == "thought_logged"
    bench.do(c.DeleteTask(task.id))
    assert bench.reads.changes(0, 1 << 40)[-1].after is None


def test_changes_are_read_from_a_place_on_and_by_project(bench: Bench) -> None:
    bench.project("P")
    bench.project("Q")
    bench.do(c.RenameProject("p", "PP"))
    assert [change.entity_id for change in bench.reads.changes(0)] == ["p", "q", "p"]
    assert [change.seq for change in bench.reads.changes(1, limit=1)] == [2]
    assert [change.seq for change in bench.reads.touched("p", 1)] == [3]
    assert (bench.reads.last_seq(), bench.reads.epoch()) == (3, "e1")


def test_a_refused_command_leaves_no_gap(bench: Bench) -> None:
    bench.project("P")
    with pytest.raises(NotFound):
        # The card is written before its dependency is found missing.
        bench.do(c.CreateTask("p", "one", depends_on=("nowhere",)))
    bench.project("Q")
    assert [change.seq for change in bench.reads.changes(0)] == [1, 2]


@pytest.mark.parametrize("table", ["changes", "task_events"])
def test_history_is_never_rewritten(bench: Bench, table: str) -> None:
    bench.agent(bench.project().id)
    bench.task("p")
    with pytest.raises(sqlite3.IntegrityError, match="never rewritten"):
        bench.connection.execute(f"UPDATE {table} SET at = 0")  # noqa: S608


def test_a_command_that_is_run_again_names_the_same_things(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rows = []
    for _ in itertools.repeat(None, 2):
        with open_bench(tmp_path_factory.mktemp("again") / "a.db") as bench:
            furnish(bench)
            rows.append(bench.table("tasks"))
    assert rows[0] == rows[1]
