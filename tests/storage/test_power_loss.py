"""The power is cut while commands are committed: what was acknowledged is there afterwards.

The commands, the groups, the watch over the log and the pragmas are the writer's own; only the
library under them is apsw's, whose SQLite can be given a disk that we record.  Two things differ.
That disk has no shared memory, so `locking_mode` is EXCLUSIVE: the index of the log, which no crash
leaves behind anyway, is in memory.  And the log is folded into the file after 40 pages instead of
1,000, so that many of the cuts fall into that.

What is left of the files is opened as at a start, by Python's own sqlite3, beside a `-shm` that is
full of rubbish.  `POWER_LOSS_SEED` chooses other commands and other cuts.
"""

from __future__ import annotations

import itertools
import os
import random
import sqlite3
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, cast

import apsw
import attrs
import pytest

from log_tables import Images, images_in, images_of
from mission_control.storage import (
    US,
    Change,
    Command,
    ManualClock,
    MissionError,
    TaskStatus,
    Write,
    migrate,
    open_writer,
    replace_file,
)
from mission_control.storage import commands as c
from mission_control.storage._appends import Appends
from mission_control.storage._condition import StorageCondition
from mission_control.storage._connection import WRITER_PRAGMAS
from mission_control.storage._group import Item, commit_group
from mission_control.storage._watch import FileWatch
from mission_control.storage.history import changes_after, fold, last_seq
from power_loss import ApswConnection, Disk, Operation, Recorder
from storage_bench import Reply

SEED: Final = int(os.environ.get("POWER_LOSS_SEED", "7"))
GROUPS: Final = 100
FOLD_AFTER_PAGES: Final = 40
NAME: Final = "a.db"


@attrs.frozen
class Run:
    """What was done, and when it was acknowledged."""

    before: dict[str, bytearray]
    """The files when it began, all of them safe."""
    operations: Sequence[Operation]
    acknowledged: Sequence[tuple[int, int, int]]
    """After so many operations: up to this change, and so many idempotency keys."""
    changes: Sequence[Change]
    states: dict[int, Images]
    """The tables after each group, by its last change."""


