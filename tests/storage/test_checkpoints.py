"""The log is folded into the file beside the writer, and not by those who wait for a commit."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mission_control.storage import open_writer
from mission_control.storage._checkpoints import EVERY_COMMANDS, Checkpoints


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t(x)")
        yield connection


def _in_the_file(path: Path) -> int:
    """How much can be found without the log."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as aside:
            (count,) = aside.execute("SELECT count(*) FROM t").fetchone()
            return int(count)
    except sqlite3.DatabaseError:
        return 0  # not even the table


def test_the_log_is_folded_once_enough_was_written(
    tmp_path: Path, writer: sqlite3.Connection
) -> None:
    checkpoints = Checkpoints(tmp_path / "a.db")
    checkpoints.start()
    writer.execute("INSERT INTO t VALUES(1)")
    checkpoints.note(EVERY_COMMANDS)
    give_up = time.monotonic() + 30
    while _in_the_file(tmp_path / "a.db") == 0:
        assert time.monotonic() < give_up
    checkpoints.close()


def test_nothing_is_opened_before_there_is_something_to_fold(
    tmp_path: Path, writer: sqlite3.Connection
) -> None:
    checkpoints = Checkpoints(tmp_path / "missing" / "a.db")
    checkpoints.start()
    checkpoints.note(EVERY_COMMANDS - 1)
    checkpoints.close()
    assert _in_the_file(tmp_path / "a.db") == 0


def test_a_file_that_cannot_be_folded_is_told_of_and_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(tmp_path / "missing" / "a.db")
    checkpoints.start()
    checkpoints.note(EVERY_COMMANDS)
    give_up = time.monotonic() + 30
    while "cannot be folded" not in caplog.text:
        assert time.monotonic() < give_up
    checkpoints.close()
