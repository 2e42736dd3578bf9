"""Attempts: what is claimed, how failures are counted, what becomes of a task."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mission_control.storage import (
    US,
    AgentStatus,
    Command,
    Conflict,
    Invalid,
    ProjectState,
    PulseKind,
    PulseState,
    Task,
    TaskStatus,
)
from mission_control.storage import commands as c
from storage_bench import Bench

AGENT = "shuri:p"


@pytest.fixture
def project(bench: Bench) -> str:
    project = bench.project().id
    bench.agent(project)
    return project


def test_there_is_no_pulse_without_anything_to_do(bench: Bench, project: str) -> None:
    bench.task(project, assignee=None)
    before = bench.reads.last_seq()
    assert bench.do(c.BeginPulse(AGENT, "process")) is None
    assert bench.reads.last_seq() == before
    assert not bench.reads.has_work(bench.reads.agent(AGENT), bench.clock.now_us())


def test_the_ready_task_of_highest_priority_is_claimed_and_the_oldest_of_equals(
    bench: Bench, project: str
) -> None:
    titles = []
    for title, priority in (("c", 3), ("a", 1), ("d", 3), ("b", 1)):
        bench.do(c.CreateTask(project, title, "shuri", priority))
    for _ in range(4):
        pulse = bench.begin(AGENT)
        task = bench.reads.task(str(pulse.task_id))
        titles.append(task.title)
        assert task.status is TaskStatus.IN_PROGRESS
        bench.do(c.MoveTask(task.id, TaskStatus.ARCHIVED))
        bench.end(pulse)
    assert titles == ["a", "b", "c", "d"]


def test_a_claim_is_recorded_before_anything_runs(bench: Bench, project: str) -> None:
    task = bench.task(project)
    pulse = bench.begin(AGENT)
    assert (pulse.kind, pulse.attempt, pulse.task_id) == (PulseKind.WORK, 1, task.id)
    assert pulse.state is PulseState.DISPATCHING
    assert bench.reads.open_pulse(AGENT) == pulse
    agent = bench.reads.agent(AGENT)
    assert (agent.status, agent.current_task_id) == (AgentStatus.WORKING, task.id)
    assert agent.last_pulse_at == pulse.started_at
    assert bench.kinds(task) == ["created", "claimed"]


def test_a_task_in_progress_comes_before_a_ready_one(bench: Bench, project: str) -> None:
    low = bench.do(c.CreateTask(project, "low", "shuri", 5))
    bench.do(c.MoveTask(low.id, TaskStatus.IN_PROGRESS))
    bench.do(c.CreateTask(project, "high", "shuri", 1))
    assert bench.begin(AGENT).task_id == low.id


def test_an_agent_has_one_open_pulse(bench: Bench, project: str) -> None:
    bench.task(project)
    pulse = bench.begin(AGENT)
    with pytest.raises(Conflict, match="open already"):
        bench.do(c.BeginPulse(AGENT, "process", triggered=True))
    bench.end(pulse)
    assert bench.begin(AGENT).attempt == 2


@pytest.mark.parametrize("status", [AgentStatus.PAUSED, AgentStatus.BLOCKED, AgentStatus.FAILED])
def test_a_halted_agent_gets_no_pulse_not_even_when_triggered(
    bench: Bench, project: str, status: AgentStatus
) -> None:
    bench.task(project)
    bench.do(c.SetAgentStatus(AGENT, status))
    assert bench.do(c.BeginPulse(AGENT, "process", triggered=True)) is None
    assert not bench.reads.has_work(bench.reads.agent(AGENT), bench.clock.now_us())


def test_agents_of_an_archived_project_get_no_pulses(bench: Bench, project: str) -> None:
    bench.task(project)
    bench.do(c.SetProjectState(project, ProjectState.ARCHIVED))
    assert bench.do(c.BeginPulse(AGENT, "process")) is None
    bench.do(c.SetProjectState(project, ProjectState.ACTIVE))
    assert bench.begin(AGENT).kind is PulseKind.WORK


def test_a_trigger_runs_a_pulse_without_work(bench: Bench, project: str) -> None:
    assert bench.begin(AGENT, triggered=True).kind is PulseKind.TRIGGER


def test_how_a_run_is_found_again_is_kept_until_it_ends(bench: Bench, project: str) -> None:
    bench.task(project)
    pulse = bench.begin(AGENT)
    marked = bench.do(c.MarkRunning(pulse.id, 123, "boot:9", "run-1", "boot-1"))
    assert marked.state is PulseState.RUNNING
    assert (marked.process_group, marked.process_started) == (123, "boot:9")
    assert (marked.run_id, marked.boot_id) == ("run-1", "boot-1")
    bench.end(pulse)
    with pytest.raises(Conflict, match="has ended"):
        bench.do(c.MarkRunning(pulse.id, 123, "boot:9"))


def test_a_pulse_is_closed_once_and_the_first_word_counts(bench: Bench, project: str) -> None:
    task = bench.task(project)
    pulse = bench.begin(AGENT)
    ended = bench.end(pulse, tokens=7, cost_usd=0.5, detail="fine", output="o" * 5_000)
    assert (ended.outcome, ended.tokens, ended.cost_usd) == ("succeeded", 7, 0.5)
    assert len(ended.output) == 4_000
    seq = bench.reads.last_seq()
    assert bench.end(pulse, failed=True) == ended
    assert bench.reads.last_seq() == seq
    assert bench.reads.open_pulse(AGENT) is None
    assert bench.reads.task(task.id).failures == 0
    assert bench.agent_status(bench.reads.agent(AGENT)) is AgentStatus.IDLE


def test_a_failed_attempt_is_counted_and_the_next_one_waits(bench: Bench, project: str) -> None:
    task = bench.task(project)
    bench.end(bench.begin(AGENT), failed=True, detail="exit code 1", retry_delay_s=60.0)
    failed = bench.reads.task(task.id)
    assert (failed.attempts, failed.failures) == (1, 1)
    assert failed.status is TaskStatus.IN_PROGRESS
    assert bench.kinds(task)[-1] == "failed"
    assert bench.do(c.BeginPulse(AGENT, "process")) is None
    agent, now = bench.reads.agent(AGENT), bench.clock.now_us()
    assert not bench.reads.has_work(agent, now)
    assert bench.reads.next_not_before(agent, now) == failed.not_before
    assert bench.reads.has_work(agent, now + 60 * US)
    bench.clock.advance(60)
    assert bench.begin(AGENT).attempt == 2


def test_a_trigger_does_not_wait(bench: Bench, project: str) -> None:
    task = bench.task(project)
    bench.end(bench.begin(AGENT), failed=True, retry_delay_s=3600.0)
    assert bench.begin(AGENT, triggered=True).task_id == task.id


def test_while_a_task_waits_for_its_next_attempt_no_other_is_taken_up(
    bench: Bench, project: str
) -> None:
    bench.task(project)
    bench.end(bench.begin(AGENT), failed=True, retry_delay_s=3600.0)
    bench.task(project, "two")
    assert bench.do(c.BeginPulse(AGENT, "process")) is None


def test_a_good_attempt_clears_the_failures(bench: Bench, project: str) -> None:
    task = bench.task(project)
    bench.end(bench.begin(AGENT), failed=True)
    bench.end(bench.begin(AGENT))
    assert bench.reads.task(task.id).failures == 0
    assert bench.reads.task(task.id).attempts == 2


@pytest.mark.parametrize("to_backlog", [False, True])
def test_after_max_retries_the_task_is_blocked_and_a_human_is_asked(
    bench: Bench, project: str, to_backlog: bool
) -> None:
    task = bench.task(project)
    for _ in range(2):
        bench.end(bench.begin(AGENT), failed=True, detail="exit code 1", to_backlog=to_backlog)
        assert bench.reads.open_help(task.id) is None
    bench.end(bench.begin(AGENT), failed=True, detail="exit code 2", to_backlog=to_backlog)
    assert bench.status(task) is TaskStatus.BLOCKED
    asked = bench.reads.open_help(task.id)
    assert asked is not None
    assert asked.issue == "3 attempts failed; the last: failed, exit code 2"
    assert (asked.urgency, asked.agent_id) == ("high", AGENT)
    bench.do(c.AnswerHelp(asked.id, "Try once more."))
    assert bench.reads.task(task.id).failures == 0
    assert bench.begin(AGENT).attempt == 4


def test_an_agent_goes_on_with_other_tasks_while_one_that_failed_waits_for_a_human(
    bench: Bench, project: str
) -> None:
    poison, good = bench.task(project, "poison"), bench.task(project, "good")
    for _ in range(3):
        pulse = bench.begin(AGENT)
        assert pulse.task_id == poison.id
        bench.end(pulse, failed=True)
    agent = bench.reads.agent(AGENT)
    assert (agent.status, agent.current_task_id) == (AgentStatus.IDLE, None)
    pulse = bench.begin(AGENT)
    assert pulse.task_id == good.id
    bench.end(pulse)
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.PAUSED))
    assert bench.do(c.SetAgentStatus(AGENT, AgentStatus.IDLE)).status is AgentStatus.IDLE
    asked = bench.reads.open_help(poison.id)
    assert asked is not None
    own = bench.do(c.RequestHelp(good.id, "Which one?", by_agent=AGENT), by=AGENT)
    bench.do(c.AnswerHelp(asked.id, "Try once more."))
    assert bench.reads.agent(AGENT).status is AgentStatus.BLOCKED, "it waits for its own answer"
    bench.do(c.AnswerHelp(own.id, "That."))
    assert bench.reads.agent(AGENT).status is AgentStatus.IDLE


@pytest.mark.parametrize("by_agent", [AGENT, None])
def test_a_task_that_is_put_back_in_mid_run_is_still_blamed_for_how_the_attempt_ended(
    bench: Bench, project: str, by_agent: str | None
) -> None:
    task = bench.task(project)
    pulse = bench.begin(AGENT)
    bench.do(c.MoveTask(task.id, TaskStatus.BACKLOG, by_agent=by_agent))
    bench.end(pulse, failed=True, detail="exit code 1", retry_delay_s=5.0)
    failed = bench.reads.task(task.id)
    assert (failed.status, failed.failures) == (TaskStatus.BACKLOG, 1)
    assert bench.kinds(task)[-1] == "failed"


@pytest.mark.parametrize("through", [[], [TaskStatus.ARCHIVED], [TaskStatus.DONE]])
def test_an_agent_that_puts_its_task_back_each_time_does_not_escape_the_quarantine(
    bench: Bench, project: str, through: list[TaskStatus]
) -> None:
    task = bench.task(project)
    for _ in range(3):
        bench.clock.advance(3600)
        pulse = bench.begin(AGENT)
        for column in (*through, TaskStatus.BACKLOG):
            bench.do(c.MoveTask(task.id, column, by_agent=AGENT), by=AGENT)
        bench.end(pulse, failed=True)
        bench.do(c.SetAgentStatus(AGENT, AgentStatus.IDLE))  # it need not distil
    assert bench.status(task) is TaskStatus.BLOCKED


def test_a_task_that_its_agent_puts_back_waits_and_a_good_end_changes_nothing(
    bench: Bench, project: str
) -> None:
    task = bench.task(project)
    bench.end(bench.begin(AGENT), failed=True)
    pulse = bench.begin(AGENT)
    back = bench.do(c.MoveTask(task.id, TaskStatus.BACKLOG, by_agent=AGENT), by=AGENT)
    assert back.failures == 1
    bench.end(pulse, retry_delay_s=1.0)
    assert bench.reads.task(task.id) == back


def test_a_pulse_that_never_ran_is_no_attempt_at_a_task_that_was_put_back(
    bench: Bench, project: str
) -> None:
    task = bench.task(project)
    pulse = bench.begin(AGENT)
    bench.do(c.MoveTask(task.id, TaskStatus.BACKLOG))
    bench.end(pulse, outcome="not_started", never_ran=True)
    assert bench.reads.task(task.id).attempts == 0


def test_without_retries_the_first_failure_blocks(bench: Bench, project: str) -> None:
    agent = bench.agent(project, "okoye", max_retries=0)
    task = bench.task(project, assignee="okoye")
    bench.end(bench.begin(agent.id), failed=True)
    assert bench.status(task) is TaskStatus.BLOCKED


def test_a_silent_agent_gives_its_task_back_with_the_reason(bench: Bench, project: str) -> None:
    task = bench.task(project)
    why = "silent for 301 s (limit 300 s), last sign: start"
    bench.end(bench.begin(AGENT), outcome="aborted", failed=True, to_backlog=True, detail=why)
    assert bench.status(task) is TaskStatus.BACKLOG
    event = bench.reads.events(task_id=task.id)[-1]
    assert event.kind == "deadman"
    assert why in event.thought
    assert bench.begin(AGENT).task_id == task.id


def test_a_pulse_that_never_ran_counts_for_nothing(bench: Bench, project: str) -> None:
    task = bench.task(project)
    bench.end(bench.begin(AGENT), failed=True)
    bench.do(c.SendMessage(AGENT, "hello"))
    bench.end(bench.begin(AGENT), outcome="not_started", never_ran=True)
    same = bench.reads.task(task.id)
    assert (same.attempts, same.failures, same.status) == (1, 1, TaskStatus.IN_PROGRESS)
    assert [(m.read_by, m.failures) for m in bench.reads.messages(AGENT)] == [(None, 0)]


def test_an_attempt_says_nothing_about_a_task_that_another_took_over(
    bench: Bench, project: str
) -> None:
    other = bench.agent(project, "okoye")
    task = bench.task(project)
    old = bench.begin(AGENT)
    bench.do(c.AssignTask(task.id, "okoye"))
    assert bench.do(c.BeginPulse(other.id, "process")) is None, "shuri's attempt still runs"
    bench.end(old, failed=True, to_backlog=True)
    now = bench.reads.task(task.id)
    assert (now.status, now.assignee, now.failures) == (TaskStatus.BACKLOG, "okoye", 0)
    assert bench.begin(other.id).task_id == task.id


def test_a_task_that_was_put_into_other_hands_is_begun_there_after_the_attempt_that_still_runs(
    bench: Bench, project: str
) -> None:
    other = bench.agent(project, "okoye")
    task = bench.task(project)
    old = bench.begin(AGENT)
    bench.do(c.AssignTask(task.id, "okoye"))
    bench.do(c.MoveTask(task.id, TaskStatus.IN_PROGRESS))
    bench.task(project, "next", "okoye")
    assert not bench.reads.has_work(bench.reads.agent(other.id), bench.clock.now_us())
    assert bench.do(c.BeginPulse(other.id, "process")) is None
    bench.end(old, failed=True, to_backlog=True)
    assert bench.begin(other.id).task_id == task.id


def test_an_unread_message_is_reason_for_a_pulse_and_read_by_it(bench: Bench, project: str) -> None:
    sent = bench.do(c.SendMessage(AGENT, "hello"), by="okoye:p")
    assert bench.reads.has_work(bench.reads.agent(AGENT), bench.clock.now_us())
    pulse = bench.begin(AGENT)
    assert pulse.kind is PulseKind.MESSAGE
    (read,) = bench.reads.messages(AGENT)
    assert (read.id, read.sender, read.read_by) == (sent.id, "okoye:p", pulse.id)
    bench.end(pulse)
    assert bench.do(c.BeginPulse(AGENT, "process")) is None


def test_a_finished_task_gives_one_pulse_to_distil(bench: Bench, project: str) -> None:
    task = bench.task(project)
    bench.task(project, "next")
    pulse = bench.begin(AGENT)
    bench.do(c.MoveTask(task.id, TaskStatus.DONE))
    bench.end(pulse)
    distil = bench.begin(AGENT)
    assert (distil.kind, distil.task_id) == (PulseKind.DISTILL, task.id)
    assert bench.reads.agent(AGENT).status is AgentStatus.DISTILLING
    bench.end(distil, failed=True)
    assert bench.status(task) is TaskStatus.DONE
    assert bench.reads.agent(AGENT).status is AgentStatus.IDLE
    assert bench.begin(AGENT).kind is PulseKind.WORK


def test_a_distilling_pulse_that_never_ran_comes_again(bench: Bench, project: str) -> None:
    task = bench.task(project)
    pulse = bench.begin(AGENT)
    bench.do(c.MoveTask(task.id, TaskStatus.DONE))
    bench.end(pulse)
    bench.end(bench.begin(AGENT), outcome="not_started", never_ran=True)
    assert bench.begin(AGENT).kind is PulseKind.DISTILL


def test_an_agent_that_is_paused_during_a_pulse_stays_paused(bench: Bench, project: str) -> None:
    bench.task(project)
    pulse = bench.begin(AGENT)
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.PAUSED))
    bench.end(pulse)
    assert bench.reads.agent(AGENT).status is AgentStatus.PAUSED


def test_a_pulse_whose_agent_and_task_are_gone_can_still_be_closed(
    bench: Bench, project: str
) -> None:
    task = bench.task(project)
    pulse = bench.begin(AGENT)
    bench.do(c.DestroyAgent(AGENT))
    bench.do(c.DeleteTask(task.id))
    assert bench.end(pulse, failed=True).state is PulseState.ENDED


def test_results_of_a_day_are_found_by_when_they_began(bench: Bench, project: str) -> None:
    task = bench.task(project, "Write it")
    pulse = bench.begin(AGENT)
    at = pulse.started_at
    assert bench.reads.results_between(project, at, at + 1, 9) == []  # it still runs
    ended = bench.end(pulse, failed=True, detail="no")
    (result,) = bench.reads.results_between(project, at, at + 1, 9)
    assert (result.agent_id, result.task_title, result.outcome) == (AGENT, task.title, "failed")
    assert (result.started_at, result.ended_at) == (at, ended.ended_at)
    assert bench.reads.results_between(project, at + 1, at + US, 9) == []
    assert bench.reads.pulses_of_task(task.id) == [ended]


def test_of_many_results_the_last_are_told_oldest_first(bench: Bench, project: str) -> None:
    for _ in range(5):
        bench.end(bench.begin(AGENT, triggered=True))
    found = bench.reads.results_between(project, 0, 1 << 62, 9)
    assert len(found) == 5
    assert [each.started_at for each in found] == sorted(each.started_at for each in found)
    assert bench.reads.results_between(project, 0, 1 << 62, 2) == found[-2:]


def test_messages_that_a_failed_pulse_was_shown_are_offered_again_later(
    bench: Bench, project: str
) -> None:
    bench.do(c.SendMessage(AGENT, "hello"))
    bench.end(bench.begin(AGENT), outcome="aborted", failed=True, retry_delay_s=60.0)
    agent, (message,) = bench.reads.agent(AGENT), bench.reads.messages(AGENT)
    assert (message.read_by, message.failures) == (None, 1)
    now = bench.clock.now_us()
    due = bench.reads.next_not_before(agent, now)
    assert due == message.not_before == now + 60 * US
    assert not bench.reads.has_work(agent, now)
    assert bench.reads.has_work(agent, due)
    assert bench.do(c.BeginPulse(AGENT, "process")) is None
    bench.clock.advance(60)
    pulse = bench.begin(AGENT)
    assert [m.id for m in bench.reads.messages_shown(pulse)] == [message.id]
    bench.end(pulse)
    assert bench.reads.messages(AGENT)[0].read_by == pulse.id


def test_a_message_that_fails_every_pulse_is_given_up_and_its_sender_told(
    bench: Bench, project: str
) -> None:
    bench.agent(project, "okoye")
    task = bench.task(project, assignee="okoye")
    bench.begin("okoye:p")
    bench.do(c.SendMessage(AGENT, "poison"), by="okoye:p")
    for _ in range(3):
        bench.clock.advance(3600)
        bench.end(bench.begin(AGENT), failed=True, retry_delay_s=1.0)
    bench.clock.advance(7200)
    assert bench.do(c.BeginPulse(AGENT, "process")) is None
    event = bench.reads.events(task_id=task.id)[-1]
    assert event.kind == "message_failed"
    assert "3 pulses of shuri:p failed over the message of okoye:p: poison" in event.thought


def test_a_message_is_not_kept_waiting_by_a_clock_that_jumped_back(
    bench: Bench, project: str
) -> None:
    bench.do(c.SendMessage(AGENT, "hello"))
    at = bench.clock.now_us() + 5 * 3600 * US
    pulse = bench.do(c.BeginPulse(AGENT, "process"), at=at)
    assert pulse is not None
    end = c.EndPulse(pulse.id, "failed", failed=True, retry_delay_s=60.0)
    bench.do(end, at=at)
    assert bench.do(c.BeginPulse(AGENT, "process")) is not None


DEED = "it had acted: tool call (1)"


@pytest.mark.parametrize(
    "how",
    [
        {"outcome": "failed", "failed": True},
        {"outcome": "aborted", "failed": True, "to_backlog": True},
        {"outcome": "lost", "failed": False},
        {"outcome": "aborted", "failed": False},
    ],
)
def test_a_task_with_side_effects_is_not_tried_again_before_a_human_has_looked(
    bench: Bench, project: str, how: dict[str, Any]
) -> None:
    task = bench.do(c.CreateTask(project, "pay", "shuri", side_effects=True))
    bench.end(bench.begin(AGENT), **how, detail="no answer", effects=DEED)
    assert bench.status(task) is TaskStatus.BLOCKED
    asked = bench.reads.open_help(task.id)
    assert asked is not None
    assert DEED in asked.issue
    assert "no answer" in asked.issue
    assert DEED in bench.reads.events(task_id=task.id)[-2].thought
    assert bench.do(c.BeginPulse(AGENT, "process")) is None
    bench.do(c.AnswerHelp(asked.id, "The money never left: pay."))
    pulse = bench.begin(AGENT)
    assert (pulse.task_id, pulse.attempt) == (task.id, 2)
    assert bench.reads.pulses_of_task(task.id)[0].effects == DEED


@pytest.mark.parametrize("move", ["to the backlog", "to another", "to nobody", "handed off"])
@pytest.mark.parametrize("failed", [True, False])
def test_side_effects_are_asked_about_wherever_the_task_was_put_in_mid_run(
    bench: Bench, project: str, move: str, failed: bool
) -> None:
    bench.agent(project, "okoye")
    task = bench.do(c.CreateTask(project, "pay", "shuri", side_effects=True))
    pulse = bench.begin(AGENT)
    command: Command[Task] = {
        "to the backlog": c.MoveTask(task.id, TaskStatus.BACKLOG, by_agent=AGENT),
        "to another": c.AssignTask(task.id, "okoye"),
        "to nobody": c.AssignTask(task.id, None),
        "handed off": c.HandOffTask(task.id, "okoye", "yours", by_agent=AGENT),
    }[move]
    now = bench.do(command)
    bench.end(pulse, outcome="failed" if failed else "lost", failed=failed, effects=DEED)
    assert bench.status(task) is TaskStatus.BLOCKED
    asked = bench.reads.open_help(task.id)
    assert asked is not None
    assert asked.agent_id == (f"{now.assignee}:{project}" if now.assignee else None)
    assert bench.reads.task(task.id).failures == (now.assignee == "shuri" and failed)


@pytest.mark.parametrize(
    ("side_effects", "how"),
    [
        (False, {"outcome": "failed", "failed": True, "effects": DEED}),
        (True, {"outcome": "failed", "failed": True}),
        (True, {"outcome": "lost"}),
        (True, {"outcome": "not_started", "never_ran": True}),
        (True, {"outcome": "succeeded"}),
    ],
)
def test_other_attempts_are_repeated_without_asking(
    bench: Bench, project: str, side_effects: bool, how: dict[str, Any]
) -> None:
    task = bench.do(c.CreateTask(project, "pay", "shuri", side_effects=side_effects))
    bench.end(bench.begin(AGENT), **how)
    assert bench.reads.open_help(task.id) is None
    assert bench.begin(AGENT).task_id == task.id


def test_a_pulse_keeps_how_many_times_of_the_schedule_it_held_up(
    bench: Bench, project: str
) -> None:
    bench.task(project)
    assert bench.end(bench.begin(AGENT), skipped=3).skipped == 3


def test_what_ended_an_attempt_is_told_in_a_thousand_characters(bench: Bench, project: str) -> None:
    agent = bench.agent(project, "okoye", max_retries=0)
    task = bench.task(project, assignee="okoye")
    ended = bench.end(bench.begin(agent.id), failed=True, detail="y" * 500_000)
    assert ended.detail == "y" * 1_000
    asked = bench.reads.open_help(task.id)
    assert asked is not None
    assert max(map(len, (asked.issue, bench.reads.events(task_id=task.id)[-1].thought))) < 1_100


def test_a_schedule_is_changed_in_part_and_only_where_something_changes(
    bench: Bench, project: str
) -> None:
    agent = bench.do(c.SchedulePulses(AGENT, interval_s=10.0))
    assert (agent.interval_s, agent.timeout_s, agent.max_retries) == (10.0, 300.0, 3)
    agent = bench.do(c.SchedulePulses(AGENT, timeout_s=20.0, max_retries=0))
    assert (agent.interval_s, agent.timeout_s, agent.max_retries) == (10.0, 20.0, 0)
    seq = bench.reads.last_seq()
    assert bench.do(c.SchedulePulses(AGENT, interval_s=10.0)) == agent
    assert bench.reads.last_seq() == seq


@pytest.mark.parametrize("failed", [False, True])
def test_a_new_interval_holds_for_a_task_that_waits_for_its_next_time_unless_it_failed(
    bench: Bench, project: str, failed: bool
) -> None:
    task = bench.task(project)
    bench.end(bench.begin(AGENT), failed=failed, retry_delay_s=3000.0)
    due = bench.reads.task(task.id).not_before
    bench.do(c.SchedulePulses(AGENT, interval_s=9.0))
    soon = bench.clock.now_us() + 9 * US
    assert bench.reads.task(task.id).not_before == (due if failed else soon)
    bench.do(c.SchedulePulses(AGENT, interval_s=3000.0))
    assert bench.reads.task(task.id).not_before == (due if failed else soon)


@pytest.mark.parametrize(
    ("tokens", "cost_usd"), [(10**30, 1e300), (1 << 63, math.inf), (-5, -1.0), (0, math.nan)]
)
def test_an_attempt_that_reports_what_no_attempt_takes_is_closed_all_the_same(
    bench: Bench, project: str, tokens: int, cost_usd: float
) -> None:
    bench.do(c.SetBudget(project))
    believed = min(max(0, tokens), 10**12)
    for _ in range(2):
        pulse = bench.begin(AGENT, triggered=True)
        ended = bench.end(pulse, tokens=tokens, cost_usd=cost_usd)
        assert ended == bench.reads.pulse(pulse.id)
        assert ended.tokens == believed
        assert 0.0 <= (ended.cost_usd or 0.0) <= 1e9
    (budget,) = bench.reads.budgets()
    assert budget.tokens == 2 * believed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("interval_s", 0.0),
        ("interval_s", -1.0),
        ("interval_s", float("nan")),
        ("timeout_s", 0.0),
        ("timeout_s", float("inf")),
        ("max_retries", -1),
        ("max_retries", 10**30),
    ],
)
def test_a_schedule_that_no_agent_can_have_is_refused_by_the_name_of_the_field(
    bench: Bench, project: str, field: str, value: Any
) -> None:
    before = bench.reads.agent(AGENT)
    with pytest.raises(Invalid, match=field) as refusal:
        bench.do(c.SchedulePulses(AGENT, **{field: value}))
    assert refusal.value.details["field"] == field
    assert bench.reads.agent(AGENT) == before
