"""Measures the storage: `python benchmarks/storage.py [--quick] [--json]`.

What the numbers mean, and the newest of them, are in docs/performance.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Final

import attrs
import trio
from rich.console import Console
from rich.table import Table

from _copying import waits_during_backup
from _crowded import crowd_board, crowd_file
from _looking import look
from _rows import Row
from _writing import Acknowledged, Board, bare, hop_each, make_board, one_by_one, through_store
from mission_control.actors import Home

ROWS: Final = (
    Row("vs_single", "100 actors, against a transaction for each command", "x", 10, 39),
    Row("vs_bare", "100 actors, against SQL alone in groups of 100", "x", 0.45, 0.7),
    Row("p99_ms", "p99 of an acknowledged event at 100 actors", "ms", 15, 12),
    Row("board_ms", "a board of 1,000 open among 100,000 tasks", "ms", 50, 25),
    Row("backup_p99_ms", "p99 of an event during a backup of 140 MB", "ms", 100, 30),
    Row("stream_ms", "thoughts of one task among 1,000,000", "ms", 5, 2.5),
)

BACKUP_BYTES: Final = 140_000_000


@attrs.frozen
class Size:
    """How much is done."""

    rounds: int
    events: int
    """That ours and the bare thread write in a round; the slow ones write a tenth."""
    looks: int
    share: float = 1.0
    """Of the crowded database, and of the one that is copied."""


FULL: Final = Size(rounds=15, events=10_000, looks=51)
QUICK: Final = Size(rounds=7, events=3_000, looks=11)
SMOKE: Final = Size(rounds=1, events=1_000, looks=1, share=0.02)
"""To see that it works."""


@attrs.frozen
class Round:
    """What one round of writing came to."""

    ours: Acknowledged
    hops: float
    thread: float
    bare: float
    """Events a second."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the storage.")
    parser.add_argument("--quick", action="store_true", help="less of it, in under 50 s")
    parser.add_argument("--smoke", action="store_true", help="so little of it that it says nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON too")
    options = parser.parse_args()
    size = SMOKE if options.smoke else QUICK if options.quick else FULL
    with TemporaryDirectory(prefix="mission-control-bench-") as folder:
        place = Path(folder)
        rounds = _write(place / "writing.db", size)
        values = (
            _ratios(rounds) | _looks(place / "looking", size) | _copying(place / "copying", size)
        )
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(_table(values))
    for note in _notes(rounds):
        console.print(note)
    if options.json:
        print(json.dumps({row.key: round(values[row.key], 3) for row in ROWS}))


def _write(path: Path, size: Size) -> list[Round]:
    board = trio.run(make_board, path)
    return [_round(board, size.events) for _ in range(size.rounds)]


def _round(board: Board, events: int) -> Round:
    """Let each write once, in random order: what disturbs the machine disturbs them all."""
    results: dict[str, Acknowledged] = {}
    contenders = {
        "ours": lambda: trio.run(through_store, board, events),
        "hops": lambda: trio.run(hop_each, board, events // 10),
        "thread": lambda: trio.run(one_by_one, board, events // 10),
        "bare": lambda: Acknowledged(bare(board, events), []),
    }
    for name in random.sample(list(contenders), len(contenders)):
        gc.collect()
        results[name] = contenders[name]()
    rates = {name: result.rate for name, result in results.items()}
    return Round(results["ours"], rates["hops"], rates["thread"], rates["bare"])


def _ratios(rounds: Sequence[Round]) -> dict[str, float]:
    return {
        "vs_single": median(round_.ours.rate / round_.hops for round_ in rounds),
        "vs_bare": median(round_.ours.rate / round_.bare for round_ in rounds),
        "p99_ms": median(_p99_ms(round_.ours.waits) for round_ in rounds),
    }


def _looks(folder: Path, size: Size) -> dict[str, float]:
    home = _home(folder)
    crowd_board(home.database, size.share)
    found = trio.run(look, home.path, size.looks)
    return {"board_ms": 1000 * found.board, "stream_ms": 1000 * found.stream}


def _copying(folder: Path, size: Size) -> dict[str, float]:
    home = _home(folder)
    crowd_file(home.database, int(BACKUP_BYTES * size.share))
    waits = trio.run(waits_during_backup, home.path, home.database)
    return {"backup_p99_ms": _p99_ms(waits)}


def _home(folder: Path) -> Home:
    home = Home(folder)
    home.make()
    return home


def _p99_ms(waits: Sequence[float]) -> float:
    return 1000 * quantiles(waits, n=100)[98]


def _table(values: dict[str, float]) -> Table:
    table = Table("key", "measures", title="mission_control.storage")
    for column in ("value", "bar", "goal", "reaches"):
        table.add_column(column, justify="right")
    for row in ROWS:
        value = values[row.key]
        cells = [f"{number:,.4g} {row.unit}" for number in (value, row.bar, row.goal or row.bar)]
        table.add_row(row.key, row.what, *cells, row.verdict(value))
    return table


def _notes(rounds: Sequence[Round]) -> list[str]:
    ours = median(round_.ours.rate for round_ in rounds)
    hops = median(round_.hops for round_ in rounds)
    thread = median(round_.thread for round_ in rounds)
    alone = median(round_.bare for round_ in rounds)
    ratio = median(round_.ours.rate / round_.thread for round_ in rounds)
    return [
        f"Events a second: ours {ours:,.0f}, a hop to a thread for each {hops:,.0f},"
        f" a thread with a queue {thread:,.0f}, SQL alone {alone:,.0f}.",
        f"Against the thread with a queue: {ratio:.3g} x.",
    ]


if __name__ == "__main__":
    main()
