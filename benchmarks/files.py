"""Measures scoped files and their locks: `python benchmarks/files.py [--quick] [--json]`.

Safe reads and writes are measured against the bare system calls, in turns and in the same folder;
locks by themselves.  It works in .cache beside this folder, because a file system in memory, as
/tmp often is, has nothing to sync.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import attrs
import trio
from rich.console import Console
from rich.table import Table

from _rounds import race, without_gc
from mission_control.storage.files import (
    AgentAccess,
    FileLocks,
    Limits,
    Projects,
    Quota,
    ScopedFiles,
    Workspace,
)

CACHE: Final = Path(__file__).parents[1] / ".cache"
DATA: Final = b"x" * 4096
READ_NAME, WRITE_NAME = "src/package/module.py", "src/package/written.py"
TASKS, KEYS = 1_000, 100
BARE, SAFE = "bare", "safe"


@attrs.frozen
class Row:
    """One number of the result, with what it is to be."""

    key: str
    what: str
    bar: float
    larger: bool = False
    """Whether it is to be large."""

    def verdict(self, value: float) -> str:
        """What *value* reaches."""
        return "bar" if (value >= self.bar if self.larger else value <= self.bar) else "missed"


ROWS: Final = (
    Row("read_ratio", "read 4 kB, CPU, to open+read+close", 4),
    Row("write_ratio", "write 4 kB with both syncs, to bare calls", 1.3),
    Row("locks_per_s", "locks, 1,000 tasks on 100 files, of CPU", 20_000, larger=True),
)


@attrs.frozen
class Size:
    """How much is done."""

    rounds: int
    reads: int
    """In a round."""
    writes: int
    """Of each sort, in turns."""
    holds: int
    """By each task."""
    runs: int
    """Of the locks."""


FULL: Final = Size(rounds=31, reads=4_000, writes=600, holds=40, runs=7)
QUICK: Final = Size(rounds=9, reads=1_500, writes=400, holds=15, runs=3)
SMOKE: Final = Size(rounds=1, reads=50, writes=10, holds=2, runs=1)
"""To see that it works."""


@attrs.frozen
class Place:
    """A project, and its path for the bare calls."""

    files: ScopedFiles
    path: Path
    staging: int
    folder: int


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure scoped files and their locks.")
    parser.add_argument("--quick", action="store_true", help="less of it, in some seconds")
    parser.add_argument("--smoke", action="store_true", help="so little of it that it says nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON too")
    options = parser.parse_args()
    values = measure(SMOKE if options.smoke else QUICK if options.quick else FULL)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(_table(values))
    if options.json:
        print(json.dumps({row.key: round(values[row.key], 3) for row in ROWS}))


def measure(size: Size) -> dict[str, float]:
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="files-", dir=CACHE) as folder:
        path = Path(folder)
        (path / "alpha" / "src" / "package").mkdir(parents=True)
        (path / "alpha" / READ_NAME).write_bytes(DATA)
        with Projects(path) as projects, projects.open("alpha") as root:
            files = ScopedFiles(Workspace(root, Quota(Limits())), AgentAccess("alpha", "coder"))
            place = Place(
                files,
                path,
                os.open(path / ".staging", os.O_RDONLY),
                os.open(path / "alpha" / "src" / "package", os.O_RDONLY),
            )
            reads = read_ratio(place, size)
            writes = write_ratio(place, size)
            os.close(place.staging)
            os.close(place.folder)
    return {"read_ratio": reads, "write_ratio": writes, "locks_per_s": locks_per_s(size)}


def read_ratio(place: Place, size: Size) -> float:
    bare = partial(_bare_read, str(place.path / "alpha" / READ_NAME))
    safe = partial(place.files.read, READ_NAME)
    contenders = {
        BARE: partial(_cpu_s, bare, size.reads),
        SAFE: partial(_cpu_s, safe, size.reads),
    }
    return 1 / race(contenders, size.rounds)[SAFE].ratio


def _bare_read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, len(DATA))
    finally:
        os.close(descriptor)


def _cpu_s(function: Callable[[], object], count: int) -> float:
    """Return the CPU seconds of one call."""
    begin = time.thread_time()
    for _ in range(count):
        function()
    return (time.thread_time() - begin) / count


def write_ratio(place: Place, size: Size) -> float:
    """Compare the time that passes, pair by pair: a sync waits for the disk, and uses no CPU.

    What others write makes the disk slow for a while, and both of a pair alike.
    """
    bare = partial(_bare_write, place)
    safe = partial(place.files.write, WRITE_NAME, DATA)

    def pairs() -> float:
        times = ((_passing_s(bare), _passing_s(safe)) for _ in range(size.writes))
        return median(safe_s / bare_s for bare_s, safe_s in times)

    return without_gc(pairs)


def _passing_s(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def _bare_write(place: Place) -> None:
    descriptor = os.open(
        "bare", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=place.staging
    )
    os.write(descriptor, DATA)
    os.fsync(descriptor)
    os.close(descriptor)
    os.rename("bare", "bare.py", src_dir_fd=place.staging, dst_dir_fd=place.folder)
    os.fsync(place.folder)


def locks_per_s(size: Size) -> float:
    """Return acquisitions in a second of CPU, of which nearly each has to wait for others.

    The best of some runs: what else the machine does can only take away.
    """
    return max(without_gc(partial(trio.run, _acquire, size.holds)) for _ in range(size.runs))


async def _acquire(holds: int) -> float:
    locks = FileLocks()

    async def work(number: int) -> None:
        for turn in range(holds):
            names = ("src", f"module-{(number * 7 + turn) % KEYS}.py")
            async with locks.hold("alpha", [names], "agent coder:alpha"):
                pass

    begin = time.process_time()
    async with trio.open_nursery() as nursery:
        for number in range(TASKS):
            nursery.start_soon(work, number)
    return TASKS * holds / (time.process_time() - begin)


def _table(values: Mapping[str, float]) -> Table:
    table = Table("key", "measures", title="mission_control.storage.files")
    for column in ("value", "bar", "reaches"):
        table.add_column(column, justify="right")
    for row in ROWS:
        value = values[row.key]
        table.add_row(row.key, row.what, f"{value:,.4g}", f"{row.bar:,.4g}", row.verdict(value))
    return table


if __name__ == "__main__":
    main()
