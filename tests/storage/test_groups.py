"""Commands that are committed together: as if each had been alone, and in its turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log_tables import images_of
from mission_control.storage import (
    Command,
    Forbidden,
    Invalid,
    NotFound,
    Transaction,
    Unavailable,
    Write,
)
from mission_control.storage import commands as c
from mission_control.storage._appends import Appends
from mission_control.storage._group import Item, commit_group
from mission_control.storage._insert import AT_ONCE
from random_history import AGENTS, ALL_STEPS, command_of, furnish, pick
from storage_bench import Bench, Reply, open_bench

THOUGHTS = st.one_of(
    st.tuples(st.just("log"), pick),
    st.tuples(st.just("say"), pick, st.sampled_from(AGENTS)),
)
STEPS = st.lists(st.one_of(THOUGHTS, ALL_STEPS), max_size=25)
SIZES = st.lists(st.integers(1, 12), min_size=1, max_size=5)
KEYS = st.lists(st.none() | st.sampled_from(["key 1", "key 2"]), min_size=1, max_size=5)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_bench(tmp_path / "a.db") as made:
        furnish(made)
        yield made


def write(command: Command[Any], number: int, by: str = "operator", **how: Any) -> Write:
    return Write(command, 2_000_000 + number, by, 1_000_000 + number, **how)


def commit(bench: Bench, writes: Sequence[Write]) -> list[Any]:
    """Commit in one group; return the answers, or the errors."""
    items = [Item(each, Reply()) for each in writes]
    commit_group(items, Appends(bench.connection))
    return [item.error or item.result for item in items]


def alone(bench: Bench, each: Write) -> Any:
    """Commit in a transaction of its own; return the answer, or the error."""
    (outcome,) = commit(bench, [each])
    return outcome


def named(bench: Bench, step: tuple[Any, ...]) -> Command[Any]:
    match step:
        case ("say", _, agent):
            thought = command_of(bench, ("log", step[1]))
            assert isinstance(thought, c.LogEvent)
            return attrs.evolve(thought, by_agent=agent)
        case _:
            return command_of(bench, step)


def told(outcome: Any) -> Any:
    return (type(outcome), str(outcome)) if isinstance(outcome, Exception) else outcome


def changes(bench: Bench) -> list[tuple[Any, ...]]:
    return bench.connection.execute("SELECT * FROM changes ORDER BY seq").fetchall()


def stream(bench: Bench) -> list[str]:
    rows = bench.connection.execute("SELECT thought FROM task_events ORDER BY pk").fetchall()
    return [thought for (thought,) in rows]


@settings(max_examples=60)
@given(STEPS, SIZES, KEYS)
def test_a_group_comes_to_what_its_commands_come_to_one_by_one(
    steps: list[tuple[Any, ...]], sizes: list[int], keys: list[str | None]
) -> None:
    with TemporaryDirectory() as folder, ExitStack() as stack:
        single, grouped = (
            stack.enter_context(open_bench(Path(folder) / name)) for name in ("a.db", "b.db")
        )
        furnish(single)
        furnish(grouped)
        writes, outcomes = [], []
        for number, step in enumerate(steps):
            command = named(single, step)
            writes.append(write(command, number, key=keys[number % len(keys)]))
            outcomes.append(alone(single, writes[-1]))
        found: list[Any] = []
        appends = Appends(grouped.connection)
        while len(found) < len(writes):
            size = sizes[len(found) % len(sizes)]
            items = [Item(each, Reply()) for each in writes[len(found) : len(found) + size]]
            commit_group(items, appends)
            found += [item.error or item.result for item in items]
        assert list(map(told, found)) == list(map(told, outcomes))
        assert images_of(grouped.connection) == images_of(single.connection)
        assert changes(grouped) == changes(single)
        assert stream(grouped) == stream(single)


@attrs.frozen
class ThinkAndFail(Command[None]):
    """Adds to a stream, perhaps writes something else, and is refused."""

    task_id: str
    elsewhere: bool

    RESULT: ClassVar[Any] = None

    def apply(self, tx: Transaction) -> None:
        c.LogEvent(self.task_id, "refused").apply(tx)
        if self.elsewhere:
            c.InitProject("Half").apply(tx)
        c.LogEvent(self.task_id, "refused too").apply(tx)
        raise Invalid("no")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_refused_command_takes_only_its_own_thoughts_with_it(
    bench: Bench, elsewhere: bool
) -> None:
    task = bench.task("p")
    before = len(stream(bench))
    first, second = c.LogEvent(task.id, "first"), c.LogEvent(task.id, "second")
    outcomes = commit(
        bench,
        [write(first, 1), write(ThinkAndFail(task.id, elsewhere), 2), write(second, 3)],
    )
    assert isinstance(outcomes[1], Invalid)
    assert stream(bench)[before:] == ["first", "second"]
    assert [row[-1].count("refused") for row in changes(bench)[-2:]] == [0, 0]
    assert {project.id for project in bench.reads.projects()} == {"p", "q"}


def test_a_thought_that_cannot_be_stored_is_refused_and_no_neighbour_is(bench: Bench) -> None:
    task = bench.task("p")
    statements: list[str] = []
    bench.connection.set_trace_callback(statements.append)
    outcomes = commit(
        bench,
        [
            write(c.LogEvent(task.id, "before"), 1),
            write(c.LogEvent(task.id, "half \ud800"), 2),
            write(c.InitProject("Another"), 3),
            write(c.LogEvent(task.id, "after"), 4),
        ],
    )
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "TaskEvent",
        "Invalid",
        "Project",
        "TaskEvent",
    ]
    assert statements.count("COMMIT") == 1
    assert [thought for thought in stream(bench) if thought in ("before", "after")] == [
        "before",
        "after",
    ]


def test_more_thoughts_than_one_statement_takes_keep_their_order(bench: Bench) -> None:
    task = bench.task("p")
    thoughts = [f"thought {number}" for number in range(2 * AT_ONCE + 3)]
    commit(bench, [write(c.LogEvent(task.id, each), n) for n, each in enumerate(thoughts)])
    assert stream(bench)[-len(thoughts) :] == thoughts


def test_whose_a_card_is_is_looked_up_again_after_it_changed_hands(bench: Bench) -> None:
    task = bench.task("p", assignee="shuri")
    by_shuri, by_okoye = (
        c.LogEvent(task.id, "mine", by_agent=f"{soul}:p") for soul in ("shuri", "okoye")
    )
    outcomes = commit(
        bench,
        [
            write(by_shuri, 1),
            write(by_okoye, 2),
            write(c.AssignTask(task.id, "okoye"), 3),
            write(by_shuri, 4),
            write(by_okoye, 5),
            write(c.DeleteTask(task.id), 6),
            write(by_okoye, 7),
        ],
    )
    refused = [type(each) for each in outcomes if isinstance(each, Exception)]
    assert refused == [Forbidden, Forbidden, NotFound]


@attrs.frozen
class GiveAwayAndFail(Command[None]):
    """Gives a card to another agent, looks whose it is, and is refused."""

    task_id: str

    RESULT: ClassVar[Any] = None

    def apply(self, tx: Transaction) -> None:
        c.AssignTask(self.task_id, "okoye").apply(tx)
        assert tx.owner(self.task_id).assignee == "okoye"
        raise Invalid("no")


def test_whose_a_card_would_have_been_is_forgotten_with_a_refused_command(bench: Bench) -> None:
    task = bench.task("p", assignee="shuri")
    refused, taken = commit(
        bench,
        [
            write(GiveAwayAndFail(task.id), 1),
            write(c.LogEvent(task.id, "mine", by_agent="shuri:p"), 2),
        ],
    )
    assert isinstance(refused, Invalid)
    assert not isinstance(taken, Exception)


def test_whose_a_card_would_have_been_is_forgotten_with_a_group_that_is_taken_back(
    bench: Bench,
) -> None:
    task = bench.task("p", assignee="shuri")
    by_okoye = c.LogEvent(task.id, "mine now", by_agent="okoye:p")
    appends = Appends(bench.connection)

    def fail() -> None:
        error = sqlite3.OperationalError("somebody else is writing")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    lost = [write(c.AssignTask(task.id, "okoye"), 1), write(by_okoye, 2)]
    items = [Item(each, Reply()) for each in lost]
    commit_group(items, appends, fail)
    assert [type(item.error) for item in items] == [Unavailable, Unavailable]
    late = Item(write(by_okoye, 3), Reply())
    commit_group([late], appends)
    assert isinstance(late.error, Forbidden)


@pytest.mark.parametrize("seeds", [range(100), range(1 << 63, (1 << 63) + 100)])
def test_an_id_is_never_given_twice_to_the_commands_of_neighbouring_seeds(
    bench: Bench, seeds: range
) -> None:
    writes = [Write(c.CreateTask("p", "one"), 5_000_000, "operator", seed) for seed in seeds]
    tasks = [task.id for task in commit(bench, writes)]
    assert tasks == sorted(tasks)
    rows = bench.connection.execute("SELECT id FROM task_events WHERE at = 5000000").fetchall()
    ids = [*tasks, *(id_ for (id_,) in rows)]
    assert len(set(ids)) == len(ids) == 200
