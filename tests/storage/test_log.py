"""The change log: complete, gapless, never rewritten; and what holds after any commands."""

from __future__ import annotations

import itertools
import json
import sqlite3
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_control.storage import (
    AgentStatus,
    Command,
    MissionError,
    NotFound,
    ProjectState,
    TaskStatus,
)
from mission_control.storage import commands as c
from storage_bench import Bench, open_bench

TABLES = (
    "projects",
    "souls",
    "agents",
    "tasks",
    "task_dependencies",
    "task_events",
    "pulses",
    "sessions",
    "help_requests",
    "messages",
    "chronicle",
    "memories",
)

PROJECTS = ("p", "q")
SOULS = ("shuri", "okoye")
AGENTS = tuple(f"{soul}:{project}" for project in PROJECTS for soul in SOULS)

pick = st.integers(0, 7)
states = st.sampled_from([ProjectState.ACTIVE, ProjectState.ACTIVE, ProjectState.ARCHIVED])
statuses = st.sampled_from(TaskStatus)
agents = st.sampled_from(AGENTS)
souls = st.none() | st.sampled_from(SOULS)

STEPS = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(PROJECTS), souls, st.integers(0, 5), pick),
    st.tuples(st.just("move"), pick, statuses, st.none() | agents),
    st.tuples(st.just("assign"), pick, souls),
    st.tuples(st.just("update"), pick, pick),
    st.tuples(st.just("delete"), pick),
    st.tuples(st.just("begin"), agents, st.booleans()),
    st.tuples(st.just("end"), agents, st.booleans(), st.booleans(), st.booleans()),
    st.tuples(st.just("mark"), agents),
    st.tuples(st.just("ask"), pick),
    st.tuples(st.just("answer"), pick, statuses),
    st.tuples(st.just("tell"), agents),
    st.tuples(st.just("distil"), agents),
    st.tuples(st.just("log"), pick),
    st.tuples(st.just("pause"), agents),
    st.tuples(st.just("resume"), agents),
    st.tuples(st.just("state"), st.sampled_from(PROJECTS), states),
    st.tuples(st.just("session"), agents, pick),
)


def _nth(bench: Bench, table: str, number: int) -> str:
    rows = bench.connection.execute(f"SELECT id FROM {table} ORDER BY id").fetchall()  # noqa: S608
    return str(rows[number % len(rows)][0]) if rows else "none"


def _command(  # noqa: C901, PLR0911, PLR0912 - one case for each command
    bench: Bench, step: tuple[Any, ...]
) -> Command[Any]:
    """Make the command that *step* means in the present state."""
    task = _nth(bench, "tasks", step[1]) if isinstance(step[1], int) else ""
    pulse = bench.connection.execute(
        "SELECT id FROM pulses WHERE agent_id = ? AND state <> 'ended'", [step[1]]
    ).fetchone()
    pulse_id = pulse[0] if pulse else "none"
    match step:
        case ("create", project, soul, priority, other):
            waits = (_nth(bench, "tasks", other),) if other else ()
            return c.CreateTask(project, f"task {other}", soul, priority, depends_on=waits)
        case ("move", _, status, by):
            return c.MoveTask(task, status, by_agent=by)
        case ("assign", _, soul):
            return c.AssignTask(task, soul)
        case ("update", _, other):
            return c.UpdateTask(task, title="new", depends_on=(_nth(bench, "tasks", other),))
        case ("delete", _):
            return c.DeleteTask(task)
        case ("begin", agent, triggered):
            return c.BeginPulse(agent, "process", triggered)
        case ("end", _, failed, to_backlog, never_ran):
            never_ran = never_ran and not failed
            return c.EndPulse(pulse_id, "any", failed, to_backlog=to_backlog, never_ran=never_ran)
        case ("mark", _):
            return c.MarkRunning(pulse_id, 1, "2")
        case ("ask", _):
            return c.RequestHelp(task, "How?")
        case ("answer", number, status):
            return c.AnswerHelp(_nth(bench, "help_requests", number), "So.", status)
        case ("tell", agent):
            return c.SendMessage(agent, "hello")
        case ("distil", agent):
            return c.DistillMemory(agent, "learned")
        case ("log", _):
            return c.LogEvent(task, "hm")
        case ("pause", agent):
            return c.SetAgentStatus(agent, AgentStatus.PAUSED)
        case ("resume", agent):
            return c.SetAgentStatus(agent, AgentStatus.IDLE)
        case ("state", project, state):
            return c.SetProjectState(project, state)
        case ("session", agent, number):
            return c.RecordSession(agent, f"key {agent}", str(number), "process")
        case _:
            raise AssertionError(step)


def _furnish(bench: Bench) -> None:
    for name in ("P", "Q"):
        for soul in SOULS:
            bench.agent(bench.project(name).id if soul == SOULS[0] else name.lower(), soul)
            for title in ("first", "second"):
                bench.task(name.lower(), title, soul)


def _replayed(bench: Bench) -> dict[str, dict[str, Any]]:
    state: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    for change in bench.reads.changes(0, 1 << 40):
        if change.after is None:
            del state[change.entity][change.entity_id]
        else:
            state[change.entity][change.entity_id] = json.loads(change.after)
    return state


def _rows(bench: Bench, name: str) -> dict[str, Any]:
    rows = bench.table(name)
    for row in rows:
        row.pop("pk", None)
    return {row["id"]: row for row in rows}


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


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_the_log_alone_gives_back_every_table_after_any_commands(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    with open_bench(tmp_path_factory.mktemp("log") / "a.db") as bench:
        _furnish(bench)
        for step in steps:
            command, seq = _command(bench, step), bench.reads.last_seq()
            try:
                bench.do(command)
            except MissionError:
                assert bench.reads.last_seq() == seq, "a refused command changed something"
            _check_invariants(bench)
        _check_has_work(bench)
        replayed = _replayed(bench)
        for name in TABLES:
            assert replayed[name] == _rows(bench, name), name
        numbers = [change.seq for change in bench.reads.changes(0, 1 << 40)]
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
            _furnish(bench)
            rows.append(bench.table("tasks"))
    assert rows[0] == rows[1]
