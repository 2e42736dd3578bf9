"""What the last attempts have in common: lost one after the other, or without anything moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mission_control.storage import (
    US,
    Agent,
    AgentStatus,
    ProjectState,
    Pulse,
    PulseKind,
    Task,
    TaskStatus,
    migrate,
)
from mission_control.storage import commands as c
from mission_control.storage.schema import known_migrations, rollback
from storage_bench import Bench

AGENT = "shuri:p"
LATER_S = 1_000.0
"""Longer than the interval of 60 s: nothing moved."""


@pytest.fixture
def project(bench: Bench) -> str:
    project = bench.project().id
    bench.agent(project)
    return project


def lose(bench: Bench, *, failed: bool = False) -> Pulse:
    """Begin an attempt and lose it."""
    return bench.end(bench.begin(AGENT), outcome="lost", failed=failed, detail="a crash")


def idle(bench: Bench, task: Task) -> int:
    return bench.reads.idle_in_a_row(bench.reads.task(task.id))


def rest(bench: Bench) -> Pulse:
    """Make an attempt, triggered, in which nothing moves; it rests for long then."""
    return bench.end(bench.begin(AGENT, triggered=True), retry_delay_s=LATER_S)


def is_due(bench: Bench) -> bool:
    return bench.reads.has_work(bench.reads.agent(AGENT), bench.clock.now_us())


def test_attempts_at_a_task_that_were_lost_in_a_row_are_counted(bench: Bench, project: str) -> None:
    bench.task(project)
    for number in range(1, 4):
        assert bench.reads.lost_in_a_row(lose(bench)) == number
    bench.end(bench.begin(AGENT), outcome="not_started", never_ran=True)
    pulse = bench.begin(AGENT)
    assert bench.reads.lost_in_a_row(pulse) == 3


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "timed_out", "aborted"])
def test_any_end_that_somebody_saw_begins_the_count_anew(
    bench: Bench, project: str, outcome: str
) -> None:
    bench.task(project)
    lose(bench)
    bench.end(bench.begin(AGENT), outcome=outcome, failed=False)
    assert bench.reads.lost_in_a_row(lose(bench)) == 1


def test_what_an_attempt_says_before_it_is_lost_does_not_begin_the_count_anew(
    bench: Bench, project: str
) -> None:
    task = bench.task(project)
    for number in range(1, 4):
        pulse = bench.begin(AGENT)
        bench.do(c.LogEvent(task.id, "now the big one", by_agent=AGENT), by=AGENT)
        bench.end(pulse, outcome="lost")
        assert bench.reads.lost_in_a_row(pulse) == number


def test_each_task_has_a_count_of_its_own(bench: Bench, project: str) -> None:
    first = bench.task(project)
    lose(bench)
    bench.do(c.MoveTask(first.id, TaskStatus.BLOCKED))
    bench.task(project, "two")
    assert bench.reads.lost_in_a_row(lose(bench)) == 1


def test_of_attempts_at_no_task_those_of_the_agent_are_counted(bench: Bench, project: str) -> None:
    bench.do(c.SendMessage(AGENT, "look at this"))
    for number in range(1, 4):
        pulse = lose(bench)
        assert pulse.kind is PulseKind.MESSAGE
        assert bench.reads.lost_in_a_row(pulse) == number


def test_a_message_is_not_blamed_for_attempts_at_tasks(bench: Bench, project: str) -> None:
    task = bench.task(project)
    for _ in range(3):
        lose(bench)
    bench.do(c.MoveTask(task.id, TaskStatus.BLOCKED))
    bench.do(c.SendMessage(AGENT, "look at this"))
    assert bench.reads.lost_in_a_row(lose(bench)) == 1


def test_messages_that_a_lost_attempt_was_shown_are_no_reason_to_hurry(
    bench: Bench, project: str
) -> None:
    task = bench.task(project)
    bench.do(c.SendMessage(AGENT, "look at this"))
    bench.end(bench.begin(AGENT), outcome="lost", retry_delay_s=20.0)
    assert not is_due(bench)
    bench.clock.advance(20)
    assert bench.begin(AGENT).task_id == task.id


def test_a_message_over_which_lost_attempts_were_blamed_is_given_up(
    bench: Bench, project: str
) -> None:
    sent = bench.do(c.SendMessage(AGENT, "look at this"))
    for _ in range(3):
        lose(bench, failed=True)
    assert bench.do(c.BeginPulse(AGENT, "process")) is None
    assert [each.failures for each in bench.reads.messages(AGENT) if each.id == sent.id] == [3]


def test_the_question_about_a_task_says_that_its_attempts_were_lost(
    bench: Bench, project: str
) -> None:
    task = bench.task(project)
    for _ in range(3):
        lose(bench)
    assert bench.reads.task(task.id).failures == 0
    for _ in range(3):
        lose(bench, failed=True)
    asked = bench.reads.open_help(task.id)
    assert bench.status(task) is TaskStatus.BLOCKED
    assert asked is not None
    assert "3 attempts failed; the last: lost, a crash" in asked.issue
    assert "6 in a row were lost with what ran them" in asked.issue


def test_attempts_in_which_nothing_moved_are_counted(bench: Bench, project: str) -> None:
    task = bench.task(project)
    assert idle(bench, task) == 0
    for number in range(1, 5):
        pulse = bench.begin(AGENT, triggered=True)
        assert bench.reads.idle_in_a_row(task, pulse) == number
        bench.end(pulse)
        assert idle(bench, task) == number


def say(bench: Bench, task: Task) -> None:
    bench.do(c.LogEvent(task.id, "hm", by_agent=AGENT), by=AGENT)


def touch(bench: Bench, task: Task) -> None:
    bench.do(c.LogEvent(task.id, "have a look at the logs"))


def edit(bench: Bench, task: Task) -> None:
    bench.do(c.UpdateTask(task.id, description="all of it"))


def tell(bench: Bench, task: Task) -> None:
    bench.do(c.SendMessage(AGENT, "any news?"))


def mention(bench: Bench, task: Task) -> None:
    bench.do(c.UpdateChronicle(task.project_id, "@shuri has to see this"))


def reassign(bench: Bench, task: Task) -> None:
    bench.do(c.AssignTask(task.id, None))
    bench.do(c.AssignTask(task.id, "shuri"))


def ask_and_answer(bench: Bench, task: Task) -> None:
    request = bench.do(c.RequestHelp(task.id, "How?", by_agent=AGENT))
    bench.do(c.AnswerHelp(request.id, "So."))


def move(bench: Bench, task: Task) -> None:
    bench.do(c.MoveTask(task.id, TaskStatus.BACKLOG))


Deed = Callable[[Bench, Task], None]


@pytest.mark.parametrize("deed", [touch, edit, tell, mention, reassign, ask_and_answer, move])
def test_whatever_is_done_with_a_task_that_rests_wakes_its_agent_and_counts_anew(
    bench: Bench, project: str, deed: Deed
) -> None:
    task = bench.task(project)
    for _ in range(3):
        rest(bench)
    assert not is_due(bench)
    assert bench.do(c.BeginPulse(AGENT, "process")) is None
    deed(bench, bench.reads.task(task.id))
    assert is_due(bench)
    pulse = bench.begin(AGENT)
    assert (pulse.kind, pulse.task_id) == (PulseKind.WORK, task.id)
    bench.end(pulse)
    assert idle(bench, task) == 1


def pause_and_resume(bench: Bench, task: Task) -> None:
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.PAUSED))
    bench.do(c.SetAgentStatus(AGENT, AgentStatus.IDLE))


def archive_and_restore(bench: Bench, task: Task) -> None:
    bench.do(c.SetProjectState(task.project_id, ProjectState.ARCHIVED))
    bench.do(c.SetProjectState(task.project_id, ProjectState.ACTIVE))


def upgrade(bench: Bench, task: Task) -> None:
    bench.do(c.UpgradeAgent(AGENT, "1" * 64, refinement=False))


def replace(bench: Bench, task: Task) -> None:
    bench.do(c.DestroyAgent(AGENT))
    bench.agent(task.project_id)


def assign_anew(bench: Bench, task: Task) -> None:
    bench.do(c.AssignTask(task.id, "shuri"))


@pytest.mark.parametrize(
    "deed", [pause_and_resume, archive_and_restore, upgrade, replace, assign_anew]
)
def test_whatever_is_done_with_an_agent_that_rests_wakes_it(
    bench: Bench, project: str, deed: Deed
) -> None:
    task = bench.task(project)
    for _ in range(3):
        rest(bench)
    assert not is_due(bench)
    deed(bench, bench.reads.task(task.id))
    assert is_due(bench)
    assert bench.begin(AGENT).task_id == task.id


def test_a_task_that_failed_waits_on_whatever_is_done_with_its_agent(
    bench: Bench, project: str
) -> None:
    task = bench.task(project)
    bench.end(bench.begin(AGENT), failed=True, retry_delay_s=LATER_S)
    pause_and_resume(bench, task)
    assign_anew(bench, task)
    assert not is_due(bench)


def give_back(bench: Bench, task: Task) -> Pulse:
    """Make an attempt, triggered, in which the agent does nothing but give its task back."""
    pulse = bench.begin(AGENT, triggered=True)
    bench.do(c.MoveTask(task.id, TaskStatus.BACKLOG, by_agent=AGENT), by=AGENT)
    return bench.end(pulse, retry_delay_s=LATER_S)


@pytest.mark.parametrize("deed", [touch, edit, tell, pause_and_resume, upgrade])
@pytest.mark.parametrize("failed", [False, True])
def test_a_task_that_was_given_back_is_woken_too_also_after_a_failure(
    bench: Bench, project: str, deed: Deed, failed: bool
) -> None:
    task = bench.task(project)
    if failed:
        bench.end(bench.begin(AGENT), failed=True, retry_delay_s=1.0)
    for _ in range(3):
        give_back(bench, task)
    assert bench.reads.task(task.id).failures == failed
    assert not is_due(bench)
    deed(bench, bench.reads.task(task.id))
    pulse = bench.begin(AGENT)
    assert (pulse.kind, pulse.task_id) == (PulseKind.WORK, task.id)


def test_a_shorter_schedule_holds_for_what_was_given_back_after_a_failure(
    bench: Bench, project: str
) -> None:
    task = bench.task(project)
    bench.end(bench.begin(AGENT), failed=True, retry_delay_s=1.0)
    give_back(bench, task)
    bench.do(c.SchedulePulses(AGENT, interval_s=30.0))
    assert bench.reads.task(task.id).not_before == bench.clock.now_us() + 30 * US


@pytest.mark.parametrize("how", [{"failed": True}, {"outcome": "lost"}, {"outcome": "aborted"}])
def test_an_attempt_that_failed_or_was_lost_moves_nothing(
    bench: Bench, project: str, how: dict[str, Any]
) -> None:
    task = bench.task(project)
    for _ in range(3):
        rest(bench)
    bench.end(bench.begin(AGENT, triggered=True), **how)
    bench.do(c.LogEvent(task.id, "all is well", event_type="advice"), by="mission-control")
    assert idle(bench, task) == 3
    rest(bench)
    assert idle(bench, task) == 4


def test_who_fails_after_idling_is_said_to_wait_for_the_failure(bench: Bench, project: str) -> None:
    task = bench.task(project)
    rest(bench)
    assert bench.reads.ended_well(task)
    bench.end(bench.begin(AGENT, triggered=True), outcome="not_started", never_ran=True)
    assert bench.reads.ended_well(task)
    bench.end(bench.begin(AGENT, triggered=True), failed=True)
    assert not bench.reads.ended_well(task)


def test_a_word_that_comes_while_an_attempt_ends_is_not_slept_over(
    bench: Bench, project: str
) -> None:
    task = bench.task(project)
    for _ in range(3):
        rest(bench)
    pulse = bench.begin(AGENT, triggered=True)
    touch(bench, task)
    ended = bench.end(pulse, retry_delay_s=LATER_S, scheduled_s=20.0)
    at = int(ended.ended_at or 0)
    assert bench.reads.task(task.id).not_before == at + 20 * US
    bench.end(bench.begin(AGENT, triggered=True), retry_delay_s=LATER_S, scheduled_s=20.0)
    assert not is_due(bench)
    bench.clock.advance(60)
    assert not is_due(bench)


def test_attempts_from_before_an_upgrade_are_not_taken_for_idle(bench: Bench, project: str) -> None:
    task = bench.task(project)
    first = next(each for each in known_migrations() if each.name == "m0009_judged_from").number
    rollback(bench.connection, len(known_migrations()) - first + 1)
    for _ in range(5):
        rest(bench)
    assert idle(bench, task) == 5
    migrate(bench.connection)
    assert idle(bench, task) == 0
    rest(bench)
    assert idle(bench, task) == 1


def test_a_thought_of_the_agent_counts_anew(bench: Bench, project: str) -> None:
    task = bench.task(project)
    rest(bench)
    pulse = bench.begin(AGENT, triggered=True)
    say(bench, task)
    assert bench.reads.idle_in_a_row(task, pulse) == 0
    bench.end(pulse)
    assert idle(bench, task) == 0


@pytest.mark.parametrize("kind", ["claimed", "failed", "interrupted", "advice", "stranded"])
def test_a_thought_of_the_agent_counts_anew_whatever_kind_it_is_said_to_be_of(
    bench: Bench, project: str, kind: str
) -> None:
    task = bench.task(project)
    rest(bench)
    pulse = bench.begin(AGENT, triggered=True)
    thought = c.LogEvent(task.id, "the tests fail", event_type=kind, by_agent=AGENT)
    bench.do(thought, by=AGENT, fence=bench.fence(pulse))
    bench.end(pulse)
    assert idle(bench, task) == 0


def test_what_an_attempt_moved_elsewhere_is_told_on_its_task(bench: Bench, project: str) -> None:
    task = bench.task(project)
    rest(bench)
    bench.end(bench.begin(AGENT, triggered=True), moved="files in src/ were changed")
    assert idle(bench, task) == 0
    told = bench.reads.events(task_id=task.id)[-1]
    assert (told.kind, told.thought) == ("progress", "attempt 2 ended: files in src/ were changed")


def test_nothing_is_added_to_what_an_attempt_has_said_itself(bench: Bench, project: str) -> None:
    task = bench.task(project)
    pulse = bench.begin(AGENT)
    say(bench, task)
    bench.end(pulse, moved="it called mission.file.write")
    assert bench.kinds(task) == ["created", "claimed", "thought"]


def test_a_task_that_is_given_back_each_time_without_a_word_rests_too(
    bench: Bench, project: str
) -> None:
    task = bench.task(project)
    for number in range(1, 5):
        bench.clock.advance(2 * LATER_S)
        pulse = bench.begin(AGENT)
        bench.do(c.MoveTask(task.id, TaskStatus.BACKLOG, by_agent=AGENT), by=AGENT)
        assert bench.reads.idle_in_a_row(bench.reads.task(task.id), pulse) == number
        ended = bench.end(pulse, retry_delay_s=LATER_S)
        given = bench.reads.task(task.id)
        assert given.status is TaskStatus.BACKLOG
        assert given.not_before == int(ended.ended_at or 0) + round(LATER_S * US)


@pytest.mark.parametrize("status", [TaskStatus.DONE, TaskStatus.ARCHIVED, None])
def test_the_end_of_what_it_waited_for_wakes_a_task_that_rests(
    bench: Bench, project: str, status: TaskStatus | None
) -> None:
    other = bench.task(project, "other", assignee=None)
    task = bench.task(project)
    pulse = bench.begin(AGENT)
    bench.do(c.MoveTask(task.id, TaskStatus.BACKLOG, by_agent=AGENT), by=AGENT)
    bench.end(pulse, retry_delay_s=LATER_S)
    bench.do(c.UpdateTask(task.id, depends_on=(other.id,)))
    rested = bench.reads.task(task.id)
    held = bench.connection.execute
    held("UPDATE tasks SET not_before = ? WHERE id = ?", [bench.clock.now_us() + 900 * US, task.id])
    assert rested.status is TaskStatus.BACKLOG
    bench.do(c.DeleteTask(other.id) if status is None else c.MoveTask(other.id, status))
    assert is_due(bench)
    assert bench.kinds(task)[-1] == "freed"


def test_the_end_of_a_part_wakes_the_task_in_progress_that_waits_for_it(
    bench: Bench, project: str
) -> None:
    part = bench.task(project, "part", assignee=None)
    task = bench.task(project)
    rest(bench)
    bench.do(c.UpdateTask(task.id, depends_on=(part.id,)))
    rest(bench)
    assert bench.status(task) is TaskStatus.IN_PROGRESS
    assert not is_due(bench)
    bench.do(c.MoveTask(part.id, TaskStatus.DONE))
    assert is_due(bench)


def test_an_edit_that_changes_nothing_is_not_told(bench: Bench, project: str) -> None:
    task = bench.task(project)
    bench.do(c.UpdateTask(task.id))
    bench.do(c.UpdateTask(task.id, title=f" {task.title}", priority=task.priority, depends_on=()))
    assert bench.kinds(task) == ["created"]
    bench.do(c.UpdateTask(task.id, title="new", priority=1))
    assert bench.reads.events(task_id=task.id)[-1].thought == "operator changed priority, title"


def test_what_the_service_says_of_a_task_that_rests_lets_it_rest(
    bench: Bench, project: str
) -> None:
    task = bench.task(project)
    rest(bench)
    bench.do(c.LogEvent(task.id, "all is well", event_type="advice"), by="mission-control")
    assert not is_due(bench)


def test_a_task_that_failed_is_not_hurried_by_an_edit(bench: Bench, project: str) -> None:
    task = bench.task(project)
    bench.end(bench.begin(AGENT), failed=True, retry_delay_s=LATER_S)
    edit(bench, task)
    tell(bench, task)
    assert bench.begin(AGENT).kind is PulseKind.MESSAGE


def of_all(bench: Bench) -> set[str]:
    return set(bench.reads.agents_to_wake("p", bench.clock.now_us()))


def test_who_is_to_be_woken_is_who_has_work(bench: Bench, project: str) -> None:
    crew = ("idle", "ready", "waits", "rests", "told", "paused", "runs", "learns", "later")
    agents: dict[str, Agent] = {soul: bench.agent(project, soul) for soul in crew}
    tasks: dict[str, Any] = {
        soul: bench.task(project, soul, soul) for soul in crew if soul not in ("idle", "told")
    }
    bench.do(c.UpdateTask(tasks["waits"].id, depends_on=(tasks["ready"].id,)))
    bench.end(bench.begin(agents["rests"].id), retry_delay_s=LATER_S)
    bench.end(bench.begin(agents["later"].id), failed=True, retry_delay_s=LATER_S)
    bench.do(c.SendMessage(agents["told"].id, "hello"))
    bench.do(c.SetAgentStatus(agents["paused"].id, c.HALTED[0]))
    bench.begin(agents["runs"].id)
    learning = bench.begin(agents["learns"].id)
    bench.do(c.MoveTask(tasks["learns"].id, TaskStatus.DONE))
    bench.end(learning)
    woken = {agents[soul].id for soul in ("ready", "told", "runs", "learns")}
    assert of_all(bench) == woken
    now = bench.clock.now_us()
    for agent in bench.reads.agents(project):
        working = agent.id == agents["runs"].id
        assert (agent.id in woken) is (working or bench.reads.has_work(agent, now))
    bench.clock.advance(LATER_S)
    assert of_all(bench) == woken | {agents["rests"].id, agents["later"].id}
    bench.do(c.SetBudget(project, tokens_per_day=0))
    assert of_all(bench) == {agents["runs"].id}
