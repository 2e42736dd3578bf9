"""A database that is written anew is the same, and smaller."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_control.storage import MissionError
from mission_control.storage import commands as c
from mission_control.storage.history import archive_log
from mission_control.storage.schema import check_database, compact
from random_history import ALL_STEPS, command_of, furnish
from storage_bench import Bench, open_bench

FOR_EVER = 1 << 60


def _trimmed(bench: Bench, archive: Path) -> None:
    for number in range(200):
        bench.do(c.CreateTask("p", f"task {number}", description="why " * 200))
    segment = archive_log(bench.path, archive, before_us=FOR_EVER, up_to=bench.reads.last_seq())
    assert segment is not None
    while bench.do(c.TrimLog(segment)):
        pass


def _dump(connection: sqlite3.Connection) -> list[str]:
    return sorted(connection.iterdump())


def test_the_room_of_a_trimmed_log_is_given_back(bench: Bench, tmp_path: Path) -> None:
    bench.project("P")
    _trimmed(bench, tmp_path / "log")
    seen = _dump(bench.connection)
    done = compact(bench.connection)
    assert done.after == bench.path.stat().st_size < done.before * 0.8
    assert _dump(bench.connection) == seen
    assert check_database(bench.path, tmp_path / "log") == []


@settings(max_examples=10, deadline=None)
@given(st.lists(ALL_STEPS, max_size=20))
def test_whatever_is_in_it_stays_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("compact")
    with open_bench(folder / "a.db") as bench:
        furnish(bench)
        for step in steps:
            with suppress(MissionError):
                bench.do(command_of(bench, step))
        seen, header = _dump(bench.connection), _header(bench.connection)
        compact(bench.connection)
        assert (_dump(bench.connection), _header(bench.connection)) == (seen, header)
        before = bench.reads.last_seq()
        bench.project("Made afterwards")
        assert bench.reads.changes(before)[0].seq == before + 1
        assert check_database(bench.path, folder / "log") == []


def _header(connection: sqlite3.Connection) -> list[object]:
    names = ("application_id", "user_version", "journal_mode", "auto_vacuum", "page_size")
    return [connection.execute(f"PRAGMA {name}").fetchone() for name in names]


@pytest.mark.parametrize("after", [1, 20, 200])
def test_one_that_is_cut_short_changes_nothing(bench: Bench, tmp_path: Path, after: int) -> None:
    bench.project("P")
    _trimmed(bench, tmp_path / "log")
    seen = _dump(bench.connection)
    bench.connection.set_progress_handler(_stop_after(after), 10)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        compact(bench.connection)
    bench.connection.set_progress_handler(None, 0)
    assert _dump(bench.connection) == seen
    assert check_database(bench.path, tmp_path / "log") == []


def _stop_after(calls: int) -> Callable[[], bool]:
    left = iter(range(calls))
    return lambda: next(left, None) is None
