"""Questions to a human: who waits, who is released, and by what."""

from __future__ import annotations

import pytest

from mission_control.storage import (
    AgentStatus,
    Conflict,
    Forbidden,
    HelpState,
    Invalid,
    NotFound,
    PulseKind,
    Task,
    TaskStatus,
)
from mission_control.storage import commands as c
from storage_bench import Bench

AGENT = "shuri:p"


@pytest.fixture
def task(bench: Bench) -> Task:
    """One that its agent has worked on."""
    project = bench.project().id
    bench.agent(project)
    task = bench.task(project)
    bench.end(bench.begin(AGENT))
    return bench.reads.task(task.id)


def test_a_question_blocks_the_task_and_halts_its_agent(bench: Bench, task: Task) -> None:
    pulse = bench.begin(AGENT)
    help_ = c.RequestHelp(task.id, " Which one? ", "critical", AGENT)
    asked = bench.do(help_, by=AGENT, fence=bench.fence(pulse))
    bench.end(pulse)
    assert (asked.issue, asked.urgency, asked.agent_id) == ("Which one?", "critical", AGENT)
    assert asked.state is HelpState.OPEN
    assert bench.reads.open_help(task.id) == asked
    assert bench.reads.help_requests(project_id="p", state="open") == [asked]
    assert bench.reads.help_requests(project_id=None, state="open") == [asked]
    assert bench.status(task) is TaskStatus.BLOCKED
    assert bench.reads.agent(AGENT).status is AgentStatus.BLOCKED
    assert bench.do(c.BeginPulse(AGENT, "process", triggered=True)) is None
    event = bench.reads.events(task_id=task.id)[-1]
    assert (event.kind, event.thought, event.pulse_id) == ("help", "Which one?", pulse.id)


def test_an_answer_releases_the_agent_and_the_task_goes_on(bench: Bench, task: Task) -> None:
    asked = bench.do(c.RequestHelp(task.id, "Which one?"))
    answered = bench.do(c.AnswerHelp(asked.id, "The first."), by="maria")
    assert (answered.state, answered.answered_by) == (HelpState.ANSWERED, "maria")
    assert bench.status(task) is TaskStatus.IN_PROGRESS
    assert bench.reads.agent(AGENT).status is AgentStatus.IDLE
    (message,) = bench.reads.messages(AGENT)
    assert message.sender == "maria"
    assert "Which one?" in message.text
    assert "The first." in message.text
    pulse = bench.begin(AGENT)
    assert (pulse.kind, pulse.task_id) == (PulseKind.WORK, task.id)
    assert bench.reads.messages(AGENT)[0].read_by == pulse.id


def test_the_first_answer_wins_and_the_second_learns_whose_it_was(bench: Bench, task: Task) -> None:
    asked = bench.do(c.RequestHelp(task.id, "Which one?"))
    first = bench.do(c.AnswerHelp(asked.id, "The first."), by="maria")
    with pytest.raises(Conflict, match="answered by maria"):
        bench.do(c.AnswerHelp(asked.id, "The second."), by="otto")
    assert bench.reads.help_request(asked.id) == first


def test_a_task_waits_for_one_answer_at_a_time(bench: Bench, task: Task) -> None:
    asked = bench.do(c.RequestHelp(task.id, "Which one?"))
    with pytest.raises(Conflict, match=r"'Which one\?'") as refusal:
        bench.do(c.RequestHelp(task.id, "Or what?"))
    assert refusal.value.details["help_id"] == asked.id
    bench.do(c.AnswerHelp(asked.id, "The first."))
    bench.do(c.RequestHelp(task.id, "Or what?"))


@pytest.mark.parametrize("to", list(TaskStatus))
def test_the_answer_says_where_the_task_goes(bench: Bench, task: Task, to: TaskStatus) -> None:
    asked = bench.do(c.RequestHelp(task.id, "Which one?"))
    bench.do(c.AnswerHelp(asked.id, "That.", to))
    assert bench.status(task) is to
    agent = bench.reads.agent(AGENT)
    done = to is TaskStatus.DONE
    assert agent.status is (AgentStatus.DISTILLING if done else AgentStatus.IDLE)
    kept = done or to is TaskStatus.IN_PROGRESS
    assert agent.current_task_id == (task.id if kept else None)