def _run(folder: Path, synchronous: str, largest_group: int) -> Run:
    """Commit groups of random commands on a disk that is recorded."""
    path = folder / NAME
    with closing(open_writer(path)) as connection:
        migrate(connection)
        connection.execute("INSERT INTO meta VALUES('epoch', 'e1')")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = {NAME: bytearray(path.read_bytes())}
    disk = Recorder("recorded")
    recorded = cast("Any", ApswConnection(apsw.Connection(str(path), vfs="recorded")))
    with closing(recorded) as connection:
        for pragma in ("locking_mode=EXCLUSIVE", *WRITER_PRAGMAS, f"synchronous={synchronous}"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(f"PRAGMA wal_autocheckpoint={FOLD_AFTER_PAGES}")
        acknowledged = [(0, 0, 0)]
        appends = Appends(connection)
        watch = FileWatch(connection, StorageCondition())
        for group in _groups(largest_group):
            watch.look()
            commit_group(group, appends)
            acknowledged.append((len(disk.operations), last_seq(connection), _keys(connection)))
            _check_outcomes(group)
        operations = tuple(disk.operations)  # what closing writes comes after the last cut
        changes = changes_after(connection, 0, 1 << 40)
    states = {seq: images_in(fold(changes[:seq])) for _, seq, _ in acknowledged}
    return Run(before, operations, acknowledged, changes, states)


def _keys(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM idempotency").fetchone()
    return int(count)


def _groups(largest: int) -> Iterator[list[Item]]:
    chance = random.Random(SEED)  # noqa: S311 - commands, not secrets
    clock = ManualClock()
    at, number = clock.now_us(), 0
    first: list[Command[Any]] = [c.InitProject("P"), c.InstallSoul("shuri", "0" * 64)]
    first.append(c.CreateAgent("p", "shuri", 60.0, 300.0, 3))
    yield [_item(command, at, n) for n, command in enumerate(first)]
    tasks: list[str] = []
    for _ in range(GROUPS):
        group = []
        for _ in range(chance.randint(1, largest)):
            number += 1
            group.append(_item(_command(chance, tasks), at + number * US, 100 + number))
        yield group
        tasks += [item.result.id for item in group if isinstance(item.write.command, c.CreateTask)]


def _item(command: Command[Any], at: int, number: int) -> Item:
    key = f"key {number}" if number % 3 == 0 else None
    return Item(Write(command, at, "operator", number, key), Reply())


def _command(chance: random.Random, tasks: list[str]) -> Command[Any]:
    text = "so " * chance.randint(1, 300)
    if len(tasks) < 5 or chance.random() < 0.2:
        return c.CreateTask("p", "one", chance.choice((None, "shuri")), description=text)
    task_id = chance.choice(tasks)
    return chance.choice(
        (
            c.LogEvent(task_id, text),
            c.MoveTask(task_id, chance.choice(list(TaskStatus))),
            c.UpdateTask(task_id, description=text),
            c.SendMessage("shuri:p", text),
        )
    )


def _check_outcomes(group: list[Item]) -> None:
    """Refusals belong to it; anything else would mean that nothing is tested here."""
    assert all(item.error is None or isinstance(item.error, MissionError) for item in group)


def _cuts(run: Run, count: int) -> Iterator[tuple[int, dict[str, bytearray]]]:
    """Yield so many moments, and what the disk may hold after each."""
    chance = random.Random(SEED)  # noqa: S311
    disk, done = Disk(run.before), 0
    for cut in sorted(chance.randint(1, len(run.operations)) for _ in range(count)):
        for operation in run.operations[done:cut]:
            disk.do(operation)
        done = cut
        yield cut, disk.after_power_loss(chance)


def _verdict(run: Run, cut: int, path: Path) -> str:
    """Open what was left, as the storage actor does, and compare it with what was said."""
    try:
        with closing(open_writer(path)) as connection:
            migrate(connection)
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                return "damaged"
            changes, images = changes_after(connection, 0, 1 << 40), images_of(connection)
            keys = _keys(connection)
    except (sqlite3.DatabaseError, MissionError):
        return "damaged"
    kept = len(changes)
    promised = [(seq, count) for done, seq, count in run.acknowledged if done <= cut][-1]
    if kept < promised[0] or keys < promised[1]:
        return "lost"
    # Up to the end of a group, in order and without a gap, and the tables as the log has them.
    if kept in run.states and changes == run.changes[:kept] and images == run.states[kept]:
        return "whole"
    return "mixed"


def _verdicts(run: Run, cuts: int, left: Path) -> Counter[str]:
    left.mkdir()
    rubbish = bytearray(random.Random(SEED).randbytes(1 << 15))  # noqa: S311
    verdicts: Counter[str] = Counter()
    for cut, files in _cuts(run, cuts):
        for path in left.iterdir():
            path.unlink()
        for name, content in {**files, f"{NAME}-shm": rubbish}.items():
            path = left / name
            path.touch(0o600)
            path.write_bytes(content)
        verdicts[_verdict(run, cut, left / NAME)] += 1
    print(f"POWER_LOSS_SEED={SEED}: {dict(verdicts)}")  # noqa: T201 - shown where it fails
    return verdicts


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("largest_group", [1, 12])
def test_nothing_that_was_acknowledged_is_lost_with_the_power(
    tmp_path: Path, largest_group: int
) -> None:
    run = _run(tmp_path, "FULL", largest_group)
    assert _verdicts(run, 300, tmp_path / "left") == {"whole": 300}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_with_synchronous_normal_acknowledged_changes_are_lost(tmp_path: Path) -> None:
    found = _verdicts(_run(tmp_path, "NORMAL", 12), 100, tmp_path / "left")
    assert found["lost"] > 10
    assert found["lost"] + found["whole"] == 100  # it only forgets


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_with_synchronous_off_the_file_is_damaged(tmp_path: Path) -> None:
    found = _verdicts(_run(tmp_path, "OFF", 12), 100, tmp_path / "left")
    assert found["damaged"] + found["mixed"] > 10


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_answer_before_the_commit_would_be_noticed(tmp_path: Path) -> None:
    run = _run(tmp_path, "FULL", 12)
    pairs = itertools.pairwise(run.acknowledged)
    early = [(begun[0], *ended[1:]) for begun, ended in pairs]
    found = _verdicts(attrs.evolve(run, acknowledged=early), 100, tmp_path / "left")
    assert found["lost"] > 10


def test_a_file_is_safe_before_it_has_its_name_and_its_name_before_anybody_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, os.replace

    def noted_sync(descriptor: int) -> None:
        sync(descriptor)
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "text")

    def noted_rename(source: Any, target: Any) -> None:
        assert Path(source).read_text() == "new"
        rename(source, target)
        steps.append("rename")

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_rename)
    replace_file(tmp_path / "KANBAN.md", "new")
    assert steps == ["text", "rename", "folder"]
