"""Random histories: steps that hypothesis draws, and the command that each means at its turn."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mission_control.storage import AgentStatus, Command, ProjectState, TaskStatus
from mission_control.storage import commands as c
from storage_bench import Bench

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

texts = st.text(max_size=12)

ALL_STEPS = st.one_of(
    STEPS,
    STEPS,  # most of the time something that has something to work on
    st.tuples(st.just("rename"), st.sampled_from(PROJECTS), texts),
    st.tuples(st.just("story"), st.sampled_from(PROJECTS), texts),
    st.tuples(st.just("think"), pick, texts),
    st.tuples(st.just("label"), pick, st.lists(texts, max_size=3)),
    st.tuples(st.just("soul"), st.sampled_from(SOULS), pick),
    st.tuples(st.just("dismiss"), agents),
    st.tuples(st.just("budget"), st.none() | st.sampled_from(PROJECTS), pick),
    st.tuples(st.just("hire"), agents, st.sampled_from([60, 0.1, 1e-7])),
)
"""With what touches every table and stores any text."""


def _nth(bench: Bench, table: str, number: int) -> str:
    rows = bench.connection.execute(f"SELECT id FROM {table} ORDER BY id").fetchall()  # noqa: S608
    return str(rows[number % len(rows)][0]) if rows else "none"


def command_of(  # noqa: C901, PLR0911, PLR0912 - one case for each command
    bench: Bench, step: tuple[Any, ...]
) -> Command[Any]:
    """Make the command that *step* means in the present state."""
    task = _nth(bench, "tasks", step[1]) if isinstance(step[1], int) else ""
    pulse = bench.reads.open_pulse(str(step[1]))
    pulse_id = pulse.id if pulse else "none"
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
            ways = {"to_backlog": to_backlog, "never_ran": never_ran}
            return c.EndPulse(pulse_id, "any", failed, tokens=3, cost_usd=0.1, **ways)
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
        case ("rename", project, name):
            return c.RenameProject(project, name)
        case ("story", project, text):
            return c.UpdateChronicle(project, f"story {text}", text)
        case ("think", _, text):
            return c.LogEvent(task, f"thought {text}", text)
        case ("label", _, labels):
            return c.UpdateTask(task, labels=tuple(labels))
        case ("soul", soul, number):
            return c.InstallSoul(soul, f"{number}" * 64)
        case ("budget", project_id, number):
            return c.SetBudget(project_id, 10 * number, None if number % 2 else number / 3)
        case ("dismiss", agent):
            return c.DestroyAgent(agent)
        case ("hire", agent, interval_s):
            soul, _, project = agent.partition(":")
            return c.CreateAgent(project, soul, interval_s, 300, 3)
        case _:
            raise AssertionError(step)


def furnish(bench: Bench) -> None:
    """Make two projects, with two agents and four cards each."""
    for name in ("P", "Q"):
        for soul in SOULS:
            bench.agent(bench.project(name).id if soul == SOULS[0] else name.lower(), soul)
            for title in ("first", "second"):
                bench.task(name.lower(), title, soul)
