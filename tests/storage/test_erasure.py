"""A project that is deleted: marked for good, then erased a few rows at a time."""

from __future__ import annotations

import pytest

from log_tables import images_in, images_of
from mission_control.storage import (
    Conflict,
    Deletion,
    Forbidden,
    MissionError,
    NotFound,
    ProjectState,
    Unavailable,
)
from mission_control.storage import commands as c
from mission_control.storage._table import _TABLES
from mission_control.storage.commands import erasure
from mission_control.storage.history import fold
from random_history import furnish
from storage_bench import Bench


@pytest.fixture
def full(bench: Bench) -> Bench:
    """Two projects; the first has a row in every table that a project can have one in."""
    furnish(bench)
    one, two = bench.reads.board("p")[:2]
    bench.do(c.UpdateTask(two.id, depends_on=(one.id,)))
    bench.do(c.SendMessage("shuri:p", "hello"))
    pulse = bench.begin("shuri:p")
    bench.do(c.RecordSession("shuri:p", "a key", "a session", "process"))
    bench.do(c.RequestHelp(one.id, "How?"))
    bench.do(c.DistillMemory("shuri:p", "learned"))
    bench.do(c.SetBudget("p", 1_000_000))
    bench.end(pulse)
    return bench


def rows_of(bench: Bench, project_id: str) -> dict[str, int]:
    """How many rows of a project each table has."""
    found = {}
    for name, table in _TABLES.items():
        column = "id" if name == "projects" else "project_id"
        if table.has(column) and name != "souls":
            sql = f"SELECT count(*) FROM {name} WHERE {column} = ?"  # noqa: S608
            found[name] = bench.connection.execute(sql, [project_id]).fetchone()[0]
    return found


def erase(bench: Bench, project_id: str) -> int:
    """Erase to the end; return how many commands that took."""
    done, steps = False, 0
    while not done:
        done, steps = bench.do(c.EraseProject(project_id)), steps + 1
    return steps


def test_a_marked_project_is_put_away_and_says_since_when(full: Bench) -> None:
    marked = full.do(c.BeginDeletion("p", Deletion.ARCHIVE))
    assert (marked.state, marked.deleting) == (ProjectState.ARCHIVED, Deletion.ARCHIVE)
    assert marked.updated_at == full.clock.now_us()
    again = full.do(c.BeginDeletion("p", Deletion.PURGE))
    assert again == marked, "the first word counts"


@pytest.mark.parametrize(
    "command",
    [
        c.SetProjectState("p", ProjectState.ACTIVE),
        c.RenameProject("p", "Q"),
        c.InitProject("copy", base_id="p"),
        c.CreateTask("p", "one"),
        c.CreateAgent("p", "shuri", 60.0, 300.0, 3),
    ],
    ids=lambda command: type(command).__name__,
)
def test_nothing_else_is_done_with_a_marked_project(full: Bench, command: c.RenameProject) -> None:
    full.do(c.BeginDeletion("p", Deletion.ARCHIVE))
    before = images_of(full.connection)
    with pytest.raises(Conflict, match="'p' is being deleted"):
        full.do(command)
    assert images_of(full.connection) == before


def test_a_project_with_an_attempt_out_of_reach_is_not_marked(bench: Bench) -> None:
    furnish(bench)
    pulse = bench.begin("shuri:p")
    bench.do(c.MarkRunning(pulse.id, process_group=1))
    with pytest.raises(Unavailable, match="may still run"):
        bench.do(c.BeginDeletion("p", Deletion.ARCHIVE))
    assert bench.reads.project("p").deleting is None


def test_a_project_that_is_not_marked_is_not_erased(full: Bench) -> None:
    before = images_of(full.connection)
    with pytest.raises(Conflict, match="not being deleted"):
        full.do(c.EraseProject("p"))
    assert images_of(full.connection) == before


def test_a_project_is_erased_from_every_table_and_its_neighbour_stays(full: Bench) -> None:
    before, neighbour = rows_of(full, "p"), rows_of(full, "q")
    assert set(before.values()) != {0}
    assert [name for name, rows in before.items() if not rows] == []
    full.do(c.BeginDeletion("p", Deletion.ARCHIVE))
    erase(full, "p")
    assert set(rows_of(full, "p").values()) == {0}
    assert rows_of(full, "q") == neighbour
    assert full.do(c.EraseProject("p")) is True, "once more does nothing"
    with pytest.raises(NotFound):
        full.reads.project("p")


def test_an_erasure_in_small_steps_is_what_the_log_tells(
    full: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "ERASED_AT_ONCE", 3)
    full.do(c.BeginDeletion("p", Deletion.PURGE))
    assert erase(full, "p") > 5
    last = full.reads.last_seq()
    state = fold(full.reads.changes(0, last))
    assert images_in(state) == images_of(full.connection)


def test_history_may_not_be_deleted_between_two_steps_of_an_erasure(
    full: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "ERASED_AT_ONCE", 1)
    full.do(c.BeginDeletion("p", Deletion.PURGE))
    full.do(c.EraseProject("p"))
    with pytest.raises(Exception, match="never"):
        full.connection.execute("DELETE FROM task_events")


def test_the_name_may_be_given_again_and_old_attempts_stay_fenced(bench: Bench) -> None:
    furnish(bench)
    old = bench.begin("shuri:p")
    fence = bench.fence(old)
    bench.do(c.BeginDeletion("p", Deletion.PURGE))
    erase(bench, "p")
    assert bench.do(c.InitProject("P")).id == "p"
    bench.agent("p")
    task = bench.task("p")
    new = bench.begin("shuri:p")
    with pytest.raises(Forbidden, match="too late"):
        bench.do(c.LogEvent(task.id, "from the dead"), by="shuri:p", fence=fence)
    bench.do(c.LogEvent(task.id, "hm"), by="shuri:p", fence=bench.fence(new))


def test_an_erased_project_can_be_nobodys_base(full: Bench) -> None:
    full.do(c.BeginDeletion("p", Deletion.PURGE))
    erase(full, "p")
    with pytest.raises(MissionError, match="no project 'p'"):
        full.do(c.InitProject("copy", base_id="p"))
