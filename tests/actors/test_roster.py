"""A roster wakes whom a change gives something to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mission_control.actors._roster import _concerned
from mission_control.storage import Command, TaskStatus
from mission_control.storage import commands as c
from storage_bench import Bench, open_bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_bench(tmp_path / "mission-control.db") as bench:
        bench.project()
        for soul in ("nakia", "okoye", "shuri"):
            bench.agent("p", soul)
        yield bench


def woken_by(bench: Bench, command: Command[Any]) -> set[str] | None:
    (before,) = bench.connection.execute("SELECT max(seq) FROM changes").fetchone()
    bench.do(command)
    return _concerned(tuple(bench.reads.changes(before)), bench.reads)


@pytest.mark.parametrize("end", [TaskStatus.DONE, TaskStatus.ARCHIVED])
def test_who_waits_for_a_task_is_woken_by_its_end_and_nobody_else(
    bench: Bench, end: TaskStatus
) -> None:
    first, other = bench.task("p", "first"), bench.task("p", "other", "okoye")
    bench.do(c.CreateTask("p", "second", "nakia", depends_on=(first.id,)))
    bench.do(c.CreateTask("p", "third", "okoye", depends_on=(other.id,)))
    bench.do(c.CreateTask("p", "nobody's", None, depends_on=(first.id,)))
    assert woken_by(bench, c.MoveTask(first.id, end)) == {"shuri", "nakia"}


def test_everybody_is_woken_by_the_deletion_of_a_task(bench: Bench) -> None:
    first = bench.task("p", "first")
    assert woken_by(bench, c.DeleteTask(first.id)) is None
