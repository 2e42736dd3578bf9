"""No question that is asked while the service runs reads through a whole big table."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from mission_control.storage import Reads
from mission_control.storage import commands as c
from storage_bench import Bench

SMALL = {"projects", "agents", "a", "souls", "upstream", "u", "CONSTANT"}
"""What may be read whole: souls at work, intermediate results; `a` and `u` are aliases of such."""

NOW = 1 << 60
AGENT = "shuri:p"

QUESTIONS: dict[str, Callable[[Reads], Any]] = {
    "epoch": Reads.epoch,
    "last_seq": Reads.last_seq,
    "changes": lambda r: r.changes(0),
    "touched": lambda r: r.touched("p", 0),
    "project": lambda r: r.project("p"),
    "projects": Reads.projects,
    "agent": lambda r: r.agent(AGENT),
    "agents": lambda r: (r.agents(), r.agents("p")),
    "session": lambda r: r.session(AGENT),
    "agent_of_session": lambda r: r.agent_of_session("key"),
    "task": lambda r: r.task(r.board("p")[0].id),
    "has_agent": lambda r: r.has_agent(AGENT),
    "open_pulse_of_task": lambda r: r.open_pulse_of_task("x"),
    "find_task": lambda r: r.find_task("x"),
    "board": lambda r: r.board("p"),
    "depends_on": lambda r: r.depends_on("x"),
    "dependencies": lambda r: r.dependencies("p"),
    "unmet": lambda r: r.unmet("x"),
    "events": lambda r: (r.events(task_id="x"), r.events(project_id="p")),
    "pulse": lambda r: r.pulse(r.pulses_between("p", 0, NOW)[0].id),
    "open_pulse": lambda r: r.open_pulse(AGENT),
    "pulses_of_task": lambda r: r.pulses_of_task("x"),
    "pulses_between": lambda r: r.pulses_between("p", 0, NOW),
    "has_work": lambda r: (r.has_work(r.agent(AGENT), 0), r.has_work(r.agent("okoye:p"), 0)),
    "next_not_before": lambda r: r.next_not_before(r.agent(AGENT), 0),
    "help_request": lambda r: r.help_request(r.help_requests(project_id="p", state="open")[0].id),
    "help_requests": lambda r: (
        r.help_requests(project_id=None, state="open"),
        r.help_requests(project_id="p", state="open"),
    ),
    "open_help": lambda r: r.open_help("x"),
    "messages": lambda r: r.messages(AGENT),
    "chronicle": lambda r: r.chronicle("p"),
    "memories": lambda r: r.memories(AGENT),
}


@pytest.fixture
def furnished(bench: Bench) -> Bench:
    bench.project()
    for soul in ("shuri", "okoye"):
        bench.agent("p", soul)
    task = bench.task("p")
    bench.begin(AGENT)
    bench.do(c.RequestHelp(bench.task("p", "two", None).id, "How?"))
    bench.do(c.LogEvent(task.id, "hm"))
    return bench


def _scans(connection: sqlite3.Connection, statements: list[str]) -> list[str]:
    plans = {text: connection.execute(f"EXPLAIN QUERY PLAN {text}") for text in statements}
    return [
        f"{step[3]}: {text}"
        for text, plan in plans.items()
        for step in plan
        if (words := step[3].split())[0] == "SCAN"
        and words[1] not in SMALL
        and not words[1].startswith("(subquery")
    ]


def test_every_question_is_asked_here() -> None:
    public = {name for name in vars(Reads) if not name.startswith("_")}
    assert public - {"close", "elsewhere"} == set(QUESTIONS)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_uses_an_index(furnished: Bench, name: str) -> None:
    statements: list[str] = []
    connection = furnished.reads._open
    connection.set_trace_callback(statements.append)
    QUESTIONS[name](furnished.reads)
    connection.set_trace_callback(None)
    assert statements
    assert _scans(connection, statements) == []


def test_commands_use_indexes_too(furnished: Bench) -> None:
    bench = furnished
    statements: list[str] = []
    bench.connection.set_trace_callback(statements.append)
    first, second = bench.task("p", "three"), bench.task("p", "four")
    pulse = bench.reads.open_pulse(AGENT)
    assert pulse is not None
    bench.do(c.UpdateTask(first.id, depends_on=(second.id,)))
    bench.do(c.SendMessage(AGENT, "hello"))
    bench.end(pulse, failed=True, never_ran=True)
    bench.end(bench.begin(AGENT))
    asked = bench.do(c.RequestHelp(str(pulse.task_id), "How?"))
    bench.do(c.AnswerHelp(asked.id, "So."))
    bench.do(c.DistillMemory(AGENT, "learned"))
    bench.do(c.MoveTask(second.id, bench.status(second)))
    bench.do(c.DeleteTask(second.id))
    bench.do(c.DestroyAgent(AGENT))
    bench.connection.set_trace_callback(None)
    asked_for = [text for text in statements if text.lstrip().startswith(("SELECT", "WITH"))]
    assert asked_for
    assert _scans(bench.connection, asked_for) == []


def test_a_scan_would_be_noticed(furnished: Bench) -> None:
    statements = ["SELECT * FROM tasks WHERE title = 'x'", "SELECT * FROM changes WHERE at = 1"]
    assert len(_scans(furnished.connection, statements)) == 2
