"""Nothing that is asked while the service runs reads through a big table, or sorts one.

Every statement is noted while it runs, on tables of 20,000 rows: in every question that `Reads`
answers and in every command that there is.  Its plan must not scan a big table, and it may take a
fixed number of steps of SQLite's virtual machine, and some for each row that it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import attrs
import pytest

from crowd import crowd
from mission_control.storage import (
    OPEN_COLUMNS,
    AgentStatus,
    Deletion,
    ProjectState,
    PulsesOf,
    Reads,
    TaskFilter,
    TaskPlace,
    TaskStatus,
)
from mission_control.storage import commands as c
from mission_control.storage._registry import COMMANDS
from mission_control.storage.files import FileChange
from mission_control.storage.history import Segment, parse_moment
from query_costs import Asked, WatchedConnection, scanned
from storage_bench import Bench, open_bench

SMALL: Final = {
    "projects", "agents", "a", "b", "souls", "sessions", "upstream", "u", "log_segments",
    "budgets",
}  # fmt: skip
"""What may be read whole: souls at work, intermediate results; the short names are aliases."""

STEPS: Final = 5_000
STEPS_A_ROW: Final = 200

COSTLY: Final = {
    "count_tasks": "counts entries of an index, some ten million a second",
    "board_at": "replays the log",
    "waits": "looks at every open card that depends on another",
}

NOW: Final = 1 << 60
AGENT: Final = "shuri:p"
X: Final = "00000004-0000-7000-8000-000000000004"
"""The id of one of the many tasks, pulses and help requests of the project."""

QUESTIONS: Final[dict[str, Callable[[Reads], Any]]] = {
    "agent": lambda r: r.agent(AGENT),
    "agent_of_session": lambda r: r.agent_of_session("key"),
    "agent_ids": lambda r: r.agent_ids("p"),
    "agents": lambda r: (r.agents(), r.agents("p")),
    "agents_to_wake": lambda r: (r.agents_to_wake("p", 0), r.agents_to_wake("p", NOW)),
    "answered": lambda r: r.answered(c.NoteFileChange, "no key"),
    "board": lambda r: r.board("p"),
    "board_at": lambda r: r.board_at(
        Path("nowhere"), "p", parse_moment("e1.20000", now_us=NOW, field="at")
    ),
    "budget": lambda r: (r.budget(None), r.budget("p")),
    "budgets": Reads.budgets,
    "changes": lambda r: r.changes(0),
    "chronicle": lambda r: r.chronicle("p"),
    "count_tasks": lambda r: r.count_tasks("p", TaskStatus.DONE),
    "cursor": Reads.cursor,
    "depend_on": lambda r: r.depend_on([X]),
    "dependencies": lambda r: r.dependencies("p"),
    "depends_on": lambda r: r.depends_on(X),
    "ended_pulses": lambda r: [
        r.ended_pulses(AGENT, 0, before, 50) for before in (None, r.pulse(X))
    ],
    "ended_well": lambda r: r.ended_well(r.task(X)),
    "epoch": Reads.epoch,
    "events": lambda r: (r.events(task_id=X), r.events(project_id="p")),
    "find_agent": lambda r: r.find_agent(AGENT),
    "find_task": lambda r: r.find_task(X),
    "has_agent": lambda r: r.has_agent(AGENT),
    "has_company": lambda r: r.has_company(r.pulse(X)),
    "has_work": lambda r: (r.has_work(r.agent(AGENT), 0), r.has_work(r.agent("okoye:p"), 0)),
    "head_count": Reads.head_count,
    "help_coded": lambda r: (r.help_coded("00000004"), r.help_coded("none")),
    "help_request": lambda r: r.help_request(X),
    "help_requests": lambda r: [
        r.help_requests(project_id=project_id, state=state, after=after)
        for project_id in (None, "p")
        for state in ("open", "answered")
        for after in (None, r.help_request(X))
    ],
    "idle_in_a_row": lambda r: (r.idle_in_a_row(r.task(X)), r.idle_in_a_row(r.task(X), r.pulse(X))),
    "is_engaged": lambda r: (r.is_engaged(AGENT), r.is_engaged("okoye:p")),
    "last_seq": Reads.last_seq,
    "lost_in_a_row": lambda r: r.lost_in_a_row(r.pulse(X)),
    "memories": lambda r: r.memories(AGENT),
    "messages": lambda r: r.messages(AGENT),
    "messages_shown": lambda r: r.messages_shown(r.pulse(X)),
    "newest_closed": lambda r: (
        r.newest_closed("p", TaskStatus.DONE, 50),
        r.newest_closed("p", TaskStatus.ARCHIVED, 50),
    ),
    "newest_memory": lambda r: r.newest_memory(AGENT),
    "newest_pulse": lambda r: r.newest_pulse(AGENT),
    "next_not_before": lambda r: r.next_not_before(r.agent(AGENT), 0),
    "next_pulse_at": lambda r: r.next_pulse_at("p", 0),
    "open_help": lambda r: r.open_help(X),
    "open_pulse": lambda r: r.open_pulse(AGENT),
    "open_pulse_of_task": lambda r: r.open_pulse_of_task(X),
    "open_tasks": lambda r: r.open_tasks("p"),
    "project": lambda r: r.project("p"),
    "projects": Reads.projects,
    "pulse": lambda r: r.pulse(X),
    "pulses": lambda r: [
        r.pulses(of, before, 50)
        for of in (PulsesOf("project_id", "p"), PulsesOf("agent_id", AGENT), PulsesOf("task_id", X))
        for before in (None, r.pulse(X))
    ],
    "pulses_of_task": lambda r: r.pulses_of_task(X),
    "results_between": lambda r: r.results_between("p", 0, 100, 50),
    "retention_seq": Reads.retention_seq,
    "running_pulses": Reads.running_pulses,
    "sessions": lambda r: (r.sessions(), r.sessions("p")),
    "session": lambda r: r.session(AGENT),
    "souls_waiting_for": lambda r: r.souls_waiting_for(X),
    "spent_budget": lambda r: r.spent_budget("p", 0),
    "task": lambda r: r.task(X),
    "tasks": lambda r: [
        r.tasks(wanted, after=after, limit=50)
        for wanted in (
            TaskFilter("p"),
            TaskFilter("p", OPEN_COLUMNS),
            TaskFilter("p", (TaskStatus.ARCHIVED,), assignee="shuri"),
            TaskFilter("p", label="a", text="TASK"),
        )
        for after in (None, TaskPlace.of(r.task(X)))
    ],
    "touched": lambda r: r.touched("p", 19_900),
    "untold_help": Reads.untold_help,
    "unmet": lambda r: r.unmet(X),
    "waits": lambda r: r.waits("p"),
}


@attrs.frozen
class Watched:
    """A crowded database, all of whose statements are noted."""

    bench: Bench
    connection: WatchedConnection
    reads: Reads


@pytest.fixture(scope="module", params=["with statistics", "without statistics"])
def watched(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    path = tmp_path_factory.mktemp("crowd") / "a.db"
    with open_bench(path) as bench:
        crowd(bench)
        if request.param == "with statistics":
            bench.connection.execute("ANALYZE")
        bench.connection.create_function("folded", 1, str.casefold, deterministic=True)
        connection = WatchedConnection(bench.connection)
        bench.connection = cast("Any", connection)
        yield Watched(bench, connection, Reads(path, cast("Any", connection)))


def _complaints(connection: WatchedConnection, asked: list[Asked], *, costly: bool) -> list[str]:
    found = []
    for each in asked:
        found += [f"{step}: {each.sql}" for step in scanned(connection.plan(each), SMALL)]
        if each.steps > STEPS + STEPS_A_ROW * each.rows and not costly:
            found.append(f"{each.steps} steps for {each.rows} rows: {each.sql}")
    return found


def test_every_question_is_asked_here() -> None:
    public = {name for name in dir(Reads) if not name.startswith("_")}
    assert public - {"close", "elsewhere", "into_files", "at_leisure"} == set(QUESTIONS)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_uses_an_index(watched: Watched, name: str) -> None:
    watched.connection.asked.clear()
    QUESTIONS[name](watched.reads)
    asked = list(watched.connection.asked)
    assert asked
    assert _complaints(watched.connection, asked, costly=name in COSTLY) == []


def test_a_command_uses_indexes(watched: Watched) -> None:
    watched.connection.asked.clear()
    run = _run_every_command(watched.bench)
    asked = [
        each for each in watched.connection.asked if each.sql.split()[0] not in {"BEGIN", "COMMIT"}
    ]
    assert run == set(COMMANDS.values())
    assert _complaints(watched.connection, asked, costly=False) == []


def _run_every_command(bench: Bench) -> set[type]:
    """Run each command in a state where it has something to do; return their classes."""
    run: set[type] = set()

    def do(command: Any, **how: Any) -> Any:
        run.add(type(command))
        return bench.do(command, **how)

    do(c.InitProject("Q", base_id="p"))
    do(c.RenameProject("p", "R"))
    do(c.SetBudget("p", 1_000_000))
    do(c.SetBudget(None, 1_000_000))
    do(c.InstallSoul("griot", "0" * 64))
    do(c.CreateAgent("p", "griot", 60.0, 300.0, 3))
    do(c.RecordSession("griot:p", "a key", "a session", "process"))
    one = do(c.CreateTask("p", "one", "griot", depends_on=(X,)), key="one")
    two = do(c.CreateTask("p", "two", "griot", 1))
    do(c.SendMessage("griot:p", "hello"))
    pulse = do(c.BeginPulse("griot:p", "process"))
    do(c.MarkRunning(pulse.id, process_group=1))
    do(c.LogEvent(two.id, "hm", by_agent="griot:p"), fence=bench.fence(pulse))
    do(c.EndPulse(pulse.id, "failed", failed=True, to_backlog=True, never_ran=True, tokens=1))
    do(c.SchedulePulses("griot:p", interval_s=30.0))
    do(c.UpdateTask(one.id, depends_on=(two.id,)))
    do(c.AssignTask(one.id, "shuri"))
    do(c.HandOffTask(one.id, "griot", "the rest"))
    asked = do(c.RequestHelp(two.id, "How?"))
    do(c.NoteTold(asked.id))
    do(c.AnswerHelp(asked.id, "So."))
    do(c.MoveTask(two.id, TaskStatus.DONE))
    do(c.DistillMemory("griot:p", "learned"))
    do(c.SetAgentStatus("griot:p", AgentStatus.PAUSED))
    do(c.UpgradeAgent("griot:p", "1" * 64, refinement=False))
    do(c.UpdateChronicle("p", "done"))
    do(c.NoteFileChange("p", FileChange("write", "src/a", "file", created=True)))
    do(c.SettleFileChange("no key", made=True))
    do(c.SettleFileChange("no key", made=False))
    do(c.NoteMirrors("p", "mirror_restored", "KANBAN.md"))
    do(c.DeleteTask(two.id))
    do(c.RetireSession("griot:p"))
    do(c.ForgetSession("griot:p"))
    do(c.DestroyAgent("griot:p"))
    do(c.PurgeIdempotency(20))
    do(c.SetProjectState("p", ProjectState.ARCHIVED))
    do(c.BeginDeletion("p", Deletion.PURGE))
    do(c.EraseProject("p"))
    do(c.TrimLog(Segment(1, 20, 1, "0" * 64, "1-20.jsonl")))
    return run


def test_a_scan_would_be_noticed(watched: Watched) -> None:
    watched.connection.asked.clear()
    for text in (
        "SELECT * FROM tasks WHERE title = 'x'",
        "SELECT 1 FROM changes WHERE actor = 'x'",
    ):
        watched.connection.execute(text)
    found = _complaints(watched.connection, watched.connection.asked, costly=False)
    assert [line.startswith("SCAN") for line in found] == [True, False] * 2
