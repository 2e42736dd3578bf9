"""Thoughts, the chronicle, and what is learned."""

from __future__ import annotations

import pytest

from mission_control.storage import AgentStatus, Forbidden, Invalid, NotFound, Task, TaskStatus
from mission_control.storage import commands as c
from storage_bench import Bench

AGENT = "shuri:p"


@pytest.fixture
def task(bench: Bench) -> Task:
    project = bench.project().id
    bench.agent(project)
    return bench.task(project)


def test_a_thought_is_kept_with_who_thought_it_and_when(bench: Bench, task: Task) -> None:
    pulse = bench.begin(AGENT)
    thought = c.LogEvent(task.id, " I see. ", "read", "plan", AGENT)
    event = bench.do(thought, by=AGENT, fence=bench.fence(pulse))
    assert bench.reads.events(task_id=task.id)[-1] == event
    assert (event.thought, event.action, event.kind) == ("I see.", "read", "plan")
    assert (event.agent_id, event.pulse_id) == (AGENT, pulse.id)


def test_the_newest_thoughts_are_given_oldest_first(bench: Bench, task: Task) -> None:
    other = bench.task(task.project_id, "two")
    for number in range(4):
        bench.do(c.LogEvent((task, other)[number % 2].id, f"thought {number}"))
    thoughts = [event.thought for event in bench.reads.events(project_id="p", limit=3)]
    assert thoughts == ["thought 1", "thought 2", "thought 3"]
    assert [e.thought for e in bench.reads.events(task_id=other.id, limit=2)] == [
        "thought 1",
        "thought 3",
    ]


def test_an_agent_thinks_about_its_own_task_only(bench: Bench, task: Task) -> None:
    with pytest.raises(Forbidden):
        bench.do(c.LogEvent(task.id, "Mine!", by_agent="okoye:p"))


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (c.LogEvent("", " "), "thought"),
        (c.LogEvent("", "x" * 20_001), "thought"),
        (c.LogEvent("", "x", event_type="Two Words"), "event_type"),
    ],
)
def test_what_is_wrong_with_a_thought_is_named(
    bench: Bench, task: Task, command: c.LogEvent, field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        bench.do(c.LogEvent(task.id, command.thought, event_type=command.event_type))
    assert refusal.value.details["field"] == field


def test_the_chronicle_keeps_what_was_done_and_left_undone(bench: Bench, task: Task) -> None:
    entry = bench.do(c.UpdateChronicle("p", " Shipped. ", " No tests. "), by="maria")
    assert (entry.author, entry.summary, entry.technical_debt) == (
        "maria",
        "Shipped.",
        "No tests.",
    )
    assert bench.reads.chronicle("p") == [entry]
    with pytest.raises(Invalid, match="summary"):
        bench.do(c.UpdateChronicle("p", ""))
    with pytest.raises(NotFound):
        bench.do(c.UpdateChronicle("nowhere", "x"))


def test_what_is_learned_names_its_task_and_stands_in_the_chronicle(
    bench: Bench, task: Task
) -> None:
    pulse = bench.begin(AGENT)
    bench.do(c.MoveTask(task.id, TaskStatus.DONE))
    bench.end(pulse)
    pulse = bench.begin(AGENT)
    memory = bench.do(c.DistillMemory(AGENT, "Read first.\nAll of it."))
    assert memory.task_id == task.id
    assert bench.reads.memories(AGENT) == [memory]
    (entry,) = bench.reads.chronicle("p")
    assert entry.summary == "shuri learned from 'one': Read first."
    bench.end(pulse)
    assert bench.reads.agent(AGENT).status is AgentStatus.IDLE


def test_an_agent_may_distil_in_the_pulse_that_finishes_the_task(bench: Bench, task: Task) -> None:
    pulse = bench.begin(AGENT)
    bench.do(c.MoveTask(task.id, TaskStatus.DONE))
    bench.do(c.DistillMemory(AGENT, "Read first."))
    assert bench.reads.agent(AGENT).status is AgentStatus.WORKING
    bench.end(pulse)
    assert bench.do(c.BeginPulse(AGENT, "process")) is None


def test_an_agent_learns_something_or_says_nothing(bench: Bench, task: Task) -> None:
    with pytest.raises(Invalid) as refusal:
        bench.do(c.DistillMemory(AGENT, " "))
    assert refusal.value.details["field"] == "summary"
    with pytest.raises(NotFound):
        bench.do(c.DistillMemory("nobody:p", "x"))
