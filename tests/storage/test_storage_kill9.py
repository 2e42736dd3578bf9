"""A process that is killed while it writes: what it acknowledged is there, whole and in order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mission_control.storage import Reads, open_writer

ROOT = Path(__file__).parents[2]
ROUNDS = 10

WRITE_FOR_EVER = """
import os, sys, trio
from pathlib import Path
from mission_control.storage import Writer, migrate, open_writer
from mission_control.storage import commands as c
from storage_bench import Desk

async def one_after_the_other(desk):
    while True:
        task = await desk.do(c.CreateTask("p", "one", description="x" * 500))
        os.write(1, task.id.encode() + b"\\n")

async def main():
    connection = open_writer(Path(sys.argv[1]))
    migrate(connection)
    desk = Desk(Writer(connection, on_commit=lambda: None, on_failure=print))
    desk.put = int(sys.argv[2])
    desk.writer.start()
    if desk.put == 0:
        await desk.do(c.InitProject("P"))
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(one_after_the_other, desk)

trio.run(main)
"""


def _killed_after(path: Path, acknowledged: int, seed: int) -> list[str]:
    """Let a child write until it has acknowledged so many, kill it, return all it said."""
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}"}
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, path, str(seed)],
        stdout=subprocess.PIPE,
        env=environ,
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(acknowledged)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    return [line.decode().strip() for line in said if line.endswith(b"\n")]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_nothing_that_was_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    chance = random.Random(9)  # noqa: S311 - moments, not secrets
    acknowledged: set[str] = set()
    for round_ in range(ROUNDS):
        acknowledged.update(_killed_after(path, chance.randrange(1, 150), round_ * 1_000_000))
        with closing(open_writer(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        reads = Reads(path)
        board = {task.id for task in reads.board("p")}
        numbers = [change.seq for change in reads.changes(0, 1 << 40)]
        reads.close()
        assert acknowledged <= board
        assert numbers == list(range(1, len(numbers) + 1))
        # Each card comes with its first thought, or not at all.
        assert len(numbers) == 1 + 2 * len(board)