def test_an_answered_task_queues_behind_the_one_in_hand(bench: Bench, task: Task) -> None:
    asked = bench.do(c.RequestHelp(task.id, "Which one?"))
    other = bench.task(task.project_id, "two")
    bench.do(c.MoveTask(other.id, TaskStatus.IN_PROGRESS))
    bench.do(c.AnswerHelp(asked.id, "That."))
    assert bench.status(task) is TaskStatus.BACKLOG
    assert bench.status(other) is TaskStatus.IN_PROGRESS


def test_an_answer_to_an_agent_that_is_gone_leaves_the_task_to_others(
    bench: Bench, task: Task
) -> None:
    asked = bench.do(c.RequestHelp(task.id, "Which one?"))
    bench.do(c.DestroyAgent(AGENT))
    bench.do(c.AnswerHelp(asked.id, "That."))
    assert bench.status(task) is TaskStatus.BACKLOG


def test_a_paused_agent_stays_paused_when_its_answer_comes(bench: Bench, task: Task) -> None:
    asked = bench.do(c.RequestHelp(task.id, "Which one?"))
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.PAUSED))
    bench.do(c.AnswerHelp(asked.id, "That."))
    assert bench.reads.agent(AGENT).status is AgentStatus.PAUSED


def test_to_resume_an_agent_does_not_answer_its_question(bench: Bench, task: Task) -> None:
    bench.do(c.RequestHelp(task.id, "Which one?"))
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.PAUSED))
    resumed = bench.do(c.SetAgentStatus(AGENT, AgentStatus.IDLE))
    assert resumed.status is AgentStatus.BLOCKED


def test_an_agent_that_asked_twice_waits_for_both_answers(bench: Bench, task: Task) -> None:
    other = bench.task(task.project_id, "two")
    first = bench.do(c.RequestHelp(task.id, "Which one?"))
    second = bench.do(c.RequestHelp(other.id, "And here?"))
    bench.do(c.AnswerHelp(first.id, "That."))
    assert bench.reads.agent(AGENT).status is AgentStatus.BLOCKED
    bench.do(c.AnswerHelp(second.id, "This."))
    assert bench.reads.agent(AGENT).status is AgentStatus.IDLE


def test_nobody_has_to_be_assigned(bench: Bench, task: Task) -> None:
    free = bench.task(task.project_id, "free", None)
    asked = bench.do(c.RequestHelp(free.id, "Whose is it?"))
    assert asked.agent_id is None
    bench.do(c.AnswerHelp(asked.id, "Nobody's."))
    assert bench.status(free) is TaskStatus.BACKLOG


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (c.RequestHelp("?", "Which one?", "urgent"), "urgency"),
        (c.RequestHelp("?", " "), "issue"),
        (c.AnswerHelp("?", " "), "answer"),
    ],
)
def test_what_is_wrong_is_named(
    bench: Bench, command: c.RequestHelp | c.AnswerHelp, field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        bench.do(command)
    assert refusal.value.details["field"] == field


def test_an_agent_asks_about_its_own_task_only(bench: Bench, task: Task) -> None:
    with pytest.raises(Forbidden, match="belongs to shuri"):
        bench.do(c.RequestHelp(task.id, "Which one?", by_agent="okoye:p"))


@pytest.mark.parametrize("over", [TaskStatus.DONE, TaskStatus.ARCHIVED])
def test_a_task_that_is_over_has_no_questions(bench: Bench, task: Task, over: TaskStatus) -> None:
    bench.do(c.MoveTask(task.id, over))
    with pytest.raises(Conflict, match=over.name.lower()):
        bench.do(c.RequestHelp(task.id, "Which one?"))


def test_an_unknown_question_cannot_be_answered(bench: Bench) -> None:
    with pytest.raises(NotFound):
        bench.do(c.AnswerHelp("nowhere", "That."))
