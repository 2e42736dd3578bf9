"""The log is folded into the file beside the writer, and not by those who wait for a commit."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import trio

from mission_control.storage import Command, StorageFailed, Transaction, migrate, open_writer
from mission_control.storage import _checkpoints as module
from mission_control.storage._checkpoints import (
    EVERY_COMMANDS,
    EVERY_S,
    FEW_COMMANDS,
    Checkpoints,
)
from mission_control.storage._writer import Writer
from storage_bench import Desk


@attrs.define
class Bed:
    """A writer, and the thread that folds what it writes; the clock stands still."""

    path: Path
    writer: sqlite3.Connection
    now: float = 0.0
    begun: int = 0
    """Checkpoints."""
    rows: int = 0
    checkpoints: Checkpoints = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.checkpoints = Checkpoints(self.path, lambda: self.now)

    def commit(self, commands: int = 1) -> None:
        """Write a row, and say that it was so many commands."""
        with self.checkpoints.turn():
            self.write(commands)

    def write(self, commands: int = 1) -> None:
        self.writer.execute("INSERT INTO t VALUES(1)")
        self.rows += 1
        self.checkpoints.note(commands)

    def until(self, condition: Callable[[], bool]) -> None:
        give_up = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < give_up
        with self.checkpoints.turn():
            pass  # what was begun in the writer's turn is over

    def in_the_file(self) -> int:
        """How many rows can be found without the log."""
        try:
            with closing(sqlite3.connect(f"{self.path.as_uri()}?immutable=1", uri=True)) as aside:
                (count,) = aside.execute("SELECT count(*) FROM t").fetchone()
                return int(count)
        except sqlite3.DatabaseError:
            return 0  # not even the table

    def is_half_folded(self) -> bool:
        """Whether the thread waits for the next commit."""
        return not self.checkpoints._committed.is_set()

    def log_number(self) -> int:
        """How often the log has begun anew.  https://sqlite.org/fileformat2.html#walformat"""
        return int.from_bytes(Path(f"{self.path}-wal").read_bytes()[12:16], "big")

    def open_counted(self, path: Path) -> sqlite3.Connection:
        connection = open_writer(path)
        connection.set_trace_callback(self._count)
        return connection

    def _count(self, statement: str) -> None:
        self.begun += "wal_checkpoint(" in statement


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    with closing(open_writer(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t(x)")
        made = Bed(tmp_path / "a.db", connection)
        monkeypatch.setattr(module, "open_writer", made.open_counted)
        made.checkpoints.start(connection)
        yield made
        made.checkpoints.close()


def test_the_log_is_folded_once_enough_was_written(bed: Bed) -> None:
    bed.commit(EVERY_COMMANDS - 1)
    assert not bed.checkpoints._due.is_set()
    bed.commit()
    bed.until(lambda: bed.in_the_file() == 2)


def test_little_is_folded_when_it_has_waited(bed: Bed) -> None:
    bed.now = EVERY_S
    bed.commit(FEW_COMMANDS - 1)
    assert not bed.checkpoints._due.is_set()
    bed.commit()
    bed.until(lambda: bed.in_the_file() == 2)


def test_what_is_written_while_the_log_is_folded_is_folded_too_and_the_log_begins_anew(
    bed: Bed,
) -> None:
    for number in range(1, 4):
        bed.commit(EVERY_COMMANDS)
        bed.until(bed.is_half_folded)
        bed.commit()
        bed.until(lambda: bed.begun == 3 * number)  # noqa: B023 - called in this turn
        assert bed.in_the_file() == bed.rows
        before = bed.log_number()
        bed.commit()
        assert bed.log_number() == before + 1


def test_no_checkpoint_begins_when_the_one_before_it_left_nothing_and_nothing_came_since(
    bed: Bed,
) -> None:
    """While a commit lets the log begin anew, SQLite would lose changes over that."""
    bed.commit(EVERY_COMMANDS)
    bed.until(bed.is_half_folded)
    assert bed.begun == 1
    bed.commit(EVERY_COMMANDS)  # so many that another fold would be due
    bed.until(lambda: bed.begun == 3)
    assert not bed.checkpoints._due.is_set()


def test_however_busy_the_writer_is_the_end_of_a_fold_has_its_turn(bed: Bed) -> None:
    bed.commit(EVERY_COMMANDS)
    bed.until(bed.is_half_folded)
    with bed.checkpoints.turn():
        bed.write()
        give_up = time.monotonic() + 30
        while not (bed.begun == 2 and bed.checkpoints._next.locked()):
            assert time.monotonic() < give_up
    with bed.checkpoints.turn():
        assert bed.begun == 3


def test_nobody_folds_but_the_thread(bed: Bed) -> None:
    assert bed.writer.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)


def test_a_fold_that_waits_for_a_commit_keeps_nobody_from_closing(bed: Bed) -> None:
    bed.commit(EVERY_COMMANDS)
    bed.until(bed.is_half_folded)
    bed.checkpoints.close()
    assert bed.begun == 1


@attrs.frozen
class IsInTurn(Command[bool]):
    """Whether the last part of a fold would wait for this command."""

    checkpoints: Checkpoints

    RESULT: ClassVar[Any] = bool

    def apply(self, tx: Transaction) -> bool:
        return self.checkpoints._turn.locked()


async def test_a_fold_ends_between_two_groups_of_the_writer(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "a.db")
    migrate(connection)
    checkpoints = Checkpoints(tmp_path / "a.db")
    failures: list[StorageFailed] = []
    writer = Writer(
        connection, on_commit=lambda: None, on_failure=failures.append, checkpoints=checkpoints
    )
    writer.start()
    try:
        assert await Desk(writer).do(IsInTurn(checkpoints))
    finally:
        with trio.CancelScope(shield=True):
            await writer.close()
    assert not checkpoints._turn.locked()
    assert failures == []


def test_nothing_is_opened_before_there_is_something_to_fold(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "missing" / "a.db", lambda: 0.0)
    with closing(sqlite3.connect(":memory:")) as writer:
        checkpoints.start(writer)
    checkpoints.note(EVERY_COMMANDS - 1)
    checkpoints.close()


def test_a_file_that_cannot_be_folded_is_told_of_and_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(tmp_path / "missing" / "a.db")
    with closing(sqlite3.connect(":memory:")) as writer:
        checkpoints.start(writer)
    checkpoints.note(EVERY_COMMANDS)
    give_up = time.monotonic() + 30
    while "cannot be folded" not in caplog.text:
        assert time.monotonic() < give_up
    checkpoints.close()
