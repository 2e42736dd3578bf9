"""Measures the actor runtime: `python benchmarks/runtime.py [--quick] [--json]`.

What the numbers mean, and the newest of them, are in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Final

import attrs
import trio
from rich.console import Console
from rich.table import Table

import _actors
import _asyncio_queues
import _channels
from _latency import stop_backlog, timer
from _memory import idle_bytes
from _rounds import Contender, Score, on_asyncio, on_trio, race, without_gc
from _rows import Row

CHANNEL, ASYNCIO, PYKKA = "trio channel", "asyncio.Queue", "pykka"


@attrs.frozen
class Race:
    """What is measured against one workload of the raw channel, in the same rounds."""

    workload: str
    count: int
    """Operations in a quick round; a full one has five times as many."""
    keys: tuple[str, ...]


RACES: Final = (
    Race("tell", 12_000, ("tell", "send")),
    Race("ask", 4_000, ("ask", "ask_timeout", "sync_ask")),
    Race("asks_100", 4_000, ("asks_100",)),
    Race("fan_in", 10_000, ("fan_in",)),
    Race("ring_1", 5_000, ("ring_1", "sync_ring")),
    Race("ring_1000", 30_000, ("ring_1000",)),
    Race("spawn", 2_000, ("spawn",)),
    Race("restart", 2_500, ("restart",)),
)


ROWS: Final = (
    Row("tell", "tell, bursts of 64", "x", 12, 18),
    Row("send", "send with back-pressure", "x", 7, 10),
    Row("ask", "ask", "x", 1.9, 2.2),
    Row("ask_timeout", "ask with a timeout", "x", 1.6, 1.9),
    Row("asks_100", "ask, 100 at once", "x", 4.5, 6),
    Row("fan_in", "send, 100 to 1", "x", 2.5, 3.3),
    Row("ring_1", "ring of 1000, 1 token", "x", 1.7, 2),
    Row("ring_1000", "ring of 1000, 1000 tokens", "x", 12, 20),
    Row("spawn", "start and stop", "x", 0.7, 1),
    Row("restart", "crash and restart", "x", 1.6, 2.4),
    Row("idle_bytes", "an idle actor", "B", 5_000, 4_200),
    Row("stop_backlog_ms", "stop, 100,000 messages", "ms", 2, 0.5),
    Row("timer_ms", "10 ms timer, 100,000 messages", "ms", 15, 12),
    Row("sync_ring", "ring, shared lane", "x", 15, 25),
    Row("sync_ask", "ask, shared lane", "x", 20, 35),
    Row("sync_bytes", "an idle actor, shared lane", "B", 1_000, 500),
)


@attrs.frozen
class Size:
    """How much is done."""

    rounds: int
    factor: int
    actors: int
    """In the measurement of memory."""
    latencies: int
    """Rounds of those."""


FULL: Final = Size(rounds=11, factor=5, actors=20_000, latencies=5)
QUICK: Final = Size(rounds=5, factor=1, actors=5_000, latencies=3)
SMOKE: Final = Size(rounds=1, factor=1, actors=2_000, latencies=1)
"""To see that it works."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the actor runtime.")
    parser.add_argument("--quick", action="store_true", help="less of it, in under 50 s")
    parser.add_argument("--smoke", action="store_true", help="so little of it that it says nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON too")
    options = parser.parse_args()
    size = SMOKE if options.smoke else QUICK if options.quick else FULL
    scores = {run.workload: race(_contenders(run, size), size.rounds) for run in RACES}
    values = _ratios(scores) | _latencies(size) | _sizes(size)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(_table(values, scores))
    console.print(_record(scores))
    for note in _notes():
        console.print(note)
    if options.json:
        print(json.dumps({row.key: round(values[row.key], 3) for row in ROWS}))


def _contenders(run: Race, size: Size) -> dict[str, Contender]:
    count = run.count * size.factor
    ours = {key: on_trio(getattr(_actors, key), count) for key in run.keys}
    return {
        CHANNEL: on_trio(getattr(_channels, run.workload), count),
        **ours,
        **_others(run.workload, count),
    }


def _others(workload: str, count: int) -> dict[str, Contender]:
    others: dict[str, Contender] = {}
    if workload in _asyncio_queues.WORKLOADS:
        others[ASYNCIO] = on_asyncio(_asyncio_queues.WORKLOADS[workload], count)
    if find_spec("pykka") is not None:
        import _pykka_actors  # noqa: PLC0415 - needs pykka

        if workload in _pykka_actors.WORKLOADS:
            function = _pykka_actors.WORKLOADS[workload]
            others[PYKKA] = lambda: function(count)
    return others


def _ratios(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, float]:
    return {key: scores[run.workload][key].ratio for run in RACES for key in run.keys}


def _latencies(size: Size) -> dict[str, float]:
    return {
        "stop_backlog_ms": _milliseconds(stop_backlog, size),
        "timer_ms": _milliseconds(timer, size),
    }


def _milliseconds(latency: Callable[[], Awaitable[float]], size: Size) -> float:
    once = partial(trio.run, latency)
    return 1000 * median(without_gc(once) for _ in range(size.latencies))


def _sizes(size: Size) -> dict[str, float]:
    return {
        "idle_bytes": idle_bytes(size.actors),
        "sync_bytes": idle_bytes(size.actors, shared=True),
    }


def _table(values: Mapping[str, float], scores: Mapping[str, Mapping[str, Score]]) -> Table:
    table = Table("key", "measures", title="mission_control.supervisor")
    for column in ("value", "bar", "goal", "reaches", "CPU µs", "of channel"):
        table.add_column(column, justify="right")
    costs = {key: (run.workload, key) for run in RACES for key in run.keys}
    for row in ROWS:
        value = values[row.key]
        cells = [f"{number:,.4g} {row.unit}" for number in (value, row.bar, row.goal or row.bar)]
        times = ["", ""]
        if row.key in costs:
            workload, key = costs[row.key]
            times = [_microseconds(scores[workload][name]) for name in (key, CHANNEL)]
        table.add_row(row.key, row.what, *cells, row.verdict(value), *times)
    return table


def _record(scores: Mapping[str, Mapping[str, Score]]) -> Table:
    table = Table("workload", title="For the record: times cheaper than the channel, and CPU µs")
    for name in (ASYNCIO, PYKKA):
        table.add_column(name, justify="right")
    for workload, round_ in scores.items():
        cells = [
            f"{round_[name].ratio:.3g} x  {_microseconds(round_[name])}" if name in round_ else "-"
            for name in (ASYNCIO, PYKKA)
        ]
        table.add_row(workload, *cells)
    return table


def _microseconds(score: Score) -> str:
    return f"{1e6 * score.cost:.2f}"


def _notes() -> list[str]:
    notes = []
    if find_spec("pykka") is None:
        notes.append("pykka is not installed, and not measured.")
    if not _actors.SHARED:
        notes.append("There is no shared lane yet: its rows show ordinary actors.")
    return notes


if __name__ == "__main__":
    main()
