"""The board: moves, versions, hands, dependencies."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mission_control.storage import (
    AgentStatus,
    Conflict,
    Forbidden,
    HelpState,
    Invalid,
    MissionError,
    NotFound,
    ProjectState,
    PulseKind,
    TaskStatus,
)
from mission_control.storage import commands as c
from storage_bench import Bench

BACKLOG, IN_PROGRESS, DONE, BLOCKED, ARCHIVED = TaskStatus


@pytest.fixture
def project(bench: Bench) -> str:
    project = bench.project().id
    bench.agent(project)
    return project


def test_a_new_task_is_in_the_backlog_and_says_who_made_it(bench: Bench, project: str) -> None:
    task = bench.do(
        c.CreateTask(project, " Write it ", "shuri", 2, "all of it", ("a", "b"), side_effects=True),
        by="operator",
    )
    assert task == bench.reads.task(task.id)
    assert (task.title, task.status, task.priority) == ("Write it", BACKLOG, 2)
    assert (task.labels, task.side_effects, task.created_by) == (("a", "b"), True, "operator")
    assert (task.version, task.attempts, task.failures) == (1, 0, 0)
    assert bench.kinds(task) == ["created"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": " \n"}, "title"),
        ({"title": "x" * 501}, "title"),
        ({"priority": 0}, "priority"),
        ({"priority": 6}, "priority"),
    ],
)
def test_a_wrong_title_or_priority_is_refused_by_name(
    bench: Bench, project: str, wrong: dict[str, Any], field: str
) -> None:
    task = bench.task(project)
    for command in (
        attrs.evolve(c.CreateTask(project, "good"), **wrong),
        c.UpdateTask(task.id, **wrong),
    ):
        with pytest.raises(Invalid) as refusal:
            bench.do(command)
        assert refusal.value.details["field"] == field
    assert bench.reads.board(project) == [task]


def test_an_unknown_soul_is_refused_with_those_that_there_are(bench: Bench, project: str) -> None:
    with pytest.raises(NotFound, match=r"'nobody'.*there: shuri"):
        bench.task(project, assignee="nobody")


def test_an_archived_project_takes_no_tasks(bench: Bench, project: str) -> None:
    bench.do(c.SetProjectState(project, ProjectState.ARCHIVED))
    with pytest.raises(Conflict, match="restore it first"):
        bench.task(project)


@pytest.mark.parametrize("to", list(TaskStatus))
@pytest.mark.parametrize("start", [BACKLOG, IN_PROGRESS, DONE, BLOCKED])
def test_any_column_leads_to_any_other(
    bench: Bench, project: str, start: TaskStatus, to: TaskStatus
) -> None:
    task = bench.task(project)
    bench.do(c.MoveTask(task.id, start))
    assert bench.do(c.MoveTask(task.id, to)).status is to
    assert bench.status(task) is to


@pytest.mark.parametrize("to", [IN_PROGRESS, DONE, BLOCKED])
def test_what_is_archived_returns_to_the_backlog_only(
    bench: Bench, project: str, to: TaskStatus
) -> None:
    task = bench.task(project)
    bench.do(c.MoveTask(task.id, ARCHIVED))
    with pytest.raises(Conflict) as refusal:
        bench.do(c.MoveTask(task.id, to))
    assert refusal.value.details["field"] == "new_status"
    assert bench.do(c.MoveTask(task.id, BACKLOG)).status is BACKLOG


def test_in_progress_needs_an_assignee(bench: Bench, project: str) -> None:
    task = bench.task(project, assignee=None)
    with pytest.raises(Conflict, match="assign the task first"):
        bench.do(c.MoveTask(task.id, IN_PROGRESS))


def test_a_move_to_where_it_is_changes_nothing(bench: Bench, project: str) -> None:
    task = bench.task(project)
    before = bench.reads.last_seq()
    assert bench.do(c.MoveTask(task.id, BACKLOG)) == task
    assert bench.reads.last_seq() == before


def test_an_agent_has_one_task_in_progress_at_a_time(bench: Bench, project: str) -> None:
    first, second = bench.task(project, "first"), bench.task(project, "second")
    bench.do(c.MoveTask(first.id, IN_PROGRESS))
    with pytest.raises(Conflict, match="'first'") as refusal:
        bench.do(c.MoveTask(second.id, IN_PROGRESS))
    assert refusal.value.details["task_id"] == first.id
    bench.do(c.MoveTask(first.id, DONE))
    bench.do(c.MoveTask(second.id, IN_PROGRESS))


def test_the_same_soul_may_be_busy_in_two_projects(bench: Bench, project: str) -> None:
    other = bench.project("Q").id
    bench.agent(other)
    for task in (bench.task(project), bench.task(other)):
        assert bench.do(c.MoveTask(task.id, IN_PROGRESS)).status is IN_PROGRESS


def test_a_write_that_expects_another_version_is_refused_with_the_present_one(
    bench: Bench, project: str
) -> None:
    task = bench.task(project)
    moved = bench.do(c.MoveTask(task.id, BLOCKED, expected_version=1))
    assert moved.version == 2
    for command in (
        c.MoveTask(task.id, DONE, expected_version=1),
        c.UpdateTask(task.id, title="x", expected_version=1),
        c.AssignTask(task.id, None, expected_version=1),
        c.DeleteTask(task.id, expected_version=1),
    ):
        with pytest.raises(Conflict) as refusal:
            bench.do(command)
        assert refusal.value.details["version"] == 2
        assert refusal.value.details["status"] == "blocked"
    assert bench.reads.task(task.id) == moved


def test_an_agent_moves_its_own_task_only(bench: Bench, project: str) -> None:
    agent = bench.agent(project, "okoye")
    task = bench.task(project)
    with pytest.raises(Forbidden, match="belongs to shuri"):
        bench.do(c.MoveTask(task.id, DONE, by_agent=agent.id))
    bench.do(c.AssignTask(task.id, "okoye"))
    bench.do(c.MoveTask(task.id, DONE, by_agent=agent.id))
    assert bench.reads.events(task_id=task.id)[-1].agent_id == agent.id


def test_an_update_changes_what_it_names(bench: Bench, project: str) -> None:
    task = bench.task(project)
    updated = bench.do(c.UpdateTask(task.id, title=" new ", labels=("x",), priority=1))
    assert (updated.title, updated.labels, updated.priority) == ("new", ("x",), 1)
    assert updated.description == task.description
    assert updated.updated_at > task.updated_at


def test_a_task_in_hand_that_is_given_away_goes_back_to_the_backlog(
    bench: Bench, project: str
) -> None:
    bench.agent(project, "okoye")
    task = bench.task(project)
    bench.do(c.MoveTask(task.id, IN_PROGRESS))
    given = bench.do(c.AssignTask(task.id, "okoye"))
    assert (given.assignee, given.status) == ("okoye", BACKLOG)
    bench.do(c.MoveTask(task.id, IN_PROGRESS))
    assert bench.do(c.AssignTask(task.id, None)).status is BACKLOG
    assert bench.kinds(task)[-1] == "assigned"


def test_circles_of_dependencies_are_refused(bench: Bench, project: str) -> None:
    first = bench.task(project, "first")
    second = bench.do(c.CreateTask(project, "second", depends_on=(first.id,)))
    third = bench.do(c.CreateTask(project, "third", depends_on=(second.id,)))
    for end in (first, second, third):
        with pytest.raises(Invalid, match="circle") as refusal:
            bench.do(c.UpdateTask(first.id, depends_on=(end.id,)))
        assert refusal.value.details["field"] == "depends_on"
    assert bench.reads.depends_on(first.id) == ()
    assert bench.reads.depends_on(third.id) == (second.id,)


def test_dependencies_stay_inside_the_project(bench: Bench, project: str) -> None:
    other = bench.task(bench.project("Q").id, assignee=None)
    with pytest.raises(Invalid, match="another project"):
        bench.do(c.CreateTask(project, "x", depends_on=(other.id,)))
    with pytest.raises(NotFound):
        bench.do(c.CreateTask(project, "x", depends_on=("no such task",)))


def test_a_task_waits_until_what_it_depends_on_is_done(bench: Bench, project: str) -> None:
    first, second = bench.task(project, "first", None), bench.task(project, "second", None)
    task = bench.do(c.CreateTask(project, "last", "shuri", depends_on=(first.id, second.id)))
    assert [waits.id for waits in bench.reads.unmet(task.id)] == [first.id, second.id]
    agent_id = f"shuri:{project}"
    assert bench.do(c.BeginPulse(agent_id, "process")) is None
    bench.do(c.MoveTask(first.id, DONE))
    assert bench.do(c.BeginPulse(agent_id, "process")) is None
    bench.do(c.MoveTask(second.id, DONE))
    assert bench.begin(agent_id).task_id == task.id


def test_dependencies_are_replaced_whole(bench: Bench, project: str) -> None:
    first, second = bench.task(project, "first"), bench.task(project, "second")
    task = bench.do(c.CreateTask(project, "last", depends_on=(first.id, first.id)))
    assert bench.reads.dependencies(project) == {task.id: (first.id,)}
    bench.do(c.UpdateTask(task.id, depends_on=(second.id,)))
    assert bench.reads.depends_on(task.id) == (second.id,)
    bench.do(c.UpdateTask(task.id, depends_on=()))
    assert bench.reads.dependencies(project) == {}


def test_a_deleted_task_takes_its_dependencies_along_and_leaves_its_thoughts(
    bench: Bench, project: str
) -> None:
    first = bench.task(project, "first")
    last = bench.do(c.CreateTask(project, "last", depends_on=(first.id,)))
    bench.do(c.DeleteTask(first.id))
    assert bench.reads.unmet(last.id) == []
    assert bench.kinds(first) == ["created", "deleted"]
    with pytest.raises(NotFound):
        bench.reads.task(first.id)


@pytest.mark.parametrize("moved_on", ["moved", "assigned", "deleted"])
def test_a_question_is_withdrawn_when_its_task_is_moved_on_by_hand(
    bench: Bench, project: str, moved_on: str
) -> None:
    bench.agent(project, "okoye")
    task = bench.task(project)
    pulse = bench.begin(f"shuri:{project}")
    asked = bench.do(c.RequestHelp(task.id, "How?"))
    bench.end(pulse)
    agent = bench.reads.agent(f"shuri:{project}")
    assert agent.status is AgentStatus.BLOCKED
    if moved_on == "moved":
        bench.do(c.MoveTask(task.id, BACKLOG))
    elif moved_on == "assigned":
        bench.do(c.AssignTask(task.id, "okoye"))
    else:
        bench.do(c.DeleteTask(task.id))
    assert bench.reads.help_request(asked.id).state is HelpState.WITHDRAWN
    released = bench.reads.agent(agent.id)
    assert (released.status, released.current_task_id) == (AgentStatus.IDLE, None)
    with pytest.raises(Conflict, match="was withdrawn"):
        bench.do(c.AnswerHelp(asked.id, "So."))


def test_a_finished_task_makes_its_agent_distil(bench: Bench, project: str) -> None:
    task = bench.task(project)
    pulse = bench.begin(f"shuri:{project}")
    bench.do(c.MoveTask(task.id, DONE, by_agent=f"shuri:{project}"))
    bench.end(pulse)
    assert bench.reads.agent(f"shuri:{project}").status is AgentStatus.DISTILLING


def test_a_task_that_its_agent_never_worked_on_is_not_distilled(bench: Bench, project: str) -> None:
    bench.do(c.MoveTask(bench.task(project).id, DONE))
    assert bench.reads.agent(f"shuri:{project}").status is AgentStatus.IDLE


def test_the_board_is_read_by_column_then_priority_then_age(bench: Bench, project: str) -> None:
    for title, priority in (("a", 3), ("b", 1), ("c", 3), ("d", 5)):
        bench.do(c.CreateTask(project, title, "shuri", priority))
    done = bench.do(c.CreateTask(project, "e", priority=1))
    bench.do(c.MoveTask(done.id, DONE))
    assert [task.title for task in bench.reads.board(project)] == ["b", "a", "c", "d", "e"]


def test_a_task_is_handed_off_with_a_note_that_wakes_the_next(bench: Bench, project: str) -> None:
    bench.agent(project, "okoye")
    task = bench.task(project)
    pulse = bench.begin("shuri:p")
    hand_off = c.HandOffTask(
        task.id, "okoye", " The form is done, tests are not. ", None, "shuri:p"
    )
    given = bench.do(hand_off, by="shuri:p", fence=bench.fence(pulse))
    assert (given.assignee, given.status) == ("okoye", TaskStatus.BACKLOG)
    event = bench.reads.events(task_id=task.id)[-1]
    assert event.kind == "handed_off"
    assert event.thought == "shuri → okoye: The form is done, tests are not."
    (message,) = bench.reads.messages("okoye:p")
    assert message.sender == "shuri:p"
    assert message.text.startswith("shuri:p hands you 'one'")
    assert bench.reads.agent("shuri:p").current_task_id is None
    waiting = bench.begin("okoye:p")
    assert waiting.kind is PulseKind.MESSAGE, "until shuri has ended, it is only told"
    bench.end(waiting)
    bench.end(pulse)
    assert bench.begin("okoye:p").task_id == task.id


def test_a_hand_off_closes_the_question_that_the_task_waited_for(
    bench: Bench, project: str
) -> None:
    bench.agent(project, "okoye")
    task = bench.task(project)
    bench.end(bench.begin("shuri:p"))
    asked = bench.do(c.RequestHelp(task.id, "Which one?"))
    bench.do(c.HandOffTask(task.id, "okoye", "see for yourself"))
    assert bench.reads.help_request(asked.id).state.value == "withdrawn"
    assert bench.reads.agent("shuri:p").status.value == "idle"


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"to": "nakia"}, NotFound, "to"),
        ({"to": "shuri"}, Conflict, "to"),
        ({"note": " "}, Invalid, "note"),
        ({"note": "x" * 10_001}, Invalid, "note"),
        ({"expected_version": 7}, Conflict, "expected_version"),
        ({"by_agent": "okoye:p"}, Forbidden, "task_id"),
        ({"task_id": "nope"}, NotFound, "task_id"),
    ],
)
def test_a_hand_off_that_cannot_be_is_refused_by_the_field(
    bench: Bench, project: str, change: dict[str, Any], error: type[MissionError], field: str
) -> None:
    bench.agent(project, "okoye")
    task = bench.task(project)
    wanted = {"task_id": task.id, "to": "okoye", "note": "the rest", **change}
    with pytest.raises(error) as refusal:
        bench.do(c.HandOffTask(**wanted))
    assert field in {refusal.value.details.get("field"), *refusal.value.details}
    assert bench.reads.task(task.id) == task


def test_what_is_over_is_not_handed_off(bench: Bench, project: str) -> None:
    bench.agent(project, "okoye")
    task = bench.task(project)
    bench.do(c.MoveTask(task.id, TaskStatus.DONE))
    with pytest.raises(Conflict, match="is done"):
        bench.do(c.HandOffTask(task.id, "okoye", "the rest"))
