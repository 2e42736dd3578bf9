"""Questions: on the loop, and in threads over connections that are kept."""

from __future__ import annotations

import random
import sqlite3
import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from mission_control.storage import (
    OPEN_COLUMNS,
    NotFound,
    Reads,
    Task,
    TaskFilter,
    TaskPlace,
    TaskStatus,
    Unavailable,
)
from mission_control.storage import commands as c
from mission_control.storage.reads._pool import SIZE
from storage_bench import Bench

PATIENCE_S = 30


def _connection(reads: Reads) -> sqlite3.Connection:
    return reads._open


def _idle(reads: Reads) -> int:
    return len(reads._pool._idle)


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    except Unavailable:
        return False
    return True


async def test_a_question_sees_one_state_whatever_is_committed_meanwhile(bench: Bench) -> None:
    bench.project()
    begun, go_on = threading.Event(), threading.Event()

    def ask(reads: Reads) -> tuple[int, int]:
        before = len(reads.board("p"))
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return before, len(reads.board("p"))

    async def commit() -> None:
        await trio.to_thread.run_sync(begun.wait, PATIENCE_S)
        bench.task("p", assignee=None)
        go_on.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(commit)
        assert await bench.reads.elsewhere(ask) == (0, 0)
    assert len(await bench.reads.elsewhere(lambda reads: reads.board("p"))) == 1


async def test_connections_are_kept_and_there_are_never_more_than_two(bench: Bench) -> None:
    bench.project()
    seen: set[int] = set()
    both = threading.Barrier(SIZE)

    def ask(reads: Reads) -> str:
        seen.add(id(_connection(reads)))
        both.wait(PATIENCE_S)  # or one connection might serve them all, one after the other
        return reads.project("p").name

    async with trio.open_nursery() as nursery:
        for _ in range(10 * SIZE):
            nursery.start_soon(bench.reads.elsewhere, ask)
    assert len(seen) == _idle(bench.reads) == SIZE


async def test_a_refusal_is_an_answer_and_the_connection_stays(bench: Bench) -> None:
    first = await bench.reads.elsewhere(_connection)
    with pytest.raises(NotFound):
        await bench.reads.elsewhere(lambda reads: reads.project("nobody's"))
    assert await bench.reads.elsewhere(_connection) is first


@pytest.mark.parametrize("sql", ["SELECT nonsense", "INSERT INTO meta VALUES('a', 'b')", "BEGIN"])
async def test_a_connection_that_failed_is_dropped(bench: Bench, sql: str) -> None:
    first = await bench.reads.elsewhere(_connection)
    with pytest.raises(Unavailable, match="the database cannot be read"):
        await bench.reads.elsewhere(lambda reads: _connection(reads).execute(sql))
    assert not _is_open(first)
    assert await bench.reads.elsewhere(_connection) is not first


async def test_an_idle_pool_does_not_hold_up_the_log(bench: Bench) -> None:
    bench.project()
    await bench.reads.elsewhere(lambda reads: reads.board("p"))
    await bench.reads.elsewhere(lambda reads: reads.project("p"))
    bench.reads.project("p")
    bench.task("p", assignee=None)
    folded = bench.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert folded == (0, 0, 0)


async def test_files_that_are_slow_to_write_hold_up_no_question(bench: Bench) -> None:
    end = threading.Event()

    async def write() -> None:
        await bench.reads.into_files(lambda reads: (reads.last_seq(), end.wait(PATIENCE_S)))

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(write)
            await trio.testing.wait_all_tasks_blocked()
            assert await bench.reads.elsewhere(Reads.last_seq) == bench.reads.last_seq()
            assert await bench.reads.at_leisure(Reads.last_seq) == bench.reads.last_seq()
            end.set()


async def test_whoever_is_cancelled_leaves_no_connection_behind(bench: Bench) -> None:
    begun, go_on = threading.Event(), threading.Event()
    used: list[sqlite3.Connection] = []

    def ask(reads: Reads) -> None:
        used.append(_connection(reads))
        begun.set()
        assert go_on.wait(PATIENCE_S)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.reads.elsewhere, ask)
        await trio.to_thread.run_sync(begun.wait, PATIENCE_S)
        nursery.cancel_scope.cancel()
        go_on.set()
    assert bench.reads._pool._idle == used


async def test_closing_reaches_connections_that_are_lent(bench: Bench) -> None:
    idle = await bench.reads.elsewhere(_connection)
    begun, go_on = threading.Event(), threading.Event()
    lent: list[sqlite3.Connection] = []

    def ask(reads: Reads) -> None:
        lent.append(_connection(reads))
        begun.set()
        assert go_on.wait(PATIENCE_S)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.reads.elsewhere, ask)
        await trio.to_thread.run_sync(begun.wait, PATIENCE_S)
        bench.reads.close()
        go_on.set()
    assert not _is_open(idle)
    assert not _is_open(lent[0])
    assert _idle(bench.reads) == 0


async def test_a_file_that_is_no_database_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is not a database" * 1000)
    reads = Reads(path)
    with pytest.raises(Unavailable, match="not a database"):
        reads.last_seq()
    with pytest.raises(Unavailable, match="not a database"):
        await reads.elsewhere(Reads.last_seq)
    reads.close()


def _furnish(bench: Bench) -> None:
    chance = random.Random(4)  # noqa: S311 - a board, not secrets
    bench.project()
    bench.agent("p")
    for number in range(40):
        command = c.CreateTask(
            "p",
            f"Ärger {number}" if number % 3 else f"task {number}",
            chance.choice((None, "shuri")),
            chance.randint(1, 5),
            labels=("web",) if number % 4 == 0 else (),
        )
        task = bench.do(command)
        status = chance.choice([status for status in TaskStatus if status.value != 1])
        bench.do(c.MoveTask(task.id, status))


@pytest.mark.parametrize("limit", [1, 7, 40, 41])
@pytest.mark.parametrize(
    "wanted",
    [
        TaskFilter("p"),
        TaskFilter("p", OPEN_COLUMNS),
        TaskFilter("p", (TaskStatus.DONE,)),
        TaskFilter("p", assignee="shuri"),
        TaskFilter("p", label="web"),
        TaskFilter("p", text="ÄRGER"),
        TaskFilter("p", OPEN_COLUMNS, assignee="shuri", label="web", text="TASK"),
    ],
    ids=str,
)
def test_pages_give_every_card_once_in_the_order_of_the_board(
    bench: Bench, wanted: TaskFilter, limit: int
) -> None:
    _furnish(bench)
    after: TaskPlace | None = None
    found: list[Task] = []
    while page := bench.reads.tasks(wanted, after=after, limit=limit):
        assert len(page) <= limit
        found += page
        after = TaskPlace.of(page[-1])
    assert found == [task for task in bench.reads.board("p") if _matches(task, wanted)]
    assert found


def _matches(task: Task, wanted: TaskFilter) -> bool:
    return (
        task.status in wanted.statuses
        and wanted.assignee in (None, task.assignee)
        and (wanted.label is None or wanted.label in task.labels)
        and (wanted.text or "").casefold() in task.title.casefold()
    )


def test_pages_of_questions_go_on_where_the_last_one_ended(bench: Bench) -> None:
    bench.project()
    asked = [
        bench.do(c.RequestHelp(bench.task("p", f"task {n}", None).id, "How?")) for n in range(5)
    ]
    first = bench.reads.help_requests(project_id="p", state="open", limit=2)
    others = bench.reads.help_requests(project_id=None, state="open", after=first[-1])
    assert first + others == asked
